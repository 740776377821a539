"""One side of a captured BitTorrent conversation, read by the rules of our own contacts (`networks._peer`).

The same reader decides what a peer said, to the same limits. What it refuses to read in a conversation of ours ends
that conversation; in one between others it is passed over here first, so that it comes to no reader at all: payloads
of pieces, metadata, PEX, anything unknown. Requests say nothing of what a peer holds; they are passed over too. Of all
that, number and length are kept.
"""

from collections import Counter

from clew.model import Missing
from clew.observe.api import Contact, Event, Limits, Sighted, Target
from clew.observe.networks import _messages as m
from clew.observe.networks._peer import PeerConversation
from clew.observe.taken import Account
from clew.observe.transcript import Transcript

LIMITS = Limits(messages=16_384, received=256 * 1024)
READ = frozenset(m.CONTROL) - {6, 8, 16} | {m.BITFIELD, m.EXTENDED}  # all but request, cancel and reject (BEP 3, 6)
HANDSHAKE = b"\x00"  # BEP 10: the extended message 0


class OneEnd:
    """The Tape of one side. What our own reader believes to send was never sent: it is not kept."""

    def __init__(self) -> None:
        self._kept = Transcript()

    def sent(self, data: bytes, at_ns: int) -> None:
        """Drops what nobody sent."""

    def other(self, data: bytes, at_ns: int) -> None:
        """What the other side really sent."""
        self._kept.sent(data, at_ns)

    def received(self, data: bytes, at_ns: int) -> None:
        """What this side said."""
        self._kept.received(data, at_ns)

    def left_out(self, label: str, length: int, at_ns: int, *, sent: bool = False) -> None:
        """What of it is not kept."""
        self._kept.left_out(label, length, at_ns, sent=sent)

    def header(self, data: bytes, at_ns: int, *, sent: bool = False) -> None:
        """Datagrams have been put together already: there is none."""

    def end(self, how: str, at_ns: int) -> None:
        """How it ended."""
        self._kept.end(how, at_ns)

    def encode(self) -> bytes:
        """The transcript."""
        return self._kept.encode()


class Speaker:
    """Reads one direction of a flow. `greeted` once its handshake is complete; `contact` once it is over."""

    def __init__(self, target: Target, account: Account, at_ns: int) -> None:
        self.tape = OneEnd()
        self._reader = PeerConversation(target, LIMITS, self.tape)
        self._reader.opened(at_ns)
        self._account = account
        self._greeting = bytearray()
        self._head = bytearray()
        self._left, self._reading = 0, True
        self._passed: Counter[str] = Counter()
        self._passed_bytes = 0
        self._ended: Sighted | None = None
        self.first_ns = self.last_ns = at_ns

    @property
    def greeting(self) -> bytes | None:
        """Its whole handshake, once that is there."""
        return bytes(self._greeting) if len(self._greeting) == m.HANDSHAKE_BYTES else None

    @property
    def over(self) -> bool:
        """Whether it has said enough, or something after which nothing is read."""
        return self._ended is not None

    def say(self, data: bytes, at_ns: int) -> None:
        """Takes the next bytes that it said."""
        if not self._greeting:
            self.first_ns = self.last_ns = at_ns
        self.settle(at_ns)
        at = 0
        while at < len(data) and not self.over:
            self.last_ns = max(self.last_ns, at_ns)  # the times of a capture may run backwards
            at = self._greet(data, at, at_ns) if self.greeting is None else self._frame(data, at, at_ns)
        self._account.counts["bytes left aside"] += len(data) - at

    def settle(self, at_ns: int) -> None:
        """Reads no further where it told what a contact is for, and one of ours would not have stayed."""
        if not self.over and at_ns >= self._reader.wake_ns and self._reader.told:
            self._mention(at_ns)
            self._take(self._reader.tick(at_ns))

    def end(self, why: Missing | None, at_ns: int) -> tuple[Contact, bytes]:
        """Ends it, with the reason where we do not know that all was heard; what it said, and its transcript."""
        if self._ended is None:
            self._mention(at_ns)
            self._take(self._reader.closed(at_ns, why))
        assert self._ended is not None
        assert isinstance(self._ended.finding, Contact)
        return self._ended.finding, self._ended.transcript

    def _greet(self, data: bytes, at: int, at_ns: int) -> int:
        part = data[at : at + m.HANDSHAKE_BYTES - len(self._greeting)]
        self._greeting += part
        self._take(self._reader.receive(part, at_ns))
        return at + len(part)

    def _frame(self, data: bytes, at: int, at_ns: int) -> int:
        """Takes bytes up to the end of a message's head, or of its body."""
        if self._left:
            part = data[at : at + self._left]
            self._left -= len(part)
            if self._reading:
                self._take(self._reader.receive(part, at_ns))
            return at + len(part)
        self._head.append(data[at])
        size = int.from_bytes(self._head[:4], "big")
        if len(self._head) >= 4 and self._whole_head(size):
            self._judge(size, at_ns)
        return at + 1

    def _whole_head(self, size: int) -> bool:
        """Length and type; of an extended message also which one it is."""
        wanted = 4 if not size else 6 if len(self._head) > 4 and self._head[4] == m.EXTENDED and size > 1 else 5
        return len(self._head) >= wanted

    def _judge(self, size: int, at_ns: int) -> None:
        head = bytes(self._head)
        self._head.clear()
        kind, which = head[4:5], head[5:6]
        self._left = size - len(head) + 4
        self._reading = not kind or (kind[0] in READ and which in (b"", HANDSHAKE))
        if self._reading:
            self._mention(at_ns)
            self._take(self._reader.receive(head, at_ns))
            return
        name = "extended message" if kind[0] == m.EXTENDED else m.message_name(kind[0])
        self._passed[name] += 1
        self._passed_bytes += size + 4
        self._account.counts[f"messages of watched flows left out: {name}"] += 1

    def _mention(self, at_ns: int) -> None:
        """What was passed over since the last message that was read, as one segment."""
        if self._passed:
            words = ", ".join(f"{number} x {name}" for name, number in sorted(self._passed.items()))
            self.tape.left_out(words, self._passed_bytes, at_ns)
            self._passed.clear()
            self._passed_bytes = 0

    def _take(self, events: list[Event]) -> None:
        self._ended = next((each for each in events if isinstance(each, Sighted)), self._ended)
