-- What waits for a register: few of all the requests ever made.
CREATE INDEX register_requests_open ON register_requests (application_id) WHERE status IN ('waiting', 'accepted');
