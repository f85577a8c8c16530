-- The answer that spoke for refusing until its check was asked anew: as the check says it, without its note.
ALTER TABLE checks ADD COLUMN before jsonb;
-- What a senior officer set aside is held against nobody.
ALTER TABLE checks ADD CONSTRAINT nothing_is_held_beside_an_override CHECK (before IS NULL OR overridden_by IS NULL);
