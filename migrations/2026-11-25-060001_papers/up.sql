-- Papers that were printed: the permit, and the letters that tell decisions. Their bytes lie with the documents.

CREATE TABLE papers (
    application_id uuid NOT NULL REFERENCES applications,
    event_seq      integer NOT NULL CHECK (event_seq > 0),
    kind           text NOT NULL CHECK (kind IN ('permit', 'decision')),
    event_id       uuid NOT NULL,
    digest         text NOT NULL CHECK (digest ~ '^[0-9a-f]{64}$'),
    bytes          bigint NOT NULL CHECK (bytes > 0),
    made_at        timestamptz NOT NULL,
    PRIMARY KEY (application_id, event_seq, kind)
);
COMMENT ON COLUMN papers.event_id IS 'the event that called for it: what is printed is what was so then';
COMMENT ON COLUMN papers.digest IS 'SHA-256 of the PDF, under which its bytes lie';
CREATE INDEX papers_by_digest ON papers (digest);

-- With a person's data go the papers that show it, whoever erases.
CREATE FUNCTION remove_papers_of_erased() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    DELETE FROM papers WHERE application_id = NEW.id;
    RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION remove_papers_of_erased() FROM PUBLIC;
CREATE TRIGGER what_is_erased_has_no_papers AFTER UPDATE ON applications
    FOR EACH ROW WHEN (OLD.erased_at IS NULL AND NEW.erased_at IS NOT NULL)
    EXECUTE FUNCTION remove_papers_of_erased();

GRANT SELECT, INSERT ON papers TO propusk_service;
