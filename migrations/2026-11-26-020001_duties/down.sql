DROP TRIGGER what_is_erased_owes_nothing ON applications;
DROP FUNCTION forget_duties();
DROP INDEX applications_with_dates;
UPDATE applications SET work = NULL WHERE work IN ('dutyProof', 'dutyOverdue');
ALTER TABLE applications
    DROP CONSTRAINT work_is_of_a_kind,
    ADD CONSTRAINT work_is_of_a_kind CHECK (work IN
        ('intake', 'checks', 'registers', 'decision', 'payment', 'handover', 'annulment', 'request')),
    DROP COLUMN duty_due_on,
    DROP COLUMN duties;
CREATE INDEX applications_with_dates ON applications (id)
    WHERE phase IN ('submission', 'checks', 'fee', 'issuance') OR work IS NOT NULL;
