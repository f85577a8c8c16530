-- What a charge can become by the word of two officers.

ALTER TABLE charges
    ADD COLUMN outside_kopecks bigint NOT NULL DEFAULT 0 CHECK (outside_kopecks >= 0),
    ADD COLUMN revision jsonb,
    DROP CONSTRAINT settled_means_paid,
    ADD CONSTRAINT settled_means_paid CHECK (status <> 'settled' OR paid_kopecks + outside_kopecks >= amount_kopecks),
    ADD CONSTRAINT what_came_outside_says_so CHECK ((outside_kopecks > 0) = (acknowledgement = 4)),
    ADD CONSTRAINT two_officers_revise CHECK (revision ->> 'confirmedBy' <> revision ->> 'proposedBy');
COMMENT ON COLUMN charges.outside_kopecks IS 'taken for paid without a payment: no money that was received here';
COMMENT ON COLUMN charges.revision IS 'the change that was proposed last: what, why, by whom, and who agreed';

-- A reason names persons: that goes with the person's data.
CREATE FUNCTION forget_charge_revisions() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    UPDATE charges SET revision = NULL WHERE application_id = NEW.id AND revision IS NOT NULL;
    RETURN NULL;
END $$;
CREATE TRIGGER what_is_erased_has_no_revisions AFTER UPDATE ON applications
    FOR EACH ROW WHEN (OLD.erased_at IS NULL AND NEW.erased_at IS NOT NULL)
    EXECUTE FUNCTION forget_charge_revisions();

-- Definitions that are registered allow it, too: wherever money is released, and wherever a payment leads.
INSERT INTO allowed_transitions (track, workflow_version, command, from_state, to_state)
    SELECT t.track, t.workflow_version, act, t.from_state, t.to_state FROM allowed_transitions t,
        unnest(ARRAY['proposeChargeRevision', 'confirmChargeRevision', 'rejectChargeRevision']) AS act
        WHERE t.command = 'releasePayment'
    UNION
    SELECT t.track, t.workflow_version, 'confirmChargeRevision', t.from_state, t.to_state FROM allowed_transitions t
        WHERE t.command = 'recordPayment'
    ON CONFLICT DO NOTHING;
