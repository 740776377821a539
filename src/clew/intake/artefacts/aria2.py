"""aria2's control file (aria2 manual, "Control File (*.aria2) Format"), beside a download that is not complete.

Version 1, big-endian: the version (2 bytes), flags (4; 1: it is of a torrent), the infohash behind its length (4), the
length of a piece (4), of all (8), what was uploaded (8), the pieces that are held, a bit each, behind their length (4),
and how many pieces are under way (4): of each its number, its length and which parts of it are held, behind their
length (4 each). After a magnet link there may be nothing else that names the torrent.
"""

import struct
from collections.abc import Iterator

from clew.intake.api import Example, Extractor, Probe, Value
from clew.intake.artefacts import _metainfo
from clew.intake.artefacts._artefact import account, after, head, whole
from clew.intake.artefacts._entry import Entry

KIND = "aria2 control file"
MARK = struct.pack(">HII", 1, 1, _metainfo.V1)
LENGTHS = struct.Struct(">IQQI")  # of a piece, of all, of what was uploaded, of the bits
BITS = len(MARK) + _metainfo.V1 + LENGTHS.size
UNDER_WAY = struct.Struct(">III")


class Aria2:
    """One entry: infohash, what was uploaded, and how many pieces are held."""

    name = "aria2"
    version = "1"

    def wants(self, _media_type: str) -> bool:
        """Anything: it is told by its bytes."""
        return True

    def traits(self, probe: Probe) -> Iterator[tuple[str, Value]]:
        """The one entry."""
        if not head(probe).startswith(MARK) or probe.size < BITS:
            return
        data = whole(probe)
        piece, size, uploaded, bits = LENGTHS.unpack_from(data, BITS - LENGTHS.size)
        pieces = -(-size // piece) if piece else 0
        if not pieces or bits != -(-pieces // 8):
            return
        end = _end(data, BITS + bits)
        yield "p2p.artefact", KIND
        yield from _entry(data, piece, size, uploaded, pieces).traits()
        lost = f"it ends at byte {len(data):,}" if end is None else ""
        yield from account(1, 1, lost)
        if end is not None:
            yield from after(end, len(data))

    def examples(self) -> Iterator[Example]:
        """Three pieces, of which one is held and another under way."""
        data = MARK + bytes(range(20)) + LENGTHS.pack(1 << 14, 40_000, 4096, 1) + b"\x80"
        data += struct.pack(">I", 1) + UNDER_WAY.pack(1, 1 << 14, 1) + b"\x00"
        yield Example("one.aria2", data, "application/octet-stream", {"p2p.artefact": KIND})


def _entry(data: bytes, piece: int, size: int, uploaded: int, pieces: int) -> Entry:
    held = data[BITS : BITS + -(-pieces // 8)]
    entry = Entry("bittorrent", "aria2", KIND, slice(0, len(data)))
    at, found = len(MARK), {}
    entry.take_hash("infohash_v1", {0: (data[at : at + _metainfo.V1], slice(at, at + _metainfo.V1))}, 0, _metainfo.V1)
    at += _metainfo.V1
    for name, value, width in (("piece_length", piece, 4), ("size", size, 8), ("uploaded", uploaded, 8)):
        found[name] = (value, slice(at, at + width))
        entry.take_count(name, found, name)
        at += width
    entry.say("pieces", pieces)
    if len(held) == -(-pieces // 8):
        bits = int.from_bytes(held, "big") >> 8 * len(held) - pieces  # those to spare stand for no piece
        entry.say("pieces_have", bits.bit_count(), slice(BITS, BITS + len(held)))
    return entry


def _end(data: bytes, at: int) -> int | None:
    """The byte after the last piece under way; None where it was cut before that."""
    if at + 4 > len(data):
        return None
    (several,) = struct.unpack_from(">I", data, at)
    at += 4
    for _ in range(several):
        if at + UNDER_WAY.size > len(data):
            return None
        at += UNDER_WAY.size + UNDER_WAY.unpack_from(data, at)[2]
    return at if at <= len(data) else None


PLUGIN: Extractor = Aria2()
