-- Version 15: how many calls of a run were forgotten, since a capture of it still shows their flows (`observe.comparing`).
CREATE TABLE forgotten_dials (
  run TEXT NOT NULL, transport TEXT NOT NULL, calls INTEGER NOT NULL,
  until_ns INTEGER NOT NULL,                                 -- when the last of them was intended
  PRIMARY KEY (run, transport)
);
