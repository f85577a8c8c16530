DROP INDEX jobs_dead;
DROP INDEX jobs_finished;
DROP TABLE messages;
