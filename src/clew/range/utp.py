"""One uTP connection that somebody else began (BEP 29), sans-I/O: packets and seconds in, packets out.

Reliable and in order, and no more than that: no congestion control, since everything stays on one machine. Wire format
and states: BEP 29, "Header format" and "Connection state". Where deployed clients differ from its pseudo code they win:
the ST_STATE that answers an ST_SYN carries the number that the first ST_DATA will have (so libutp and libtorrent).
"""

import math
import random
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

DATA, FIN, STATE, RESET, SYN = range(5)  # BEP 29, "type"
VERSION = 1
HEADER = struct.Struct(">BBHIIIHH")
WINDOW = 1 << 20  # bytes that we say we can take
PAYLOAD = 1_200  # bytes a packet at most: fits an Ethernet frame together with its headers
IN_FLIGHT = 64  # packets unacknowledged at most
AHEAD = 64  # packets held that came before their turn, at most
RESEND_AFTER = 0.5  # seconds; doubles with each try (BEP 29, "Timeouts"), up to SLOWEST_RESEND
SLOWEST_RESEND = 2.0
MOST_TRIES = 8
LINGER = 5.0  # seconds that a connection which we ended waits for the caller's end


@dataclass(frozen=True, slots=True)
class Packet:
    """One uTP packet, its extensions skipped."""

    kind: int
    connection: int
    sent_us: int
    window: int
    seq: int
    ack: int
    payload: bytes


def parse(data: bytes) -> Packet | None:
    """A datagram as a uTP packet, None where it is none."""
    if len(data) < HEADER.size:
        return None
    first, extension, connection, sent_us, _, window, seq, ack = HEADER.unpack_from(data)
    at = HEADER.size
    while extension:  # BEP 29, "extension": a linked list of (next, length, bytes)
        if at + 2 > len(data):
            return None
        extension, length = data[at], data[at + 1]
        at += 2 + length
    if first & 15 != VERSION or first >> 4 > SYN or at > len(data):
        return None
    return Packet(first >> 4, connection, sent_us, window, seq, ack, data[at:])


def refusal(packet: Packet) -> bytes:
    """The ST_RESET for a packet of a connection that there is not."""
    return HEADER.pack(RESET << 4 | VERSION, 0, (packet.connection - 1) & 0xFFFF, 0, 0, 0, 0, packet.seq)


def after(a: int, b: int) -> bool:
    """Whether sequence number `a` comes later than `b`, both modulo 65,536."""
    return 0 < (a - b) & 0xFFFF < 0x8000


@dataclass(slots=True)
class Sent:
    """A packet that nobody has acknowledged yet."""

    kind: int
    payload: bytes
    seq: int
    due: float
    tries: int = 1


class Connection:
    """The answering side. `emit` sends one datagram; `deliver` takes bytes in order, b"" once at their end.

    `over` is true when nothing will come of it any more: both sides have ended, or either was reset or fell silent.
    `absurd` is for a hostile one: whatever it sends then has random sequence and acknowledgement numbers.
    """

    __slots__ = (
        "_ack",
        "_ahead",
        "_deliver",
        "_emit",
        "_ending",
        "_fin_at",
        "_flight",
        "_gone_by",
        "_heard_end",
        "_id",
        "_owes",
        "_queue",
        "_rng",
        "_room",
        "_said_us",
        "_seq",
        "absurd",
        "over",
    )

    def __init__(
        self, syn: Packet, rng: random.Random, emit: Callable[[bytes], None], deliver: Callable[[bytes], None]
    ) -> None:
        self._rng, self._emit, self._deliver = rng, emit, deliver
        self._id = syn.connection  # we send with the number of the SYN and hear that number plus one
        self._seq = rng.randrange(0x10000)  # of the next packet that counts
        self._ack = syn.seq
        self._said_us = syn.sent_us
        self._room = max(syn.window, PAYLOAD)
        self._queue: deque[tuple[int, bytes]] = deque()
        self._flight: deque[Sent] = deque()
        self._ahead: dict[int, bytes] = {}
        self._fin_at: int | None = None
        self._gone_by = math.inf
        self._ending = self._heard_end = self._owes = self.over = self.absurd = False

    def answer(self, now: float) -> None:
        """Says that the connection stands, on an ST_SYN or on its repetition."""
        if not self.over:
            self._packet(STATE, b"", self._flight[0].seq if self._flight else self._seq, now)

    def write(self, data: bytes, now: float) -> None:
        """Queues bytes and sends what the window takes."""
        if not self._ending:
            self._queue.extend((DATA, data[at : at + PAYLOAD]) for at in range(0, len(data), PAYLOAD))
            self._send_queued(now)

    def close(self, now: float) -> None:
        """Says that nothing more comes, after all that is queued."""
        if not self._ending:
            self._ending, self._gone_by = True, now + LINGER
            self._queue.append((FIN, b""))
            self._send_queued(now)

    def reset(self, now: float) -> None:
        """Breaks it off."""
        if not self.over:
            self.over = True
            self._packet(RESET, b"", self._seq, now)

    def receive(self, packet: Packet, now: float) -> None:
        """Takes one packet of the caller's."""
        if self.over:
            return
        if packet.kind == RESET:
            self.over = True
            self._end()
            return
        self._said_us, self._room = packet.sent_us, max(packet.window, PAYLOAD)
        while self._flight and not after(self._flight[0].seq, packet.ack):
            self._flight.popleft()
        self._send_queued(now)
        if packet.kind in (DATA, FIN):
            self._owes = True
            self._take(packet)
            if self._owes:  # unless what we said to it has acknowledged it already
                self._packet(STATE, b"", self._seq, now)
        self.over = self.over or (self._ending and self._heard_end and not self._flight and not self._queue)

    def tick(self, now: float) -> None:
        """Sends again what was not acknowledged in time; gives up after MOST_TRIES, or LINGER after our end."""
        if now > self._gone_by:
            self.over = True
        for sent in self._flight:
            if now < sent.due:
                continue
            if sent.tries >= MOST_TRIES:
                self.over = True
                self._end()
                return
            sent.tries += 1
            sent.due = now + min(SLOWEST_RESEND, RESEND_AFTER * 2 ** (sent.tries - 1))
            self._packet(sent.kind, sent.payload, sent.seq, now)

    def _take(self, packet: Packet) -> None:
        if packet.kind == FIN:
            self._fin_at = packet.seq
        if after(packet.seq, self._ack) and (packet.seq - self._ack) & 0xFFFF <= AHEAD:
            self._ahead[packet.seq] = packet.payload
        while (following := (self._ack + 1) & 0xFFFF) in self._ahead:
            self._ack = following
            payload = self._ahead.pop(following)
            if payload:
                self._deliver(payload)
            if following == self._fin_at:
                self._end()

    def _end(self) -> None:
        if not self._heard_end:
            self._heard_end = True
            self._deliver(b"")

    def _send_queued(self, now: float) -> None:
        flying = sum(len(sent.payload) for sent in self._flight)
        while self._queue and len(self._flight) < IN_FLIGHT:
            kind, payload = self._queue[0]
            if self._flight and flying + len(payload) > self._room:
                return
            self._queue.popleft()
            sent = Sent(kind, payload, self._seq, now + RESEND_AFTER)
            self._seq = (self._seq + 1) & 0xFFFF
            self._flight.append(sent)
            flying += len(payload)
            self._packet(kind, payload, sent.seq, now)

    def _packet(self, kind: int, payload: bytes, seq: int, now: float) -> None:
        now_us = int(now * 1_000_000) & 0xFFFFFFFF
        took_us = (now_us - self._said_us) & 0xFFFFFFFF  # BEP 29, "timestamp_difference_microseconds"
        ack = self._ack
        if self.absurd:
            seq, ack = self._rng.randrange(0x10000), self._rng.randrange(0x10000)
        self._owes = False
        head = HEADER.pack(kind << 4 | VERSION, 0, self._id, now_us, took_us, WINDOW, seq, ack)
        self._emit(head + payload)
