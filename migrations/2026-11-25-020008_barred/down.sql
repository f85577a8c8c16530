ALTER TABLE applications DROP COLUMN barred;
