ALTER TABLE checks RESET (autovacuum_vacuum_scale_factor);
ALTER TABLE applications RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_insert_scale_factor,
    autovacuum_analyze_scale_factor);
ALTER TABLE application_words RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_insert_scale_factor);
REVOKE UPDATE (all_words) ON application_words FROM propusk_service;
ALTER TABLE application_words DROP CONSTRAINT application_words_pkey, DROP COLUMN all_words,
    ADD PRIMARY KEY (unit_code, word, application_id);
DROP INDEX applications_by_open_check, applications_held, applications_waiting, applications_escalated, applications_by_urgency;
CREATE INDEX applications_by_urgency
    ON applications (unit_code, work, in_turn, (coalesce(due_on, 'infinity')), submitted_at, id)
    INCLUDE (due_on, claimed_until, track, state)
    WHERE work IS NOT NULL;
CREATE INDEX applications_escalated
    ON applications (unit_code, work, in_turn, (coalesce(due_on, 'infinity')), submitted_at, id)
    WHERE work IS NOT NULL AND escalated_at IS NOT NULL;
CREATE INDEX applications_by_open_check ON applications USING gin (open_checks) WHERE work IS NOT NULL;
DROP INDEX applications_under_way;
CREATE INDEX applications_under_way ON applications (unit_code, track, phase, due_on)
    WHERE submitted_at IS NOT NULL AND phase IN ('submission', 'checks', 'fee', 'issuance');
ALTER TABLE applications DROP COLUMN assigned_by, DROP COLUMN senior;
