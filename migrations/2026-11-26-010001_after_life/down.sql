DROP TRIGGER what_was_asked_goes_with_the_form ON applications;
DROP FUNCTION forget_the_after_life();
UPDATE applications SET work = 'annulment' WHERE work = 'request';
ALTER TABLE applications DROP CONSTRAINT work_is_of_a_kind;
ALTER TABLE applications ADD CONSTRAINT work_is_of_a_kind CHECK (work IN
    ('intake', 'checks', 'registers', 'decision', 'payment', 'handover', 'annulment'));
ALTER TABLE applications DROP COLUMN after_life;
ALTER TABLE permits DROP COLUMN suspended_on;
DROP TABLE blanks;
DROP SEQUENCE blank_serials;
