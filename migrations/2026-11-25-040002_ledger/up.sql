-- Where money is: of every payment, what was received is what is matched, what waits and what was given back.

ALTER TABLE charges
    ADD COLUMN change_status smallint NOT NULL DEFAULT 1 CHECK (change_status BETWEEN 1 AND 4),
    ADD COLUMN acknowledgement smallint NOT NULL DEFAULT 3 CHECK (acknowledgement BETWEEN 1 AND 5);
COMMENT ON COLUMN charges.change_status IS 'of GIS GMP: 1 new, 2 clarified, 3 annulled, 4 de-annulled';
COMMENT ON COLUMN charges.acknowledgement IS
    'of GIS GMP: 1 matched, 2 in part, 3 not matched, 4 without a payment, 5 put to it without quoting it';
UPDATE charges SET
    change_status = CASE status WHEN 'annulled' THEN 3 ELSE 1 END,
    acknowledgement = CASE WHEN paid_kopecks = 0 THEN 3 WHEN paid_kopecks < amount_kopecks THEN 2 ELSE 1 END;
ALTER TABLE charges ADD CONSTRAINT what_is_annulled_says_so CHECK ((status = 'annulled') = (change_status = 3));

ALTER TABLE payments
    ADD COLUMN version integer NOT NULL DEFAULT 1 CHECK (version > 0),
    ADD COLUMN matched_kopecks bigint NOT NULL DEFAULT 0,
    ADD COLUMN waiting_kopecks bigint NOT NULL DEFAULT 0,
    ADD COLUMN refunded_kopecks bigint NOT NULL DEFAULT 0,
    ADD COLUMN payer_document text,
    ADD COLUMN kbk text,
    ADD COLUMN refund jsonb,
    ADD COLUMN events uuid[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN payments.uin IS 'what was quoted, as it was given: also what is no UIN';
COMMENT ON COLUMN payments.refund IS 'who proposed, confirmed and sent it, when and why';
COMMENT ON COLUMN payments.events IS 'what was done with it that belongs to no application: emptied with its payer''s data';
UPDATE payments SET
    matched_kopecks = CASE status WHEN 'matched' THEN amount_kopecks ELSE 0 END,
    waiting_kopecks = CASE status WHEN 'matched' THEN 0 ELSE amount_kopecks END;
ALTER TABLE payments
    DROP CONSTRAINT payments_status_check,
    DROP CONSTRAINT matched_means_a_charge,
    ADD CONSTRAINT payments_status_check CHECK
        (status IN ('waiting', 'matched', 'refundProposed', 'refundConfirmed', 'refundSent', 'refunded')),
    ADD CONSTRAINT matched_means_a_charge CHECK ((matched_kopecks > 0) = (charge_id IS NOT NULL)),
    ADD CONSTRAINT no_part_is_negative
        CHECK (matched_kopecks >= 0 AND waiting_kopecks >= 0 AND refunded_kopecks >= 0),
    ADD CONSTRAINT received_is_matched_waiting_and_refunded
        CHECK (matched_kopecks + waiting_kopecks + refunded_kopecks = amount_kopecks),
    ADD CONSTRAINT refund_goes_with_its_status
        CHECK ((refund IS NULL) = (status IN ('waiting', 'matched'))),
    ADD CONSTRAINT the_status_says_what_waits
        CHECK ((waiting_kopecks = 0) = (status IN ('matched', 'refunded')) AND (status <> 'refunded' OR refunded_kopecks > 0)),
    ADD CONSTRAINT two_officers_refund
        CHECK (refund ->> 'confirmedBy' <> refund ->> 'proposedBy');

-- Erasing looks for money that quotes the application and is booked on nothing, whatever is done with it.
DROP INDEX payments_by_uin;
CREATE INDEX payments_by_uin ON payments (uin) WHERE charge_id IS NULL;
-- When a charge is made, money is looked for that was paid before it and names the person.
CREATE INDEX payments_by_document ON payments (lower(regexp_replace(payer_document, '[^a-zA-Z0-9]', '', 'g')))
    WHERE status = 'waiting' AND charge_id IS NULL;
CREATE INDEX payments_being_refunded ON payments (status, received_at, id)
    WHERE status IN ('refundProposed', 'refundConfirmed', 'refundSent');

-- As before, and: the payer's document, what was given in place of a UIN, why money is given back, and the events of that.
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
        SELECT p.id, p.provider_id, p.received_at, p.events FROM payments p JOIN charges c ON c.id = p.charge_id
            WHERE c.application_id = erased
        UNION
        SELECT p.id, p.provider_id, p.received_at, p.events FROM payments p JOIN charges c ON c.uin = p.uin
            WHERE c.application_id = erased AND p.charge_id IS NULL
        UNION
        SELECT p.id, p.provider_id, p.received_at, p.events FROM payments p
            WHERE p.charge_id IS NULL AND length(passport) > 5
            AND strpos(regexp_replace(upper(concat_ws(' ', p.payer, p.payer_document, p.uin)), '[[:space:]-]', '', 'g'),
                passport) > 0
            AND NOT EXISTS (SELECT FROM charges c WHERE c.uin = p.uin)
    LOOP
        UPDATE payments SET payer = CASE WHEN payer IS NOT NULL THEN '[erased]' END, payer_document = NULL,
            uin = CASE WHEN strpos(upper(uin), passport) > 0 THEN '[erased]' ELSE uin END, refund = refund - 'reason'
            WHERE id = paid.id;
        DELETE FROM idempotency_keys k
            WHERE k.account_id IN (SELECT e.actor_id FROM events e WHERE e.id = ANY (paid.events))
            AND strpos(k.body, paid.id::text) > 0;
        FOR receipt IN
            SELECT e.id FROM events e WHERE e.id = ANY (paid.events) AND e.application_id IS NULL AND e.content IS NOT NULL
            UNION
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
