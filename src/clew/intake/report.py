"""The end report of an Exhibit: what became of everything in it, what was not covered, and with what it was done.

All of it is asked of the case, never of the run that just ended: whoever asks later gets the same.
"""

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from clew.core import shards, unheld
from clew.core.case import Case
from clew.intake import exiftool, typing_pass, unsaid
from clew.intake.account import Account, account
from clew.intake.acquire import OF, RESUME
from clew.intake.crossed import CROSSED
from clew.intake.doubtful import DAMAGED_COUNTED, READ
from clew.intake.families import family
from clew.intake.relist import taken_back
from clew.intake.report_words import weaknesses, words
from clew.intake.unopened import counted
from clew.intake.work import ERASED, UNVOUCHED
from clew.model import ContentState, NameState

_CONTENTS = f"SELECT media_type, content_state, count(*) AS items FROM ({READ}) GROUP BY ALL"  # noqa: S608 - ours
_NAMES = """
SELECT name_state, found_by, count(*) AS items FROM listings
WHERE exhibit=$exhibit AND item NOT IN (SELECT unnest($twice)) GROUP BY ALL
"""
_STOPPED = """
WITH stopped AS (SELECT DISTINCT content, text, version FROM traits WHERE extractor = 'known-good'),
  again AS (SELECT content FROM traits WHERE extractor <> 'known-good' AND content IN (SELECT content FROM stopped))
SELECT text AS name, version AS id, count(*) AS contents FROM stopped
WHERE content IN (SELECT sha256 FROM contents WHERE exhibit=?) AND content NOT IN (SELECT content FROM again)
GROUP BY ALL ORDER BY ALL
"""


@dataclass(slots=True)
class Report:
    """What is known of one Exhibit at the end of a run. `isolation` and `effects` are those of the newest run, `runs`
    tells all of them, `looks` each time that it was opened again.
    """

    exhibit: str
    label: str
    kind: str
    sha256: str | None
    acquisition: dict[str, Any]
    account: Account
    families: dict[str, int] = field(default_factory=dict)
    partial: int = 0
    doubted: int = 0
    erased: int = 0
    unvouched: int = 0
    crossed: int = 0
    damaged: int = 0
    names: dict[str, int] = field(default_factory=dict)
    found_by: dict[str, int] = field(default_factory=dict)
    known_good: list[dict[str, Any]] = field(default_factory=list)
    extractors_missing: list[dict[str, Any]] = field(default_factory=list)
    not_asked: list[str] = field(default_factory=list)
    unopened: list[dict[str, Any]] = field(default_factory=list)
    retyped: list[dict[str, Any]] = field(default_factory=list)
    not_held: int = 0
    runs: list[dict[str, Any]] = field(default_factory=list)
    looks: list[dict[str, Any]] = field(default_factory=list)
    isolation: dict[str, Any] = field(default_factory=dict)
    effects: dict[str, Any] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether the last run came to its end and nothing at all stayed unread: exit status 0 instead of 3."""
        listed = not any(each["unlisted"] for each in self.retyped)
        return self.account.complete and listed and bool(self.runs) and self.runs[-1]["seconds"] is not None

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        own = {name: getattr(self, name) for name in self.__slots__ if name != "account"}
        return {**self.account.as_dict(), **own, "complete": self.complete}

    def words(self) -> str:
        """For a person."""
        return words(self.as_dict(), self.account)


def report(case: Case, exhibit: str) -> Report:
    """The report of one Exhibit, by id."""
    row = case.read().execute("SELECT * FROM exhibits WHERE id=?", (exhibit,)).fetchone()
    sha256 = row["sha256"].hex() if row["sha256"] else None
    acquisition = json.loads(row["acquisition"])
    for name in (RESUME, OF):
        acquisition.pop(name, None)
    found = Report(exhibit, row["label"], row["kind"], sha256, acquisition, account(case, exhibit))
    ours = {"exhibit": exhibit, "twice": sorted(taken_back(case, exhibit))}
    _contents(case, found, ours)
    why = "SELECT detail, count(*) AS items FROM items WHERE exhibit=? AND state='done' GROUP BY detail"
    doubts = {row["detail"]: row["items"] for row in case.read().execute(why, (exhibit,))}
    found.erased, found.unvouched = doubts.get(ERASED, 0), doubts.get(UNVOUCHED, 0)
    found.crossed = sum(items for said, items in doubts.items() if (said or "").startswith(CROSSED))
    found.damaged = shards.query(case, DAMAGED_COUNTED, ours).to_pylist()[0]["items"]
    for each in shards.query(case, _NAMES, ours).to_pylist():
        found.names[each["name_state"]] = found.names.get(each["name_state"], 0) + each["items"]
        if each["name_state"] != NameState.LIVE:
            found.found_by[each["found_by"]] = found.found_by.get(each["found_by"], 0) + each["items"]
    found.known_good = shards.query(case, _STOPPED, (exhibit,)).to_pylist()
    found.extractors_missing = unsaid.counted(case, exhibit)
    found.not_asked = [*typing_pass.not_asked(case, exhibit), *typing_pass.not_looked(case, exhibit)]
    found.not_asked += exiftool.not_asked(case, exhibit)
    found.unopened = counted(case, exhibit)
    found.retyped = typing_pass.retyped(case, exhibit)
    found.not_held = unheld.counted(case, exhibit)[exhibit]
    _runs(case, found)
    _looks(case, found)
    return found


def _contents(case: Case, found: Report, ours: dict[str, Any]) -> None:
    families: Counter[str] = Counter()
    for row in shards.query(case, _CONTENTS, ours).to_pylist():
        families[family(row["media_type"])] += row["items"]
        found.partial += row["items"] if row["content_state"] == ContentState.PARTIAL else 0
        found.doubted += row["items"] if row["content_state"] == ContentState.OVERWRITTEN_POSSIBLE else 0
    found.families = dict(families)


def _runs(case: Case, found: Report) -> None:
    sql = "SELECT * FROM intake_runs WHERE exhibit=? ORDER BY started_ns"
    for row in case.read().execute(sql, (found.exhibit,)):
        effects, config = json.loads(row["effects"]), json.loads(row["config"])
        isolation = json.loads(row["isolation"])
        seconds = (row["ended_ns"] - row["started_ns"]) / 1e9 if row["ended_ns"] else None
        weak = sorted(name for name, layer in isolation.items() if not layer["reached"])
        run = {"run": row["id"], "started_ns": row["started_ns"], "seconds": seconds, "effects": effects, "weak": weak}
        said = {name: config.get(name, "") for name in ("versions", "hashing")}
        said |= {"known_good": config.get("known_good", []), "in_pass": config.get("in_pass", {})}
        found.runs.append({**run, **said})
        found.isolation, found.effects = isolation, effects


def _looks(case: Case, found: Report) -> None:
    sql = "SELECT * FROM intake_looks WHERE exhibit=? ORDER BY started_ns"
    for row in case.read().execute(sql, (found.exhibit,)):
        seconds = (row["ended_ns"] - row["started_ns"]) / 1e9 if row["ended_ns"] else None
        weak = weaknesses(json.loads(row["isolation"]))
        look = {"look": row["look"], "started_ns": row["started_ns"], "seconds": seconds, "weak": weak}
        found.looks.append({**look, "versions": row["versions"], "effects": json.loads(row["effects"])})
