"""Compression around one stream of bytes: gzip, zlib, bzip2, xz, lzma by the standard library, the rest by libarchive.

The standard library checks what libarchive 3.6 leaves unchecked (the CRC-32 and length of RFC 1952); what follows the
end of the others, and whether they are empty, is found by `ends`. Where a tar or
cpio archive lies in the stream, its members are meant; otherwise the stream is the one member.
"""

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from clew.core.absent import Absent
from clew.intake.api import ByteSource
from clew.intake.archives import ends
from clew.intake.archives.gunzip import Gunzip, gzip_header
from clew.intake.archives.inflating import unpacked
from clew.intake.archives.kinds import BLOCK, Kind, is_tar
from clew.intake.archives.members import CHUNK, ENDLESS, Forward, Header, Slice, Stated, What, lost
from clew.intake.archives.streamed import Streamed

_PIECE = 1 << 16  # compressed bytes given to a decompressor at a time
_BEGINNINGS = {"gzip": b"\x1f\x8b", "bzip2": b"BZh", "xz": b"\xfd7zXZ\x00"}
_LONGEST = 6  # bytes of a beginning
_TAR = Kind("tar", ("tar",))
_CPIO = Kind("cpio", ("cpio",))
_CPIO_MAGIC = (b"070701", b"070702", b"070707", b"\xc7\x71", b"\x71\xc7")

_NEW: dict[str, Callable[[], Any]] = {
    "gzip": Gunzip,
    "zlib": zlib.decompressobj,
    "bzip2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ),
    "lzma": lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE),
}


class Compressed:
    """One compressed stream as an archive."""

    def __init__(self, source: ByteSource, kind: Kind, stem: bytes) -> None:
        self.notes: dict[str, int] = {}
        self._source, self._kind, self._stem = source, kind, stem
        self._raw: Streamed | None = None
        self._stream = Forward(self._inflated)
        self._inside: Streamed | None = None
        self._looked = False
        self._nothing = False  # not one byte could be unpacked

    def headers(self, first: int) -> Iterator[Header]:
        """The members of the tar or cpio archive inside, or the one stream itself."""
        inside = self._look()
        if inside is not None:
            for header in inside.headers(first):
                yield header
                first = header.number + 1
            self.notes = inside.notes
            self._drain()
        elif self._nothing and self._kind.weak:
            self.notes = {"contents that begin like a compressed stream, and are none": 1}
        elif first == 0:
            name, modified = self._name()
            yield Header(
                0, name, What.FILE, None, modified_ns=modified, times_source="gzip header, UTC" if modified else ""
            )

    def chunks(self, number: int) -> Iterator[bytes]:
        """The content of one member."""
        inside = self._look()
        if inside is not None:
            yield from inside.chunks(number)
        elif number == 0:
            yield from self._inflated()
        else:
            raise lost(f"a compressed stream has no member {number}")

    def stated(self, number: int) -> Stated:
        """As Archive. The one stream states no size."""
        inside = self._look()
        if inside is not None:
            return inside.stated(number)
        if number:
            raise lost(f"a compressed stream has no member {number}")
        return Stated(self._name()[0], None)

    def place(self, _number: int) -> ByteSource | None:
        """As Archive: what is compressed lies nowhere as it is."""
        return None

    def close(self) -> None:
        """Lets libarchive's handles go."""
        for each in (self._inside, self._raw):
            if each is not None:
                each.close()

    def _name(self) -> tuple[bytes, int | None]:
        """The name and time in a gzip header; otherwise the stem, and None."""
        try:
            stated = gzip_header(self._source.read(0, _PIECE)) if self._kind.filter == "gzip" else None
        except zlib.error:  # reading it will say so
            stated = None
        return (stated.name or self._stem, stated.modified_ns) if stated else (self._stem, None)

    def _look(self) -> Streamed | None:
        """Whether a tar or cpio archive lies inside. What cannot be read shows when it is read."""
        if not self._looked:
            self._looked = True
            try:
                head = self._stream.read(0, BLOCK)
            except Absent:
                head, self._nothing = b"", True
            kind = _TAR if is_tar(head) else _CPIO if head.startswith(_CPIO_MAGIC) else None
            self._inside = None if kind is None else Streamed(self._stream, kind, self._stem, seekable=False)
        return self._inside

    def _drain(self) -> None:
        """What follows the archive's end is read too: only then is the stream's own checksum looked at."""
        at = self._stream.position
        while piece := self._stream.read(at, CHUNK):
            at += len(piece)

    def _inflated(self) -> Iterator[bytes]:
        """What is in the stream. Where not one byte of it comes out, that is said with how much is lost."""
        nothing = True
        try:
            for chunk in self._unpacked():
                nothing = False
                yield chunk
        except Absent as absent:
            if not nothing:
                raise
            size = self._source.size
            lost_of_it = f"nothing of {size:,} bytes" if size < ENDLESS else "nothing"
            detail = f"{lost_of_it} could be unpacked: {absent.missing.detail}"
            raise Absent(replace(absent.missing, detail=detail)) from absent

    def _unpacked(self) -> Iterator[bytes]:
        new = _NEW.get(self._kind.filter)
        if new is not None:
            yield from _inflate(self._source, self._kind.filter, new)
            return
        if self._raw is not None:
            self._raw.close()
        extent = ends.of_stream(self._source, self._kind.filter)
        source = Slice(self._source, 0, extent.end) if extent else self._source
        self._raw = raw = Streamed(source, self._kind, self._stem)
        yield from raw.chunks(0)
        if raw.empty and not (extent and extent.empty):
            raise lost(f"it begins as {self._kind.name}")
        if ends.anything_behind(self._source, raw.passed):
            raise lost(f"the {self._kind.name} stream is whole, but something else follows it that was not read")


class _Pieces:
    """The compressed bytes, piece by piece; what a stream left over comes first."""

    def __init__(self, source: ByteSource) -> None:
        self.left = b""
        self._source, self._at = source, 0

    def __call__(self) -> bytes:
        """The next ones, b"" at the end."""
        piece, self.left = self.left, b""
        if not piece:
            piece = self._source.read(self._at, _PIECE)
            self._at += len(piece)
        return piece


def _inflate(source: ByteSource, name: str, new: Callable[[], Any]) -> Iterator[bytes]:
    """Stream after stream. Raises Absent where one is damaged or cut, or something else follows."""
    pieces = _Pieces(source)
    while True:
        engine = new()
        yield from unpacked(engine, pieces)
        if not engine.eof:
            raise lost(f"the {name} stream ends too early: it is cut")
        pieces.left = engine.unused_data
        if not _another(pieces, name):
            return


def _another(pieces: _Pieces, name: str) -> bool:
    """Whether another stream of its kind follows the one that ended. Zeros may follow; raises Absent for the rest."""
    rest = pieces()
    while 0 < len(rest) < _LONGEST and (more := pieces()):
        rest += more
    beginning = _BEGINNINGS.get(name)
    if beginning is not None and rest.startswith(beginning):
        pieces.left = rest
        return True
    while rest:
        if rest.strip(b"\0"):
            raise lost(f"the {name} stream is whole, but something else follows it that was not read")
        rest = pieces()
    return False
