-- Whom four eyes keep from an application: a claim passes it by.

ALTER TABLE applications ADD COLUMN barred uuid[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN applications.barred IS 'accounts that four eyes keep from the work that it waits for';
