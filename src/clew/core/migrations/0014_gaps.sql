-- Version 14: observe_gaps with a rowid. SQLite 3.40 takes a table WITHOUT ROWID whose last column belongs to the key while one
-- before it does not for damaged ("NULL value in observe_gaps.to_ns"), so that no case with a gap verified.
ALTER TABLE observe_gaps RENAME TO observe_gaps_of_version_6;
CREATE TABLE observe_gaps (                                -- a run was under way and saw nothing, or its clock jumped
  run TEXT NOT NULL, from_ns INTEGER NOT NULL, to_ns INTEGER NOT NULL, why TEXT NOT NULL, PRIMARY KEY (run, from_ns, why)
);
INSERT INTO observe_gaps SELECT run, from_ns, to_ns, why FROM observe_gaps_of_version_6;
DROP TABLE observe_gaps_of_version_6;
