-- Version 5: intake at length. Batches that wait for the whole listing, exhibits that are recognised again, shards that
-- were merged into a larger one.
ALTER TABLE batches ADD COLUMN waits INTEGER NOT NULL DEFAULT 1; -- 1: read only once the whole Exhibit is listed
ALTER TABLE exhibits ADD COLUMN identity TEXT;          -- JSON: size, times and ends of each file of the image; NULL: none
ALTER TABLE shards ADD COLUMN merged_into INTEGER REFERENCES shards (id); -- not NULL: its rows are read from that shard
CREATE INDEX shards_receipt ON shards (receipt);
CREATE INDEX shards_merged ON shards (merged_into) WHERE merged_into IS NOT NULL;
