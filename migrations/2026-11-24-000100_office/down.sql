DROP TABLE jobs, idempotency_keys, events, permits, payments, charges, checks, applications,
    allowed_transitions, workflow_definitions, refresh_tokens, sessions, accounts, units;
DROP FUNCTION refuse_change;
DROP SEQUENCE permit_serials, charge_serials;
