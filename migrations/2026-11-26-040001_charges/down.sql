DELETE FROM allowed_transitions t
    WHERE t.command IN ('proposeChargeRevision', 'confirmChargeRevision', 'rejectChargeRevision')
    AND NOT EXISTS (SELECT FROM events e WHERE e.command = t.command AND e.track = t.track
        AND e.workflow_version = t.workflow_version AND e.from_state = t.from_state AND e.to_state = t.to_state);
DROP TRIGGER what_is_erased_has_no_revisions ON applications;
DROP FUNCTION forget_charge_revisions();
ALTER TABLE charges
    DROP CONSTRAINT two_officers_revise,
    DROP CONSTRAINT what_came_outside_says_so,
    DROP CONSTRAINT settled_means_paid;
-- What was taken for paid is owed no more: without its column nothing says why it would be settled.
UPDATE charges SET status = 'annulled', change_status = 3,
    acknowledgement = CASE WHEN paid_kopecks = 0 THEN 3 ELSE 2 END WHERE outside_kopecks > 0;
ALTER TABLE charges
    DROP COLUMN revision,
    DROP COLUMN outside_kopecks,
    ADD CONSTRAINT settled_means_paid CHECK (status <> 'settled' OR paid_kopecks >= amount_kopecks);
