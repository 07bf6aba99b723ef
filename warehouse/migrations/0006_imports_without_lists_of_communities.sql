-- An import of many communities kept the list of all of them in the row of each. A digest of it says as well whether an
-- interrupted import is the same one, and goes on where it stopped.
CREATE TABLE IF NOT EXISTS raw.imports (file VARCHAR NOT NULL, subreddits VARCHAR[]);
ALTER TABLE raw.imports ADD COLUMN IF NOT EXISTS subreddits VARCHAR[];
ALTER TABLE raw.imports ADD COLUMN IF NOT EXISTS asked VARCHAR;
UPDATE raw.imports SET asked = sha256(array_to_string(subreddits, ',')) WHERE asked IS NULL;
ALTER TABLE raw.imports ALTER COLUMN asked SET NOT NULL;
ALTER TABLE raw.imports DROP COLUMN subreddits;
