"""The leads of a case as the scoring reads them: by SQL, knowing no stage."""

import json
from dataclasses import dataclass

from clew.core import shards
from clew.core.case import Case
from clew.model import carrier

TIERS = ("E0", "E1", "E2, torrent only", "E2")
EARLY = 0.98  # of the revisit interval: the observer counts by a monotonic clock, sightings are dated by UTC


@dataclass(frozen=True, slots=True)
class Interval:
    """One endpoint interval of a lead. `transport` is what carries it (tcp, utp); `times` are those of its contacts."""

    address: str
    port: int
    transport: str
    from_ns: int
    to_ns: int
    watch: str
    tier: str = "E0"
    times: tuple[int, ...] = ()

    def repeated_ns(self, revisit_ns: int) -> int | None:
        """When a contact first lay the revisit interval after the first one: what makes E2. None where none did."""
        first = min(self.times, default=0)
        return min((t for t in self.times[1:] if t - first >= EARLY * revisit_ns), default=None)


@dataclass(frozen=True, slots=True)
class Lead:
    """A lead as the case shows it. `force` is None where it stays with the coordinating force.

    It rests on `contacts` that answered, and on `hearsay`: whatever else its intervals name as a sighting.
    """

    id: str
    subject: str
    force: str | None
    tier: str
    country: str
    uncertain: bool
    caveats: tuple[str, ...]
    intervals: tuple[Interval, ...]
    contacts: int
    hearsay: int = 0
    points: float = 0.0

    def repeated_ns(self, revisit_ns: int) -> int | None:
        """When its first interval became E2."""
        found = (i.repeated_ns(revisit_ns) for i in self.intervals if i.tier == "E2")
        return min((t for t in found if t is not None), default=None)


def read_leads(case: Case) -> list[Lead]:
    """Every lead with its intervals and how many contacts (not listings) it rests on, in order of its points."""
    conn = case.read()
    intervals, rests = _intervals(case)
    return [
        Lead(
            id=row["id"],
            subject=row["subject"],
            force=row["force"],
            tier="E2, torrent only" if row["torrent_only"] and row["tier"] == "E2" else row["tier"],
            country=row["country"],
            uncertain=bool(row["uncertain"]),
            caveats=tuple(json.loads(row["caveats"])),
            intervals=tuple(intervals.get(row["subject"], ())),
            contacts=rests.get(row["subject"], [0, 0])[0],
            hearsay=rests.get(row["subject"], [0, 0])[1],
            points=row["score"],
        )
        for row in conn.execute("SELECT * FROM leads ORDER BY score DESC, id")
    ]


def _intervals(case: Case) -> tuple[dict[str, list[Interval]], dict[str, list[int]]]:
    """By subject: its intervals, and how many contacts and how much hearsay they name."""
    conn = case.read()
    labels = {row["id"]: row["label"] for row in conn.execute("SELECT id, label FROM watches")}
    sql = "SELECT id, started_ns FROM sightings WHERE kind='contact' AND tier<>'E0'"
    contacts = {row["id"]: row["started_ns"] for row in shards.query(case, sql).to_pylist()}
    intervals: dict[str, list[Interval]] = {}
    rests: dict[str, list[int]] = {}
    for row in conn.execute("SELECT * FROM subject_intervals ORDER BY subject, from_ns"):
        named = json.loads(row["sightings"])
        times = tuple(sorted(contacts[each] for each in named if each in contacts))
        where = (row["address"], row["port"], carrier(row["transport"]), row["from_ns"], row["to_ns"])
        watch = labels.get(row["watch"], row["watch"])
        intervals.setdefault(row["subject"], []).append(Interval(*where, watch, row["tier"], times))
        tally = rests.setdefault(row["subject"], [0, 0])
        tally[0] += len(times)
        tally[1] += len(named) - len(times)
    return intervals, rests
