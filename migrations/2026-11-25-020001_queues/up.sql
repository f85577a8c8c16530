-- What lists, counts and claims of queues read, and the figures of a unit.

ALTER TABLE applications ADD COLUMN claimed_from text;
COMMENT ON COLUMN applications.claimed_from IS 'the queue that gave it to its holder; empty when he picked it by hand';

-- A column where an expression would do: PostgreSQL answers from an index alone only what are columns of it.
ALTER TABLE applications ADD COLUMN in_turn boolean NOT NULL GENERATED ALWAYS AS (expedited IS NULL) STORED;
COMMENT ON COLUMN applications.in_turn IS 'whether it waits its turn; false comes before all others';

-- As before, with what counts and filters ask besides: neither need look at the rows.
DROP INDEX applications_by_urgency;
CREATE INDEX applications_by_urgency
    ON applications (unit_code, work, in_turn, (coalesce(due_on, 'infinity')), submitted_at, id)
    INCLUDE (due_on, claimed_until, track, state)
    WHERE work IS NOT NULL;
-- The overdue queue's other half: what was escalated, whatever its statutory date; few, and anywhere in the order.
CREATE INDEX applications_escalated
    ON applications (unit_code, work, in_turn, (coalesce(due_on, 'infinity')), submitted_at, id)
    WHERE work IS NOT NULL AND escalated_at IS NOT NULL;
-- A queue of a check that is open in few applications.
CREATE INDEX applications_by_open_check ON applications USING gin (open_checks) WHERE work IS NOT NULL;

-- The figures of a unit: what is under way by track, what was decided and when it was due, what ended undecided.
DROP INDEX applications_under_way, applications_decided;
CREATE INDEX applications_under_way ON applications (unit_code, track, phase, due_on)
    WHERE submitted_at IS NOT NULL AND phase IN ('submission', 'checks', 'fee', 'issuance');
CREATE INDEX applications_decided ON applications (unit_code, decided_on, track, decided_in) INCLUDE (due_on)
    WHERE decided_on IS NOT NULL;
CREATE INDEX applications_ended_undecided ON applications (unit_code, state_since, track, state)
    WHERE phase = 'closed' AND decided_on IS NULL AND submitted_at IS NOT NULL;
