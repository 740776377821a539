"""Seized files that have the size of one in a seized torrent, and were not held against its pieces yet.

Whether they are held is for a person to ask (`clew pieces`): nothing is concluded from what nobody asked.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from clew.core import shards
from clew.core.case import Case

SAID = shards.newest("starts_with(name, 'p2p.')")
FILES = f"""
SELECT DISTINCT content, text FROM {SAID} WHERE name='p2p.entry.files' AND text IS NOT NULL AND content IN
(SELECT content FROM traits WHERE name='p2p.artefact' AND text='torrent metainfo')
AND ($apart IS NULL OR content IN (SELECT sha256 FROM contents WHERE exhibit <> $apart)) ORDER BY content
"""  # noqa: S608 - ours
HERE = """
SELECT DISTINCT exhibit, item, sha256, size FROM contents
WHERE size IN (SELECT unnest($sizes)) AND ($exhibit IS NULL OR exhibit = $exhibit)
"""
TOLD = """
-- one of no file in particular is of all that have this size
SELECT DISTINCT content, regexp_extract(text, '"torrent": ?"([0-9a-f]+)', 1) AS torrent,
  try_cast(regexp_extract(text, '"index": ?([0-9]+)', 1) AS BIGINT) AS file
FROM traits WHERE name IN ('pieces.verified', 'pieces.across') AND text IS NOT NULL
"""
WRONG = (KeyError, TypeError, ValueError, AttributeError)


def sized(case: Case, apart: str | None = None) -> Iterator[tuple[bytes, list[tuple[int, int]] | None]]:
    """Torrent by torrent, in parts: number and size of its files; pads and empty files are none. None where a Trait
    does not say what it must. Of other exhibits than `apart`, where one is given.
    """
    for row in shards.query(case, FILES, {"apart": apart}).to_pylist():
        try:
            files = json.loads(row["text"])["files"]
            real = [each for each in files if each["size"] and not each.get("pad")]
            yield row["content"], [(number(each["index"]), number(each["size"])) for each in real]
        except WRONG:
            yield row["content"], None


def counted(case: Case, exhibit: str | None = None) -> Counter[str]:
    """How many such files each Exhibit has; of one alone, where it is given."""
    about: dict[int, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for torrent, files in sized(case):
        for index, size in files or ():
            about[size][torrent.hex()].add(index)
    if not about:
        return Counter()
    told: dict[tuple[bytes, str], set[int | None]] = defaultdict(set)
    for row in shards.query(case, TOLD).to_pylist():
        told[row["content"], row["torrent"]].add(row["file"])
    found, held = Counter[str](), dict[bytes, bool]()
    for row in shards.query(case, HERE, {"sizes": [*about], "exhibit": exhibit}).to_pylist():
        content, files_of = row["sha256"], about[row["size"]]
        if content not in held:
            said = ((told.get((content, torrent), set()), numbers) for torrent, numbers in files_of.items())
            held[content] = all(None in those or numbers <= those for those, numbers in said)
        found[row["exhibit"]] += not held[content]
    return +found


def words(count: int) -> str:
    """As a sentence."""
    files = "1 file has" if count == 1 else f"{count:,} files have"
    were = "was" if count == 1 else "were"
    return f"{files} the size of one in a seized torrent and {were} not held against its pieces: run `clew pieces CASE`"


def number(value: Any) -> int:
    """A number of a worker or a Trait. Raises ValueError for anything else."""
    if type(value) is not int or not 0 <= value < 1 << 63:
        raise ValueError("no number")
    return value
