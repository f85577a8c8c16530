DROP INDEX applications_with_dates;
