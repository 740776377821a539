-- Version 19: the review page lists what an alert set knows, with a picture or without one, a page at a time. By their
-- Contents alone each page read all that is known to be good: 6.7 s beside a million of them.
CREATE INDEX hits_alert ON hits (content) WHERE kind = 'alert' AND state = 'stands';
