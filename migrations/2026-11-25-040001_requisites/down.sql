ALTER TABLE charges DROP COLUMN requisites;
