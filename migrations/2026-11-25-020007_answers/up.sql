-- An answer is known by what it says, in whichever words; its raw bytes are in the check and in the event.
COMMENT ON COLUMN register_requests.digest IS 'SHA-256 of what the answer says: outcome and reason';
