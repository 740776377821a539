"""UDP datagrams put together from fragments of IP (RFC 791 section 3.2, RFC 8200 section 4.5).

Nothing is guessed: a datagram whose fragments overlap (RFC 5722), contradict each other, or fail its own length or
checksum is not read. Identifications come round fast, so that two datagrams may mix (RFC 4963); whoever fragments
reckons the checksum itself, which makes it hold here, as it does not in whole datagrams. Over IPv4 a datagram may have
none; then nothing tells it from a mixture but that its fragments fit and came together, and it is handed out as
`unsummed`. Whatever is not put together is counted, fragment by fragment.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from struct import unpack

from clew.observe.taken import Account

MAX_DATAGRAMS = 1_024  # that wait for more of them
MAX_FRAGMENTS = 64  # of one datagram: the largest one over the least MTU of IPv6 has 54
MAX_WAITING = 16 << 20  # bytes
MAX_AGE_NS = 60_000_000_000  # RFC 8200 section 4.5; RFC 791 section 3.2 begins with 15 s
UNIT = 8  # bytes: offsets count in them, and every fragment but the last is a multiple
LARGEST = 65_535
UDP = 17
UDP_HEADER = 8
LOST = "fragments of IP, not put together"
UNSUMMED = "datagrams put together from fragments of IP, without a checksum"
UNSUMMED_AGE_NS = 15_000_000_000  # RFC 791 section 3.2, the least that it names

Key = tuple[bytes, bytes, int]  # source, target, identification


@dataclass(frozen=True, slots=True)
class Fragment:
    """One fragment of a UDP datagram: bytes of it from `offset` on; `more` of them follow."""

    at_ns: int
    key: Key
    offset: int
    more: bool
    data: bytes


@dataclass(frozen=True, slots=True)
class Whole:
    """A datagram put together, its header before it; `unsummed`: without a checksum that shows it is one."""

    data: bytes
    unsummed: bool


@dataclass(slots=True)
class _Datagram:
    """What of one datagram has come. `over`: it was put together, or refused (then nothing of it is kept)."""

    until_ns: int
    first_ns: int  # when its first and its last fragment came: a capture may hold them in another order
    last_ns: int
    pieces: dict[int, bytes] = field(default_factory=dict)
    length: int | None = None
    held: int = 0
    over: bool = False

    def add(self, one: Fragment) -> bool:
        """Takes a fragment; False where it cannot belong to this datagram."""
        end, length = one.offset + len(one.data), self.length if one.more else one.offset + len(one.data)
        spans = [(at, at + len(piece)) for at, piece in self.pieces.items()]
        if not one.data or (one.more and len(one.data) % UNIT) or (self.length is not None and not one.more):
            return False
        if any(one.offset < stop and at < end for at, stop in spans) or len(spans) >= MAX_FRAGMENTS:
            return False
        if max(end, *(stop for _, stop in spans), 0) > (LARGEST if length is None else min(length, LARGEST)):
            return False
        self.length = length
        self.first_ns, self.last_ns = min(self.first_ns, one.at_ns), max(self.last_ns, one.at_ns)
        self.pieces[one.offset] = one.data
        self.held += len(one.data)
        return True


class Fragments:
    """Every datagram of a capture that waits for more of its fragments, the oldest first."""

    def __init__(self, account: Account) -> None:
        self._counts = account.counts
        self._open: OrderedDict[Key, _Datagram] = OrderedDict()
        self._bytes = 0

    def take(self, one: Fragment) -> Whole | None:
        """The datagram that this fragment makes whole."""
        while self._open and self._crowded(one.at_ns):
            self._let_go(self._open.popitem(last=False)[1])
        found = self._open.get(one.key)
        if found is not None and found.pieces.get(one.offset) == one.data:
            self._counts["fragments of IP sent again"] += 1
            return None
        if found is not None and found.over and found.pieces:  # another datagram under the same identification
            self._let_go(self._open.pop(one.key))
            found = None
        if found is None:
            found = self._open[one.key] = _Datagram(one.at_ns + MAX_AGE_NS, one.at_ns, one.at_ns)
        if found.over or not found.add(one):
            self._counts[LOST] += 1
            self._refuse(found)
            return None
        self._bytes += len(one.data)
        if found.held != found.length:
            return None
        data = b"".join(piece for _, piece in sorted(found.pieces.items()))
        unsummed = data[6:8] == bytes(2)
        late = unsummed and found.last_ns - found.first_ns > UNSUMMED_AGE_NS
        if late or not _sound(one.key, data):
            self._refuse(found)
            return None
        found.over = True  # its pieces stay for a while, so that what comes twice is known
        self._counts["datagrams put together from fragments of IP"] += 1
        if unsummed:
            self._counts[UNSUMMED] += 1
        return Whole(data, unsummed)

    def finish(self) -> None:
        """The capture is over: what still waits, waited in vain."""
        while self._open:
            self._let_go(self._open.popitem()[1])

    def _crowded(self, now_ns: int) -> bool:
        """Whether the oldest has to go: too old, or too much waits."""
        oldest = next(iter(self._open.values()))
        return oldest.until_ns < now_ns or len(self._open) >= MAX_DATAGRAMS or self._bytes >= MAX_WAITING

    def _refuse(self, found: _Datagram) -> None:
        """Of this one nothing is read, nor of what may still come of it."""
        if not found.over:
            self._counts["datagrams whose fragments contradict each other"] += 1
            self._let_go(found)
            found.over = True

    def _let_go(self, found: _Datagram) -> None:
        if not found.over:
            self._counts[LOST] += len(found.pieces)
        self._bytes -= found.held
        found.pieces, found.held = {}, 0


def _sound(key: Key, data: bytes) -> bool:
    """Whether a UDP datagram has the length and the checksum that it says (RFC 768; RFC 8200 section 8.1)."""
    source, target, _ = key
    if len(data) < UDP_HEADER or int.from_bytes(data[4:6], "big") != len(data):
        return False
    if data[6:8] == bytes(2):
        return len(source) == 4  # over IPv4 it may have none
    summed = source + target + data + bytes(len(data) % 2)
    total: int = sum(unpack(f"!{len(summed) // 2}H", summed)) + UDP + len(data)
    return total % 0xFFFF == 0
