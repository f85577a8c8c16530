-- The role that serve and worker act as (storage::SERVICE_ROLE). It owns nothing: what it may do to each
-- table is granted by the migration that makes the table.
--
-- Roles belong to the whole cluster, so another database may have made it before, or be making it right now.
-- Without the right to make roles, an administrator makes it once; the message says how.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'propusk_service') THEN
        CREATE ROLE propusk_service NOLOGIN;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
    WHEN insufficient_privilege THEN
        RAISE '% may not make roles; have an administrator run: CREATE ROLE propusk_service NOLOGIN; GRANT propusk_service TO %',
            current_user, quote_ident(current_user);
END
$$;

-- Who migrates may also serve. A superuser may act as any role and needs no membership; an administrator
-- gives it to a separate account for serve with GRANT propusk_service TO that account.
DO $$
BEGIN
    IF NOT pg_has_role(current_user, 'propusk_service', 'MEMBER') THEN
        EXECUTE format('GRANT propusk_service TO %I', current_user);
    END IF;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE '% may not use the role propusk_service; have an administrator run: GRANT propusk_service TO %',
            current_user, quote_ident(current_user);
END
$$;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO propusk_service;

-- serve refuses a database with pending migrations, so it must be able to read which ones ran.
GRANT SELECT ON __diesel_schema_migrations TO propusk_service;
