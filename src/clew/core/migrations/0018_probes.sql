-- Version 18: beyond this machine control probes went over MSE where no Mandate permitted plaintext, and could only come out
-- clean there (docs/decisions/0021). Whoever was asked by no other is asked again. By a table of their own: NOT IN of two
-- columns reads all of what it does not find, for each endpoint.
CREATE TEMP TABLE asked_plainly (address TEXT, port INTEGER, PRIMARY KEY (address, port)) WITHOUT ROWID;
INSERT OR IGNORE INTO asked_plainly SELECT address, port FROM dials
WHERE kind = 'control' AND state = 'done' AND transport NOT LIKE 'mse%';
UPDATE endpoints SET control = NULL
WHERE control = 'clean' AND NOT EXISTS (
  SELECT 1 FROM asked_plainly a WHERE a.address = endpoints.address AND a.port = endpoints.port
);
DROP TABLE asked_plainly;
