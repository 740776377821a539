"""TCP flows put together from segments (RFC 9293), each direction as far as it is whole.

Where bytes overlap, those that came first in the capture hold; a retransmission that says something else is not
noticed. What comes early waits, within bounds. Once bytes are missing for good, that direction ends there: nothing is
guessed beyond a gap. Memory is bounded in flows, in bytes that wait in one direction, and in all of them together.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from clew.model import Missing, Reason
from clew.observe.captures._packets import ACK, FIN, RST, SYN, Packet
from clew.observe.taken import Account

MAX_FLOWS = 32_768
MAX_AHEAD = 256 * 1024  # bytes that wait in one direction for what is missing before them
MAX_PIECES = 256
MAX_WAITING = 64 << 20
WRAP = 1 << 32
GAP = Missing(Reason.UNREADABLE, "bytes are missing in the capture: the rest of this direction is not read")
FULL = Missing(Reason.LIMIT_REACHED, "too much of the capture comes out of order")
DROPPED = Missing(Reason.LIMIT_REACHED, "more flows at once than are followed")
CUT_OFF = Missing(Reason.UNREADABLE, "the capture ends before this flow does")


class Talk(Protocol):
    """What reads a flow. Side 0 is who opened it."""

    @property
    def over(self) -> bool:
        """Nothing more of this flow is of interest."""

    def data(self, side: int, data: bytes, at_ns: int) -> None:
        """The next bytes of one direction."""

    def gap(self, side: int, why: Missing, at_ns: int) -> None:
        """One direction goes no further."""

    def closed(self, at_ns: int, why: Missing | None) -> None:
        """The flow has ended; `why` where we do not know that it has."""


@dataclass(frozen=True, slots=True)
class Ends:
    """Who talks: addresses as raw bytes. Side 0 opened the flow, as far as the capture shows; `at_ns` is when."""

    addresses: tuple[bytes, bytes]
    ports: tuple[int, int]
    carrier: str
    at_ns: int
    whole: bool = True


@dataclass(slots=True)
class Stream:
    """One direction by numbers that wrap at `modulus`: bytes (TCP), or packets (uTP, where each piece counts 1)."""

    modulus: int
    next: int | None = None
    pieces: dict[int, bytes] = field(default_factory=dict)
    waiting: int = 0
    over: bool = False

    def ahead(self, number: int) -> int:
        """How far `number` lies ahead of what is wanted next; negative for what has been."""
        assert self.next is not None
        half = self.modulus // 2
        return (number - self.next + half) % self.modulus - half

    def wait(self, number: int, data: bytes) -> int:
        """Keeps a piece that is early, the first one that came under its number; how many more bytes wait now."""
        if number in self.pieces:
            return 0
        self.pieces[number] = data
        self.waiting += len(data)
        return len(data)

    def drop(self) -> int:
        """Lets go of what waits and ends here; how many bytes that were."""
        held, self.waiting, self.over = self.waiting, 0, True
        self.pieces.clear()
        return held

    @property
    def full(self) -> bool:
        """Whether more waits than may."""
        return self.waiting > MAX_AHEAD or len(self.pieces) > MAX_PIECES


@dataclass(slots=True)
class Flow:
    """One connection and its two directions."""

    ends: Ends
    talk: Talk
    opening: int | None
    streams: tuple[Stream, Stream] = field(default_factory=lambda: (Stream(WRAP), Stream(WRAP)))
    closing: set[int] = field(default_factory=set)
    done: bool = False

    def side(self, packet: Packet) -> int:
        """Which side sent it. A flow of an address with itself on one port cannot be told apart: side 0."""
        return int((packet.source, packet.source_port) != (self.ends.addresses[0], self.ends.ports[0]))


class TcpFlows:
    """Every flow of a capture that is under way, the one longest silent first."""

    def __init__(self, open_talk: Callable[[Ends], Talk], account: Account) -> None:
        self._open_talk, self._account = open_talk, account
        self._flows: OrderedDict[tuple[bytes, int, bytes, int], Flow] = OrderedDict()
        self._waiting = 0
        self._now = 0

    def segment(self, packet: Packet) -> None:
        """Takes the next segment of the capture."""
        self._now = packet.at_ns
        flow = self._flow(packet)
        if flow.done:
            self._account.counts["bytes left aside"] += len(packet.payload)
            return
        side = flow.side(packet)
        stream = flow.streams[side]
        if packet.flags & SYN:
            stream.next = (packet.sequence + 1) % WRAP
        elif packet.payload or packet.cut:
            self._take(flow, side, packet)
        if packet.flags & RST or (packet.flags & FIN and self._both_closed(flow, side, packet)):
            self._end(flow, None)
        elif flow.talk.over:
            self._leave(flow)

    def finish(self) -> None:
        """The capture is over."""
        for flow in list(self._flows.values()):
            self._end(flow, CUT_OFF)
        self._flows.clear()

    def _flow(self, packet: Packet) -> Flow:
        here, there = (packet.source, packet.source_port), (packet.target, packet.target_port)
        key = (*here, *there) if here <= there else (*there, *here)
        flow = self._flows.get(key)
        opens = packet.flags & (SYN | ACK) == SYN
        if flow is not None and not (opens and flow.opening != packet.sequence):
            self._flows.move_to_end(key)
            return flow
        if flow is not None:
            self._end(self._flows.pop(key), CUT_OFF)
        if len(self._flows) >= MAX_FLOWS:
            self._end(self._flows.popitem(last=False)[1], DROPPED)
        answers = packet.flags & (SYN | ACK) == SYN | ACK
        self._account.counts["TCP flows"] += 1
        if not opens:
            self._account.counts["TCP flows whose beginning is not in the capture"] += 1
        if answers:
            here, there = there, here
        ends = Ends((here[0], there[0]), (here[1], there[1]), "tcp", packet.at_ns, whole=opens)
        flow = self._flows[key] = Flow(ends, self._open_talk(ends), packet.sequence if opens else None)
        return flow

    def _take(self, flow: Flow, side: int, packet: Packet) -> None:
        stream = flow.streams[side]
        if stream.over:
            self._account.counts["bytes left aside"] += len(packet.payload)
            return
        if stream.next is None:
            stream.next = packet.sequence
        ahead = stream.ahead(packet.sequence)
        if ahead > 0:
            self._waiting += stream.wait(packet.sequence, packet.payload)
            if packet.cut:
                self._gap(flow, side, GAP)
            elif stream.full or self._waiting > MAX_WAITING:
                self._gap(flow, side, GAP if stream.full else FULL)
            return
        if ahead < 0:
            self._account.counts["segments sent again"] += 1
        self._forward(flow, side, packet.payload[-ahead:], packet.at_ns)
        if packet.cut and not stream.over and len(packet.payload) + packet.cut > -ahead:
            self._gap(flow, side, GAP)
        while stream.pieces and not stream.over and not flow.talk.over:
            early = min(stream.pieces, key=stream.ahead)
            if stream.ahead(early) > 0:
                return
            data = stream.pieces.pop(early)
            stream.waiting -= len(data)
            self._waiting -= len(data)
            self._forward(flow, side, data[-stream.ahead(early) :], packet.at_ns)

    def _forward(self, flow: Flow, side: int, data: bytes, at_ns: int) -> None:
        stream = flow.streams[side]
        if data and stream.next is not None:
            stream.next = (stream.next + len(data)) % WRAP
            flow.talk.data(side, data, at_ns)

    def _gap(self, flow: Flow, side: int, why: Missing) -> None:
        self._account.counts["directions of a flow that break off at a gap"] += 1
        self._waiting -= flow.streams[side].drop()
        flow.talk.gap(side, why, self._now)

    def _both_closed(self, flow: Flow, side: int, packet: Packet) -> bool:
        """Whether both sides have said all they will; one that said goodbye early still has bytes to come."""
        stream = flow.streams[side]
        if stream.over or stream.next in (None, (packet.sequence + len(packet.payload)) % WRAP):
            flow.closing.add(side)
        return len(flow.closing) == 2

    def _end(self, flow: Flow, why: Missing | None) -> None:
        if flow.done:
            return
        for side, stream in enumerate(flow.streams):
            if stream.pieces and not stream.over and not flow.talk.over:
                self._gap(flow, side, GAP)
        flow.talk.closed(self._now, why)
        self._leave(flow)

    def _leave(self, flow: Flow) -> None:
        for stream in flow.streams:
            self._waiting -= stream.drop()
        flow.done = True
