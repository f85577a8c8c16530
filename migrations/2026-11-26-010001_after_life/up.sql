-- What becomes of a permit once it is issued: the papers it is printed on, what its holder asks, and that it is suspended.

CREATE SEQUENCE blank_serials;
COMMENT ON SEQUENCE blank_serials IS 'serial numbers of papers: by themselves, gaps accepted, never given twice';

CREATE TABLE blanks (
    number         text PRIMARY KEY,
    application_id uuid NOT NULL REFERENCES applications,
    status         text NOT NULL CHECK (status IN ('valid', 'superseded', 'spoilt')),
    printed_at     timestamptz NOT NULL,
    ended_at       timestamptz,
    CONSTRAINT only_the_valid_paper_has_not_ended CHECK ((ended_at IS NULL) = (status = 'valid'))
);
COMMENT ON TABLE blanks IS 'the papers that permits were printed on';
CREATE UNIQUE INDEX one_valid_paper_of_a_permit ON blanks (application_id) WHERE status = 'valid';
CREATE INDEX blanks_by_application ON blanks (application_id);

ALTER TABLE permits ADD COLUMN suspended_on date,
    ADD CONSTRAINT only_a_suspended_permit_was_suspended_on CHECK (suspended_on IS NULL OR status = 'suspended');

ALTER TABLE applications ADD COLUMN after_life jsonb NOT NULL DEFAULT '{}';
COMMENT ON COLUMN applications.after_life IS 'what is asked and said about the permit at present';

ALTER TABLE applications DROP CONSTRAINT work_is_of_a_kind;
ALTER TABLE applications ADD CONSTRAINT work_is_of_a_kind CHECK (work IN
    ('intake', 'checks', 'registers', 'decision', 'payment', 'handover', 'annulment', 'request'));

-- What a holder asked names him as the form does: it goes with the form.
CREATE FUNCTION forget_the_after_life() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.after_life := '{}';
    RETURN NEW;
END $$;
CREATE TRIGGER what_was_asked_goes_with_the_form BEFORE UPDATE ON applications
    FOR EACH ROW WHEN (OLD.erased_at IS NULL AND NEW.erased_at IS NOT NULL) EXECUTE FUNCTION forget_the_after_life();

GRANT SELECT, INSERT, UPDATE ON blanks TO propusk_service;
GRANT USAGE ON SEQUENCE blank_serials TO propusk_service;
