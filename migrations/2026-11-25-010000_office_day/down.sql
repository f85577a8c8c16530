REVOKE INSERT ON rule_files FROM propusk_service;
DROP INDEX rule_files_by_number;
ALTER TABLE rule_files DROP COLUMN number;

-- As in log/up.sql.
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

DROP TABLE registers, register_requests, application_words, queues;
ALTER TABLE checks
    DROP CONSTRAINT a_reason_needs_an_answer,
    DROP COLUMN round,
    DROP COLUMN reason,
    DROP COLUMN digest;
DROP INDEX applications_by_urgency, applications_under_way, applications_decided, applications_by_holder,
    applications_by_birth_date;
ALTER TABLE applications
    DROP CONSTRAINT what_is_erased_is_empty,
    DROP CONSTRAINT work_is_of_a_kind,
    DROP CONSTRAINT a_standard_date_needs_a_clock,
    DROP CONSTRAINT decided_means_both,
    DROP COLUMN open_checks,
    DROP COLUMN expedited,
    DROP COLUMN notes,
    DROP COLUMN corrections,
    DROP COLUMN state_event,
    DROP COLUMN standard_due_on,
    DROP COLUMN warned_at,
    DROP COLUMN reminded_at,
    DROP COLUMN decided_on,
    DROP COLUMN decided_in,
    ADD CONSTRAINT what_is_erased_is_empty CHECK (erased_at IS NULL
        OR (person_key IS NULL AND person_name IS NULL AND birth_date IS NULL AND form = '{}' AND documents = '[]'
            AND information = '[]' AND proposal IS NULL AND claimed_by IS NULL
            AND (decision IS NULL OR decision = jsonb_build_object('outcome', decision -> 'outcome'))));
UPDATE applications SET work = 'annulments' WHERE work = 'annulment';
UPDATE applications SET work = 'checks' WHERE work IN ('registers', 'decision');
ALTER TABLE applications RENAME CONSTRAINT only_what_is_open_is_work TO only_what_is_open_waits_in_a_queue;
ALTER TABLE applications RENAME CONSTRAINT what_is_work_was_handed_in TO what_waits_in_a_queue_was_handed_in;
ALTER TABLE applications RENAME COLUMN work TO queue;
CREATE INDEX applications_in_queue
    ON applications (unit_code, queue, (coalesce(due_on, 'infinity')), submitted_at, id)
    WHERE queue IS NOT NULL;
