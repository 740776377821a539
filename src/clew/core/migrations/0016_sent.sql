-- Version 16: which Leads left in which Bundle, and which it took back. A Bundle is encrypted to its force, so that nobody could
-- say any more who has a Lead that is none by now. Both are NULL where an earlier version built it.
ALTER TABLE bundles ADD COLUMN leads TEXT;             -- JSON: Lead -> its Subject, rank, expiry, intervals, as they left
ALTER TABLE bundles ADD COLUMN taken_back TEXT;        -- JSON: Lead that had left before -> why it was taken back
