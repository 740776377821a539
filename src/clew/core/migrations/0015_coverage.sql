-- Version 15: what was not covered, as far as it was not kept.
CREATE TABLE forgotten_dials (                               -- a capture of the run still shows their flows (`observe.comparing`)
  run TEXT NOT NULL, transport TEXT NOT NULL, calls INTEGER NOT NULL,
  until_ns INTEGER NOT NULL,                                 -- when the last of them was intended
  PRIMARY KEY (run, transport)
);
CREATE TABLE first_lists (                                   -- when the first list came of who is there for a Watch, or was asked for
  watch TEXT PRIMARY KEY, at_ns INTEGER NOT NULL
);
INSERT INTO first_lists SELECT watch, min(intended_ns) FROM dials WHERE kind LIKE 'announce%' AND state = 'done' GROUP BY watch;
