-- Version 10: until when a contact may have been heard, so that the revisit interval counts from then over a restart too.
ALTER TABLE dials ADD COLUMN heard_ns INTEGER;             -- of contacts, by observe.steady; 0: no handshake went out; NULL: not known
UPDATE dials SET heard_ns=CASE state WHEN 'not made' THEN 0 ELSE
   MAX(intended_ns + 60000000000, COALESCE((SELECT ended_ns FROM observe_runs WHERE observe_runs.id=dials.run), 0)) END
 WHERE state<>'intent';                                    -- earlier versions kept no end, and a call may wait long: the run's, or a minute
