COMMENT ON COLUMN register_requests.digest IS NULL;
