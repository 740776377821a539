-- Version 2: what intake learns of a whole image, beside its SHA-256.
ALTER TABLE exhibits ADD COLUMN sha1 BLOB;
ALTER TABLE exhibits ADD COLUMN md5 BLOB;
ALTER TABLE exhibits ADD COLUMN acquisition TEXT NOT NULL DEFAULT '{}'; -- JSON: what could not be read, stored digests
