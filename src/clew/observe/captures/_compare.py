"""In a locked worker: the flows of our own addresses in a capture, and whether their bytes are those of transcripts.

What a transcript keeps must stand at its place in the stream, and what it left out must be as long as it says. What we
sent must be all of it; of what came in, more may have been on the wire than we read.
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from clew.core.channel import Reply
from clew.model import Missing
from clew.observe.captures._endpoint import text
from clew.observe.captures._flows import TcpFlows
from clew.observe.captures._fragments import Fragments
from clew.observe.captures._packets import TCP, Packet, packet
from clew.observe.captures._streams import Ends
from clew.observe.captures._utp import UtpFlows
from clew.observe.taken import Account

MAX_STREAM = 1 << 20
NEAR_NS = 2_000_000_000
BATCH = 500
BUFFER = 1 << 20
EQUAL, DIFFERS, MISSING, SILENT = "equal", "differs", "missing", "nothing said"

Place = tuple[str, int, str, int, str]


@dataclass(slots=True)
class Recorded:
    """One flow of ours: what both sides said, as far as the capture has it."""

    ends: Ends
    said: tuple[bytearray, bytearray] = field(default_factory=lambda: (bytearray(), bytearray()))
    lengths: list[int] = field(default_factory=lambda: [0, 0])
    gaps: set[int] = field(default_factory=set)
    over: bool = False

    def data(self, side: int, data: bytes, at_ns: int) -> None:  # noqa: ARG002 - of the protocol Talk
        """The next bytes of one side."""
        self.lengths[side] += len(data)
        self.said[side].extend(data[: MAX_STREAM - len(self.said[side])])

    def gap(self, side: int, why: Missing, at_ns: int) -> None:  # noqa: ARG002 - of the protocol Talk
        """One side goes no further."""
        self.gaps.add(side)

    def closed(self, at_ns: int, why: Missing | None) -> None:
        """The end."""

    @property
    def place(self) -> Place:
        """Who opened it to whom, over what."""
        (a, b), (port_a, port_b) = self.ends.addresses, self.ends.ports
        return text(a), port_a, text(b), port_b, self.ends.carrier


class _Ours:
    """Every flow of a capture that one of our addresses has part in."""

    def __init__(self, own: set[str], account: Account) -> None:
        self._own, self._account = own, account
        self.flows: list[Recorded] = []
        self._tcp, self._utp = TcpFlows(self._open, account), UtpFlows(self._open, account)
        self._udp: dict[Place, Recorded] = {}

    def take(self, one: Packet) -> None:
        """Takes the next packet of the capture."""
        if text(one.source) not in self._own and text(one.target) not in self._own:
            self._account.counts["packets of others"] += 1
        elif one.protocol == TCP:
            self._tcp.segment(one)
        elif not self._utp.take(one):
            self._datagram(one)

    def finish(self) -> None:
        """The capture is over."""
        self._tcp.finish()
        self._utp.finish()

    def _open(self, ends: Ends) -> Recorded:
        made = Recorded(ends)
        self.flows.append(made)
        return made

    def _datagram(self, one: Packet) -> None:
        """Datagrams are a flow by their endpoints; whoever sent the first opened it."""
        ends = Ends((one.source, one.target), (one.source_port, one.target_port), "udp", one.at_ns)
        place = Recorded(ends).place
        back = (*place[2:4], *place[:2], "udp")
        side = int(back in self._udp)
        flow = self._udp.get(back if side else place)
        if flow is None:
            flow = self._udp[place] = self._open(ends)
        flow.data(side, one.payload, one.at_ns)


def compare(payload: dict[str, Any], fds: list[int]) -> Iterator[Reply]:
    """Verdicts on the transcripts of `expected`, every flow that has one of the addresses `own`, and the account."""
    account = Account()
    ours, fragments = _Ours(set(payload["own"]), account), Fragments(account)
    frames = sys.modules[payload["module"]].frames
    with os.fdopen(fds[0], "rb", BUFFER, closefd=False) as stream:
        for frame in frames(stream, account):
            one = packet(frame, account, fragments)
            if one is not None:
                ours.take(one)
    fragments.finish()
    ours.finish()
    by_place: dict[Place, list[Recorded]] = {}
    for flow in ours.flows:
        by_place.setdefault(flow.place, []).append(flow)
    verdicts = [[each["id"], *_verdict(each, by_place)] for each in payload["expected"]]
    flows = [[*flow.place, flow.ends.at_ns, *flow.lengths] for flow in ours.flows]
    for name, rows in (("verdicts", verdicts), ("flows", flows)):
        for at in range(0, len(rows), BATCH):
            yield Reply({name: rows[at : at + BATCH]})
    yield Reply({"counts": dict(+account.counts), "flaws": [[f.reason.value, f.detail] for f in account.flaws]})


def _verdict(wanted: dict[str, Any], by_place: dict[Place, list[Recorded]]) -> tuple[str, str]:
    """What the capture says of one transcript, and why where it is not equal."""
    place: Any = tuple(wanted["place"])
    near = [
        flow
        for flow in by_place.get(place, ())
        if wanted["started_ns"] - NEAR_NS <= flow.ends.at_ns <= wanted["ended_ns"] + NEAR_NS
    ]
    if not wanted["sent"] and not wanted["received"]:
        return SILENT, ""
    if not near:
        return MISSING, "no such flow in the capture"
    flow = min(near, key=lambda each: abs(each.ends.at_ns - wanted["started_ns"]))
    for side, name in ((0, "sent"), (1, "received")):
        state, why = _side(wanted[name], flow, side)
        if state != EQUAL:
            return state, f"{name}: {why}"
    return EQUAL, ""


def _side(parts: list[tuple[int, str]], flow: Recorded, side: int) -> tuple[str, str]:
    said, at = flow.said[side], 0
    for length, kept in parts:
        data = bytes.fromhex(kept)
        if data and said[at : at + length] != data[: max(0, len(said) - at)]:
            return DIFFERS, f"other bytes than in the transcript, from byte {at} on"
        at += length
    on_the_wire = flow.lengths[side]
    if on_the_wire < at:
        why = "a gap in the capture" if side in flow.gaps else "the flow ends"
        return MISSING, f"{on_the_wire} bytes of {at}: {why}"
    if side == 0 and on_the_wire > at:
        return DIFFERS, f"{on_the_wire - at} bytes left that stand in no transcript"
    if at > MAX_STREAM:
        return MISSING, f"more than {MAX_STREAM} bytes are not compared"
    return EQUAL, ""
