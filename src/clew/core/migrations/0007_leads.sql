-- Version 7: what a lead's rank rests on and what was seen beside it; a person's word that a lead is urgent.
CREATE TABLE lead_details (              -- rebuilt by each `clew attribute`, one row a lead
  lead TEXT PRIMARY KEY,
  ranking TEXT NOT NULL,                 -- JSON: the rule, what it was told, and each feature with value and weight
  beside TEXT NOT NULL                   -- JSON: contradictions, refused merges, failed contacts, prefix, transports
) WITHOUT ROWID;
CREATE TABLE urgencies (                 -- a person's decision; withdrawn, not deleted
  id TEXT PRIMARY KEY, lead TEXT NOT NULL, reason TEXT NOT NULL, entered_by TEXT NOT NULL, at_ns INTEGER NOT NULL,
  withdrawn_by TEXT, withdrawn_ns INTEGER, withdrawn_reason TEXT
) WITHOUT ROWID;
CREATE INDEX urgencies_lead ON urgencies (lead);
