-- Whether free blocks of the file may hold what was erased is always known: homes from before it was noted owe nothing.
ALTER TABLE main.warehouse_state ADD COLUMN IF NOT EXISTS erasures_pending BOOLEAN DEFAULT FALSE;
UPDATE main.warehouse_state SET erasures_pending = FALSE WHERE erasures_pending IS NULL;
ALTER TABLE main.warehouse_state ALTER COLUMN erasures_pending SET NOT NULL;
ALTER TABLE main.warehouse_state ALTER COLUMN erasures_pending DROP DEFAULT;
