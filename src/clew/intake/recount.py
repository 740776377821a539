"""What a second parser counted of each file system, beside what the case holds of it: agreed, explained or flagged."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from clew.core import shards
from clew.core.case import Case
from clew.core.places import OWN_NAME_SINCE
from clew.intake import refs
from clew.model import ItemState

KIND, WALKED = "second count", "file system"
CONTENTS, UNLISTED, GAVE_UP = "contents", "directories that it could not list", "gave up: "
ATTRIBUTES = "extended attributes that the walk does not list"
PLACES = "places at which they begin"  # of a disc
# Two more sums over the numbers of the file records: as many others in their place would have to add up to both.
NUMBERS, SQUARES = "sum of their record numbers", "sum of the squares of these"
MODULUS = (1 << 31) - 1  # of the numbers: what is added up stays small, whatever a disk claims
SHARED = "others may have written over part of it, or other disks have it, where one parser may go on and the other not"
NO_COUNT = "no second count: "
NO_SECOND = f"{NO_COUNT}clew had no second reader of it"
OF_DISC = "counted are the files of its first session that have bytes"

_OURS = """
SELECT count(*) FILTER (NOT lost) AS names,
  count(DISTINCT record) FILTER (NOT lost AND stream IN ('name', '0-0')) AS records,
  sum(number) FILTER (NOT lost) AS numbers, sum(number * number) FILTER (NOT lost) AS squares,
  list(item) FILTER (lost) AS lost
FROM (
  SELECT item, TRY_CAST(split_part(substr(ref, $after), '/', 1) AS HUGEINT) % $modulus AS number,
    split_part(substr(ref, $after), '/', 1) AS record, split_part(substr(ref, $after), '/', 2) AS stream,
    hex(path) LIKE '%2F' OR NOT found_by LIKE '%: directory walk' AS lost
  FROM listings
  WHERE exhibit=$exhibit AND starts_with(ref, $volume) AND name_state='live'
    AND (found_by LIKE '%: directory walk' OR found_by LIKE '%: disk')
    AND item NOT IN (SELECT unnest(CAST($renamed AS VARCHAR[])))
)
"""

# Of one tree of a disc; what a later session left out is counted too. A file's ref says how many extents it has.
_OF_TREE = """
SELECT count(*) FILTER (size > 0) AS files,
  count(DISTINCT begins) FILTER (size > 0 AND stream <> 'name') AS places,
  count(*) FILTER (size > 0 AND stream <> 'name') AS read,
  coalesce(sum(TRY_CAST(split_part(stream, '-', 2) AS HUGEINT)) FILTER (size > 0), 0) AS extents,
  list(item) FILTER (stream = 'name' AND NOT folder) AS bare, list(item) FILTER (folder) AS lost
FROM (
  SELECT item, size, split_part(substr(ref, $after), '/', 2) AS stream, hex(path) LIKE '%2F' AS folder,
    coalesce(nullif(split_part(runs, ',', 1), '[]'), ref) AS begins
  FROM listings
  WHERE exhibit=$exhibit AND starts_with(ref, $volume) AND found_by LIKE '%: directory walk'
)
"""


@dataclass(frozen=True, slots=True)
class Recount:
    """One file system. `unexplained`: the counts differ and nothing here says why, or the second one was given up."""

    volume: str
    file_system: str
    parser: str
    theirs: int | None
    ours: int
    said: str
    unexplained: bool = False

    def words(self) -> str:
        """For a person."""
        counted = f"{self.parser} " + ("counted nothing" if self.theirs is None else f"counted {self.theirs:,}")
        counted = f"{counted}, " if self.parser else ""
        return f"{self.file_system} {self.volume}: {counted}clew listed {self.ours:,} live: {self.said}"

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "words": self.words()}


def recounts(case: Case, exhibit: str) -> list[Recount]:
    """Of every file system of an Exhibit whose second count has ended, or that has none."""
    sql = "SELECT * FROM exhibit_runs WHERE exhibit=? AND done_ns IS NOT NULL ORDER BY part"
    rows = [(row["part"], json.loads(row["detail"])) for row in case.read().execute(sql, (exhibit,))]
    shared = {
        part.removesuffix("walk")
        for part, detail in rows
        if part.endswith("/walk") and (detail.get("foreign") or detail.get("striped"))
    }
    counted = [
        (_of_disc if "trees" in detail else _recounted)(
            case, exhibit, part, detail, shared=part.removesuffix("recount") in shared
        )
        for part, detail in rows
        if detail.get("kind") == KIND
    ]
    alone = [(part.removesuffix("walk"), detail) for part, detail in rows if _without(part, detail)]
    return counted + [
        Recount(volume.rstrip("/"), _named(detail), "", None, int(_ours(case, exhibit, volume)["names"]), _why(detail))
        for volume, detail in alone
    ]


def _why(detail: dict[str, Any]) -> str:
    return f"{NO_COUNT}{detail['uncounted']}" if "uncounted" in detail else NO_SECOND


def _named(detail: dict[str, Any]) -> str:
    """Which file system that is; of a disc also which of its trees."""
    return f"{detail['file_system']} ({detail['volume']})" if "iso" in detail else str(detail["file_system"])


def _without(part: str, detail: dict[str, Any]) -> bool:
    """Whether that is the walk of a file system without a second count."""
    return part.endswith("/walk") and detail.get("kind") == WALKED and not detail.get("second")


def _ours(case: Case, exhibit: str, volume: str) -> dict[str, Any]:
    """What the case has of it, without what is listed by another name since."""
    sql = "SELECT id FROM items WHERE exhibit=? AND state=? AND detail=?"
    renamed = case.read().execute(sql, (exhibit, ItemState.SKIPPED, OWN_NAME_SINCE))
    return _asked(case, _OURS, exhibit, volume, modulus=MODULUS, renamed=[row["id"] for row in renamed])


def _asked(case: Case, sql: str, exhibit: str, volume: str, **more: Any) -> dict[str, Any]:
    values = {"exhibit": exhibit, "volume": volume, "after": len(volume) + 1, **more}
    found: dict[str, Any] = shards.query(case, sql, values).to_pylist()[0]
    return found


def _recounted(case: Case, exhibit: str, part: str, detail: dict[str, Any], *, shared: bool) -> Recount:
    volume = part.removesuffix("recount")
    row = _ours(case, exhibit, volume)
    by_record = detail["file_system"] == "APFS"
    ours = int(row["records"] if by_record else row["names"])
    notes = detail.get("notes", {})
    known = (volume.rstrip("/"), detail["file_system"], detail["parser"])
    if failed := _failed(notes):
        return Recount(*known, None, ours, failed, unexplained=True)
    theirs = int(notes[CONTENTS])
    sums = (notes.get(NUMBERS), notes.get(SQUARES))
    same = None in sums or sums == (int(row["numbers"] or 0), int(row["squares"] or 0))
    said, unexplained = _explained(
        theirs, ours, int(notes.get(UNLISTED, 0)), _still(case, row["lost"] or []), same=same, shared=shared
    )
    if by_record:
        said += "; a file of several names counts once"
    return Recount(*known, theirs, ours, said, unexplained)


def _of_disc(case: Case, exhibit: str, part: str, detail: dict[str, Any], *, shared: bool) -> Recount:
    """Of the trees of the first session, whose contents are joined. The Sleuth Kit takes each extent for a file."""
    notes, lost = detail.get("notes", {}), list[str]()
    files = extents = names = 0
    for tree in detail["trees"]:
        row = _asked(case, _OF_TREE, exhibit, f"{refs.volume(refs.place_of(detail) | {'iso': tree})}/")
        unread = _still(case, row["bare"] or [])  # files of which nothing is read
        files, extents = files + unread + int(row["files"]), extents + unread + int(row["extents"])
        names += int(row["read"]) - int(row["places"])
        lost += row["lost"] or []
    known = (part.removesuffix("/recount"), detail["file_system"], detail["parser"])
    if failed := _failed(notes):
        return Recount(*known, None, files, failed, unexplained=True)
    theirs, unlisted = int(notes[CONTENTS]), int(notes.get(UNLISTED, 0))
    said, unexplained = _explained(theirs, extents, unlisted, _still(case, lost), same=True, shared=shared)
    if theirs != extents and notes.get(PLACES) == extents - names:
        more = f"a difference of {abs(theirs - extents):,}, which are further names of contents in one tree alone"
        said, unexplained = f"{more}: they agree on where contents lie", False
    if extents != files:
        said += f"; it takes {extents - files:,} further extents of large files for files"
    return Recount(*known, theirs, files, f"{said}; {OF_DISC}", unexplained)


def _failed(notes: dict[str, Any]) -> str:
    """Why nothing was counted; "" where it was."""
    why = next((each.removeprefix(GAVE_UP) for each in notes if each.startswith(GAVE_UP)), None)
    return f"NO SECOND COUNT ({why or 'nothing was counted'})" if why is not None or CONTENTS not in notes else ""


def _still(case: Case, lost: list[str]) -> int:
    """How many of these, by Item, are still unreadable: other directories were listed since."""
    sql, read = "SELECT 1 FROM items WHERE id=? AND state=?", case.read()
    return sum(read.execute(sql, (item, ItemState.UNREADABLE)).fetchone() is not None for item in lost)


def _explained(
    theirs: int, ours: int, unlisted: int, lost: int, *, same: bool, shared: bool = False
) -> tuple[str, bool]:
    """What is to be said of a difference, and whether it is to be flagged: how much lies in a directory that could not
    be listed is not known, so that it accounts for no number. `same`: whether the file records add up alike; `shared`:
    whether others may have written over part of the file system, which accounts for no number either.
    """
    if theirs == ours and same:
        return "they agree", False
    difference = f"a difference of {abs(theirs - ours):,}"
    if theirs == ours:
        difference = "as many, but NOT THE SAME file records"
    not_listed = unlisted if theirs < ours else lost if theirs > ours else 0
    who = "it" if theirs < ours else "clew"
    what = f"{not_listed:,} directories{' or file records' if who == 'it' else ''}"
    why = [f"{who} could not list {what}, and what lies in them is not known"] if not_listed else []
    why += [SHARED] if shared else []
    if why:
        return f"{difference}, explained in part at best and NOT ACCOUNTED FOR: {'; '.join(why)}", True
    return f"{difference}, UNEXPLAINED: look at this file system with another tool", True
