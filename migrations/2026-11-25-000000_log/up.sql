-- The log that proves itself: commitments and salts on every event, months as partitions, the numbered leaves of a
-- Merkle tree, its tiles, its signed checkpoints, and the one way in which a person's data leaves.

-- ── Events, by month ──────────────────────────────────────────────────────────────────────────────────────
-- An event without its salt and commitment proves nothing, and none can be made up afterwards.
DO $$
BEGIN
    IF EXISTS (SELECT FROM events) THEN
        RAISE 'this database holds events of a version before 0.2, which have no commitments; start with an empty '
              'database (for the demo: remove its directory)';
    END IF;
END $$;
DROP TABLE events;

-- Its own schema keeps 120 months of ten years out of sight; rights are those of the parent alone.
CREATE SCHEMA events_by_month;

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
    purpose          text,
    subjects         uuid[],
    content          text,
    salt             bytea CHECK (length(salt) = 32),
    commitment       bytea NOT NULL CHECK (length(commitment) = 32),
    pseudonym        bytea CHECK (length(pseudonym) = 16),
    xact             bigint NOT NULL DEFAULT (pg_current_xact_id()::text::bigint),
    FOREIGN KEY (track, workflow_version, command, from_state, to_state)
        REFERENCES allowed_transitions,
    CONSTRAINT an_application_event_is_whole CHECK (
        (seq IS NULL AND track IS NULL AND workflow_version IS NULL
            AND command IS NULL AND from_state IS NULL AND to_state IS NULL)
        OR (application_id IS NOT NULL AND seq IS NOT NULL AND track IS NOT NULL
            AND workflow_version IS NOT NULL AND command IS NOT NULL AND from_state IS NOT NULL
            AND to_state IS NOT NULL AND unit_code IS NOT NULL)),
    -- What makes the leaf is short: a leaf of more than 65,535 bytes fits into no bundle.
    CONSTRAINT what_the_public_sees_is_short CHECK (length(kind) BETWEEN 1 AND 60 AND length(actor_role) <= 40
        AND length(unit_code) <= 20 AND length(track) <= 100),
    CONSTRAINT content_and_salt_go_together CHECK ((content IS NULL) = (salt IS NULL)),
    CONSTRAINT an_application_has_a_pseudonym CHECK ((application_id IS NULL) = (pseudonym IS NULL))
) PARTITION BY RANGE (id);
COMMENT ON COLUMN events.id IS 'UUIDv7 made from at: order of ids is order of time, and months are ranges of ids';
COMMENT ON COLUMN events.seq IS 'number of the event within its application, from 1 without gaps; empty for reads of it';
COMMENT ON COLUMN events.purpose IS 'of a read of personal data: what for';
COMMENT ON COLUMN events.subjects IS 'of a read of a list: the applications that it showed';
COMMENT ON COLUMN events.content IS
    'what was asked and what it changed, RFC 8785 JSON: the very bytes that are committed to; empty once erased';
COMMENT ON COLUMN events.salt IS 'random; without it nobody can try contents against the public commitment; goes with it';
COMMENT ON COLUMN events.commitment IS 'SHA-256 of salt and private content (openapi/log.md)';
COMMENT ON COLUMN events.pseudonym IS 'HMAC of the application''s id under the salt';
COMMENT ON COLUMN events.xact IS 'the transaction that wrote it: how the sequencer tells what has committed since it last looked';

CREATE INDEX events_by_application ON events (application_id, seq, id) WHERE application_id IS NOT NULL;
CREATE INDEX events_by_actor ON events (actor_id, id) WHERE actor_id IS NOT NULL;
CREATE INDEX events_by_kind ON events (kind, id);
CREATE INDEX events_by_unit ON events (unit_code, id) WHERE unit_code IS NOT NULL;
CREATE INDEX events_by_role ON events (actor_role, id);
CREATE INDEX events_by_purpose ON events (purpose, id) WHERE purpose IS NOT NULL;
CREATE INDEX events_by_subject ON events USING gin (subjects) WHERE subjects IS NOT NULL;
CREATE INDEX events_by_xact ON events (xact);

-- Only erasure takes anything out of an event, and only content and salt: see erase_application. The setting names an
-- application, or one event that is about none.
CREATE FUNCTION refuse_change_of_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE'
        AND current_setting('propusk.erasing', true) = coalesce(OLD.application_id, OLD.id)::text
        AND NEW.content IS NULL AND NEW.salt IS NULL
        AND to_jsonb(NEW) - 'content' - 'salt' = to_jsonb(OLD) - 'content' - 'salt'
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '% on % is refused: the log is append-only', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER events_are_append_only BEFORE UPDATE OR DELETE ON events
    FOR EACH ROW EXECUTE FUNCTION refuse_change_of_event();
CREATE TRIGGER events_are_not_truncated BEFORE TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The first UUIDv7 of an instant (RFC 9562, 5.7): 48 bits of milliseconds, then zeros.
CREATE FUNCTION first_id_at(at timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

-- Before the first month and after the last one there is a partition too, so that no insert ever finds none.
CREATE TABLE events_by_month.early PARTITION OF events
    FOR VALUES FROM (MINVALUE) TO (first_id_at(date_trunc('month', now(), 'UTC') - interval '12 months'));
CREATE TABLE events_by_month.late PARTITION OF events
    FOR VALUES FROM (first_id_at(date_trunc('month', now(), 'UTC') - interval '12 months')) TO (MAXVALUE);
CREATE TRIGGER events_are_not_truncated BEFORE TRUNCATE ON events_by_month.early
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER events_are_not_truncated BEFORE TRUNCATE ON events_by_month.late
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Makes the months up to the given one; gives how many, or nothing when events lie beyond the last month already
-- (a clock that is years ahead), which are then left where they are. The service calls it each day.
CREATE FUNCTION extend_event_partitions(last_month date) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    month timestamptz;
    made  integer := 0;
    name  text;
BEGIN
    -- One at a time; whoever comes second finds nothing left to do.
    PERFORM pg_advisory_xact_lock(8099001);
    SELECT (max(to_date(relname, '"events_"YYYY_MM')) + interval '1 month') AT TIME ZONE 'UTC' INTO month
        FROM pg_class WHERE relnamespace = 'events_by_month'::regnamespace AND relkind = 'r'
        AND relname ~ '^events_[0-9]{4}_[0-9]{2}$';
    month := coalesce(month, date_trunc('month', now(), 'UTC') - interval '12 months');
    IF month > last_month::timestamp AT TIME ZONE 'UTC' THEN
        RETURN 0;
    END IF;
    IF EXISTS (SELECT FROM events_by_month.late) THEN
        RETURN NULL;
    END IF;
    ALTER TABLE events DETACH PARTITION events_by_month.late;
    WHILE month <= last_month::timestamp AT TIME ZONE 'UTC' LOOP
        name := 'events_' || to_char(month AT TIME ZONE 'UTC', 'YYYY_MM');
        EXECUTE format(
            'CREATE TABLE events_by_month.%I PARTITION OF events FOR VALUES FROM (%L) TO (%L)', name,
            first_id_at(month),
            first_id_at((month AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC'));
        EXECUTE format(
            'CREATE TRIGGER events_are_not_truncated BEFORE TRUNCATE ON events_by_month.%I '
            'FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', name);
        month := (month AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC';
        made := made + 1;
    END LOOP;
    EXECUTE format(
        'ALTER TABLE events ATTACH PARTITION events_by_month.late FOR VALUES FROM (%L) TO (MAXVALUE)',
        first_id_at(month));
    RETURN made;
END $$;
REVOKE ALL ON FUNCTION extend_event_partitions(date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION extend_event_partitions(date) TO propusk_service;
SELECT extend_event_partitions((now() + interval '24 months')::date);

-- ── The tree over them ────────────────────────────────────────────────────────────────────────────────────
CREATE TABLE log_leaves (
    index    bigint PRIMARY KEY CHECK (index >= 0),
    event_id uuid NOT NULL UNIQUE
);
COMMENT ON TABLE log_leaves IS
    'which event is the leaf of which number, from 0 without gaps; the leaf itself follows from the event''s row';

CREATE TABLE log_tiles (
    level smallint NOT NULL CHECK (level BETWEEN -1 AND 7),
    index bigint NOT NULL CHECK (index >= 0),
    bytes bytea NOT NULL CHECK (level = -1 OR length(bytes) = 8192),
    root  bytea CHECK (length(root) = 32),
    PRIMARY KEY (level, index),
    CONSTRAINT a_tile_of_hashes_has_a_root CHECK ((level = -1) = (root IS NULL))
);
COMMENT ON TABLE log_tiles IS
    'full tiles of C2SP tlog-tiles, level -1 for entry bundles; partial ones follow from log_leaves and from the roots';
-- Hashes do not compress.
ALTER TABLE log_tiles ALTER COLUMN root SET STORAGE PLAIN;

CREATE TABLE log_checkpoints (
    id   bigint PRIMARY KEY CHECK (id > 0),
    size bigint NOT NULL CHECK (size >= 0),
    root bytea NOT NULL CHECK (length(root) = 32),
    at   timestamptz NOT NULL,
    note text NOT NULL
);
COMMENT ON TABLE log_checkpoints IS
    'every checkpoint ever signed, numbered from 1 without gaps; the latest is the published one';
CREATE INDEX log_checkpoints_by_size ON log_checkpoints (size);

CREATE TABLE log_cosignatures (
    checkpoint_id bigint NOT NULL REFERENCES log_checkpoints,
    witness       text NOT NULL CHECK (witness <> ''),
    line          text NOT NULL CHECK (line <> ''),
    at            timestamptz NOT NULL,
    PRIMARY KEY (checkpoint_id, witness)
);
COMMENT ON TABLE log_cosignatures IS 'what witnesses added to a checkpoint, as a line of the signed note';

CREATE TABLE log_position (
    only_one  boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    next_xact bigint NOT NULL,
    open      bigint[] NOT NULL
);
COMMENT ON TABLE log_position IS
    'what the sequencer has seen: every transaction before next_xact but for those that were still open; a wrong value '
    'hides nothing for good, verify names events without a number';
INSERT INTO log_position (next_xact, open) VALUES (0, '{}');

CREATE TRIGGER leaves_are_append_only BEFORE UPDATE OR DELETE ON log_leaves
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER leaves_are_not_truncated BEFORE TRUNCATE ON log_leaves
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER tiles_are_append_only BEFORE UPDATE OR DELETE ON log_tiles
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER tiles_are_not_truncated BEFORE TRUNCATE ON log_tiles
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER checkpoints_are_append_only BEFORE UPDATE OR DELETE ON log_checkpoints
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER checkpoints_are_not_truncated BEFORE TRUNCATE ON log_checkpoints
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER cosignatures_are_append_only BEFORE UPDATE OR DELETE ON log_cosignatures
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER cosignatures_are_not_truncated BEFORE TRUNCATE ON log_cosignatures
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- ── Rules that are data ───────────────────────────────────────────────────────────────────────────────────
CREATE TABLE rule_files (
    name          text NOT NULL CHECK (name <> ''),
    digest        bytea NOT NULL CHECK (length(digest) = 32),
    source        text NOT NULL,
    registered_at timestamptz NOT NULL,
    PRIMARY KEY (name, registered_at)
);
COMMENT ON TABLE rule_files IS
    'rates, grounds, calendars and terms of retention, each time they changed; the latest of a name is in use';

-- ── Erasure ───────────────────────────────────────────────────────────────────────────────────────────────
ALTER TABLE applications
    ADD COLUMN erased_at timestamptz,
    ADD COLUMN erasure_basis text,
    ADD CONSTRAINT only_what_is_closed_is_erased CHECK (erased_at IS NULL OR phase = 'closed'),
    ADD CONSTRAINT an_erasure_has_a_basis CHECK ((erased_at IS NULL) = (erasure_basis IS NULL)),
    ADD CONSTRAINT what_is_erased_is_empty CHECK (erased_at IS NULL
        OR (person_key IS NULL AND person_name IS NULL AND birth_date IS NULL AND form = '{}' AND documents = '[]'
            AND information = '[]' AND proposal IS NULL AND claimed_by IS NULL
            AND (decision IS NULL OR decision = jsonb_build_object('outcome', decision -> 'outcome')))),
    DROP CONSTRAINT what_was_handed_in_names_its_person,
    ADD CONSTRAINT what_was_handed_in_names_its_person
        CHECK (submitted_at IS NULL OR erased_at IS NOT NULL
            OR (person_key IS NOT NULL AND birth_date IS NOT NULL));
COMMENT ON COLUMN applications.erased_at IS 'when the person''s data was erased; what is left is numbers and dates';
-- Which closed applications have outlived the term of their track and outcome, and whose they are.
CREATE INDEX applications_closed
    ON applications (track, (coalesce(decision ->> 'outcome', 'undecided')), state_since, id)
    WHERE phase = 'closed' AND erased_at IS NULL;
CREATE INDEX applications_by_person ON applications (person_key) WHERE person_key IS NOT NULL;
-- Whether a document's bytes are still somebody's.
CREATE INDEX applications_by_document ON applications USING gin (documents jsonb_path_ops);
-- What is still to be done about an application, and money that quotes it and was not booked.
CREATE INDEX jobs_by_application ON jobs ((payload ->> 'application'));
CREATE INDEX payments_by_uin ON payments (uin) WHERE status = 'waiting';

-- That an application was erased is said by erase_application, which works as the owner, and what it left stays so:
-- nobody hides a change by calling the application erased. After the row and not before it: that would cost every command
-- a lock of the row.
CREATE FUNCTION refuse_writing_erased() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_has_role(current_user, (SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'MEMBER') THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION '% of an erased application is refused: call erase_application', TG_OP
        USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER nothing_begins_erased AFTER INSERT ON applications
    FOR EACH ROW WHEN (NEW.erased_at IS NOT NULL) EXECUTE FUNCTION refuse_writing_erased();
CREATE TRIGGER what_is_erased_stays_so AFTER UPDATE ON applications
    FOR EACH ROW WHEN (OLD.erased_at IS NOT NULL OR NEW.erased_at IS NOT NULL)
    EXECUTE FUNCTION refuse_writing_erased();

-- Nothing is erased without the event that says so, whoever calls erase_application.
CREATE FUNCTION require_event_of_erasure() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM events e
        WHERE e.application_id = NEW.id AND e.kind = 'erased' AND e.content IS NOT NULL) THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'application % is erased without an event that says so', NEW.id
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE CONSTRAINT TRIGGER an_erasure_is_an_event AFTER UPDATE ON applications DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (OLD.erased_at IS NULL AND NEW.erased_at IS NOT NULL)
    EXECUTE FUNCTION require_event_of_erasure();

-- Takes a person's values out of one closed application and everything that hangs on it; gives the digests of the
-- documents whose bytes belong to nobody any more, and the events about no application that lost their content with it.
-- The caller has seen to it that its term is over, and writes the event of it in the same transaction.
CREATE FUNCTION erase_application(erased uuid, erased_on timestamptz, basis text)
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
        erased_at = erased_on, erasure_basis = basis
        WHERE id = erased;
    UPDATE checks SET note = NULL,
        override_reason = CASE WHEN override_reason IS NOT NULL THEN '[erased]' END WHERE application_id = erased;
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
REVOKE ALL ON FUNCTION erase_application(uuid, timestamptz, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION erase_application(uuid, timestamptz, text) TO propusk_service;

-- ── What the service may do ───────────────────────────────────────────────────────────────────────────────
GRANT SELECT, INSERT ON log_leaves, log_tiles, log_checkpoints, log_cosignatures TO propusk_service;
-- Not xact: which transaction wrote an event is the server's to say, or the sequencer could be made to pass it by.
GRANT SELECT, INSERT (id, at, kind, actor_id, actor_role, unit_code, application_id, seq, track, workflow_version,
    command, from_state, to_state, purpose, subjects, content, salt, commitment, pseudonym) ON events
    TO propusk_service;
GRANT SELECT, UPDATE ON log_position TO propusk_service;
GRANT SELECT ON rule_files TO propusk_service;
