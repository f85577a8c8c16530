-- Which message went to whom, or why it did not: asked first when somebody says that he was not told.

CREATE TABLE messages (
    id             uuid PRIMARY KEY,
    job_key        text NOT NULL UNIQUE,
    application_id uuid NOT NULL REFERENCES applications,
    message        text NOT NULL CHECK (message <> ''),
    language       text NOT NULL CHECK (language <> ''),
    recipient      text,
    status         text NOT NULL CHECK (status IN ('sent', 'failed', 'overtaken')),
    provider_id    text,
    error          text,
    attempts       integer NOT NULL CHECK (attempts > 0),
    at             timestamptz NOT NULL,
    CONSTRAINT a_failure_says_why CHECK ((status = 'failed') = (error IS NOT NULL)),
    CONSTRAINT what_was_sent_has_a_recipient CHECK (status <> 'sent' OR recipient IS NOT NULL)
);
COMMENT ON COLUMN messages.job_key IS 'the job''s key: one event''s message goes out once';
COMMENT ON COLUMN messages.recipient IS 'address; empty when the form names none';
COMMENT ON COLUMN messages.status IS 'overtaken: what it would have said was no longer true, so nothing was sent';
COMMENT ON COLUMN messages.provider_id IS 'what the mail server answered, to find the message in its log';
CREATE INDEX messages_by_application ON messages (application_id, at, id);

-- Finished jobs are pruned by age, dead ones are counted for the alarm.
CREATE INDEX jobs_finished ON jobs (finished_at) WHERE outcome = 'done';
CREATE INDEX jobs_dead ON jobs (finished_at) WHERE outcome = 'dead';

-- UPDATE: a failed delivery that somebody has run again becomes a sent one.
GRANT SELECT, INSERT, UPDATE ON messages TO propusk_service;
