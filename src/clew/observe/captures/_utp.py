"""uTP flows put together from datagrams (BEP 29). What holds for TCP holds here: first come, bounded, ended at a gap.

A flow is followed from its ST_SYN on; datagrams of flows that began before the capture are counted. Packets are
numbered, not bytes: SYN, every DATA and FIN take one number each.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from struct import Struct

from clew.model import Missing
from clew.observe.captures._packets import Packet
from clew.observe.captures._streams import CUT_OFF, DROPPED, FULL, GAP, MAX_FLOWS, Ends, Held, Stream, Talk
from clew.observe.taken import Account

# "header format": type and version, extension, connection id, two times, window, seq_nr, ack_nr
HEADER = Struct("!BBHIIIHH")
VERSION = 1
DATA, FINAL, STATE, RESET, OPENING = range(5)  # "type": ST_DATA, ST_FIN, ST_STATE, ST_RESET, ST_SYN
MAX_EXTENSIONS = 8
WRAP = 1 << 16
STRAYS = "uTP datagrams of flows whose beginning is not in the capture"
UNSUMMED = "uTP datagrams from fragments without checksum, not read"

Key = tuple[bytes, int, bytes, int, int]


@dataclass(frozen=True, slots=True)
class Datagram:
    """A uTP packet: its header as far as it is needed, and its payload."""

    kind: int
    connection: int
    number: int
    acknowledged: int
    payload: bytes


def datagram(data: bytes) -> Datagram | None:
    """The uTP packet that these bytes are, or None."""
    if len(data) < HEADER.size or data[0] & 0x0F != VERSION or data[0] >> 4 > OPENING:
        return None
    first, extension, connection, _, _, _, number, acknowledged = HEADER.unpack_from(data)
    at = HEADER.size
    for _ in range(MAX_EXTENSIONS):
        if not extension:
            return Datagram(first >> 4, connection, number, acknowledged, data[at:])
        if at + 2 > len(data) or at + 2 + data[at + 1] > len(data):
            return None
        extension, at = data[at], at + 2 + data[at + 1]
    return None


@dataclass(slots=True)
class Flow:
    """One connection. `keys` are its two names: each side sends with its own connection id ("connection id")."""

    ends: Ends
    talk: Talk
    keys: tuple[Key, Key]
    answered: int | None = None  # seq_nr of the ST_STATE that answered
    streams: tuple[Stream, Stream] = field(default_factory=lambda: (Stream(WRAP), Stream(WRAP)))
    finals: dict[int, int] = field(default_factory=dict)  # the number of each side's FIN
    done: bool = False


class UtpFlows:
    """Every uTP flow of a capture that is under way, the one longest silent first."""

    def __init__(self, open_talk: Callable[[Ends], Talk], account: Account) -> None:
        self._open_talk, self._account = open_talk, account
        self._flows: OrderedDict[Key, Flow] = OrderedDict()  # by the name under which its opener sends
        self._sides: dict[Key, tuple[Flow, int]] = {}
        self._held = Held(account)

    def take(self, packet: Packet) -> bool:
        """Takes a UDP datagram; says whether it is uTP."""
        found = datagram(packet.payload)
        if found is None:
            return False
        self._held.now_ns = packet.at_ns
        if found.kind == OPENING:
            self._open(packet, found)
            return True
        key = (packet.source, packet.source_port, packet.target, packet.target_port, found.connection)
        flow, side = self._sides.get(key, (None, 0))
        if flow is None:
            self._account.counts[STRAYS] += 1
        elif flow.done:
            self._account.counts["bytes left aside"] += len(found.payload)
        elif packet.unsummed:  # a flow can be a claim, and no claim rests on what may be a mixture
            self._account.counts[UNSUMMED] += 1
        else:
            self._flows.move_to_end(flow.keys[0])
            self._follow(flow, side, found, packet)
        return True

    def finish(self) -> None:
        """The capture is over."""
        for flow in list(self._flows.values()):
            self._held.end(flow, CUT_OFF)
        self._flows.clear()
        self._sides.clear()

    def _open(self, packet: Packet, found: Datagram) -> None:
        """The SYN carries the id under which answers come; its sender goes on with one more ("connection setup")."""
        here, there = (packet.source, packet.source_port), (packet.target, packet.target_port)
        opener = (*here, *there, (found.connection + 1) % WRAP)
        known = self._flows.get(opener)
        if known is not None and not known.done:
            return  # the SYN once more
        if known is not None:
            self._forget(known, CUT_OFF)
        if len(self._flows) >= MAX_FLOWS:
            self._forget(next(iter(self._flows.values())), DROPPED)
        self._account.counts["uTP flows"] += 1
        ends = Ends((here[0], there[0]), (here[1], there[1]), "utp", packet.at_ns)
        flow = Flow(ends, self._open_talk(ends), (opener, (*there, *here, found.connection)))
        flow.streams[0].next = (found.number + 1) % WRAP
        self._flows[opener] = flow
        for side, key in enumerate(flow.keys):
            self._sides[key] = (flow, side)

    def _follow(self, flow: Flow, side: int, found: Datagram, packet: Packet) -> None:
        if found.kind == RESET:
            self._held.end(flow, None)
            return
        if side == 1 and flow.answered is None:
            flow.answered = found.number
        self._begin_answer(flow, side, found)
        if found.kind in (DATA, FINAL):
            self._take(flow, side, found, packet)
        for each, stream in enumerate(flow.streams):
            self._forward(flow, each, stream)
        if all(s.over or (n in flow.finals and s.ahead(flow.finals[n]) < 0) for n, s in enumerate(flow.streams)):
            self._held.end(flow, None)
        elif flow.talk.over:
            self._held.leave(flow)

    def _begin_answer(self, flow: Flow, side: int, found: Datagram) -> None:
        """Where the answering direction begins. BEP 29 counts the ST_STATE that answers as a packet, clients in use
        (libutp, libtorrent) do not: what the opener acknowledges, or a packet under the answer's own number, tells.
        """
        stream, answered = flow.streams[1], flow.answered
        if stream.next is not None or answered is None:
            return
        first = found.kind in (DATA, FINAL) and found.number == answered
        if first if side == 1 else found.acknowledged == (answered - 1) % WRAP:
            stream.next = answered
        elif side == 0:
            stream.next = (answered + 1) % WRAP

    def _take(self, flow: Flow, side: int, found: Datagram, packet: Packet) -> None:
        stream = flow.streams[side]
        if stream.over:
            self._account.counts["bytes left aside"] += len(found.payload)
            return
        if packet.cut:
            self._held.gap(flow, side, GAP)
            return
        piece = found.payload if found.kind == DATA else b""
        if found.kind == FINAL:
            flow.finals.setdefault(side, found.number)
        if stream.next is not None and stream.ahead(found.number) < 0:
            self._account.counts["segments sent again"] += 1
            return
        self._held.bytes += stream.wait(found.number, piece)

    def _forward(self, flow: Flow, side: int, stream: Stream) -> None:
        """Hands on what has its turn."""
        while stream.next is not None and stream.next in stream.pieces and not flow.talk.over:
            data = stream.pieces.pop(stream.next)
            stream.waiting -= len(data)
            self._held.bytes -= len(data)
            stream.next = (stream.next + 1) % WRAP
            if data:
                flow.talk.data(side, data, self._held.now_ns)
        if not stream.over and (stream.full or self._held.full):
            self._held.gap(flow, side, GAP if stream.full else FULL)

    def _forget(self, flow: Flow, why: Missing) -> None:
        self._held.end(flow, why)
        del self._flows[flow.keys[0]]
        for key in flow.keys:
            if self._sides.get(key, (None, 0))[0] is flow:
                del self._sides[key]
