"""uTP (BEP 29), the initiator's side: a stream over UDP, for the conversation inside it.

Packets are numbered; what arrives out of order waits in a small window, and what arrives twice is dropped. There is no
congestion control: LEDBAT tells a sender of much how fast it may go, and all that we send is a few messages of one
small packet each, some of them repeated, and one acknowledgement of 20 bytes for each packet that carries something.
For the same reason the window of the peer, never as small as one of our messages, is not looked at, and a selective ack
is skipped: it tells what not to repeat, and we repeat little.

The number of packets is bounded: at most MOST_DATAGRAMS are read, each is answered by one packet at most, and beside
those answers the SYN and each message of the inner conversation goes out TRIES times at most, and one RESET at the end.
A listed address that never answers gets TRIES packets of 20 bytes.

We end with a RESET and not with a FIN: a FIN has to be acknowledged and answered by another, to a port that is closed
by then, and until it gives up the peer would keep the connection and repeat its own. After a RESET it keeps nothing.

On the Tape, the header of a packet that came in stands before the bytes of the stream that became readable by it, that
of a DATA packet of ours after the message that it carries; a repeated packet is its header alone. A DATA packet without
payload is taken like any other, so that a replay can hand in each header with the bytes that stand behind it.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace

from clew.model import Missing, Reason
from clew.observe.api import (
    REFUSED,
    SECOND,
    TOO_SLOW,
    Contact,
    Conversation,
    Event,
    Limits,
    Send,
    Sendable,
    Sighted,
    Tape,
)
from clew.observe.networks import _utp_packets as p

FIRST_TIMEOUT_NS = SECOND  # BEP 29, "timeouts": one second at first, doubled each time
TRIES = 4
WINDOW = 16 * 1024  # bytes that a peer may have under way to us; also the most that waits for an earlier packet
MOST_AHEAD = 16  # packets that may wait for an earlier one
MOST_DATAGRAMS = 512
HALF = p.NUMBERS // 2  # a number up to this far ahead is later, any other earlier
RECEIVED = {kind: f"received utp {name.lower()}" for kind, name in p.NAMES.items()}  # for the account


@dataclass(slots=True)
class _Unacknowledged:
    """A packet of ours that the peer has not confirmed: the SYN where there is no `message`."""

    seq: int
    message: Sendable | None
    tries: int
    due_ns: int


class InnerTape:
    """The inner conversation's Tape. The transcript is made once, when our last packet stands on the tape too."""

    __slots__ = ("_tape",)

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    def sent(self, data: bytes, at_ns: int) -> None:
        """Passed on."""
        self._tape.sent(data, at_ns)

    def received(self, data: bytes, at_ns: int) -> None:
        """Passed on."""
        self._tape.received(data, at_ns)

    def left_out(self, label: str, length: int, at_ns: int, *, sent: bool = False) -> None:
        """Passed on."""
        self._tape.left_out(label, length, at_ns, sent=sent)

    def header(self, data: bytes, at_ns: int, *, sent: bool = False) -> None:
        """Passed on."""
        self._tape.header(data, at_ns, sent=sent)

    def end(self, how: str, at_ns: int) -> None:
        """Passed on."""
        self._tape.end(how, at_ns)

    def encode(self) -> bytes:
        """Nothing yet."""
        return b""


class UtpConversation:
    """One connection that we begin, around the conversation that `inner` makes.

    The connection id and the number of the SYN are the first four bytes of SHA-256 of b"uTP" and the entropy: the
    entropy itself, which other layers use too, cannot be told from them.
    """

    def __init__(self, limits: Limits, inner: Callable[[Tape], Conversation], tape: Tape, entropy: bytes) -> None:
        self._limits, self._inner, self._tape = limits, inner(InnerTape(tape)), tape
        drawn = hashlib.sha256(b"uTP" + entropy).digest()
        self._hears = int.from_bytes(drawn[:2], "big")  # the connection id of packets to us; of ours, one more
        self._syn = self._seq = int.from_bytes(drawn[2:4], "big")  # `_seq` is the last number that we have used
        self._ack = 0
        self._difference = 0
        self._unacknowledged: list[_Unacknowledged] = []
        self._ahead: dict[int, bytes | None] = {}  # by number, what waits; None is a FIN
        self._waiting = self._datagrams = 0
        self._connected = self._gone = self._over = self._acked = False
        self._now = self._end_ns = 0
        self._traffic: defaultdict[str, int] = defaultdict(int)
        self._out: list[Event] = []

    @property
    def wake_ns(self) -> int:
        """When time alone ends this, or something has to be repeated."""
        wake = self._inner.wake_ns if self._connected else self._end_ns
        for each in self._unacknowledged:
            wake = min(wake, each.due_ns)
        return wake

    @property
    def held(self) -> int:
        """Bytes that wait for an earlier packet or for the rest of their message."""
        return self._waiting + self._inner.held

    def opened(self, now_ns: int) -> list[Event]:
        """Sends the SYN."""
        self._now, self._end_ns = now_ns, now_ns + self._limits.answer_ns
        self._transmit(_Unacknowledged(self._syn, None, 0, 0))
        return self._flush()

    def receive(self, data: bytes, now_ns: int) -> list[Event]:
        """Takes one datagram."""
        if self._over:
            return []
        self._now, self._acked = now_ns, False
        self._datagrams += 1
        packet = p.read(data)
        if self._datagrams > MOST_DATAGRAMS:
            self._finish(Missing(Reason.LIMIT_REACHED, "more datagrams than one contact may send"))
        elif packet is None or not self._is_ours(packet):
            self._traffic["received datagram of no use"] += len(data)
        else:
            self._tape.header(packet.head(data), now_ns)
            self._traffic[RECEIVED[packet.kind]] += packet.size
            self._take(packet, data[packet.size :])
        return self._flush()

    def tick(self, now_ns: int) -> list[Event]:
        """Repeats what was not confirmed; ends the conversation where its time is over."""
        if self._over or now_ns < self.wake_ns:
            return []
        self._now = now_ns
        if self._connected:
            self._do(self._inner.tick(now_ns))
        elif now_ns >= self._end_ns:
            self._finish(TOO_SLOW)
        for each in self._unacknowledged:
            if not self._over and now_ns >= each.due_ns:
                self._repeat(each)
        return self._flush()

    def closed(self, now_ns: int, why: Missing | None = None) -> list[Event]:
        """Ends the conversation on what was said before."""
        if self._over:
            return []
        self._now, self._gone = now_ns, self._gone or why == REFUSED
        self._finish(why)
        return self._flush()

    # what comes in --------------------------------------------------------------------------------------------------

    def _is_ours(self, packet: p.Packet) -> bool:
        """Whether a packet belongs to this connection, and confirms nothing but what we have sent.

        Who has no such connection refuses with the id and the number of the packet that came (a STATE's number is that
        of the next DATA).
        """
        unconfirmed = (self._seq - packet.header.ack) % p.NUMBERS
        if packet.kind == p.RESET:
            known = packet.header.connection in (self._hears, (self._hears + 1) % p.NUMBERS)
            return known and (unconfirmed + 1) % p.NUMBERS <= self._sent + 1
        return packet.header.connection == self._hears and unconfirmed <= self._sent

    @property
    def _sent(self) -> int:
        """How many DATA packets we have sent, each counted once."""
        return (self._seq - self._syn) % p.NUMBERS

    def _take(self, packet: p.Packet, payload: bytes) -> None:
        self._difference = (self._micros() - packet.header.time) % p.TIMES
        if packet.kind == p.RESET:
            self._gone = True
            self._finish(None if self._connected else REFUSED)
        elif not self._connected:
            if packet.kind == p.STATE:
                self._connect(packet.header)
        elif packet.kind != p.SYN:
            ack = packet.header.ack
            self._unacknowledged = [e for e in self._unacknowledged if (ack - e.seq) % p.NUMBERS >= HALF]
            if packet.kind in (p.DATA, p.FIN):
                self._arrived(packet.header.seq, payload if packet.kind == p.DATA else None)

    def _connect(self, header: p.Header) -> None:
        """The SYN is confirmed. A STATE uses up no number (BEP 29, "type"): the first DATA will have the same."""
        self._connected, self._ack = True, (header.seq - 1) % p.NUMBERS
        self._unacknowledged.clear()
        self._do(self._inner.opened(self._now))

    def _arrived(self, seq: int, payload: bytes | None) -> None:
        """Hands on what is in order, and confirms; what is too far ahead is not even confirmed."""
        ahead, size = (seq - self._ack) % p.NUMBERS, len(payload or b"")
        if ahead == 1:
            self._deliver(payload)
        elif 1 < ahead < HALF:
            if ahead > MOST_AHEAD or seq in self._ahead or self._waiting + size > WINDOW:
                self._traffic["received utp data of no use"] += size
                return
            self._ahead[seq] = payload
            self._waiting += size
        else:
            self._traffic["received utp data again"] += size
        if not self._over and not self._acked:
            self._say(p.UtpState(self._header(self._seq + 1)))

    def _deliver(self, payload: bytes | None) -> None:
        while not self._over:
            self._ack, self._acked = (self._ack + 1) % p.NUMBERS, False
            if payload is None:
                self._finish(None)
            elif payload:
                self._do(self._inner.receive(payload, self._now))
            following = (self._ack + 1) % p.NUMBERS
            if following not in self._ahead:
                return
            payload = self._ahead.pop(following)
            self._waiting -= len(payload or b"")

    # what goes out --------------------------------------------------------------------------------------------------

    def _do(self, events: list[Event]) -> None:
        """Wraps what the inner conversation sends, and passes its end on."""
        for event in events:
            if isinstance(event, Sighted):
                self._end(event)
            else:
                self._seq = (self._seq + 1) % p.NUMBERS
                self._transmit(_Unacknowledged(self._seq, event.message, 0, 0))

    def _transmit(self, packet: _Unacknowledged) -> None:
        self._unacknowledged.append(packet)
        self._repeat(packet)

    def _repeat(self, packet: _Unacknowledged) -> None:
        """Sends a packet for the first time or again, each time after twice the time; not more than TRIES times."""
        if packet.tries == TRIES:
            unconfirmed = Missing(Reason.LIMIT_REACHED, "what we sent was never confirmed")
            self._finish(unconfirmed if self._connected else TOO_SLOW)
            return
        packet.due_ns = self._now + (FIRST_TIMEOUT_NS << packet.tries)
        packet.tries += 1
        if packet.message is None:
            self._say(p.UtpSyn(self._header(packet.seq)._replace(connection=self._hears)), packet.tries > 1)
        else:
            self._acked = True
            self._say(p.UtpData(self._header(packet.seq), packet.message), packet.tries > 1)

    def _say(self, message: Sendable, again: bool = False) -> None:
        """Sends one packet. Of DATA the header alone is counted here, the message by whom it is from, unless again."""
        data = message.encode()
        self._tape.header(data[: p.HEADER_BYTES], self._now, sent=True)
        self._traffic[f"sent {message.name}" + " again" * again] += len(data) if again else p.HEADER_BYTES
        self._out.append(Send(message))

    def _header(self, seq: int) -> p.Header:
        speaks, window = (self._hears + 1) % p.NUMBERS, WINDOW - self._waiting
        return p.Header(speaks, self._micros(), self._difference, window, seq % p.NUMBERS, self._ack)

    def _micros(self) -> int:
        return self._now // 1_000 % p.TIMES

    def _finish(self, why: Missing | None) -> None:
        self._do(self._inner.closed(self._now, why))

    def _end(self, sighted: Sighted) -> None:
        assert isinstance(sighted.finding, Contact)
        self._over = True
        self._ahead.clear()
        self._waiting = 0
        if self._connected and not self._gone:
            self._say(p.UtpReset(self._header(self._seq + 1)))
        found = sighted.finding if self._connected else replace(sighted.finding, shut=True)
        for name, count in sighted.traffic.items():
            self._traffic[name] += count
        traffic = {name: count for name, count in self._traffic.items() if count}
        self._out.append(Sighted(found, self._tape.encode(), traffic))

    def _flush(self) -> list[Event]:
        out, self._out = self._out, []
        return out
