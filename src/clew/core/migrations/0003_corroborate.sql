-- Version 3: which exhibit belongs to which Subject, as a person states it, and what its artefacts then say of a Lead.
CREATE TABLE statements (                -- by people, never evidence; withdrawn, not deleted
  id TEXT PRIMARY KEY, kind TEXT NOT NULL,   -- 'belongs' (exhibit to subject) or 'clock' (how the exhibit's clock was off)
  exhibit TEXT NOT NULL, subject TEXT, offset_ns INTEGER, error_ns INTEGER, statement TEXT NOT NULL, source TEXT NOT NULL,
  entered_by TEXT NOT NULL, at_ns INTEGER NOT NULL, withdrawn_by TEXT, withdrawn_ns INTEGER
) WITHOUT ROWID;
CREATE TABLE corroborations (            -- rebuilt by each `clew corroborate`
  lead TEXT PRIMARY KEY, subject TEXT NOT NULL, outcome TEXT NOT NULL, findings TEXT NOT NULL, covered TEXT NOT NULL,
  at_ns INTEGER NOT NULL
) WITHOUT ROWID;
