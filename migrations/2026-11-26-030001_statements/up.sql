-- The statements that were found in the folder: each is compared once, whatever its name, by whichever worker.
CREATE TABLE statements (
    digest      bytea PRIMARY KEY CHECK (octet_length(digest) = 32),
    name        text NOT NULL,
    taken_at    timestamptz NOT NULL,
    outcome     text NOT NULL CHECK (outcome IN ('underWay', 'alike', 'differs', 'refused')),
    booked      integer NOT NULL DEFAULT 0,
    waiting     integer NOT NULL DEFAULT 0,
    differences integer NOT NULL DEFAULT 0,
    error       text
);
COMMENT ON COLUMN statements.digest IS 'SHA-256 of the file';
COMMENT ON COLUMN statements.outcome IS 'underWay also where a worker ended in between: it is compared again an hour later';
COMMENT ON COLUMN statements.differences IS 'what is missing on either side, twice, or of another amount';
GRANT SELECT, INSERT, UPDATE ON statements TO propusk_service;
