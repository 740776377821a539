-- Version 17: on which picture of a file a near match rests: '' the one that is shown of it, which alone was matched before;
-- else "page 2" of a TIFF, or "further picture 1" of a HEIF.
ALTER TABLE hits ADD COLUMN part TEXT NOT NULL DEFAULT '';
ALTER TABLE links ADD COLUMN first_part TEXT NOT NULL DEFAULT '';
ALTER TABLE links ADD COLUMN second_part TEXT NOT NULL DEFAULT '';
CREATE INDEX links_by_part ON links (second) WHERE first_part <> '' OR second_part <> '';
