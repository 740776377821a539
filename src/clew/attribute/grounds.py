"""What a corroboration rests on: people's statements, when its Exhibits were seized, and the intervals of its Lead.
Where they are others by now, what came out says no longer what it said, until artefacts are set beside the Lead anew.
"""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from clew.attribute.caveats import ARTEFACTS, ARTEFACTS_BEFORE
from clew.core.case import Transaction

STATED = "SELECT id, exhibit, subject FROM statements WHERE withdrawn_ns IS NULL ORDER BY id"
SEIZED = "SELECT id, seized_ns FROM exhibits WHERE seized_ns IS NOT NULL"
INTERVALS = "SELECT subject, watch, from_ns, to_ns FROM subject_intervals"
CONTRADICTED = "SELECT lead, subject, findings FROM corroborations WHERE outcome='contradicted' AND at_ns <= ?"
ANY_NS = 2**63 - 1
Interval = tuple[str, str, int, int]  # subject, Watch, from, to


@dataclass(frozen=True, slots=True)
class Grounds:
    """All statements that stand, all seizures whose time is stated and all intervals, at one time."""

    belongs: Mapping[str, list[str]]  # Subject -> statements that an Exhibit belongs to it
    clocks: Mapping[str, list[str]]  # Exhibit -> statements of its clock
    intervals: Mapping[str, list[list[Any]]]  # Subject -> its intervals
    seized: Mapping[str, int]  # Exhibit -> when it was seized, which may be stated long after it was taken in

    def of(self, subject: str, exhibits: Iterable[str]) -> dict[str, list[Any]]:
        """Those that a corroboration of this Subject by these Exhibits rests on, as they are kept beside it (JSON)."""
        wanted = sorted(set(exhibits))
        stated = [*self.belongs.get(subject, ()), *(each for one in wanted for each in self.clocks.get(one, ()))]
        seized = [[each, self.seized[each]] for each in wanted if each in self.seized]
        intervals = sorted(self.intervals.get(subject, ()))
        return {"exhibits": wanted, "statements": sorted(stated), "seized": seized, "intervals": intervals}

    def bear(self, subject: str, findings: str) -> bool:
        """Whether they are still what these findings rest on; not where an earlier clew did not keep that."""
        held = kept(findings)
        return bool(held) and held.items() <= self.of(subject, held["exhibits"]).items()  # an earlier clew kept less


def kept(findings: str) -> dict[str, list[Any]]:
    """What these findings say that they rest on; nothing where an earlier clew did not keep that."""
    said = json.loads(findings)
    return (said["rests_on"] or {}) if isinstance(said, dict) else {}


def read(conn: sqlite3.Connection, intervals: Iterable[Interval] | None = None) -> Grounds:
    """As they are now; with these intervals, where the case's own are not yet made."""
    belongs, clocks = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
    for row in conn.execute(STATED):
        about = clocks[row["exhibit"]] if row["subject"] is None else belongs[row["subject"]]
        about.append(row["id"])
    spans = defaultdict[str, list[list[Any]]](list)
    for subject, *span in conn.execute(INTERVALS) if intervals is None else intervals:
        spans[subject].append(span)
    return Grounds(belongs, clocks, spans, {row["id"]: row["seized_ns"] for row in conn.execute(SEIZED)})


def against(conn: sqlite3.Connection, now: Grounds, until_ns: int = ANY_NS) -> dict[str, str]:
    """Lead -> what stands against it, where artefacts contradicted it when they were last set beside it until then."""
    rows = conn.execute(CONTRADICTED, (until_ns,))
    return {
        str(row["lead"]): ARTEFACTS if now.bear(row["subject"], row["findings"]) else ARTEFACTS_BEFORE for row in rows
    }


def restate(tx: Transaction) -> None:
    """Says beside each lead that artefacts contradicted whether that still holds as it stands."""
    for lead, line in against(tx.conn, read(tx.conn)).items():
        speak(tx, lead, line)


def speak(tx: Transaction, lead: str, line: str | None) -> None:
    """A contradiction stands among all else that speaks against the lead, and leaves with it; one that is gone does
    not.
    """
    row = tx.execute("SELECT against FROM leads WHERE id=?", (lead,)).fetchone()
    if row is None:
        return
    lines = [each for each in json.loads(row["against"]) if each not in (ARTEFACTS, ARTEFACTS_BEFORE)]
    lines += [line] if line else []
    tx.execute("UPDATE leads SET against=? WHERE id=?", (json.dumps(lines), lead))
