"""When nobody was watching, and when the clock was set: only the first is a gap, and only gaps are downtime.

Read from the observer's tables, for whoever speaks of it: the observer itself, pages about leads, Bundles. Times are
UTC as the clock stood.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from clew.core import clock
from clew.core.case import Case

CLOCK_SET = "the clock was set "  # how `observe.gaps` begins to say so
FORWARD = " forward"  # and how it ends
PAUSED = "; that a virtual machine was paused shows alike, and nobody watched from it meanwhile"
NO_RUN = "no run was under way"
NO_FAMILY = {family: f"this machine had no {family}" for family in ("IPv4", "IPv6")}  # as `observe.gaps` says so
ALL_OF_THEM = "every Bundle, and clew leads --json, name each"
# In their order whatever the clock said; two never go on at once.
RUNS = "SELECT id, started_ns, ended_ns FROM observe_runs ORDER BY number, started_ns, id"
INSIDE = "SELECT from_ns, to_ns, why FROM observe_gaps ORDER BY from_ns, to_ns, why"
SECOND_NS = 1_000_000_000
HOUR_NS = 3_600 * SECOND_NS
NAMED = 50  # gaps; a timer that starts a run each hour makes some 2,000 in three months


@dataclass(frozen=True, slots=True)
class Gap:
    """A time in which nobody was watching, or over IPv4 or IPv6 alone, and why; `name` is how reports speak of it.

    It ends before it begins where the clock was set back between two runs.
    """

    name: str
    from_ns: int
    to_ns: int
    why: str

    @property
    def over(self) -> str:
        """Over what alone nobody was watching, "IPv4" or "IPv6"; "" where over nothing."""
        return next((family for family, why in NO_FAMILY.items() if why == self.why), "")

    def as_dict(self) -> dict[str, str]:
        """As JSON, times in ISO 8601."""
        return {"name": self.name, "from": clock.iso(self.from_ns), "to": clock.iso(self.to_ns), "why": self.why}

    def __str__(self) -> str:
        """For people."""
        span = f"{clock.iso(self.from_ns)} to {clock.iso(self.to_ns)}"
        hours = (self.to_ns - self.from_ns) / SECOND_NS / 3600
        lasted = f"{hours:.2f} h" if hours >= 0 else "how long is not known: the clock was set back in it"
        what = f"nobody was called over {self.over}" if self.over else "nobody watched"
        return f"{self.name}: {what} from {span} ({lasted}): {self.why}"


@dataclass(frozen=True, slots=True)
class ClockSet:
    """A clock that was set while a run went on: what it read before and after. Nobody stopped watching for that.

    Unless it was set forward after the machine, a virtual one, had been paused: its own time stood still then.
    """

    from_ns: int
    to_ns: int
    why: str

    @property
    def forward(self) -> bool:
        """Whether it may hide a time in which nobody watched."""
        return self.why.endswith(FORWARD)

    def as_dict(self) -> dict[str, str]:
        """As JSON, times in ISO 8601."""
        return {"from": clock.iso(self.from_ns), "to": clock.iso(self.to_ns), "why": self.why}

    def __str__(self) -> str:
        """For people."""
        read = f"it read {clock.iso(self.from_ns)}, then {clock.iso(self.to_ns)}"
        if self.forward:
            return f"{self.why} while a run went on: {read}{PAUSED}"
        return f"{self.why} while watching went on: {read}"


@dataclass(frozen=True, slots=True)
class Interruptions:
    """Of one case, in order of time. Quiet hours are not among them."""

    gaps: tuple[Gap, ...] = ()
    clock_set: tuple[ClockSet, ...] = ()

    @property
    def downtime_ns(self) -> int:
        """How long nobody was watching at all since the first run began, each moment once; at least, where a gap says
        so.
        """
        total = until_ns = 0
        for gap in (each for each in self.gaps if not each.over):
            total += max(0, gap.to_ns - max(gap.from_ns, until_ns))
            until_ns = max(until_ns, gap.to_ns)
        return total

    def sentences(self) -> Iterator[str]:
        """For people, of each gap; of many, of the longest in their order, and of the others together by reason. Those
        of one family of addresses alone are the first that are not named.
        """
        longest = set(sorted(self.gaps, key=lambda gap: (not gap.over, _at_least(gap)), reverse=True)[:NAMED])
        yield from (str(gap) for gap in self.gaps if gap in longest)
        others: dict[str, list[int]] = {}
        for gap in self.gaps:
            if gap not in longest:
                others.setdefault(gap.why, []).append(gap.to_ns - gap.from_ns)
        for why, lasted in others.items():
            most, total = max(lasted) / HOUR_NS, sum(lasted) / HOUR_NS
            yield f"{len(lasted)} more gaps, of {most:.2f} h or less each, {total:.2f} h in all: {why}; {ALL_OF_THEM}"

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "downtime_seconds": self.downtime_ns / SECOND_NS,
            "gaps": [each.as_dict() for each in self.gaps],
            "clock_set": [each.as_dict() for each in self.clock_set],
        }


def _at_least(gap: Gap) -> float:
    """How long it lasted, for comparison: one of a length that nobody knows may be long."""
    return gap.to_ns - gap.from_ns if gap.to_ns >= gap.from_ns else math.inf


def read(case: Case) -> Interruptions:
    """Those of every run so far, and between them. Gaps are numbered in order of time."""
    conn = case.read()
    found: list[tuple[int, int, str]] = []
    for before, after in pairwise(conn.execute(RUNS).fetchall()):
        end_ns = until_ns(case, before)
        if after["started_ns"] != end_ns:
            found.append((end_ns, after["started_ns"], NO_RUN))
    clock_set = []
    for from_ns, to_ns, why in conn.execute(INSIDE):
        if why.startswith(CLOCK_SET):
            clock_set.append(ClockSet(from_ns, to_ns, why))
        else:
            found.append((from_ns, to_ns, why))
    gaps = tuple(Gap(f"gap {number}", *each) for number, each in enumerate(sorted(found), 1))
    return Interruptions(gaps, tuple(clock_set))


def until_ns(case: Case, run: Any) -> int:
    """When a run (a row as of `RUNS`) ended. One that was killed ended, as far as we know, with its last dial."""
    if run["ended_ns"] is not None:
        return int(run["ended_ns"])
    last = case.read().execute("SELECT MAX(intended_ns) FROM dials WHERE run=?", (run["id"],)).fetchone()[0]
    return int(run["started_ns"] if last is None else last)
