-- Version 11: what the seizure record says of an Exhibit beyond who, where and when.
ALTER TABLE exhibits ADD COLUMN seized_what TEXT NOT NULL DEFAULT '';
ALTER TABLE exhibits ADD COLUMN stated TEXT NOT NULL DEFAULT '{}'; -- JSON: digests of its image that were stated, by name
