DROP INDEX payments_being_refunded;
DROP INDEX payments_by_document;
DROP INDEX payments_by_uin;
CREATE INDEX payments_by_uin ON payments (uin) WHERE status = 'waiting';
ALTER TABLE payments
    DROP CONSTRAINT two_officers_refund,
    DROP CONSTRAINT the_status_says_what_waits,
    DROP CONSTRAINT refund_goes_with_its_status,
    DROP CONSTRAINT received_is_matched_waiting_and_refunded,
    DROP CONSTRAINT no_part_is_negative,
    DROP CONSTRAINT matched_means_a_charge,
    DROP CONSTRAINT payments_status_check;
-- Money of which nothing is known any more but that it was refunded, or is about to be, waits.
UPDATE payments SET status = CASE WHEN charge_id IS NULL THEN 'waiting' ELSE 'matched' END;
ALTER TABLE payments
    ADD CONSTRAINT payments_status_check CHECK (status IN ('matched', 'waiting')),
    ADD CONSTRAINT matched_means_a_charge CHECK ((status = 'matched') = (charge_id IS NOT NULL)),
    DROP COLUMN events,
    DROP COLUMN refund,
    DROP COLUMN kbk,
    DROP COLUMN payer_document,
    DROP COLUMN refunded_kopecks,
    DROP COLUMN waiting_kopecks,
    DROP COLUMN matched_kopecks,
    DROP COLUMN version;
ALTER TABLE charges
    DROP CONSTRAINT what_is_annulled_says_so,
    DROP COLUMN acknowledgement,
    DROP COLUMN change_status;

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
