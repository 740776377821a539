"""What a second parser counted of each file system, beside what the case holds of it: agreed, explained or flagged."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from clew.core import shards
from clew.core.case import Case

KIND = "second count"
CONTENTS, UNLISTED, GAVE_UP = "contents", "directories that it could not list", "gave up: "

_OURS = """
SELECT count(*) FILTER (NOT lost) AS names,
  count(DISTINCT record) FILTER (NOT lost AND stream IN ('name', '0-0')) AS records,
  count(*) FILTER (lost) AS lost
FROM (
  SELECT split_part(substr(ref, $after), '/', 1) AS record, split_part(substr(ref, $after), '/', 2) AS stream,
    hex(path) LIKE '%2F' OR NOT found_by LIKE '%: directory walk' AS lost
  FROM listings
  WHERE exhibit=$exhibit AND starts_with(ref, $volume) AND name_state='live'
    AND (found_by LIKE '%: directory walk' OR found_by LIKE '%: disk')
)
"""


@dataclass(frozen=True, slots=True)
class Recount:
    """One file system. `unexplained`: the counts differ and nothing here says why."""

    volume: str
    file_system: str
    parser: str
    theirs: int | None
    ours: int
    said: str
    unexplained: bool = False

    def words(self) -> str:
        """For a person."""
        counted = "counted nothing" if self.theirs is None else f"counted {self.theirs:,}"
        return f"{self.file_system} {self.volume}: {self.parser} {counted}, clew listed {self.ours:,} live: {self.said}"

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "words": self.words()}


def recounts(case: Case, exhibit: str) -> list[Recount]:
    """Of every file system of an Exhibit whose second count has ended."""
    sql = "SELECT * FROM exhibit_runs WHERE exhibit=? AND done_ns IS NOT NULL ORDER BY part"
    rows = [(row["part"], json.loads(row["detail"])) for row in case.read().execute(sql, (exhibit,))]
    return [_recounted(case, exhibit, part, detail) for part, detail in rows if detail.get("kind") == KIND]


def _recounted(case: Case, exhibit: str, part: str, detail: dict[str, Any]) -> Recount:
    volume = part.removesuffix("recount")
    values = {"exhibit": exhibit, "volume": volume, "after": len(volume) + 1}
    (row,) = shards.query(case, _OURS, values).to_pylist() or [{"names": 0, "records": 0, "lost": 0}]
    by_record = detail["file_system"] == "APFS"
    ours = int(row["records"] if by_record else row["names"])
    notes = detail.get("notes", {})
    failed = next((each.removeprefix(GAVE_UP) for each in notes if each.startswith(GAVE_UP)), None)
    known = (volume.rstrip("/"), detail["file_system"], detail["parser"])
    if failed is not None or CONTENTS not in notes:
        return Recount(*known, None, ours, f"no second count ({failed or 'nothing was counted'})")
    theirs = int(notes[CONTENTS])
    said, unexplained = _explained(theirs, ours, int(notes.get(UNLISTED, 0)), int(row["lost"]))
    if by_record:
        said += "; a file of several names counts once"
    return Recount(*known, theirs, ours, said, unexplained)


def _explained(theirs: int, ours: int, unlisted: int, lost: int) -> tuple[str, bool]:
    """What is to be said of a difference, and whether it is to be unexplained."""
    if theirs == ours:
        return "they agree", False
    difference = f"a difference of {abs(theirs - ours):,}"
    if theirs < ours and unlisted:
        return f"{difference}, explained: it could not list {unlisted:,} directories", False
    if theirs > ours and lost:
        return f"{difference}, explained: {lost:,} directories could not be listed, and stand as unreadable", False
    return f"{difference}, UNEXPLAINED: look at this file system with another tool", True
