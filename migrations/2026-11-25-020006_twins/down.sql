DROP INDEX applications_by_passport;
