DROP INDEX register_requests_open;
