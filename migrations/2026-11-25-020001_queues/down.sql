DROP INDEX applications_ended_undecided, applications_decided, applications_under_way, applications_by_open_check,
    applications_escalated, applications_by_urgency;
CREATE INDEX applications_by_urgency
    ON applications (unit_code, work, (expedited IS NULL), (coalesce(due_on, 'infinity')), submitted_at, id)
    WHERE work IS NOT NULL;
CREATE INDEX applications_under_way ON applications (unit_code, track)
    WHERE submitted_at IS NOT NULL AND phase IN ('submission', 'checks', 'fee', 'issuance');
CREATE INDEX applications_decided ON applications (unit_code, decided_on, track, decided_in)
    WHERE decided_on IS NOT NULL;
ALTER TABLE applications DROP COLUMN claimed_from, DROP COLUMN in_turn;
