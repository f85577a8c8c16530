-- The place of each permit in the signed status list: the serial number in its number, so it comes from the same sequence,
-- is never given twice, and costs the statement that books a payment nothing.

ALTER TABLE permits ADD COLUMN place bigint NOT NULL UNIQUE
    GENERATED ALWAYS AS (substr(number, 4, 9)::bigint) STORED;
COMMENT ON COLUMN permits.place IS 'place in the status list: the nine digits of the number before its check digit';
