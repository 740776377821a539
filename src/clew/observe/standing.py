"""How the observing of a case stands, from the case alone: for `clew status` and the live view of a run under way.

A run keeps what it saw within seconds (`observe.run`), so this is at most that much behind it.
"""

from dataclasses import asdict, dataclass
from typing import Any

from clew.core import clock, interruptions
from clew.core.case import Case
from clew.core.lease import held_since
from clew.observe.api import SECOND
from clew.observe.keeping import INTENT, NAMED
from clew.observe.steady import steady

MINUTE_NS, HOUR_NS = 60 * SECOND, 3_600 * SECOND
GAPS_SHOWN = 5
TIERS = """SELECT best, count(*) FROM (
             SELECT max(CASE control WHEN 'promiscuous' THEN control ELSE tier END) AS best
             FROM endpoints GROUP BY address, port
           ) GROUP BY best ORDER BY best"""
TRANSPORTS = "SELECT transport, count(*) FROM endpoints WHERE transport IS NOT NULL GROUP BY 1 ORDER BY 1"
FAILURES = "SELECT last_failure, count(*) FROM endpoints WHERE last_failure IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1"
NAMED_US = "SELECT total(json_extract(coverage, '$.ourselves.' || ?)) FROM observe_runs"
WAITING = "SELECT label FROM watches WHERE added_ns > (SELECT started_ns FROM observe_runs WHERE id=?) ORDER BY label"
LAST = "SELECT * FROM observe_runs ORDER BY number DESC, started_ns DESC LIMIT 1"
DUE = """SELECT count(next_ns), total(next_ns <= :now), total(next_ns <= :minute), total(next_ns <= :hour), min(next_ns)
         FROM endpoints"""


@dataclass(frozen=True, slots=True)
class Standing:
    """`places` are of address and port, by the highest tier for any Watch; promiscuous ones apart.

    `due` counts endpoints whose next visit is due: now, within the next minute, within the hour, at any time;
    `earliest_s` is how many seconds the first of them is away. `in_hand` are calls whose result is not kept yet.
    `under_way`: whether the last run is. One that was killed has no end, and in `last_run` when it was `cut_off`.
    `waiting` are the labels of Watches that came since the last run began, and that it does not ask for.
    `named_us`: how often others named us, in all runs, as `Account.of_ourselves` counts it.
    """

    places: dict[str, int]
    transports: dict[str, int]
    failures: dict[str, int]
    due: dict[str, int]
    earliest_s: float | None
    in_hand: int
    oldest_s: float | None
    gaps: int
    last_gaps: tuple[dict[str, str], ...]
    named_us: dict[str, int]
    clock_set: tuple[dict[str, str], ...]
    runs: int
    under_way: bool
    last_run: dict[str, Any] | None
    waiting: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def standing(case: Case) -> Standing:
    """How it stands now."""
    read, now = case.read(), clock.now()
    at_ns = steady(case, now).at(now)
    times = {"now": at_ns, "minute": at_ns + MINUTE_NS, "hour": at_ns + HOUR_NS}
    planned, due, minute, hour, earliest = read.execute(DUE, times).fetchone()
    in_hand, oldest = read.execute("SELECT count(*), min(intended_ns) FROM dials WHERE state=?", (INTENT,)).fetchone()
    found, row = interruptions.read(case), case.read().execute(LAST).fetchone()
    under_way = row is not None and _under_way(case, row)
    last = _last_run(case, row, under_way=under_way) if row is not None else None
    return Standing(
        places=_counts(case, TIERS),
        transports=_counts(case, TRANSPORTS),
        failures=_counts(case, FAILURES),
        due={"now": int(due), "minute": int(minute), "hour": int(hour), "planned": planned},
        earliest_s=None if earliest is None else _seconds(earliest - at_ns),
        in_hand=in_hand,
        oldest_s=None if oldest is None else _seconds(now.utc_ns - oldest),
        gaps=len(found.gaps),
        last_gaps=tuple(each.as_dict() for each in found.gaps[-GAPS_SHOWN:]),
        clock_set=tuple(each.as_dict() for each in found.clock_set[-GAPS_SHOWN:]),
        named_us={name: int(read.execute(NAMED_US, (name,)).fetchone()[0]) for name in NAMED},
        runs=read.execute("SELECT count(*) FROM observe_runs").fetchone()[0],
        under_way=under_way,
        last_run=last,
        waiting=tuple(label for (label,) in read.execute(WAITING, (last["id"],))) if last else (),
    )


def lately(case: Case) -> dict[str, int]:
    """Calls begun in the last minute by this machine's clock, by kind. Goes through all calls of the case."""
    sql = "SELECT kind, count(*) FROM dials WHERE intended_ns > ? GROUP BY kind ORDER BY kind"
    return dict(map(tuple, case.read().execute(sql, (clock.now().utc_ns - MINUTE_NS,))))


def _counts(case: Case, sql: str) -> dict[str, int]:
    return dict(map(tuple, case.read().execute(sql)))


def _under_way(case: Case, run: Any) -> bool:
    """Whether this run goes on: its holder is there, and had the lease as it began. A later import has that too."""
    since_ns = held_since(case, "observe")
    return run["ended_ns"] is None and since_ns is not None and since_ns <= run["started_ns"]


def _last_run(case: Case, row: Any, *, under_way: bool) -> dict[str, Any]:
    ended = clock.iso(row["ended_ns"]) if row["ended_ns"] is not None else None
    cut_off = clock.iso(interruptions.until_ns(case, row)) if ended is None and not under_way else None
    told = {"id": row["id"], "began": clock.iso(row["started_ns"]), "ended": ended, "cut_off": cut_off}
    return told | {"vantage": row["vantage"]}


def _seconds(ns: int) -> float:
    return round(max(0, ns) / SECOND, 1)
