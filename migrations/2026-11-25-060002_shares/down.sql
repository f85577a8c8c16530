DROP TRIGGER what_is_erased_has_no_shares ON applications;
DROP FUNCTION remove_shares_of_erased();
DROP TABLE shares;
