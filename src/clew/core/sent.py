"""Leads that left in Bundles, held against what the case holds now: who has one that is none any more, and why.

A Bundle is encrypted to its force, so `share` keeps what left in it (`bundles.leads`). What does not stand is taken
back in every later Bundle for that force: it may never see the next one.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from clew.core import clock, since
from clew.core.case import Case

ANYTHING = "its address and port answer for anything by now: what was said there counts for nothing"
UNSURE = "whose force it is, is not certain any more, so it stays with the coordinating force"
UNPLACED = "no force of the sender's case answers for its place any more"
UNCOVERED = "no Mandate of the sender covers its place any more; nothing that was seen there is less true for that"
OTHERWISE = "its contacts are counted otherwise by now, for another lead or for several"
NONE = "what was seen there makes no lead any more"
TIMES = "the lead stands, but not at these times: take those of the newest bundle alone"
LEFT = """
SELECT id, force, created_ns, leads, taken_back, checkpoint FROM bundles WHERE leads IS NOT NULL AND checkpoint > ?
ORDER BY checkpoint -- the length of the Ledger then: each Bundle makes it longer, whatever the clock said
"""


@dataclass(frozen=True, slots=True)
class Times:
    """An endpoint interval of a Lead as it left; `transport` is its carrier."""

    address: str
    port: int
    transport: str
    from_ns: int
    to_ns: int

    def holds(self, other: "Times") -> bool:
        """Whether the other one lies in this one."""
        here = (self.address, self.port, self.transport) == (other.address, other.port, other.transport)
        return here and self.from_ns <= other.from_ns and other.to_ns <= self.to_ns


@dataclass(frozen=True, slots=True)
class Copy:
    """One Bundle in which a Lead left, and which rank it has there."""

    bundle: str
    created_ns: int
    rank: int


@dataclass(slots=True)
class Sent:
    """A Lead that left for a force, in these Bundles. `expires_ns`: until when it holds by one of them, None where they
    are of a version that did not keep it; `told`: why the newest one takes it back.
    """

    force: str
    lead: str
    subject: str
    copies: list[Copy] = field(default_factory=list)
    intervals: list[Times] = field(default_factory=list)
    expires_ns: int | None = None
    told: str | None = None


@dataclass(frozen=True, slots=True)
class TakenBack:
    """What a force has, and what does not hold any more: the whole Lead, or these intervals of it.

    `told`: whether the newest Bundle for that force says so.
    """

    force: str
    lead: str
    why: str
    copies: tuple[Copy, ...]
    intervals: tuple[Times, ...]
    told: bool

    @property
    def uncovered(self) -> bool:
        """Whether nothing speaks against it, and only the sender may not follow it any further."""
        return self.why == UNCOVERED

    def words(self) -> str:
        """One line for people; the first endpoint names it beside the Lead's id."""
        first, last = self.intervals[0], self.copies[-1]
        more = f" and {len(self.intervals) - 1} more" if len(self.intervals) > 1 else ""
        return (
            f"lead {self.lead} ({first.address} port {first.port}{more}) left for {self.force}, last in the bundle "
            f"{last.bundle} of {clock.iso(last.created_ns)[:10]}: {self.why}"
        )


class Left:
    """What left in the Bundles of a case, each of which is read once, however often this is asked."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._found: dict[tuple[str, str], Sent] = {}
        self._told: dict[str, dict[str, str]] = {}  # by force, what the newest Bundle takes back
        self._read = -1  # checkpoint of the last Bundle that was read

    def all(self) -> list[Sent]:
        """Every Lead that left, by force, in order of the first Bundle that held it."""
        for row in self._case.read().execute(LEFT, (self._read,)):
            for lead, told in json.loads(row["leads"]).items():
                each = self._found.setdefault((row["force"], lead), Sent(row["force"], lead, told["subject"]))
                _add(each, Copy(row["id"], row["created_ns"], told["rank"]), told)
            self._told[row["force"]] = json.loads(row["taken_back"])
            self._read = row["checkpoint"]
        for (force, lead), each in self._found.items():
            each.told = self._told[force].get(lead)
        return list(self._found.values())


def _add(sent: Sent, copy: Copy, told: dict[str, Any]) -> None:
    sent.copies.append(copy)
    sent.expires_ns = max(filter(None, (sent.expires_ns, told.get("expires_ns"))), default=None)
    times = [Times(*each) for each in told["intervals"]]
    if not all(any(known.holds(each) for known in sent.intervals) for each in times):
        sent.intervals = _joined([*sent.intervals, *times])


def unlisted(case: Case, force: str) -> int:
    """How many Bundles for this force were built by an earlier version, of which nobody knows what left in them."""
    row = case.read().execute("SELECT count(*) FROM bundles WHERE force = ? AND leads IS NULL", (force,)).fetchone()
    return int(row[0])


def told(sent: Iterable[Sent]) -> list[TakenBack]:
    """What the newest Bundle of each force takes back."""
    return [taken_back(each, each.told) for each in sent if each.told]


def changed(
    case: Case,
    sent: Sequence[Sent] | None = None,
    promiscuous: set[since.Place] | None = None,
    now_ns: int | None = None,
) -> list[TakenBack]:
    """Every Lead that left for a force and is none any more, or another's, or not at all its times, and why.

    One that expired by `now_ns` (default: now) is none of them: its Bundle says until when it holds. `sent`: these
    alone; `promiscuous`: what `since.promiscuous` told, where the caller has it.
    """
    sent = Left(case).all() if sent is None else sent
    if not sent:
        return []
    bad = since.promiscuous(case) if promiscuous is None else promiscuous
    with case.snapshot():  # Leads and intervals of one run of `attribute`
        now = _now(case, bad, clock.now().utc_ns if now_ns is None else now_ns)
    return [taken_back(each, *found) for each in sent if (found := now.against(each)) is not None]


def taken_back(sent: Sent, why: str, intervals: Iterable[Times] | None = None) -> TakenBack:
    """The whole Lead, or some intervals of it, taken back for this reason."""
    lost = sent.intervals if intervals is None else intervals
    return TakenBack(sent.force, sent.lead, why, tuple(sent.copies), tuple(lost), sent.told == why)


def as_kept(subject: str, rank: int, expires_ns: int, intervals: Iterable[Sequence[Any]]) -> dict[str, Any]:
    """One Lead as `bundles.leads` keeps it; an interval is the values of Times in order."""
    times = [list(each) for each in intervals]
    return {"subject": subject, "rank": rank, "expires_ns": expires_ns, "intervals": times}


@dataclass(frozen=True, slots=True)
class _Now:
    """The case as it is: Leads by id and by Subject, intervals by Subject, Subjects by place, endpoints that answer for
    anything.
    """

    leads: dict[str, Any]
    of: dict[str, Any]
    intervals: dict[str, list[Times]]
    there: dict[since.Place, list[str]]
    promiscuous: set[since.Place]
    now_ns: int

    def against(self, sent: Sent) -> tuple[str, tuple[Times, ...]] | None:
        """Why it does not stand, and which of its intervals; None where it does, or has expired."""
        lead, everything = self.leads.get(sent.lead), tuple(sent.intervals)
        if any((each.address, each.port) in self.promiscuous for each in sent.intervals):
            return ANYTHING, everything
        if lead is None:
            why = self._gone(sent)
            return None if why is None else (why, everything)
        if lead["force"] != sent.force:
            return _moved(lead), everything
        lost = tuple(each for each in sent.intervals if not self._goes_on(lead["subject"], each))
        return (TIMES, lost) if lost and not self._expired(lead) else None

    def _expired(self, lead: Any) -> bool:
        return lead["state"] == "expired" or int(lead["expires_ns"]) <= self.now_ns

    def _stands(self, subject: str, times: Times) -> bool:
        return any(each.holds(times) for each in self.intervals.get(subject, ()))

    def _goes_on(self, subject: str, times: Times) -> bool:
        """Whether a Subject of this id is there to the end of these times. It begins with the contact that it began
        with: where its times begin later by now, it claimed the torrent alone before, and claims the file since.
        """
        return any(replace(each, from_ns=times.from_ns).holds(times) for each in self.intervals.get(subject, ()))

    def _gone(self, sent: Sent) -> str | None:
        """Why there is no Lead of this id; None where it has merely expired."""
        here = {subject for each in sent.intervals for subject in self.there.get((each.address, each.port), ())}
        subject = self._same(sent, here)
        if subject is None:
            return OTHERWISE if here else NONE
        lead = self.of.get(subject)
        if lead is None:
            expired = sent.expires_ns is not None and sent.expires_ns <= self.now_ns
            return None if expired else UNCOVERED
        if lead["force"] != sent.force:
            return _moved(lead)
        return None if self._expired(lead) else f"it stands, as another lead: {lead['id']}"

    def _same(self, sent: Sent, here: set[str]) -> str | None:
        """The Subject that has all its times: its own, or one of those, where an earlier contact came in, say."""
        if all(self._goes_on(sent.subject, each) for each in sent.intervals):
            return sent.subject
        stands = (each for each in sorted(here) if all(self._stands(each, times) for times in sent.intervals))
        return next(stands, None)


def _now(case: Case, promiscuous: set[since.Place], now_ns: int) -> _Now:
    conn = case.read()
    intervals: dict[str, list[Times]] = defaultdict(list)
    for row in conn.execute("SELECT subject, address, port, transport, from_ns, to_ns FROM subject_intervals"):
        intervals[row["subject"]].append(Times(*tuple(row)[1:]))
    rows = list(conn.execute("SELECT id, subject, force, country, uncertain, expires_ns, state FROM leads"))
    joined = {subject: _joined(each) for subject, each in intervals.items()}
    there: dict[since.Place, list[str]] = defaultdict(list)
    for subject, held in joined.items():
        for place in {(each.address, each.port) for each in held}:
            there[place].append(subject)
    by_id, by_subject = ({row[name]: row for row in rows} for name in ("id", "subject"))
    return _Now(by_id, by_subject, joined, there, promiscuous, now_ns)


def _moved(lead: Any) -> str:
    if lead["force"] is not None:
        return f"by the registers that were asked since, its place is another force's: {lead['country']}"
    return UNSURE if lead["uncertain"] else UNPLACED


def _joined(intervals: Iterable[Times]) -> list[Times]:
    """Without those that lie in another one, and those of several Watches as one where they overlap."""
    made: list[Times] = []
    for each in sorted(intervals, key=lambda i: (i.address, i.port, i.transport, i.from_ns, i.to_ns)):
        last = made[-1] if made else None
        same = last and (last.address, last.port, last.transport) == (each.address, each.port, each.transport)
        if last and same and each.from_ns <= last.to_ns:
            made[-1] = Times(*(each.address, each.port, each.transport), last.from_ns, max(last.to_ns, each.to_ns))
        else:
            made.append(each)
    return made
