-- Version 12: what the seizure record says of an Exhibit beyond who, where and when; each time it was opened again.
ALTER TABLE exhibits ADD COLUMN seized_what TEXT NOT NULL DEFAULT '';
ALTER TABLE exhibits ADD COLUMN stated TEXT NOT NULL DEFAULT '{}'; -- JSON: digests of its image that were stated, by name
CREATE TABLE intake_looks (            -- each further look: an Exhibit opened once more after, or for, an intake
  id TEXT PRIMARY KEY, exhibit TEXT NOT NULL, look TEXT NOT NULL, started_ns INTEGER NOT NULL, ended_ns INTEGER,
  versions TEXT NOT NULL, isolation TEXT NOT NULL, effects TEXT NOT NULL DEFAULT '{}', mandate TEXT NOT NULL
) WITHOUT ROWID;
