-- Codes with which a holder shows his permit to somebody. What is kept of a code is its digest.

CREATE TABLE shares (
    id             uuid PRIMARY KEY,
    application_id uuid NOT NULL REFERENCES applications,
    digest         bytea NOT NULL UNIQUE CHECK (length(digest) = 32),
    label          text NOT NULL CHECK (label <> ''),
    once           boolean NOT NULL,
    made_at        timestamptz NOT NULL,
    expires_at     timestamptz NOT NULL CHECK (expires_at > made_at),
    views          integer NOT NULL DEFAULT 0 CHECK (views >= 0),
    revoked_at     timestamptz,
    CONSTRAINT once_is_once CHECK (NOT once OR views <= 1)
);
COMMENT ON COLUMN shares.label IS 'for whom, in the holder''s words';
COMMENT ON COLUMN shares.views IS 'how often it was used; who used it say events';
CREATE INDEX shares_by_application ON shares (application_id, made_at);
CREATE INDEX shares_by_expiry ON shares (expires_at);

-- With a person's data go the codes, whoever erases.
CREATE FUNCTION remove_shares_of_erased() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    DELETE FROM shares WHERE application_id = NEW.id;
    RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION remove_shares_of_erased() FROM PUBLIC;
CREATE TRIGGER what_is_erased_has_no_shares AFTER UPDATE ON applications
    FOR EACH ROW WHEN (OLD.erased_at IS NULL AND NEW.erased_at IS NOT NULL)
    EXECUTE FUNCTION remove_shares_of_erased();

GRANT SELECT, INSERT, UPDATE, DELETE ON shares TO propusk_service;
