"""pcap (draft-ietf-opsawg-pcap): both byte orders, microseconds and nanoseconds, read as a stream."""

from collections.abc import Iterator
from struct import Struct
from typing import BinaryIO

from clew.model import Missing, Reason
from clew.observe.captures._dissect import dissect
from clew.observe.captures._examples import PEER_EXPECTED, PEER_FRAMES, WATCHED
from clew.observe.captures._frames import MAX_FRAME, Frame, exactly
from clew.observe.taken import Account, Example, Finding, Source, Watchlist

# Section 4: the magic number, whose order of bytes is that of all other fields, says the unit of the fractions too.
MAGIC = {
    b"\xa1\xb2\xc3\xd4": (">", 1_000),
    b"\xd4\xc3\xb2\xa1": ("<", 1_000),
    b"\xa1\xb2\x3c\x4d": (">", 1),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
}
HEADER_BYTES = 20  # what follows the magic number
LINK_MASK = 0xFFFF  # section 4: the upper bits of the last field tell of frame check sequences
SECOND = 1_000_000_000


def frames(stream: BinaryIO, account: Account) -> Iterator[Frame]:
    """The records of the file, in order. A record of impossible length ends it: nothing says where the next begins."""
    magic = exactly(stream, 4, account, "file header")
    header = exactly(stream, HEADER_BYTES, account, "file header") if magic in MAGIC else None
    if magic is None or header is None:
        return
    order, unit = MAGIC[magic]
    link = Struct(order + "HHIIII").unpack(header)[5] & LINK_MASK
    record = Struct(order + "IIII")
    while head := exactly(stream, record.size, account, "next record"):
        seconds, fraction, kept, length = record.unpack(head)
        if kept > MAX_FRAME:
            account.flaw(Missing(Reason.UNPARSABLE, f"a record of {kept} bytes: the file is not read any further"))
            return
        data = exactly(stream, kept, account, "record")
        if data is None:
            return
        if fraction * unit >= SECOND or not (seconds or fraction):
            account.counts["frames with a time that is none"] += 1
            continue
        yield Frame(seconds * SECOND + fraction * unit, link, data, max(kept, length))


class Pcap:
    """The plug-in."""

    name = "pcap"
    version = "5"

    @property
    def examples(self) -> tuple[Example, ...]:
        """Two peers that greet each other, in each form of the file."""
        return tuple(
            Example(f"magic number {magic.hex()}", _file(magic, PEER_FRAMES), (WATCHED,), PEER_EXPECTED)
            for magic in MAGIC
        )

    def recognises(self, head: bytes) -> bool:
        """By the magic number."""
        return head[:4] in MAGIC

    def read(self, stream: BinaryIO, watchlist: Watchlist, account: Account) -> Iterator[Finding]:
        """What its flows say of the Watches."""
        return dissect(frames(stream, account), watchlist, account)


def _file(magic: bytes, given: tuple[tuple[int, bytes], ...]) -> bytes:
    """A file of these frames, as (nanoseconds, Ethernet frame)."""
    order, unit = MAGIC[magic]
    out = magic + Struct(order + "HHIIII").pack(2, 4, 0, 0, MAX_FRAME, 1)
    for at_ns, data in given:
        seconds, rest = divmod(at_ns, SECOND)
        out += Struct(order + "IIII").pack(seconds, rest // unit, len(data), len(data)) + data
    return out


PLUGIN: Source = Pcap()
