DROP FUNCTION erase_application(uuid, timestamptz, text);
DROP TRIGGER nothing_begins_erased ON applications;
DROP TRIGGER what_is_erased_stays_so ON applications;
DROP TRIGGER an_erasure_is_an_event ON applications;
DROP FUNCTION refuse_writing_erased();
DROP FUNCTION require_event_of_erasure();
DROP INDEX applications_closed, applications_by_person, applications_by_document, jobs_by_application,
    payments_by_uin;
ALTER TABLE applications
    DROP CONSTRAINT only_what_is_closed_is_erased,
    DROP CONSTRAINT an_erasure_has_a_basis,
    DROP CONSTRAINT what_is_erased_is_empty,
    DROP CONSTRAINT what_was_handed_in_names_its_person,
    ADD CONSTRAINT what_was_handed_in_names_its_person
        CHECK (submitted_at IS NULL OR (person_key IS NOT NULL AND birth_date IS NOT NULL)),
    DROP COLUMN erased_at,
    DROP COLUMN erasure_basis;
DROP TABLE rule_files, log_position, log_cosignatures, log_checkpoints, log_tiles, log_leaves;
DROP FUNCTION extend_event_partitions(date);
DROP TABLE events;
DROP FUNCTION first_id_at(timestamptz);
DROP FUNCTION refuse_change_of_event();
DROP SCHEMA events_by_month;

-- The log as it was before: office/up.sql.
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
    content          jsonb NOT NULL,
    UNIQUE (application_id, seq),
    FOREIGN KEY (track, workflow_version, command, from_state, to_state)
        REFERENCES allowed_transitions,
    CONSTRAINT an_application_event_is_whole CHECK (
        (application_id IS NULL AND seq IS NULL AND track IS NULL AND workflow_version IS NULL
            AND command IS NULL AND from_state IS NULL AND to_state IS NULL)
        OR (application_id IS NOT NULL AND seq IS NOT NULL AND track IS NOT NULL
            AND workflow_version IS NOT NULL AND command IS NOT NULL AND from_state IS NOT NULL
            AND to_state IS NOT NULL AND unit_code IS NOT NULL))
);
CREATE INDEX events_by_actor ON events (actor_id, at, id) WHERE actor_id IS NOT NULL;
CREATE INDEX events_by_time ON events (at, id);
CREATE TRIGGER events_are_append_only BEFORE UPDATE OR DELETE ON events
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER events_are_not_truncated BEFORE TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
GRANT SELECT, INSERT ON events TO propusk_service;
