-- The big lists at a million applications: what lists, claims, counts and search look at is in the index that they walk.

-- ── Queues ────────────────────────────────────────────────────────────────────────────────────────────────
-- What only senior officers can move on: a claim of another officer passes it by.
ALTER TABLE applications ADD COLUMN senior boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN applications.senior IS 'whether only senior officers can do the work that it waits for';
-- Until now nothing but annulments that were proposed.
UPDATE applications SET senior = true, barred = ARRAY(
        SELECT DISTINCT (hand ->> 'by')::uuid FROM jsonb_array_elements(hands) AS hand
        WHERE hand ->> 'command' = 'proposeAnnulment' ORDER BY 1)
    WHERE work = 'annulment';

-- Whoever was given something did not pick it.
ALTER TABLE applications ADD COLUMN assigned_by uuid REFERENCES accounts;
COMMENT ON COLUMN applications.assigned_by IS 'the senior officer who gave it to its holder; empty when a queue did, or he picked it by hand';
COMMENT ON COLUMN applications.claimed_from IS 'the queue that gave it to its holder; empty when he picked it by hand or was given it';

-- As before, with everything that a filter can ask.
DROP INDEX applications_by_urgency, applications_escalated, applications_by_open_check;
CREATE INDEX applications_by_urgency
    ON applications (unit_code, work, in_turn, (coalesce(due_on, 'infinity')), submitted_at, id)
    INCLUDE (due_on, claimed_until, claimed_by, escalated_at, track, state, open_checks, barred, senior)
    WHERE work IS NOT NULL;
CREATE INDEX applications_escalated
    ON applications (unit_code, work, in_turn, (coalesce(due_on, 'infinity')), submitted_at, id)
    INCLUDE (due_on, claimed_until, claimed_by, escalated_at, track, state, open_checks, barred, senior)
    WHERE work IS NOT NULL AND escalated_at IS NOT NULL;
-- What counts ask: few values, each stored once and its rows in the order of the table, so that a count is several
-- times as fast as from the index above.
CREATE INDEX applications_waiting ON applications (unit_code, work, claimed_until, state, track)
    WHERE work IS NOT NULL;
-- What somebody holds: few of all. A claim counts those ahead of it, an officer lists his own.
CREATE INDEX applications_held ON applications (unit_code, work, claimed_until)
    INCLUDE (in_turn, due_on, submitted_at, id, claimed_by, claimed_from, assigned_by, escalated_at, track, state,
        open_checks)
    WHERE work IS NOT NULL AND claimed_until IS NOT NULL;
-- Which checks are open in which kind of work. Instead of an inverted index, which knows nothing of the unit and the
-- work: the planner took it where the order was due, and in every other question about what waits.
CREATE INDEX applications_by_open_check ON applications (unit_code, work, open_checks, claimed_until)
    WHERE work IS NOT NULL AND open_checks <> '{}';

-- The figures of a unit: the state says whether the applicant is awaited, which the date alone does not.
DROP INDEX applications_under_way;
CREATE INDEX applications_under_way ON applications (unit_code, track, state, phase, due_on)
    WHERE submitted_at IS NOT NULL AND phase IN ('submission', 'checks', 'fee', 'issuance');

-- ── Search ────────────────────────────────────────────────────────────────────────────────────────────────
-- A question of several words is answered from the words of the first: whether the others are met stands beside each.
-- Made anew: to update millions of rows takes minutes and leaves twice the table behind.
ALTER TABLE application_words RENAME TO application_words_before;
ALTER TABLE application_words_before DROP CONSTRAINT application_words_pkey,
    DROP CONSTRAINT application_words_word_check, DROP CONSTRAINT application_words_application_id_fkey;
DROP INDEX application_words_by_application;
CREATE TABLE application_words (
    unit_code      text NOT NULL,
    word           text COLLATE "C" NOT NULL CHECK (word <> ''),
    application_id uuid NOT NULL,
    all_words      text COLLATE "C" NOT NULL
);
INSERT INTO application_words
    SELECT w.unit_code, w.word, w.application_id, every.words FROM application_words_before w
    JOIN (SELECT unit_code, application_id, ' ' || string_agg(word, ' ' ORDER BY word) || ' ' AS words
          FROM application_words_before GROUP BY unit_code, application_id) AS every
        ON every.application_id = w.application_id AND every.unit_code = w.unit_code
    ORDER BY w.unit_code, w.word, w.application_id;
DROP TABLE application_words_before;
ALTER TABLE application_words
    ADD PRIMARY KEY (unit_code, word, application_id) INCLUDE (all_words),
    ADD FOREIGN KEY (application_id) REFERENCES applications;
CREATE INDEX application_words_by_application ON application_words (application_id);
COMMENT ON COLUMN application_words.all_words IS 'all words of the application, in order, a space before and after each';
GRANT SELECT, INSERT, DELETE ON application_words TO propusk_service;
GRANT UPDATE (all_words) ON application_words TO propusk_service;

-- ── Vacuum ────────────────────────────────────────────────────────────────────────────────────────────────
-- An index alone answers only about pages that a vacuum has seen since they changed, and a claim steps over what its
-- predecessors left. As PostgreSQL has it, a table of a million rows is vacuumed after 200,000 changes.
ALTER TABLE applications SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_insert_scale_factor = 0.01,
    autovacuum_analyze_scale_factor = 0.02);
ALTER TABLE application_words SET (autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_insert_scale_factor = 0.02);
ALTER TABLE checks SET (autovacuum_vacuum_scale_factor = 0.02);
