"""pcapng (draft-ietf-opsawg-pcapng): sections of either byte order, interfaces with clocks of their own."""

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct
from typing import BinaryIO

from clew.model import Missing, Reason
from clew.observe.captures._dissect import dissect
from clew.observe.captures._examples import PEER_EXPECTED, PEER_FRAMES, WATCHED
from clew.observe.captures._frames import MAX_FRAME, MAX_TIME_NS, Frame, exactly
from clew.observe.taken import Account, Example, Finding, Source, Watchlist

SECTION = 0x0A0D0D0A  # section 4.1; reads the same in both orders
INTERFACE, OLD_PACKET, SIMPLE_PACKET, STATISTICS, ENHANCED_PACKET = 1, 2, 3, 5, 6  # sections 4.2, A, 4.4, 4.6, 4.3
ORDER = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}  # section 4.1, the byte-order magic
END, IF_TSRESOL, IF_TSOFFSET, ISB_IFDROP = 0, 9, 14, 5  # options: sections 3.5, 4.2, 4.2, 4.6
LEAST_BLOCK = 12
MAX_BLOCK = 1 << 24  # of a block that we read; a longer one of another kind is passed over
MAX_INTERFACES = 4_096
STEP = 1 << 16
SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Interface:
    """What an Interface Description Block says: link type, ticks a second, seconds to be added."""

    link: int
    ticks: int = 1_000_000
    offset: int = 0

    def ns(self, ticks: int) -> int:
        """UTC nanoseconds of a timestamp."""
        return self.offset * SECOND + ticks * SECOND // self.ticks


class _Over(Exception):
    """The file cannot be read beyond this; the account says why."""


class _Section:
    """The blocks of one section, and what of them are frames."""

    def __init__(self, order: str, account: Account) -> None:
        self.order, self._account = order, account
        self._interfaces: list[Interface] = []

    def block(self, kind: int, body: bytes) -> Frame | None:
        """Takes a block; the frame in it, if there is one that has a time."""
        if kind == INTERFACE:
            self._interface(body)
        elif kind == ENHANCED_PACKET:
            return self._packet("IIIII", body)
        elif kind == OLD_PACKET:
            return self._packet("HHIIII", body)
        elif kind == SIMPLE_PACKET:
            self._account.counts["frames without a time"] += 1
        elif kind == STATISTICS:
            self._statistics(body)
        return None

    def _interface(self, body: bytes) -> None:
        if len(body) < 8 or len(self._interfaces) >= MAX_INTERFACES:
            raise self._over("an interface that is described wrongly, or one too many")
        link, ticks, offset = Struct(self.order + "H").unpack_from(body)[0], 1_000_000, 0
        for code, value in self._options(body[8:]):
            if code == IF_TSRESOL and len(value) == 1:
                exponent = value[0] & 0x7F
                ticks = 2**exponent if value[0] & 0x80 else 10 ** min(exponent, 30)
            elif code == IF_TSOFFSET and len(value) == 8:
                offset = Struct(self.order + "q").unpack(value)[0]
        self._interfaces.append(Interface(link, ticks, offset))

    def _packet(self, form: str, body: bytes) -> Frame | None:
        fields = Struct(self.order + form)
        if len(body) < fields.size:
            raise self._over("a packet block that is too short")
        number, *_, high, low, kept, length = fields.unpack_from(body)
        if kept > min(MAX_FRAME, len(body) - fields.size) or number >= len(self._interfaces):
            raise self._over("a packet block that names bytes or an interface that are not there")
        interface = self._interfaces[number]
        at_ns = interface.ns(high << 32 | low)
        if not 0 < at_ns < MAX_TIME_NS:
            self._account.counts["frames with a time that is none"] += 1
            return None
        return Frame(at_ns, interface.link, body[fields.size : fields.size + kept], max(kept, length))

    def _statistics(self, body: bytes) -> None:
        for code, value in self._options(body[12:]):
            if code == ISB_IFDROP and len(value) == 8:
                dropped = Struct(self.order + "Q").unpack(value)[0]
                self._account.counts["frames that the capture's maker says it lost"] += dropped

    def _options(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Section 3.5: code, length, value padded to 32 bits; what breaks off is left aside."""
        head, at = Struct(self.order + "HH"), 0
        while at + head.size <= len(data):
            code, length = head.unpack_from(data, at)
            if code == END:
                return
            yield code, data[at + 4 : at + 4 + length]
            at += 4 + length + -length % 4

    def _over(self, why: str) -> _Over:
        self._account.flaw(Missing(Reason.UNPARSABLE, f"{why}: the file is not read any further"))
        return _Over()


def frames(stream: BinaryIO, account: Account) -> Iterator[Frame]:
    """The frames of the file, in order. What breaks the rules ends it: nothing says where the next block begins."""
    section: _Section | None = None
    try:
        while head := exactly(stream, 8, account, "next block"):
            section, kind, body = _block(stream, head, section, account)
            frame = section.block(kind, body)
            if frame is not None:
                yield frame
    except _Over:
        return


def _block(stream: BinaryIO, head: bytes, section: _Section | None, account: Account) -> tuple[_Section, int, bytes]:
    """The block that begins with `head`: its section, kind and body. Raises _Over."""
    begun = b""
    if int.from_bytes(head[:4], "big") == SECTION:
        begun = _exactly(stream, 4, account)
        if begun not in ORDER:
            account.flaw(Missing(Reason.UNPARSABLE, "a section in no known order of bytes"))
            raise _Over
        section = _Section(ORDER[begun], account)
    if section is None:
        account.flaw(Missing(Reason.UNPARSABLE, "a file that does not begin with a section"))
        raise _Over
    kind, total = Struct(section.order + "II").unpack(head)
    left = total - LEAST_BLOCK - len(begun)
    if left < 0 or total % 4:
        account.flaw(Missing(Reason.UNPARSABLE, f"a block of {total} bytes: the file is not read any further"))
        raise _Over
    body = _body(stream, kind, left, account)
    if _exactly(stream, 4, account) != head[4:]:
        account.flaw(Missing(Reason.UNPARSABLE, "a block with two lengths: the file is not read any further"))
        raise _Over
    return section, kind, body


def _body(stream: BinaryIO, kind: int, length: int, account: Account) -> bytes:
    if kind in (INTERFACE, OLD_PACKET, STATISTICS, ENHANCED_PACKET):
        if length <= MAX_BLOCK:
            return _exactly(stream, length, account)
        account.flaw(
            Missing(Reason.TOO_LARGE, f"a block of {length + LEAST_BLOCK} bytes: the file is not read any further")
        )
        raise _Over
    while length:
        length -= len(_exactly(stream, min(length, STEP), account))
    return b""


def _exactly(stream: BinaryIO, size: int, account: Account) -> bytes:
    data = exactly(stream, size, account, "block")
    if data is None:
        raise _Over
    return data


class Pcapng:
    """The plug-in."""

    name = "pcapng"
    version = "5"

    @property
    def examples(self) -> tuple[Example, ...]:
        """Two peers that greet each other, in both orders of bytes."""
        return tuple(
            Example(f"byte order {order}", _file(order, magic, PEER_FRAMES), (WATCHED,), PEER_EXPECTED)
            for magic, order in ORDER.items()
        )

    def recognises(self, head: bytes) -> bool:
        """By the first block's type and the byte-order magic in it."""
        return head[:4] == SECTION.to_bytes(4, "big") and head[8:12] in ORDER

    def read(self, stream: BinaryIO, watchlist: Watchlist, account: Account) -> Iterator[Finding]:
        """What its flows say of the Watches."""
        return dissect(frames(stream, account), watchlist, account)


def _file(order: str, magic: bytes, given: tuple[tuple[int, bytes], ...]) -> bytes:
    """A file of these frames, as (nanoseconds, Ethernet frame); one interface that counts nanoseconds."""

    def block(kind: int, body: bytes) -> bytes:
        length = Struct(order + "I").pack(LEAST_BLOCK + len(body))
        return Struct(order + "I").pack(kind) + length + body + length

    out = block(SECTION, magic + Struct(order + "HHq").pack(1, 0, -1))
    out += block(INTERFACE, Struct(order + "HHIHHBxxx").pack(1, 0, MAX_FRAME, IF_TSRESOL, 1, 9))
    for at_ns, data in given:
        head = Struct(order + "IIIII").pack(0, at_ns >> 32, at_ns & 0xFFFFFFFF, len(data), len(data))
        out += block(ENHANCED_PACKET, head + data + bytes(-len(data) % 4))
    return out


PLUGIN: Source = Pcapng()
