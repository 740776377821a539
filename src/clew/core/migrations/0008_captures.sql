-- Version 8: captures and logs that others made, taken in by observe.
CREATE TABLE captures (                  -- one row for each time that a file was read, for Watches it was not read for before
  id TEXT PRIMARY KEY, sha256 BLOB NOT NULL, label TEXT NOT NULL, name TEXT NOT NULL, size INTEGER NOT NULL,
  format TEXT NOT NULL, tool TEXT NOT NULL, given_by TEXT NOT NULL, vantage TEXT NOT NULL, mandate TEXT NOT NULL,
  watches TEXT NOT NULL,                 -- JSON: ids of the Watches that it was read for
  counts TEXT NOT NULL, flaws TEXT NOT NULL, isolation TEXT NOT NULL,  -- JSON: what was read and left aside, and how
  whole INTEGER NOT NULL,                -- 0: its reader ended before the file did; the same file may be read again
  taken_ns INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX captures_sha256 ON captures (sha256);
