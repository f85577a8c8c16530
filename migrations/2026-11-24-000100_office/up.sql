-- The whole office: units, accounts, applications and what hangs on them, the event log, jobs.
-- Every table is written for two readers: the service (role propusk_service) and somebody who must trust it.
-- What the code promises, CHECKs and foreign keys repeat: they protect the rows from code not yet written.

-- ── Offices and people ────────────────────────────────────────────────────────────────────────────────────
CREATE TABLE units (
    code       text PRIMARY KEY CHECK (code ~ '^[0-9]{2}(-[0-9]{2})?$'),
    title      text NOT NULL CHECK (title <> ''),
    region     text NOT NULL CHECK (region ~ '^[0-9]{2}$'),
    time_zone  text NOT NULL CHECK (time_zone <> '')
);
COMMENT ON COLUMN units.region IS 'code of the federal subject: the permit''s territory, the tax coefficient''s key';

CREATE TABLE accounts (
    id            uuid PRIMARY KEY,
    email         text NOT NULL UNIQUE CHECK (email = lower(email)),
    name          text NOT NULL CHECK (name <> ''),
    role          text NOT NULL CHECK (role IN
                  ('migrant', 'employer', 'officer', 'seniorOfficer', 'auditor', 'administrator')),
    unit_code     text REFERENCES units,
    password_hash text NOT NULL,
    created_at    timestamptz NOT NULL,
    disabled_at   timestamptz,
    CONSTRAINT officers_belong_to_a_unit
        CHECK ((role IN ('officer', 'seniorOfficer')) = (unit_code IS NOT NULL))
);

CREATE TABLE sessions (
    id         uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES accounts,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at   timestamptz
);
CREATE INDEX sessions_by_account ON sessions (account_id);

-- A refresh token is used once; a second use ends the whole session.
CREATE TABLE refresh_tokens (
    digest     bytea PRIMARY KEY CHECK (length(digest) = 32),
    session_id uuid NOT NULL REFERENCES sessions ON DELETE CASCADE,
    issued_at  timestamptz NOT NULL,
    used_at    timestamptz
);
CREATE INDEX refresh_tokens_by_session ON refresh_tokens (session_id);

-- ── Rules in use ──────────────────────────────────────────────────────────────────────────────────────────
CREATE TABLE workflow_definitions (
    track         text NOT NULL,
    version       integer NOT NULL CHECK (version > 0),
    digest        bytea NOT NULL CHECK (length(digest) = 32),
    source        text NOT NULL,
    registered_at timestamptz NOT NULL,
    PRIMARY KEY (track, version)
);
COMMENT ON COLUMN workflow_definitions.digest IS 'SHA-256 of the file: a version in use never changes';

CREATE TABLE allowed_transitions (
    track            text NOT NULL,
    workflow_version integer NOT NULL,
    command          text NOT NULL,
    from_state       text NOT NULL,
    to_state         text NOT NULL,
    PRIMARY KEY (track, workflow_version, command, from_state, to_state),
    FOREIGN KEY (track, workflow_version) REFERENCES workflow_definitions
);
COMMENT ON COLUMN allowed_transitions.from_state IS 'empty for the opening of an application';

-- ── Applications ──────────────────────────────────────────────────────────────────────────────────────────
CREATE SEQUENCE permit_serials;
CREATE SEQUENCE charge_serials;

CREATE TABLE applications (
    id               uuid PRIMARY KEY,
    reference        text NOT NULL UNIQUE,
    track            text NOT NULL,
    workflow_version integer NOT NULL,
    unit_code        text NOT NULL REFERENCES units,
    applicant_id     uuid NOT NULL REFERENCES accounts,
    state            text NOT NULL,
    phase            text NOT NULL CHECK (phase IN
                     ('submission', 'checks', 'fee', 'issuance', 'inForce', 'closed')),
    version          integer NOT NULL CHECK (version > 0),
    created_at       timestamptz NOT NULL,
    queue            text,
    state_since      timestamptz NOT NULL,
    submitted_at     timestamptz,
    due_on           date,
    escalated_at     timestamptz,
    person_key       text,
    person_name      text,
    birth_date       date,
    form             jsonb NOT NULL,
    documents        jsonb NOT NULL DEFAULT '[]',
    clock            jsonb,
    information      jsonb NOT NULL DEFAULT '[]',
    decision         jsonb,
    proposal         jsonb,
    hands            jsonb NOT NULL DEFAULT '[]',
    claimed_by       uuid REFERENCES accounts,
    claimed_until    timestamptz,
    FOREIGN KEY (track, workflow_version) REFERENCES workflow_definitions,
    CONSTRAINT a_claim_has_an_end CHECK ((claimed_by IS NULL) = (claimed_until IS NULL)),
    CONSTRAINT the_clock_runs_from_acceptance
        CHECK (phase IN ('submission', 'closed') OR clock IS NOT NULL),
    CONSTRAINT a_decision_precedes_money_and_permit
        CHECK (phase NOT IN ('fee', 'issuance', 'inForce') OR decision IS NOT NULL),
    CONSTRAINT what_was_taken_in_was_handed_in
        CHECK (phase IN ('submission', 'closed') OR submitted_at IS NOT NULL),
    CONSTRAINT only_what_is_open_waits_in_a_queue CHECK (queue IS NULL OR phase <> 'closed'),
    CONSTRAINT what_waits_in_a_queue_was_handed_in CHECK (queue IS NULL OR submitted_at IS NOT NULL),
    CONSTRAINT a_due_date_needs_a_clock CHECK (due_on IS NULL OR clock IS NOT NULL),
    CONSTRAINT what_was_handed_in_names_its_person
        CHECK (submitted_at IS NULL OR (person_key IS NOT NULL AND birth_date IS NOT NULL))
) WITH (fillfactor = 85);
COMMENT ON COLUMN applications.version IS 'number of the latest event; the ETag';
COMMENT ON COLUMN applications.queue IS 'the office queue it waits in; empty when the applicant is awaited';
COMMENT ON COLUMN applications.person_key IS 'citizenship and passport number: recognises a second application';
COMMENT ON COLUMN applications.hands IS 'who gave which command: what four eyes look at';

-- One person has one application under way (domain.md 11.1; demands 4).
CREATE UNIQUE INDEX one_open_application_of_a_person ON applications (person_key)
    WHERE submitted_at IS NOT NULL AND phase IN ('submission', 'checks', 'fee', 'issuance');
CREATE INDEX applications_by_applicant ON applications (applicant_id, id);
-- A queue's list, its count and the claim of its next application read this index in order.
CREATE INDEX applications_in_queue
    ON applications (unit_code, queue, (coalesce(due_on, 'infinity')), submitted_at, id)
    WHERE queue IS NOT NULL;

CREATE TABLE checks (
    application_id  uuid NOT NULL REFERENCES applications,
    id              text NOT NULL,
    asked_at        timestamptz NOT NULL,
    due_on          date NOT NULL,
    outcome         text CHECK (outcome IN ('clear', 'hit', 'noData', 'error', 'timedOut')),
    answered_at     timestamptz,
    answered_by     uuid REFERENCES accounts,
    note            text,
    overridden_by   uuid REFERENCES accounts,
    overridden_at   timestamptz,
    override_reason text,
    PRIMARY KEY (application_id, id),
    CONSTRAINT an_answer_has_a_time CHECK ((outcome IS NULL) = (answered_at IS NULL)),
    CONSTRAINT an_override_is_whole CHECK (
        (overridden_by IS NULL) = (overridden_at IS NULL)
        AND (overridden_by IS NULL) = (override_reason IS NULL))
);

CREATE TABLE charges (
    id             uuid PRIMARY KEY,
    application_id uuid NOT NULL REFERENCES applications,
    fee            text NOT NULL,
    uin            text NOT NULL UNIQUE CHECK (length(uin) IN (20, 25)),
    amount_kopecks bigint NOT NULL CHECK (amount_kopecks >= 0),
    paid_kopecks   bigint NOT NULL DEFAULT 0 CHECK (paid_kopecks >= 0),
    rule           text NOT NULL,
    created_at     timestamptz NOT NULL,
    status         text NOT NULL CHECK (status IN ('open', 'settled', 'annulled')),
    CONSTRAINT settled_means_paid CHECK (status <> 'settled' OR paid_kopecks >= amount_kopecks)
);
CREATE INDEX charges_by_application ON charges (application_id);

CREATE TABLE payments (
    id             uuid PRIMARY KEY,
    provider_id    text NOT NULL UNIQUE,
    uin            text,
    amount_kopecks bigint NOT NULL CHECK (amount_kopecks > 0),
    paid_at        timestamptz NOT NULL,
    received_at    timestamptz NOT NULL,
    payer          text,
    recorded_by    uuid REFERENCES accounts,
    charge_id      uuid REFERENCES charges,
    status         text NOT NULL CHECK (status IN ('matched', 'waiting')),
    CONSTRAINT matched_means_a_charge CHECK ((status = 'matched') = (charge_id IS NOT NULL))
);
COMMENT ON COLUMN payments.recorded_by IS 'the officer who recorded it; empty when the provider told us';
CREATE INDEX payments_waiting ON payments (received_at, id) WHERE status = 'waiting';
CREATE INDEX payments_by_charge ON payments (charge_id);

CREATE TABLE permits (
    number         text PRIMARY KEY,
    application_id uuid NOT NULL UNIQUE REFERENCES applications,
    status         text NOT NULL CHECK (status IN
                   ('inForce', 'suspended', 'lapsed', 'expired', 'annulled', 'superseded')),
    holder_name    text NOT NULL,
    territory      text NOT NULL,
    profession     text,
    issued_on      date NOT NULL,
    paid_through   date,
    ends_on        date NOT NULL,
    closed_on      date,
    CONSTRAINT a_term_has_an_order CHECK (issued_on <= ends_on),
    CONSTRAINT paid_within_the_term CHECK (paid_through IS NULL OR paid_through <= ends_on),
    CONSTRAINT only_what_is_over_has_ended
        CHECK ((closed_on IS NOT NULL) = (status IN ('lapsed', 'expired', 'annulled', 'superseded')))
);

-- ── The log ───────────────────────────────────────────────────────────────────────────────────────────────
CREATE TABLE events (
    id               uuid PRIMARY KEY,
    at               timestamptz NOT NULL,
    kind             text NOT NULL,
    actor_id         uuid,
    actor_role       text NOT NULL,
    unit_code        text,
    application_id   uuid REFERENCES applications,
    seq              integer CHECK (seq > 0),
    track            text,
    workflow_version integer,
    command          text,
    from_state       text,
    to_state         text,
    content          jsonb NOT NULL,
    UNIQUE (application_id, seq),
    FOREIGN KEY (track, workflow_version, command, from_state, to_state)
        REFERENCES allowed_transitions,
    CONSTRAINT an_application_event_is_whole CHECK (
        (application_id IS NULL AND seq IS NULL AND track IS NULL AND workflow_version IS NULL
            AND command IS NULL AND from_state IS NULL AND to_state IS NULL)
        OR (application_id IS NOT NULL AND seq IS NOT NULL AND track IS NOT NULL
            AND workflow_version IS NOT NULL AND command IS NOT NULL AND from_state IS NOT NULL
            AND to_state IS NOT NULL AND unit_code IS NOT NULL))
);
COMMENT ON COLUMN events.seq IS 'number of the event within its application, from 1 without gaps';
COMMENT ON COLUMN events.content IS 'what was asked and what it changed; replaying the changes gives the row';
CREATE INDEX events_by_actor ON events (actor_id, at, id) WHERE actor_id IS NOT NULL;
CREATE INDEX events_by_time ON events (at, id);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % is refused: the log is append-only', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER events_are_append_only BEFORE UPDATE OR DELETE ON events
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER events_are_not_truncated BEFORE TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- ── Answers kept for repeated requests ────────────────────────────────────────────────────────────────────
CREATE TABLE idempotency_keys (
    account_id  uuid NOT NULL REFERENCES accounts,
    key         text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    fingerprint bytea NOT NULL CHECK (length(fingerprint) = 32),
    status      integer NOT NULL,
    etag        text,
    location    text,
    body        text NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (account_id, key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

-- ── Work to be done later ─────────────────────────────────────────────────────────────────────────────────
CREATE TABLE jobs (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind         text NOT NULL,
    key          text NOT NULL,
    payload      jsonb NOT NULL,
    run_at       timestamptz NOT NULL,
    attempts     integer NOT NULL DEFAULT 0,
    leased_until timestamptz,
    last_error   text,
    finished_at  timestamptz,
    outcome      text CHECK (outcome IN ('done', 'dead')),
    created_at   timestamptz NOT NULL,
    CONSTRAINT finished_has_an_outcome CHECK ((finished_at IS NULL) = (outcome IS NULL))
);
COMMENT ON COLUMN jobs.key IS 'two unfinished jobs of one key are one job: the later run_at counts';
CREATE UNIQUE INDEX one_open_job_of_a_key ON jobs (key) WHERE finished_at IS NULL;
CREATE INDEX jobs_due ON jobs (run_at, id) WHERE finished_at IS NULL;

-- ── What the service may do ───────────────────────────────────────────────────────────────────────────────
GRANT SELECT ON ALL TABLES IN SCHEMA public TO propusk_service;
GRANT INSERT, UPDATE ON accounts, sessions, refresh_tokens, applications, checks, charges, payments,
    permits, jobs TO propusk_service;
GRANT INSERT ON events, idempotency_keys TO propusk_service;
GRANT DELETE ON idempotency_keys, jobs, sessions, refresh_tokens TO propusk_service;
GRANT USAGE ON SEQUENCE permit_serials, charge_serials TO propusk_service;
