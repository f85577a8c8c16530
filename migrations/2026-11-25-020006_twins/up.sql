-- Whoever states the same passport number under another citizenship: the key begins with the citizenship.
CREATE INDEX applications_by_passport ON applications (split_part(person_key, ':', 2))
    WHERE person_key IS NOT NULL;
