"""What was and was not looked at, as it stands in every report about leads and in Bundles: absence is never evidence.

Read from the observer's tables (`observe_runs`, `observe_gaps`, `endpoints`, `dials`) and its sightings; all counts are
of the whole case. It is here since attribute and share, which know nothing of each other, say the same. Who was only
listed is forgotten after 7 days, so the share of those who could be contacted is of what is held.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from clew.core import clock, interruptions, questions, shards, since
from clew.core.case import Case
from clew.core.interruptions import Interruptions
from clew.core.lister import lister
from clew.core.questions import ALL, Questions

CONTACTS = """
SELECT transport, tool, vantage, count(DISTINCT id) AS contacts, count(DISTINCT id) FILTER (tier <> 'E0') AS answered
FROM sightings WHERE kind = 'contact' GROUP BY ALL ORDER BY ALL
"""
PLACES = """
SELECT address, port, max(tier) AS tier, max(last_failure) AS why FROM endpoints GROUP BY address, port
"""
INTERRUPTED = "SELECT count(*) FROM dials WHERE state = 'interrupted' AND kind "
# Who may not be called keeps the refusal's words, and has no next visit until one may be (`observe.book`).
UNCOVERED = """
SELECT count(*) FROM (SELECT DISTINCT address, port FROM endpoints WHERE tier <> 'E0' AND next_ns IS NULL
                      AND control IS NOT 'promiscuous' AND last_failure LIKE 'refused: %Mandate%')
"""
RUNS = """
SELECT id, started_ns, ended_ns, vantage, config, coverage FROM observe_runs ORDER BY number, started_ns, id
"""
FIRST_LISTS = """
SELECT label, at_ns FROM watches LEFT JOIN first_lists ON watch = watches.id ORDER BY at_ns IS NULL, at_ns, label
"""
LATE_NS = 3_600_000_000_000  # after the first run began: within one interval of a tracker, or two, all are asked for
NOT_CALLED = "not called yet"
COVERED = "not_covered"  # in what every run keeps at its end
UNSEEN = (  # `bench/bench_unseen.py` measures again why
    "no estimate: lists of trackers, DHT and peers depend on one another, and no method that was tried keeps its "
    "promised 95% then (docs/unseen.md)"
)


@dataclass(frozen=True, slots=True)
class Coverage:
    """One case's coverage. `listed` counts the addresses with port that are held, `uncovered` those that had answered
    and that no Mandate covered when they should have been called again; `interrupted` counts contacts, `cut_off` all
    other calls that were. `unweighed`: contacts and control probes that came since the Leads were made; None where
    nobody knows. `watches`: each by its label, with when the first list came of who is there for it. `unasked`: runs of
    earlier versions, which did not keep how many questions brought no list.
    """

    vantages: tuple[str, ...]
    networks: tuple[str, ...]
    transports: tuple[tuple[str, int, int], ...]
    sources: tuple[str, ...]
    runs: int
    from_ns: int | None
    to_ns: int | None
    interruptions: Interruptions
    quiet_hours: tuple[str, ...]
    listed: int
    contacted: int
    not_contacted: tuple[tuple[str, int], ...]
    interrupted: int
    cut_off: int = 0
    uncovered: int = 0
    left_aside: tuple[tuple[str, int], ...] = ()
    unweighed: int | None = 0
    questions: tuple[Questions, ...] = ()
    unasked: int = 0
    watches: tuple[tuple[str, int | None], ...] = ()
    unseen: str = UNSEEN

    @property
    def share(self) -> float | None:
        """Of the places that were listed, the share that answered at least once; None where none was listed."""
        return round(self.contacted / self.listed, 4) if self.listed else None

    def as_dict(self) -> dict[str, Any]:
        """For `--json`, times in ISO 8601."""
        times = {"from": _iso(self.from_ns), "to": _iso(self.to_ns)}
        told = {"share_contacted": self.share, "sentences": list(self.sentences())}
        kept = {name: value for name, value in asdict(self).items() if not name.endswith("_ns")}
        del kept["interruptions"]
        kept["questions"] = [each.as_dict() for each in self.questions]
        kept["watches"] = [{"watch": label, "first_list": _iso(at_ns)} for label, at_ns in self.watches]
        return kept | times | self.interruptions.as_dict() | told

    def sentences(self, watches: Collection[str] | None = None, *, every_gap: bool = False) -> Iterator[str]:
        """For people, one thing each. Of single Watches only those with these labels are named, where any are given:
        who receives a Bundle learns of no other, and of `every_gap`, as it has nothing else that names them.
        """
        if not self.runs:
            yield "no network was observed in this case"
        else:
            yield f"seen from: {', '.join(self.vantages)}; who cannot be reached from there is not in it"
            span = f"{_iso(self.from_ns)} to {_iso(self.to_ns)}"
            yield f"watched from {span}, in {self.runs} run{'s' * (self.runs != 1)}"
            yield from self._interruptions(watches, every_gap=every_gap)
            yield from self._late(watches)
        if self.listed:
            yield (
                f"{self.contacted} of {self.listed} listed addresses with port ({(self.share or 0):.1%}) could be "
                "contacted; who was only listed is forgotten after 7 days"
            )
        yield from (f"not contacted: {count} ({why})" for why, count in self.not_contacted)
        if self.uncovered:
            yield f"had answered, and are not called any more since no Mandate covers them: {self.uncovered}"
        if self.interrupted:
            yield f"contacts that were interrupted, and are not counted: {self.interrupted}"
        if self.cut_off:
            yield f"control probes and questions who is there that were interrupted: {self.cut_off}"
        yield from (f"left aside while asking who is there: {count} ({why})" for why, count in self.left_aside)
        for each in self.questions:
            if each.failed:
                yield str(each)
                yield from each.of_watches(watches)
        if self.unasked:
            yield f"runs of an earlier version, which did not keep how often no list came: {self.unasked}"
        yield f"networks: {', '.join(self.networks) or 'none'}; listed by: {', '.join(self.sources) or 'nobody'}"
        told = ", ".join(f"{name} ({answered} of {of} answered)" for name, of, answered in self.transports)
        yield f"contacts over: {told or 'none'}; who uses other networks, transports or sources was not seen"
        if self.unweighed is None:
            yield "how much of this came since the leads were made, and is in none of them, is not known"
        elif self.unweighed:
            yield f"contacts and control probes that came since the leads were made, and are in none: {self.unweighed}"
        if self.transports:
            yield "contacts with who never answered are forgotten after 7 days and not in these numbers any more"
        yield f"how many were not seen at all: {self.unseen}"

    def _late(self, only: Collection[str] | None) -> Iterator[str]:
        """Of Watches for which lists came later than watching began, those of one hour together, or none at all."""
        assert self.from_ns is not None
        found: dict[int, list[str]] = {}
        never, first_ns = [], self.from_ns
        for label, at_ns in self.watches:
            if only is not None and label not in only:
                continue
            if at_ns is None:
                never.append(label)
            elif at_ns - self.from_ns > LATE_NS:
                first_ns = at_ns if at_ns - first_ns > LATE_NS else first_ns
                found.setdefault(first_ns, []).append(label)
        for at_ns, labels in found.items():
            yield f"nobody told who is there for {', '.join(labels)} before {_iso(at_ns)}: who was, was not seen"
        if never:
            yield f"nobody told so far who is there for {', '.join(never)}: who is, was not seen"

    def _interruptions(self, only: Collection[str] | None, *, every_gap: bool) -> Iterator[str]:
        told = *self.interruptions.gaps, *self.quiet_hours, *(c for c in self.interruptions.clock_set if c.forward)
        by_all = [each for each in self.questions if each.source == ALL]
        unlisted = [str(each) for each in by_all if each.silent]
        unlisted += [told for each in by_all for told in each.of_watches(only)]
        if not (told or unlisted):
            yield "somebody watched all the time between the first and the last of it"
        yield from map(str, self.interruptions.gaps) if every_gap else self.interruptions.sentences()
        yield from unlisted
        yield from map(str, self.interruptions.clock_set)
        yield from (f"quiet hours in which nobody was called: {hours}" for hours in self.quiet_hours)


def read(case: Case) -> Coverage:
    """The coverage of a case as it is now."""
    conn = case.read()
    runs = conn.execute(RUNS).fetchall()
    places = conn.execute(PLACES).fetchall()
    contacts = shards.query(case, CONTACTS).to_pylist()
    silent = Counter(_why(row["why"]) for row in places if row["tier"] == "E0")
    return Coverage(
        vantages=tuple(sorted({row["vantage"] for row in (*runs, *contacts) if row["vantage"]})),
        networks=tuple(sorted({_network(row["tool"]) for row in contacts if row["tool"]})),
        transports=_transports(contacts),
        sources=tuple(sorted({_source(row[0]) for row in conn.execute("SELECT DISTINCT source FROM endpoints")})),
        runs=len(runs),
        from_ns=min((row["started_ns"] for row in runs), default=None),
        to_ns=max((interruptions.until_ns(case, row) for row in runs), default=None),
        interruptions=interruptions.read(case),
        quiet_hours=tuple(sorted({text for row in runs if (text := _quiet(row["config"]))})),
        listed=len(places),
        contacted=len(places) - silent.total(),
        not_contacted=tuple(sorted(silent.items())),
        interrupted=conn.execute(INTERRUPTED + "= 'contact'").fetchone()[0],
        cut_off=conn.execute(INTERRUPTED + "<> 'contact'").fetchone()[0],
        uncovered=conn.execute(UNCOVERED).fetchone()[0],
        left_aside=_left_aside(row["coverage"] for row in runs),
        unweighed=since.read(case).count,
        watches=tuple(map(tuple, conn.execute(FIRST_LISTS))),
        questions=questions.read(row["coverage"] for row in runs),
        unasked=sum(COVERED in (told := json.loads(row["coverage"])) and questions.KEPT not in told for row in runs),
    )


def _left_aside(told: Iterable[str]) -> tuple[tuple[str, int], ...]:
    """What limits kept runs from, by its words, as each run keeps telling while it goes on."""
    found = Counter[str]()
    for text in told:
        found.update(json.loads(text).get("limits", {}))
    return tuple(sorted(found.items()))


def _transports(contacts: list[dict[str, Any]]) -> tuple[tuple[str, int, int], ...]:
    made, answered = Counter[str](), Counter[str]()
    for row in contacts:
        made[row["transport"]] += row["contacts"]
        answered[row["transport"]] += row["answered"]
    return tuple((name, made[name], answered[name]) for name in sorted(made))


def _network(tool: str) -> str:
    """The network that a sighting's `tool` names: "clew VERSION NETWORK VERSION"."""
    words = tool.split(" ")
    return words[2] if len(words) == 4 else tool


def _source(text: str) -> str:
    """Where a listing came from, by kind."""
    scheme, found, _ = lister(text).partition("://")
    return f"{scheme.upper()} trackers" if found else scheme


def _why(text: str | None) -> str:
    """Why nobody was contacted, without what a Mandate's refusal names: the address, or a tracker with its passkey."""
    return text.partition(": Mandate ")[0] if text else NOT_CALLED


def _quiet(config: str) -> str | None:
    """The quiet hours of one run's policy, in words."""
    policy: Any = json.loads(config) if config.startswith("{") else {}
    hours = policy.get("quiet_hours")
    return f"{hours[0]:02d}:00 to {hours[1]:02d}:00 UTC" if hours else None


def _iso(ns: int | None) -> str | None:
    return None if ns is None else clock.iso(ns)
