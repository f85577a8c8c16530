-- The officer's day: what queues, leases, checks against registers, deadlines and corrections keep.

-- ── Work, urgency, notes ──────────────────────────────────────────────────────────────────────────────────
-- The kind of office work that an application waits for; which queue shows it, the queues' filters say.
ALTER TABLE applications RENAME COLUMN queue TO work;
ALTER TABLE applications RENAME CONSTRAINT only_what_is_open_waits_in_a_queue TO only_what_is_open_is_work;
ALTER TABLE applications RENAME CONSTRAINT what_waits_in_a_queue_was_handed_in TO what_is_work_was_handed_in;
UPDATE applications SET work = 'annulment' WHERE work = 'annulments';
ALTER TABLE applications
    ADD COLUMN open_checks     text[] NOT NULL DEFAULT '{}',
    ADD COLUMN expedited       jsonb,
    ADD COLUMN notes           jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN corrections     jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN state_event     uuid,
    ADD COLUMN standard_due_on date,
    ADD COLUMN warned_at       timestamptz,
    ADD COLUMN reminded_at     timestamptz,
    ADD COLUMN decided_on      date,
    ADD COLUMN decided_in      integer CHECK (decided_in >= 0),
    ADD CONSTRAINT work_is_of_a_kind CHECK (work IN
        ('intake', 'checks', 'registers', 'decision', 'payment', 'handover', 'annulment')),
    ADD CONSTRAINT a_standard_date_needs_a_clock CHECK (standard_due_on IS NULL OR clock IS NOT NULL),
    ADD CONSTRAINT decided_means_both CHECK ((decided_on IS NULL) = (decided_in IS NULL)),
    DROP CONSTRAINT what_is_erased_is_empty,
    ADD CONSTRAINT what_is_erased_is_empty CHECK (erased_at IS NULL
        OR (person_key IS NULL AND person_name IS NULL AND birth_date IS NULL AND form = '{}' AND documents = '[]'
            AND information = '[]' AND proposal IS NULL AND claimed_by IS NULL AND expedited IS NULL AND notes = '[]'
            AND NOT jsonb_path_exists(corrections, '$[*] ? (exists(@.reason) || exists(@.basis))')
            AND (decision IS NULL OR decision = jsonb_build_object('outcome', decision -> 'outcome'))));
COMMENT ON COLUMN applications.work IS 'the kind of office work it waits for; empty when the office has nothing to do';
COMMENT ON COLUMN applications.open_checks IS 'checks that stand in the way of a decision to grant: unanswered, or blocking';
COMMENT ON COLUMN applications.expedited IS 'who put it before all others, when and why';
COMMENT ON COLUMN applications.notes IS 'what officers noted for each other; never shown to the applicant';
COMMENT ON COLUMN applications.state_event IS 'the event with which its state was entered: what a correction points at';
COMMENT ON COLUMN applications.standard_due_on IS 'the statutory date without an extension';
COMMENT ON COLUMN applications.decided_in IS 'working days of the term that were used up by the decision';

UPDATE applications a SET standard_due_on = due_on,
    state_event = (SELECT e.id FROM events e WHERE e.application_id = a.id AND e.to_state = a.state
        AND e.at = a.state_since AND (e.from_state <> e.to_state OR e.seq = 1) ORDER BY e.seq DESC LIMIT 1);

-- A queue's list, its count and the claim of its next application read this index in order: expedited ones first,
-- then the earliest statutory date, then the earliest hand-in.
DROP INDEX applications_in_queue;
CREATE INDEX applications_by_urgency
    ON applications (unit_code, work, (expedited IS NULL), (coalesce(due_on, 'infinity')), submitted_at, id)
    WHERE work IS NOT NULL;
-- What is under way in a unit, by track: the figures of its workload.
CREATE INDEX applications_under_way ON applications (unit_code, track)
    WHERE submitted_at IS NOT NULL AND phase IN ('submission', 'checks', 'fee', 'issuance');
CREATE INDEX applications_decided ON applications (unit_code, decided_on, track, decided_in)
    WHERE decided_on IS NOT NULL;
CREATE INDEX applications_by_holder ON applications (claimed_by) WHERE claimed_by IS NOT NULL;
-- The same person under another passport: the birth date narrows it down, the names are compared in the code.
CREATE INDEX applications_by_birth_date ON applications (birth_date) WHERE birth_date IS NOT NULL;

-- Queues of a unit, as its senior officers or an administrator set them; without any, the ones in the code.
CREATE TABLE queues (
    unit_code  text NOT NULL REFERENCES units,
    name       text NOT NULL CHECK (name ~ '^[a-z][a-z0-9-]{0,39}$'),
    version    integer NOT NULL CHECK (version > 0),
    title      jsonb NOT NULL,
    position   integer NOT NULL,
    filter     jsonb NOT NULL,
    removed_at timestamptz,
    PRIMARY KEY (unit_code, name)
);
COMMENT ON TABLE queues IS 'overlays the queues in the code by name; a removed one hides the one in the code';

-- Words under which an officer finds an application of his unit: names in Latin letters, passport numbers.
CREATE TABLE application_words (
    unit_code      text NOT NULL,
    word           text COLLATE "C" NOT NULL CHECK (word <> ''),
    application_id uuid NOT NULL REFERENCES applications,
    PRIMARY KEY (unit_code, word, application_id)
);
CREATE INDEX application_words_by_application ON application_words (application_id);

-- ── Registers ─────────────────────────────────────────────────────────────────────────────────────────────
ALTER TABLE checks
    ADD COLUMN round  integer NOT NULL DEFAULT 1 CHECK (round > 0),
    ADD COLUMN reason text,
    ADD COLUMN digest text CHECK (digest ~ '^[0-9a-f]{64}$'),
    ADD CONSTRAINT a_reason_needs_an_answer CHECK (reason IS NULL OR outcome IS NOT NULL);
COMMENT ON COLUMN checks.round IS 'how often it was asked';
COMMENT ON COLUMN checks.reason IS 'coded reason of the answer, of those that the definition lists';
COMMENT ON COLUMN checks.digest IS 'SHA-256 of the register''s raw answer';

CREATE TABLE register_requests (
    id             uuid PRIMARY KEY,
    application_id uuid NOT NULL REFERENCES applications,
    check_id       text NOT NULL,
    round          integer NOT NULL CHECK (round > 0),
    register       text NOT NULL CHECK (register <> ''),
    status         text NOT NULL CHECK (status IN ('waiting', 'accepted', 'answered', 'failed', 'timedOut')),
    created_at     timestamptz NOT NULL,
    sent_at        timestamptz,
    attempts       integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    last_error     text,
    answered_at    timestamptz,
    outcome        text CHECK (outcome IN ('clear', 'hit', 'noData', 'error', 'timedOut')),
    digest         text CHECK (digest ~ '^[0-9a-f]{64}$'),
    used           boolean,
    UNIQUE (application_id, check_id, round)
);
COMMENT ON COLUMN register_requests.status IS 'accepted: the register will call back';
COMMENT ON COLUMN register_requests.used IS 'whether the answer was taken into the application; false: it came too late';

CREATE TABLE registers (
    name       text PRIMARY KEY CHECK (name <> ''),
    state      text NOT NULL CHECK (state IN ('closed', 'open', 'halfOpen')),
    failures   integer NOT NULL DEFAULT 0 CHECK (failures >= 0),
    since      timestamptz NOT NULL,
    retry_at   timestamptz,
    last_ok_at timestamptz,
    last_error text
);
COMMENT ON COLUMN registers.state IS 'of the circuit breaker: open means that the register is not asked';

-- ── Calendars ─────────────────────────────────────────────────────────────────────────────────────────────
ALTER TABLE rule_files ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY;
COMMENT ON COLUMN rule_files.number IS 'grows with each registration: which calendar a date was reckoned with';
CREATE INDEX rule_files_by_number ON rule_files (number);

-- ── Erasure ───────────────────────────────────────────────────────────────────────────────────────────────
-- As in log/up.sql, and what the tables and columns above hold.
CREATE OR REPLACE FUNCTION erase_application(erased uuid, erased_on timestamptz, basis text)
    RETURNS TABLE (freed_digest text, emptied_event uuid)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    applicant uuid;
    person    text;
    passport  text;
    digests   text[];
    paid      record;
    receipt   uuid;
    receipts  uuid[] := '{}';
BEGIN
    SELECT a.applicant_id, a.person_key INTO applicant, person FROM applications a
        WHERE a.id = erased AND a.phase = 'closed' AND a.erased_at IS NULL FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'application % is not closed, or was erased before', erased
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    -- One at a time: two that hold the same document would each leave its bytes to the other, and so would the last two
    -- applications of an account.
    PERFORM pg_advisory_xact_lock(8099002);
    -- Whoever opens an application refers to the account: either it is here by now, or it waits until we are done.
    PERFORM FROM accounts c WHERE c.id = applicant AND c.role = 'migrant' FOR UPDATE;

    SELECT coalesce(array_agg(DISTINCT digest), '{}') INTO digests FROM (
        SELECT d ->> 'digest' AS digest FROM applications a, jsonb_array_elements(a.documents) AS d WHERE a.id = erased
        UNION
        SELECT c -> 'document' ->> 'digest' FROM events e, jsonb_array_elements(e.content::jsonb -> 'changes') AS c
            WHERE e.application_id = erased AND e.seq IS NOT NULL AND c ->> 'change' = 'documentAttached'
    ) AS every;

    PERFORM set_config('propusk.erasing', erased::text, true);
    UPDATE events SET content = NULL, salt = NULL WHERE application_id = erased AND content IS NOT NULL;

    -- Money that was booked on it, that quotes it and waits, or that waits and names the passport alone: who paid, and
    -- the event of the receipt, which is about no application and has the very instant. While the passport has another
    -- application, money that only names it may be meant for that one.
    IF NOT EXISTS (SELECT FROM applications a WHERE a.person_key = person AND a.id <> erased) THEN
        passport := nullif(split_part(person, ':', 2), '');
    END IF;
    FOR paid IN
        SELECT p.id, p.provider_id, p.received_at FROM payments p JOIN charges c ON c.id = p.charge_id
            WHERE c.application_id = erased
        UNION
        SELECT p.id, p.provider_id, p.received_at FROM payments p JOIN charges c ON c.uin = p.uin
            WHERE c.application_id = erased AND p.status = 'waiting'
        UNION
        SELECT p.id, p.provider_id, p.received_at FROM payments p
            WHERE p.status = 'waiting' AND length(passport) > 5
            AND strpos(regexp_replace(upper(p.payer), '[[:space:]-]', '', 'g'), passport) > 0
            AND NOT EXISTS (SELECT FROM charges c WHERE c.uin = p.uin)
    LOOP
        UPDATE payments SET payer = '[erased]' WHERE id = paid.id AND payer IS NOT NULL;
        FOR receipt IN
            SELECT e.id FROM events e
                WHERE e.id >= first_id_at(date_trunc('milliseconds', paid.received_at))
                AND e.id < first_id_at(date_trunc('milliseconds', paid.received_at) + interval '1 millisecond')
                AND e.kind = 'paymentReceived' AND e.application_id IS NULL AND e.content IS NOT NULL
                AND e.content::jsonb #>> '{payment,providerId}' = paid.provider_id
        LOOP
            PERFORM set_config('propusk.erasing', receipt::text, true);
            UPDATE events SET content = NULL, salt = NULL WHERE id = receipt;
            receipts := receipts || receipt;
        END LOOP;
    END LOOP;
    PERFORM set_config('propusk.erasing', '', true);

    -- Answers to whoever acted on it; those of others show other applications.
    DELETE FROM idempotency_keys k
        WHERE k.account_id IN (SELECT e.actor_id FROM events e WHERE e.application_id = erased)
        AND (k.location = '/v1/applications/' || erased OR strpos(k.body, erased::text) > 0);
    UPDATE applications SET form = '{}', documents = '[]', information = '[]', proposal = NULL,
        decision = CASE WHEN decision IS NOT NULL THEN jsonb_build_object('outcome', decision -> 'outcome') END,
        person_key = NULL, person_name = NULL, birth_date = NULL, claimed_by = NULL, claimed_until = NULL,
        expedited = NULL, notes = '[]',
        corrections = (SELECT coalesce(jsonb_agg(c - 'reason' - 'basis'), '[]') FROM jsonb_array_elements(corrections) AS c),
        erased_at = erased_on, erasure_basis = basis
        WHERE id = erased;
    UPDATE checks SET note = NULL, digest = NULL,
        override_reason = CASE WHEN override_reason IS NOT NULL THEN '[erased]' END WHERE application_id = erased;
    UPDATE register_requests SET digest = NULL WHERE application_id = erased;
    DELETE FROM application_words WHERE application_id = erased;
    UPDATE permits SET holder_name = '[erased]', profession = NULL WHERE application_id = erased;
    UPDATE messages SET provider_id = NULL,
        recipient = CASE WHEN recipient IS NOT NULL THEN '[erased]' END,
        error = CASE WHEN error IS NOT NULL THEN '[erased]' END WHERE application_id = erased;
    DELETE FROM jobs WHERE payload ->> 'application' = erased::text;
    -- A migrant's own account goes with his last application; an employer's is a company's.
    IF NOT EXISTS (SELECT FROM applications a WHERE a.applicant_id = applicant AND a.erased_at IS NULL) THEN
        DELETE FROM sessions s USING accounts c
            WHERE s.account_id = c.id AND c.id = applicant AND c.role = 'migrant';
        DELETE FROM idempotency_keys k USING accounts c
            WHERE k.account_id = c.id AND c.id = applicant AND c.role = 'migrant';
        UPDATE accounts SET email = 'erased-' || id || '@erased.invalid', name = '[erased]', password_hash = '',
            disabled_at = coalesce(disabled_at, erased_on) WHERE id = applicant AND role = 'migrant';
    END IF;
    RETURN QUERY SELECT digest, NULL::uuid FROM unnest(digests) AS digest WHERE NOT EXISTS (
        SELECT FROM applications a WHERE a.documents @> jsonb_build_array(jsonb_build_object('digest', digest)));
    RETURN QUERY SELECT NULL, event FROM unnest(receipts) AS event;
END $$;

-- ── What the service may do ───────────────────────────────────────────────────────────────────────────────
GRANT SELECT, INSERT, UPDATE ON queues, register_requests, registers TO propusk_service;
GRANT SELECT, INSERT, DELETE ON application_words TO propusk_service;
-- An administrator loads calendars through the service; `audit verify` finds a row without its event.
GRANT INSERT ON rule_files TO propusk_service;
