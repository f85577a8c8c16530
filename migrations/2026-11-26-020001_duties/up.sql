-- What is owed after issue.

ALTER TABLE applications
    ADD COLUMN duties      jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN duty_due_on date,
    DROP CONSTRAINT work_is_of_a_kind,
    ADD CONSTRAINT work_is_of_a_kind CHECK (work IN
        ('intake', 'checks', 'registers', 'decision', 'payment', 'handover', 'annulment', 'request', 'dutyProof',
         'dutyOverdue'));
COMMENT ON COLUMN applications.duties IS 'what holder and employer owe and owed after issue, and how each stands';
COMMENT ON COLUMN applications.duty_due_on IS 'the earliest last day of what is open of them, while the permit is in force';

-- As before, and what owes something by a day.
DROP INDEX applications_with_dates;
CREATE INDEX applications_with_dates ON applications (id)
    WHERE phase IN ('submission', 'checks', 'fee', 'issuance') OR work IS NOT NULL OR duty_due_on IS NOT NULL;

-- A duty names employers, and why an officer let it go: that goes with the person's data.
CREATE FUNCTION forget_duties() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    NEW.duties := '[]';
    NEW.duty_due_on := NULL;
    RETURN NEW;
END $$;
CREATE TRIGGER what_is_erased_owes_nothing BEFORE UPDATE ON applications
    FOR EACH ROW WHEN (NEW.erased_at IS NOT NULL) EXECUTE FUNCTION forget_duties();
