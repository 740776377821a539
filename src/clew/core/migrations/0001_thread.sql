-- Version 1 of case.db. Ids are 32 hexadecimal digits (random, 128 bit) unless said otherwise; *_ns are nanoseconds
-- since 1970-01-01T00:00:00Z; hashes are BLOBs. docs/formats.md describes each table for readers without clew.

-- core -----------------------------------------------------------------------------------------------------------
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE ledger (
  seq INTEGER PRIMARY KEY,             -- 0, 1, 2 ... without a gap
  line TEXT NOT NULL,                  -- canonical JSON, one line, holds the SHA-256 of the line before
  hash BLOB NOT NULL                   -- SHA-256 of line
);
CREATE TABLE ledger_openings (         -- what a commitment stands for; may lawfully be erased
  seq INTEGER PRIMARY KEY, salt BLOB NOT NULL, opening TEXT NOT NULL
);
CREATE TABLE checkpoints (
  size INTEGER PRIMARY KEY, root BLOB NOT NULL, note TEXT NOT NULL, signature BLOB NOT NULL,
  key TEXT NOT NULL,                   -- the signer's raw Ed25519 public key, hexadecimal
  at_ns INTEGER NOT NULL
);
CREATE TABLE mandates (
  id TEXT PRIMARY KEY, document BLOB NOT NULL, added_ns INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE watches (
  id TEXT PRIMARY KEY, label TEXT NOT NULL UNIQUE, document BLOB NOT NULL, mandate TEXT NOT NULL, added_ns INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE forces (
  code TEXT PRIMARY KEY, name TEXT NOT NULL, country TEXT NOT NULL, region TEXT, age_recipient TEXT, signing_key TEXT
) WITHOUT ROWID;
CREATE TABLE leases (
  stage TEXT NOT NULL, subject TEXT NOT NULL, holder TEXT NOT NULL, pid INTEGER NOT NULL, host TEXT NOT NULL,
  boot TEXT NOT NULL, started TEXT NOT NULL, taken_ns INTEGER NOT NULL, PRIMARY KEY (stage, subject)
) WITHOUT ROWID;
CREATE TABLE receipts (
  id INTEGER PRIMARY KEY, stage TEXT NOT NULL, batch TEXT NOT NULL, versions TEXT NOT NULL, config TEXT NOT NULL,
  at_ns INTEGER NOT NULL, UNIQUE (stage, batch, versions, config)
);
CREATE TABLE shards (
  id INTEGER PRIMARY KEY, receipt INTEGER NOT NULL REFERENCES receipts (id), kind TEXT NOT NULL, path TEXT NOT NULL UNIQUE,
  rows INTEGER NOT NULL, bytes INTEGER NOT NULL, sha256 BLOB NOT NULL
);

-- observe --------------------------------------------------------------------------------------------------------
CREATE TABLE observe_runs (
  id TEXT PRIMARY KEY, started_ns INTEGER NOT NULL, ended_ns INTEGER, config TEXT NOT NULL, vantage TEXT NOT NULL,
  mandate TEXT NOT NULL, coverage TEXT NOT NULL DEFAULT '{}',
  boot TEXT NOT NULL DEFAULT '', steady_ns INTEGER NOT NULL DEFAULT 0 -- what intervals are counted by (observe.steady)
) WITHOUT ROWID;
CREATE TABLE endpoints (               -- the queue: who was listed for which watch, and when to call again
  id INTEGER PRIMARY KEY, watch TEXT NOT NULL, address TEXT NOT NULL, port INTEGER NOT NULL,
  first_listed_ns INTEGER NOT NULL, last_listed_ns INTEGER NOT NULL, source TEXT NOT NULL,
  twin INTEGER NOT NULL DEFAULT 0,     -- 1: listed for the v2 twin of the infohash
  contacts INTEGER NOT NULL DEFAULT 0, claims INTEGER NOT NULL DEFAULT 0, first_claim_ns INTEGER, first_claim TEXT,
  first_level TEXT, first_client TEXT, -- what the first claim of this client was, and which client
  control TEXT,                        -- NULL not probed, else 'clean', 'promiscuous' or a Missing
  tier TEXT NOT NULL, next_ns INTEGER, failures INTEGER NOT NULL DEFAULT 0, last_failure TEXT,
  UNIQUE (watch, address, port)
);
CREATE TABLE dials (                   -- intent before the socket opens; a crash leaves state 'intent'
  id TEXT PRIMARY KEY, run TEXT NOT NULL, endpoint INTEGER, watch TEXT NOT NULL, address TEXT NOT NULL, port INTEGER NOT NULL,
  kind TEXT NOT NULL, transport TEXT NOT NULL, intended_ns INTEGER NOT NULL, state TEXT NOT NULL, detail TEXT
) WITHOUT ROWID;
CREATE INDEX dials_state ON dials (state);

-- attribute ------------------------------------------------------------------------------------------------------
CREATE TABLE registers (
  id TEXT PRIMARY KEY, plugin TEXT NOT NULL, name TEXT NOT NULL, location TEXT NOT NULL, sha256 BLOB, dated_ns INTEGER,
  added_ns INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE subjects (id TEXT PRIMARY KEY, label TEXT NOT NULL, watches TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE subject_intervals (
  subject TEXT NOT NULL, address TEXT NOT NULL, port INTEGER NOT NULL, transport TEXT NOT NULL, from_ns INTEGER NOT NULL,
  to_ns INTEGER NOT NULL, tier TEXT NOT NULL, watch TEXT NOT NULL, sightings TEXT NOT NULL,
  PRIMARY KEY (subject, address, port, transport, from_ns, watch)
) WITHOUT ROWID;
CREATE TABLE possible_links (first TEXT NOT NULL, second TEXT NOT NULL, why TEXT NOT NULL, PRIMARY KEY (first, second, why))
  WITHOUT ROWID;
CREATE TABLE leads (
  id TEXT PRIMARY KEY, subject TEXT NOT NULL, force TEXT, rank INTEGER NOT NULL, score REAL NOT NULL, tier TEXT NOT NULL,
  torrent_only INTEGER NOT NULL, country TEXT NOT NULL, uncertain INTEGER NOT NULL, network_kind TEXT NOT NULL,
  lookups TEXT NOT NULL, features TEXT NOT NULL, caveats TEXT NOT NULL, against TEXT NOT NULL, expires_ns INTEGER NOT NULL,
  state TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE prior_knowledge (
  id TEXT PRIMARY KEY, address TEXT, port INTEGER, subject TEXT, statement TEXT NOT NULL, source TEXT NOT NULL,
  entered_by TEXT NOT NULL, at_ns INTEGER NOT NULL
) WITHOUT ROWID;

-- intake ---------------------------------------------------------------------------------------------------------
CREATE TABLE exhibits (
  id TEXT PRIMARY KEY, label TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, location TEXT NOT NULL, seized_by TEXT NOT NULL,
  seized_where TEXT NOT NULL, seized_ns INTEGER, sha256 BLOB, size INTEGER, mandate TEXT NOT NULL, added_ns INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE exhibit_runs (            -- where enumeration stands; `done_ns` NULL means it goes on at `cursor`
  exhibit TEXT NOT NULL, part TEXT NOT NULL, cursor TEXT NOT NULL, done_ns INTEGER, detail TEXT NOT NULL,
  PRIMARY KEY (exhibit, part)
) WITHOUT ROWID;
CREATE TABLE intake_runs (             -- each run: with which tools, how isolated, what it did to the evidence
  id TEXT PRIMARY KEY, exhibit TEXT NOT NULL, started_ns INTEGER NOT NULL, ended_ns INTEGER, config TEXT NOT NULL,
  isolation TEXT NOT NULL, effects TEXT NOT NULL DEFAULT '{}', mandate TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE batches (
  id TEXT PRIMARY KEY, exhibit TEXT NOT NULL, members INTEGER NOT NULL, bytes INTEGER NOT NULL, made_ns INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE items (                   -- one row an Item: its place in the account. What is known of it lies in the shards
  id TEXT PRIMARY KEY, exhibit TEXT NOT NULL, batch TEXT NOT NULL, state TEXT NOT NULL, reason TEXT, detail TEXT,
  size INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX items_batch ON items (batch, state);

-- match ----------------------------------------------------------------------------------------------------------
CREATE TABLE hashsets (
  id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, reader TEXT NOT NULL, source_sha256 BLOB NOT NULL,
  entries INTEGER NOT NULL, dropped TEXT NOT NULL, folder TEXT NOT NULL, added_ns INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE hits (
  id TEXT PRIMARY KEY, content BLOB NOT NULL, hashset TEXT NOT NULL, algorithm TEXT NOT NULL, distance INTEGER NOT NULL,
  mode TEXT NOT NULL, kind TEXT NOT NULL, scheme TEXT, country TEXT, version TEXT, code TEXT, entry TEXT NOT NULL,
  state TEXT NOT NULL,                 -- 'stands', or 'wants exact' until a near hit was computed again in exact mode
  UNIQUE (content, hashset, algorithm, entry)
) WITHOUT ROWID;
CREATE INDEX hits_content ON hits (content);

-- identify -------------------------------------------------------------------------------------------------------
CREATE TABLE links (
  first BLOB NOT NULL, second BLOB NOT NULL, linker TEXT NOT NULL, score REAL NOT NULL, detail TEXT NOT NULL,
  PRIMARY KEY (first, second, linker)
) WITHOUT ROWID;
CREATE TABLE series (id TEXT PRIMARY KEY, label TEXT NOT NULL UNIQUE, representative BLOB NOT NULL, known INTEGER NOT NULL)
  WITHOUT ROWID;
CREATE TABLE series_members (
  content BLOB PRIMARY KEY, series TEXT NOT NULL, distance INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX series_members_series ON series_members (series);

-- review ---------------------------------------------------------------------------------------------------------
CREATE TABLE grades (
  id TEXT PRIMARY KEY, content BLOB NOT NULL, scheme TEXT NOT NULL, country TEXT NOT NULL, version TEXT NOT NULL,
  code TEXT NOT NULL, state TEXT NOT NULL, reviewer TEXT NOT NULL, at_ns INTEGER NOT NULL, inherited_from BLOB,
  distance INTEGER, replaces TEXT, stroke TEXT NOT NULL  -- one stroke of the keyboard; undo takes back a whole stroke
) WITHOUT ROWID;
CREATE INDEX grades_content ON grades (content, at_ns);
CREATE INDEX grades_reviewer ON grades (reviewer, at_ns);
CREATE INDEX grades_stroke ON grades (stroke);
CREATE INDEX grades_inherited ON grades (inherited_from) WHERE inherited_from IS NOT NULL;
CREATE VIEW standing_grades AS         -- what stands of each content: its newest row that was not undone
  SELECT g.* FROM grades g WHERE g.state <> 'undone' AND NOT EXISTS
    (SELECT 1 FROM grades n WHERE n.content = g.content AND n.state <> 'undone' AND n.at_ns > g.at_ns);
CREATE TABLE alarms (                  -- "child at risk now": the clock that it starts, and the second person
  id TEXT PRIMARY KEY, about_kind TEXT NOT NULL, about TEXT NOT NULL, reason TEXT NOT NULL, raised_by TEXT NOT NULL,
  raised_ns INTEGER NOT NULL, acknowledged_by TEXT, acknowledged_ns INTEGER, closed_ns INTEGER, closed_reason TEXT
) WITHOUT ROWID;
CREATE TABLE exposure (                -- private to the reviewer: what one has seen
  reviewer TEXT NOT NULL, content BLOB NOT NULL, at_ns INTEGER NOT NULL, how TEXT NOT NULL,
  PRIMARY KEY (reviewer, at_ns, content, how)
) WITHOUT ROWID;

-- share ----------------------------------------------------------------------------------------------------------
CREATE TABLE bundles (
  id TEXT PRIMARY KEY, force TEXT NOT NULL, path TEXT NOT NULL, sha256 BLOB NOT NULL, checkpoint INTEGER NOT NULL,
  created_ns INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE received (
  id TEXT PRIMARY KEY, sender TEXT NOT NULL, folder TEXT NOT NULL, sha256 BLOB NOT NULL, checkpoint TEXT NOT NULL,
  received_ns INTEGER NOT NULL
) WITHOUT ROWID;
