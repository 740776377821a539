"""TCP flows put together from segments (RFC 9293), each direction as far as it is whole.

Where bytes overlap, those that came first in the capture hold; a retransmission that says something else is not
noticed. Bounds and gaps: `_streams`.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from clew.observe.captures._packets import ACK, FIN, RST, SYN, Packet
from clew.observe.captures._streams import CUT_OFF, DROPPED, FULL, GAP, MAX_FLOWS, Ends, Held, Stream, Talk
from clew.observe.taken import Account

WRAP = 1 << 32


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
        self._held = Held(account)

    def segment(self, packet: Packet) -> None:
        """Takes the next segment of the capture."""
        self._held.now_ns = packet.at_ns
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
            self._held.end(flow, None)
        elif flow.talk.over:
            self._held.leave(flow)

    def finish(self) -> None:
        """The capture is over."""
        for flow in list(self._flows.values()):
            self._held.end(flow, CUT_OFF)
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
            self._held.end(self._flows.pop(key), CUT_OFF)
        if len(self._flows) >= MAX_FLOWS:
            self._held.end(self._flows.popitem(last=False)[1], DROPPED)
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
            self._wait(stream, packet.sequence, packet.payload)
            if packet.cut:
                self._held.gap(flow, side, GAP)
            elif stream.full or self._held.full:
                self._held.gap(flow, side, GAP if stream.full else FULL)
            return
        if ahead < 0:
            self._account.counts["segments sent again"] += 1
        self._forward(flow, side, packet.payload[-ahead:], packet.at_ns)
        if packet.cut and not stream.over and len(packet.payload) + packet.cut > -ahead:
            self._held.gap(flow, side, GAP)
        while stream.pieces and not stream.over and not flow.talk.over:
            early = min(stream.pieces, key=stream.ahead)
            if stream.ahead(early) > 0:
                return
            data = stream.pieces.pop(early)
            stream.waiting -= len(data)
            self._held.bytes -= len(data)
            self._forward(flow, side, data[-stream.ahead(early) :], packet.at_ns)

    def _wait(self, stream: Stream, number: int, data: bytes) -> None:
        """Keeps what is early. Sent again with more behind it, what is new of it waits under its own number."""
        while data and (first := stream.pieces.get(number)):
            number, data = (number + len(first)) % WRAP, data[len(first) :]
        if data:
            self._held.bytes += stream.wait(number, data)

    def _forward(self, flow: Flow, side: int, data: bytes, at_ns: int) -> None:
        stream = flow.streams[side]
        if data and stream.next is not None:
            stream.next = (stream.next + len(data)) % WRAP
            flow.talk.data(side, data, at_ns)

    def _both_closed(self, flow: Flow, side: int, packet: Packet) -> bool:
        """Whether both sides have said all they will; one that said goodbye early still has bytes to come."""
        stream = flow.streams[side]
        if stream.over or stream.next in (None, (packet.sequence + len(packet.payload)) % WRAP):
            flow.closing.add(side)
        return len(flow.closing) == 2
