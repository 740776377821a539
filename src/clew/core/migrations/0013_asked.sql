-- Version 13: when a tracker was last asked, so that the interval that it told holds over the end of a run too.
CREATE TABLE asked (
  tracker TEXT NOT NULL, infohash BLOB NOT NULL,             -- "dht": all of its nodes together
  intended_ns INTEGER NOT NULL DEFAULT 0,                    -- both by observe.steady; 0: no question is out
  asked_ns INTEGER NOT NULL DEFAULT 0, interval_s INTEGER NOT NULL, PRIMARY KEY (tracker, infohash)
) WITHOUT ROWID;
