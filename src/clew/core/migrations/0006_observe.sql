-- Version 6: observing at full depth. Over what an endpoint was reached, and when nobody could watch.
ALTER TABLE endpoints ADD COLUMN transport TEXT;           -- what it answered over last; NULL: it never did
ALTER TABLE endpoints ADD COLUMN tried TEXT NOT NULL DEFAULT '';  -- what failed in the visit under way, by spaces
ALTER TABLE endpoints ADD COLUMN first_carrier TEXT;       -- what carried its first claim: another makes it a first claim again
UPDATE endpoints SET transport='tcp', first_carrier='tcp' WHERE first_claim IS NOT NULL;
ALTER TABLE observe_runs ADD COLUMN number INTEGER NOT NULL DEFAULT 0; -- their order, whatever the clock said
CREATE TABLE observe_gaps (                                -- a run was under way and saw nothing, or its clock jumped
  run TEXT NOT NULL, from_ns INTEGER NOT NULL, to_ns INTEGER NOT NULL, why TEXT NOT NULL, PRIMARY KEY (run, from_ns, why)
) WITHOUT ROWID;
