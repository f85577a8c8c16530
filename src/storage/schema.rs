//! The tables as diesel sees them; `tests/it/schema.rs` compares each column with the migrated database.
#![allow(missing_docs)]

diesel::table! {
    /// Territorial offices.
    units (code) { code -> Text, title -> Text, region -> Text, time_zone -> Text, }
}

diesel::table! {
    /// People who can log in.
    accounts (id) {
        id -> Uuid, email -> Text, name -> Text, role -> Text, unit_code -> Nullable<Text>,
        password_hash -> Text, created_at -> Timestamptz, disabled_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    /// Logged-in sessions.
    sessions (id) {
        id -> Uuid, account_id -> Uuid, created_at -> Timestamptz, expires_at -> Timestamptz,
        ended_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    /// Refresh tokens by digest, used once each.
    refresh_tokens (digest) {
        digest -> Binary, session_id -> Uuid, issued_at -> Timestamptz, used_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    /// Workflow files in use.
    workflow_definitions (track, version) {
        track -> Text, version -> Integer, digest -> Binary, source -> Text, registered_at -> Timestamptz,
    }
}

diesel::table! {
    /// The steps that event rows may record.
    allowed_transitions (track, workflow_version, command, from_state, to_state) {
        track -> Text, workflow_version -> Integer, command -> Text, from_state -> Text, to_state -> Text,
    }
}

diesel::table! {
    /// Applications.
    applications (id) {
        id -> Uuid, reference -> Text, track -> Text, workflow_version -> Integer, unit_code -> Text,
        applicant_id -> Uuid, state -> Text, phase -> Text, version -> Integer, created_at -> Timestamptz,
        work -> Nullable<Text>, state_since -> Timestamptz, submitted_at -> Nullable<Timestamptz>, due_on -> Nullable<Date>,
        escalated_at -> Nullable<Timestamptz>, person_key -> Nullable<Text>, person_name -> Nullable<Text>,
        birth_date -> Nullable<Date>, form -> Jsonb, documents -> Jsonb, clock -> Nullable<Jsonb>,
        information -> Jsonb, decision -> Nullable<Jsonb>, proposal -> Nullable<Jsonb>, hands -> Jsonb,
        claimed_by -> Nullable<Uuid>, claimed_until -> Nullable<Timestamptz>, claimed_from -> Nullable<Text>,
        assigned_by -> Nullable<Uuid>,
        in_turn -> Bool,
        erased_at -> Nullable<Timestamptz>, erasure_basis -> Nullable<Text>,
        open_checks -> Array<Text>, barred -> Array<Uuid>, senior -> Bool, expedited -> Nullable<Jsonb>, notes -> Jsonb, corrections -> Jsonb,
        state_event -> Nullable<Uuid>, standard_due_on -> Nullable<Date>, warned_at -> Nullable<Timestamptz>,
        reminded_at -> Nullable<Timestamptz>, decided_on -> Nullable<Date>, decided_in -> Nullable<Integer>,
        duties -> Jsonb, duty_due_on -> Nullable<Date>,
        after_life -> Jsonb,
    }
}

diesel::table! {
    /// Checks of applications.
    checks (application_id, id) {
        application_id -> Uuid, id -> Text, asked_at -> Timestamptz, due_on -> Date,
        outcome -> Nullable<Text>, answered_at -> Nullable<Timestamptz>, answered_by -> Nullable<Uuid>,
        note -> Nullable<Text>, overridden_by -> Nullable<Uuid>, overridden_at -> Nullable<Timestamptz>,
        override_reason -> Nullable<Text>, round -> Integer, reason -> Nullable<Text>,
        digest -> Nullable<Text>, before -> Nullable<Jsonb>,
    }
}

diesel::table! {
    /// Amounts owed.
    charges (id) {
        id -> Uuid, application_id -> Uuid, fee -> Text, uin -> Text, amount_kopecks -> BigInt,
        paid_kopecks -> BigInt, rule -> Text, created_at -> Timestamptz, status -> Text,
        requisites -> Nullable<Jsonb>, change_status -> SmallInt, acknowledgement -> SmallInt,
        outside_kopecks -> BigInt, revision -> Nullable<Jsonb>,
    }
}

diesel::table! {
    /// Money received.
    payments (id) {
        id -> Uuid, provider_id -> Text, uin -> Nullable<Text>, amount_kopecks -> BigInt,
        paid_at -> Timestamptz, received_at -> Timestamptz, payer -> Nullable<Text>,
        recorded_by -> Nullable<Uuid>, charge_id -> Nullable<Uuid>, status -> Text, version -> Integer,
        matched_kopecks -> BigInt, waiting_kopecks -> BigInt, refunded_kopecks -> BigInt,
        payer_document -> Nullable<Text>, kbk -> Nullable<Text>, refund -> Nullable<Jsonb>, events -> Array<Uuid>,
    }
}

diesel::table! {
    /// Permits.
    permits (number) {
        number -> Text, application_id -> Uuid, status -> Text, holder_name -> Text, territory -> Text,
        profession -> Nullable<Text>, issued_on -> Date, paid_through -> Nullable<Date>, ends_on -> Date,
        closed_on -> Nullable<Date>, place -> BigInt, suspended_on -> Nullable<Date>,
    }
}

diesel::table! {
    /// The papers that permits were printed on.
    blanks (number) {
        number -> Text, application_id -> Uuid, status -> Text, printed_at -> Timestamptz,
        ended_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    /// The append-only log.
    events (id) {
        id -> Uuid, at -> Timestamptz, kind -> Text, actor_id -> Nullable<Uuid>, actor_role -> Text,
        unit_code -> Nullable<Text>, application_id -> Nullable<Uuid>, seq -> Nullable<Integer>,
        track -> Nullable<Text>, workflow_version -> Nullable<Integer>, command -> Nullable<Text>,
        from_state -> Nullable<Text>, to_state -> Nullable<Text>, purpose -> Nullable<Text>,
        subjects -> Nullable<Array<Uuid>>, content -> Nullable<Text>, salt -> Nullable<Binary>,
        commitment -> Binary, pseudonym -> Nullable<Binary>, xact -> BigInt,
    }
}

diesel::table! {
    /// Which event is the leaf of which number.
    log_leaves (index) {
        index -> BigInt, event_id -> Uuid,
    }
}

diesel::table! {
    /// Full tiles of the tree; level -1 for entry bundles.
    log_tiles (level, index) {
        level -> SmallInt, index -> BigInt, bytes -> Binary, root -> Nullable<Binary>,
    }
}

diesel::table! {
    /// Every checkpoint ever signed.
    log_checkpoints (id) {
        id -> BigInt, size -> BigInt, root -> Binary, at -> Timestamptz, note -> Text,
    }
}

diesel::table! {
    /// What witnesses added to a checkpoint.
    log_cosignatures (checkpoint_id, witness) {
        checkpoint_id -> BigInt, witness -> Text, line -> Text, at -> Timestamptz,
    }
}

diesel::table! {
    /// What the sequencer has seen.
    log_position (only_one) {
        only_one -> Bool, next_xact -> BigInt, open -> Array<BigInt>,
    }
}

diesel::table! {
    /// Rates, payees, grounds, calendars and terms of retention, each time they changed.
    rule_files (name, registered_at) {
        name -> Text, digest -> Binary, source -> Text, registered_at -> Timestamptz,
        number -> BigInt,
    }
}

diesel::table! {
    /// Answers kept for repeated requests.
    idempotency_keys (account_id, key) {
        account_id -> Uuid, key -> Text, fingerprint -> Binary, status -> Integer,
        etag -> Nullable<Text>, location -> Nullable<Text>, body -> Text, created_at -> Timestamptz,
    }
}

diesel::table! {
    /// Work to be done later.
    jobs (id) {
        id -> BigInt, kind -> Text, key -> Text, payload -> Jsonb, run_at -> Timestamptz,
        attempts -> Integer, leased_until -> Nullable<Timestamptz>, last_error -> Nullable<Text>,
        finished_at -> Nullable<Timestamptz>, outcome -> Nullable<Text>, created_at -> Timestamptz,
    }
}

diesel::table! {
    /// Messages to applicants and what came of them.
    messages (id) {
        id -> Uuid, job_key -> Text, application_id -> Uuid, message -> Text, language -> Text,
        recipient -> Nullable<Text>, status -> Text, provider_id -> Nullable<Text>,
        error -> Nullable<Text>, attempts -> Integer, at -> Timestamptz,
    }
}

diesel::table! {
    /// Queues that a unit has set for itself.
    queues (unit_code, name) {
        unit_code -> Text, name -> Text, version -> Integer, title -> Jsonb, position -> Integer,
        filter -> Jsonb, removed_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    /// Words under which officers find applications.
    application_words (unit_code, word, application_id) {
        unit_code -> Text, word -> Text, application_id -> Uuid, all_words -> Text,
    }
}

diesel::table! {
    /// Questions to registers.
    register_requests (id) {
        id -> Uuid, application_id -> Uuid, check_id -> Text, round -> Integer, register -> Text,
        status -> Text, created_at -> Timestamptz, sent_at -> Nullable<Timestamptz>, attempts -> Integer,
        last_error -> Nullable<Text>, answered_at -> Nullable<Timestamptz>, outcome -> Nullable<Text>,
        digest -> Nullable<Text>, used -> Nullable<Bool>,
    }
}

diesel::table! {
    /// Circuit breakers of the registers.
    registers (name) {
        name -> Text, state -> Text, failures -> Integer, since -> Timestamptz,
        retry_at -> Nullable<Timestamptz>, last_ok_at -> Nullable<Timestamptz>, last_error -> Nullable<Text>,
    }
}

diesel::table! {
    /// Papers that were printed.
    papers (application_id, event_seq, kind) {
        application_id -> Uuid, event_seq -> Integer, kind -> Text, event_id -> Uuid, digest -> Text,
        bytes -> BigInt, made_at -> Timestamptz,
    }
}

diesel::table! {
    /// Codes that show a permit, by digest.
    shares (id) {
        id -> Uuid, application_id -> Uuid, digest -> Binary, label -> Text, once -> Bool, made_at -> Timestamptz,
        expires_at -> Timestamptz, views -> Integer, revoked_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    /// The provider's statements that were found in the folder.
    statements (digest) {
        digest -> Binary, name -> Text, taken_at -> Timestamptz, outcome -> Text, booked -> Integer,
        waiting -> Integer, differences -> Integer, error -> Nullable<Text>,
    }
}

diesel::joinable!(accounts -> units (unit_code));
diesel::joinable!(sessions -> accounts (account_id));
diesel::joinable!(refresh_tokens -> sessions (session_id));
diesel::joinable!(applications -> units (unit_code));
diesel::joinable!(permits -> applications (application_id));
diesel::joinable!(charges -> applications (application_id));
diesel::allow_tables_to_appear_in_same_query!(
    units,
    accounts,
    sessions,
    refresh_tokens,
    applications,
    permits,
    blanks,
    charges,
    payments,
    checks,
    events,
    log_leaves,
    register_requests,
    application_words,
);
