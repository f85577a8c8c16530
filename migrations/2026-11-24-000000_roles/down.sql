REVOKE SELECT ON __diesel_schema_migrations FROM propusk_service;
REVOKE USAGE ON SCHEMA public FROM propusk_service;

-- Another database of the cluster may still use the role; then it stays.
DO $$
BEGIN
    DROP ROLE propusk_service;
EXCEPTION
    WHEN dependent_objects_still_exist OR undefined_object THEN NULL;
END
$$;
