DROP TRIGGER what_is_erased_has_no_papers ON applications;
DROP FUNCTION remove_papers_of_erased();
DROP TABLE papers;
