-- Version 11: a later source that a Mandate names covers a call too, also in the next run.
ALTER TABLE endpoints ADD COLUMN further TEXT NOT NULL DEFAULT ''; -- who listed it after `source`, the first of each kind, by spaces
