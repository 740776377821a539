"""Holds a run's transcripts against a capture that another process made: that the bytes were on the wire at all.

The capture is of our own machine and made while the run was under way (tcpdump, started by somebody else). Every
contact and control probe must be found in it, byte for byte as far as its transcript keeps bytes; and no flow of ours
may be in it that no dial accounts for. The dials to who never answered are forgotten in time (`retention`): of those
their number is left, which accounts for as many flows, and which these are nobody can say any more.
"""

import ipaddress
import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from clew.core import clock, mandate, shards
from clew.core.case import Case
from clew.core.engine import Policy, Pool, Task
from clew.core.errors import Damaged, Usage
from clew.model import Missing, carrier
from clew.observe.api import SECOND
from clew.observe.captures import _compare
from clew.observe.captures._carry import read_account
from clew.observe.captures._utp import STRAYS
from clew.observe.handed import opened, recognised
from clew.observe.keeping import NOT_MADE
from clew.observe.policy import PURPOSE
from clew.observe.taken import Account
from clew.observe.taking import LIMITS
from clew.observe.transcript import Kind, decode

ENTRY = f"{_compare.__name__}:{_compare.compare.__name__}"
STATES = (_compare.EQUAL, _compare.DIFFERS, _compare.MISSING, _compare.SILENT)
SIDES = {
    "sent": (Kind.SENT, Kind.SENT_LEFT_OUT),
    "received": (Kind.RECEIVED, Kind.RECEIVED_LEFT_OUT),
}
FORMATS = ("pcap", "pcapng")
LATE_NS = 24 * 3_600 * SECOND  # what was intended may wait for the end of quiet hours
EARLY_NS = 1_000_000  # a capture may cut its times down to microseconds, and a clock is set now and then
MOST_SHOWN = 200
NOTHING = "nothing was compared: of this run no contact is kept in which anything was said"
SQL = """
SELECT id, kind, address, port, transport, local_address, local_port, started_ns, ended_ns, transcript FROM sightings
WHERE kind IN ('contact', 'control') AND run = ? ORDER BY sequence
"""


@dataclass(slots=True)
class Compared:
    """The result. `states` counts verdicts by transport, `off` are those not equal; `undisclosed` are flows of ours
    that no dial accounts for, or in which we answered somebody. `forgotten` counts flows that no dial accounts for
    singly, and that are no more than the `forgotten_calls` of that run that were to who never answered.
    """

    run: str
    sha256: str
    states: dict[str, dict[str, int]]
    off: list[dict[str, str]]
    flows: int
    undisclosed: list[dict[str, Any]]
    counts: dict[str, int]
    flaws: list[str] = field(default_factory=list)
    forgotten: int = 0
    forgotten_calls: int = 0

    @property
    def matches(self) -> bool:
        """Whether everything was found as it stands in the case, and nothing else."""
        return not (self.off or self.undisclosed or self.flaws)

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self) | {"matches": self.matches}


def compare(case: Case, path: Path, *, run: str | None = None, accept_weak: bool = False) -> Compared:
    """Compares the capture at `path` with one run (its id or the beginning of it; by default the last one).

    Raises Usage where there is no such run or the file is no capture, Refused without a Mandate to observe.
    """
    basis = mandate.require(case, purpose=PURPOSE, at_ns=clock.now().utc_ns).id
    row = _run(case, run)
    sightings = shards.query(case, SQL, (row["id"],)).to_pylist()
    own = {each["local_address"] for each in sightings} | {json.loads(row["config"])["bind"]}
    with opened(path) as file:
        plugin = recognised(file)
        if plugin.name not in FORMATS:
            raise Usage(f"{path} is no capture", "give a file that tcpdump or dumpcap wrote")
        module = type(plugin).__module__
        payload = {"module": module, "own": sorted(own), "expected": [_expected(each) for each in sightings]}
        heard = _Heard({each["id"] for each in sightings})
        with Pool(1, (_compare.__name__, module), LIMITS, Policy(accept_weak=accept_weak)) as pool:
            for outcome in pool.run([Task(row["id"], ENTRY, payload, (os.dup(file.descriptor),), file.size)]):
                heard.hear(outcome.reply)
        file.still()
    forgotten = _Forgotten(case, row["id"])
    undisclosed = list(_undisclosed(case, row, heard.flows, own, forgotten))
    found = _result(row["id"], file.sha256.hex(), sightings, heard, undisclosed)
    found.forgotten, found.forgotten_calls = forgotten.flows, forgotten.calls
    _record(case, found, basis)
    return found


def _run(case: Case, run: str | None) -> Any:
    sql = "SELECT * FROM observe_runs WHERE substr(id, 1, ?) = ? ORDER BY number DESC, started_ns DESC LIMIT 2"
    rows = case.read().execute(sql, (len(run or ""), run or "")).fetchall()
    if not rows or (run and len(rows) > 1):
        raise Usage("there is no such run in this case, or more than one", "see: clew observe --json, field run")
    return rows[0]


def _expected(row: dict[str, Any]) -> dict[str, Any]:
    """One transcript as both streams: pairs of a length and the bytes as hexadecimal, none where they were left out."""
    segments = decode(row["transcript"])
    streams = {
        name: [(each.length, each.data.hex()) for each in segments if each.kind in kinds and each.length]
        for name, kinds in SIDES.items()
    }
    place = (row["local_address"], row["local_port"], row["address"], row["port"], carrier(row["transport"]))
    return {"id": row["id"], "place": place, "started_ns": row["started_ns"], "ended_ns": row["ended_ns"], **streams}


@dataclass(frozen=True, slots=True)
class Flow:
    """A flow in the capture that one of our addresses has part in; bytes by who sent them, opener first."""

    opener: str
    opener_port: int
    address: str
    port: int
    carrier: str
    at_ns: int
    sent: int
    received: int


class _Heard:
    """What the worker said, checked."""

    def __init__(self, asked: set[str]) -> None:
        self.verdicts: dict[str, tuple[str, str]] = {}
        self.flows: list[Flow] = []
        self.account = Account()
        self._asked = asked

    def hear(self, reply: Any) -> None:
        """Takes one reply. Raises Damaged for what cannot be."""
        if isinstance(reply, Missing):
            self.account.flaw(Missing(reply.reason, f"the capture was not read to its end: {reply.detail}"))
            return
        told = reply.value
        try:
            if "counts" in told:
                self.account = read_account(told)
            for name, state, why in told.get("verdicts", ()):
                if name not in self._asked or state not in STATES or type(why) is not str:
                    raise ValueError("a verdict")
                self.verdicts[name] = state, why[:MOST_SHOWN]
            self.flows += [_flow(*each) for each in told.get("flows", ())]
        except (TypeError, ValueError, AttributeError) as error:
            raise Damaged(f"the capture's reader said something that cannot be: {error}") from error


def _flow(*told: Any) -> Flow:
    opener, opener_port, address, port, over, *numbers = told
    if not all(type(each) is int and each >= 0 for each in (opener_port, port, *numbers)) or over not in (
        "tcp", "utp", "udp",
    ):  # fmt: skip
        raise ValueError("a flow")
    there = str(ipaddress.ip_address(opener)), opener_port, str(ipaddress.ip_address(address)), port
    return Flow(*there, over, *numbers)


class _Forgotten:
    """Calls of a run that nobody answered, of which only the number is kept; the flows that they account for."""

    def __init__(self, case: Case, run: str) -> None:
        self._left: Counter[str] = Counter()
        self._until_ns: Counter[str] = Counter()
        self.flows = 0
        sql = "SELECT transport, calls, until_ns FROM forgotten_dials WHERE run=?"
        for transport, calls, until_ns in case.read().execute(sql, (run,)):
            over = carrier(transport)
            self._left[over] += calls
            self._until_ns[over] = max(self._until_ns[over], until_ns)
        self.calls = self._left.total()

    def takes(self, flow: Flow) -> bool:
        """Whether one of them is left for this flow, and none of them came so late."""
        if not self._left[flow.carrier] or flow.at_ns > self._until_ns[flow.carrier] + LATE_NS:
            return False
        self._left[flow.carrier] -= 1
        self.flows += 1
        return True


def _undisclosed(
    case: Case, run: Any, flows: list[Flow], own: set[str], forgotten: _Forgotten
) -> Iterator[dict[str, Any]]:
    """Flows that we opened and no dial of the run accounts for, and those of others that we said something in.

    Each dial accounts for one flow to its place that begins after its intent, each forgotten one for one to any place.
    """
    dials: dict[tuple[str, int, str], list[int]] = defaultdict(list)
    sql = "SELECT address, port, transport, intended_ns FROM dials WHERE run=? AND state<>? ORDER BY intended_ns DESC"
    for row in case.read().execute(sql, (run["id"], NOT_MADE)):
        dials[row["address"], row["port"], carrier(row["transport"])].append(row["intended_ns"])
    until = run["ended_ns"] or clock.now().utc_ns
    for flow in sorted(flows, key=lambda each: each.at_ns):
        if not run["started_ns"] - EARLY_NS <= flow.at_ns <= until + EARLY_NS:
            continue
        waiting = dials[flow.address, flow.port, flow.carrier]
        if flow.opener not in own:
            if flow.received:
                yield _shown(flow, "somebody opened it, and we answered")
        elif waiting and waiting[-1] <= flow.at_ns + EARLY_NS:
            waiting.pop()
        elif not forgotten.takes(flow):
            yield _shown(flow, "no dial accounts for it")


def _shown(flow: Flow, why: str) -> dict[str, Any]:
    return asdict(flow) | {"at": clock.iso(flow.at_ns), "why": why}


def _result(
    run: str, sha256: str, sightings: list[dict[str, Any]], heard: _Heard, undisclosed: list[dict[str, Any]]
) -> Compared:
    states: dict[str, Counter[str]] = defaultdict(Counter)
    off = []
    for each in sightings:
        state, why = heard.verdicts.get(each["id"], (_compare.MISSING, "the capture was not read to its end"))
        states[each["transport"]][state] += 1
        if state in (_compare.DIFFERS, _compare.MISSING):
            off.append({"sighting": each["id"], "transport": each["transport"], "state": state, "why": why})
    flaws = [str(flaw) for flaw in heard.account.flaws]
    if strays := heard.account.counts[STRAYS]:
        flaws.append(f"{strays} {STRAYS}")
    if not any(counts.keys() - {_compare.SILENT} for counts in states.values()):
        flaws.append(NOTHING)
    counted = {name: dict(counts) for name, counts in states.items()}
    return Compared(run, sha256, counted, off, len(heard.flows), undisclosed, dict(heard.account.counts), flaws)


def _record(case: Case, found: Compared, basis: str) -> None:
    totals: Counter[str] = Counter()
    for counts in found.states.values():
        totals.update(counts)
    totals |= Counter({"undisclosed": len(found.undisclosed), "forgotten": found.forgotten, "flaws": len(found.flaws)})
    with case.write("observe") as tx:
        subject = {"run": found.run, "sha256": found.sha256, "matches": found.matches}
        tx.record("capture.compared", subject=subject, counts=dict(totals), mandate=basis)
