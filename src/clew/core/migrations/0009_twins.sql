-- Version 9: the twins of a hybrid torrent number their pieces apart, so that a claim about one repeats none about the other.
ALTER TABLE endpoints ADD COLUMN first_twin INTEGER;       -- 1: the first claim was about the v2 twin, 0: about the v1 infohash
UPDATE endpoints SET first_twin=twin WHERE first_claim IS NOT NULL;
