"""Files in use that have clusters in common, where each cluster is one file's alone: of two such files one has bytes of
the other, and neither's books say which.

Where files lie is in their listings: once all is listed and read, one pass over the stretches of a file system in their
order finds those that overlap. What was read of both stays as it is, and a second row says that it may be another's.
Names of one file record are one file, and so are its streams.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from clew.core import shards
from clew.core.case import Case, Transaction
from clew.core.places import named
from clew.intake import doubts
from clew.intake.refs import volume
from clew.intake.work import Look
from clew.model import ContentState

CROSSED = "some of its clusters are another file's in use as well, so that one of the two has bytes of the other: "
MOST_NAME = 300  # characters of the other's name
TOGETHER = 20_000  # streams that are taken back in one go: of a file system of which nothing is right it may be all
# In others files share what they hold: clones of APFS, and what a disc lists twice.
_APART = frozenset({"FAT", "exFAT", "NTFS", "ext", "HFS+"})
_INSIDE = "split_part(substr(ref, length($volume) + 1), '/', {})"
_STREAM = f"{_INSIDE.format(1)} || '/' || {_INSIDE.format(2)}"
_SPANS = f"""
WITH lying AS (
  SELECT {_INSIDE.format(1)} AS record, {_INSIDE.format(2)} AS stream,
    unnest(CAST(CAST(runs AS JSON) AS BIGINT[][])) AS run
  FROM listings WHERE exhibit=$exhibit AND starts_with(ref, $volume) AND name_state IN ('live', 'unattached')
    AND runs IS NOT NULL AND NOT contains(ref, '!')
)
SELECT run[1] AS begins, CAST(run[1] AS HUGEINT) + run[2] AS ends, record, stream FROM lying
ORDER BY begins, ends, record, stream
"""  # noqa: S608 - our own words
_FILES = f"""
SELECT item, ref, path, {_STREAM} AS stream FROM listings
WHERE exhibit=$exhibit AND starts_with(ref, $volume) AND {_STREAM} IN (SELECT unnest($streams)) ORDER BY ref
"""  # noqa: S608 - our own words
_CONTENTS = """
SELECT * FROM contents WHERE item IN (SELECT unnest($items)) AND content_state = 'complete'
  AND item NOT IN (SELECT item FROM contents WHERE content_state = 'overwritten possible')
"""


class Span(NamedTuple):
    """A stretch that a stream of a file record lies in."""

    begins: int
    ends: int
    record: str
    stream: str

    @property
    def owner(self) -> str:
        """What tells one stream from another: how refs of it go on behind the volume."""
        return f"{self.record}/{self.stream}"


def apart(detail: Mapping[str, Any]) -> bool:
    """Whether a part of that detail is the walk over a file system in which a cluster is one file's alone."""
    here = detail.get("kind") == "file system" and detail.get("file_system") in _APART
    return here and not detail.get("shares")


def judge(case: Case, exhibit: str, details: Iterable[Mapping[str, Any]], look: Look, mandate: str) -> None:
    """Takes back that files are complete that overlap in one of the file systems of these `details`, and says which
    other it is. So many streams in one transaction; nothing where all is said already.
    """
    for detail in details:
        asked = {"exhibit": exhibit, "volume": f"{volume(detail)}/"}
        found = shards.take(case, _SPANS, _crossing, asked)
        streams = sorted(found)
        for at in range(0, len(streams), TOGETHER):
            some = {stream: found[stream] for stream in streams[at : at + TOGETHER]}
            _take_back(case, exhibit, _reasons(case, asked, some), look, mandate)


def crossing(spans: Iterable[Span]) -> dict[str, str]:
    """The owners of spans, in their order, that overlap one of another file record, each with the first such other."""
    found: dict[str, str] = {}
    far = behind = Span(-1, -1, "", "")  # of all before: which ends last, and which does so of other records than that
    for span in spans:
        other = far if far.record != span.record else behind
        if other.ends > span.begins:
            found.setdefault(span.owner, other.owner)
            found.setdefault(other.owner, span.owner)
        if span.record == far.record:
            far = max(far, span, key=lambda each: each.ends)
        elif span.ends >= far.ends:
            far, behind = span, far
        elif span.ends > behind.ends:
            behind = span
    return found


def _take_back(case: Case, exhibit: str, why: Mapping[str, str], look: Look, mandate: str) -> None:
    rows = shards.query(case, _CONTENTS, {"items": sorted(why)}).to_pylist()
    rows = [row | {"content_state": str(ContentState.OVERWRITTEN_POSSIBLE)} for row in rows]
    pending = [shards.write(case, "contents", rows)] if rows else []
    unsaid = {item: said for item, said in why.items() if _unsaid(case, item, said)}
    if not rows and not unsaid:
        return
    with case.write("intake") as tx:
        doubts.enter(tx, "crossed", sorted(unsaid.keys() | {row["item"] for row in rows}), look, pending)
        _say(tx, unsaid)
        about = {"exhibit": exhibit, "items": sorted(why)}
        tx.record("files.crossed", subject=about, counts={"items": len(why)}, mandate=mandate)


def _reasons(case: Case, asked: Mapping[str, str], found: Mapping[str, str]) -> dict[str, str]:
    """Why the Items of the streams `found`, each with another, are in doubt, and what lies in them."""
    rows = shards.query(case, _FILES, {**asked, "streams": sorted({*found, *found.values()})}).to_pylist()
    names: dict[str, str] = {}
    for row in rows:  # by ref: an archive before what lies in it
        names.setdefault(row["stream"], repr(named(row["path"])["path"])[:MOST_NAME])
    return {row["item"]: CROSSED + names[found[row["stream"]]] for row in rows if row["stream"] in found}


def _crossing(rows: Iterator[tuple[Any, ...]]) -> dict[str, str]:
    return crossing(map(Span._make, rows))


def _unsaid(case: Case, item: str, said: str) -> bool:
    """Whether an Item that was read does not say that yet, nor another reason."""
    sql = (
        "SELECT 1 FROM items WHERE id=? AND state='done' AND (detail IS NULL OR (substr(detail, 1, ?)=? AND detail<>?))"
    )
    return case.read().execute(sql, (item, len(CROSSED), CROSSED, said)).fetchone() is not None


def _say(tx: Transaction, why: Mapping[str, str]) -> None:
    tx.executemany("UPDATE items SET detail=? WHERE id=?", [(said, item) for item, said in why.items()])
