"""Zip archives by their own directory (APPNOTE.TXT 6.3.10), read with the standard library's decompressors.

libarchive keeps one entry only where two name the same local header, and no name that is wrong UTF-8: entries would be
lost in silence. Here every entry of the directory is a member, with its raw name, and is reached at once, without
going through those before it. A zip without a readable directory is left to libarchive (see `opening`).
"""

import bz2
import contextlib
import lzma
import stat
import struct
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import Any

from clew.core.absent import Absent
from clew.intake.api import ByteSource
from clew.intake.archives import ziplocal
from clew.intake.archives.inflating import unpacked
from clew.intake.archives.members import PATH_MAX, Header, Slice, Stated, What, encrypted, exactly, is_path, lost
from clew.intake.archives.zipentry import (
    BZIP2,
    DEFLATED,
    ENTRY,
    LOCAL_FORM,
    LZMA,
    STORED,
    UNREAD,
    XZ,
    Entry,
    of_directory,
)
from clew.intake.archives.zipgaps import Gap, Unnamed
from clew.model import Missing, Reason

_END, _END64, _LOCATOR = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_END_BYTES, _LOCATOR_BYTES, _MOST_COMMENT = 22, 20, 65_535
_U16, _U32 = 0xFFFF, 0xFFFFFFFF
_PIECE = 1 << 16
_HOLLOW = 64  # packed bytes of an entry without content, at most: an empty stream of any method, and what encrypts it
_NEAR = 16  # entries whose local headers begin last before a content: one of them is its own
_UNPACK = "unpack it with another tool and take in what comes out as an exhibit of its own"


class Zipped:
    """One zip archive. Raises Absent where it has no directory that can be read."""

    def __init__(self, source: ByteSource) -> None:
        self.notes: dict[str, int] = {}
        self._source = source
        self._start, self._stop, self._shift, self._stated = _directory(source)
        self._places = array("Q", [self._start])  # where entry 0, 1, 2 ... begin, as far as they were met
        self._spans = array("q")  # and for each its local header's place and its packed bytes
        self._unnamed: Unnamed | None = None
        self._order = array("Q")  # their numbers by the place of their local headers, as far as they were asked for
        if self._stop > self._start:
            self._entry(0)

    def headers(self, first: int) -> Iterator[Header]:
        """Entries from `first` on, then what no entry names. Raises Absent where the directory breaks off or states
        another number of them, and where more than they tell lies in the file.
        """
        number = first
        while (entry := self._member(number)) is not None:
            yield _header(number, entry, self._what(entry))
            number += 1
        if (count := len(self._places) - 1) & _U16 != self._stated & _U16:
            raise lost(f"its directory holds {count} entries and states {self._stated}")
        if rest := self._hidden().rest(_end(self._source)):
            raise lost(rest)

    def chunks(self, number: int) -> Iterator[bytes]:
        """The content of one entry, checked against its stated size and CRC-32, and against its local header."""
        entry = self._member(number)
        if entry is None:
            raise lost(f"it has no entry {number}")
        if entry.closed:
            raise Absent(encrypted("this member"))
        crc, size, local = 0, 0, ziplocal.of(self._source, entry)
        for chunk in self._unpacked(entry, local.content):
            crc, size = zlib.crc32(chunk, crc), size + len(chunk)
            yield chunk
        if size != entry.size:
            raise lost(f"its data are {size} bytes, where the archive states {entry.size}")
        if crc != entry.crc:
            raise lost(f"its CRC-32 is {crc:08x}, where the archive states {entry.crc:08x}")
        if differs := ziplocal.differs(local, entry):
            raise lost(differs)

    def stated(self, number: int) -> Stated:
        """As Archive, without a start, which would have to be read."""
        entry = self._member(number)
        if entry is None:
            raise lost(f"it has no entry {number}")
        return Stated(entry.path, entry.size)

    def start(self, number: int) -> int | None:
        """At which byte the content of one entry begins; None where its local header cannot be read."""
        try:
            entry = self._member(number)
            return None if entry is None else self._content(entry)
        except Absent:  # reading it will say why
            return None

    def number_at(self, start: int, name: bytes) -> int | None:
        """The entry of that name whose content begins at byte `start`, None where no entry is that one. Raises OSError
        where none is among what can be read.
        """
        failed: OSError | None = None
        for number in self._before(start):
            try:
                entry = self._member(number)
                if entry is not None and entry.path == name and self.start(number) == start:
                    return number
            except OSError as error:  # of its like, perhaps
                failed = error
        if failed is not None:
            raise failed
        return None

    def place(self, number: int) -> ByteSource | None:
        """Where a stored entry lies."""
        entry = self._member(number)
        if entry is None or entry.method != STORED or entry.closed:
            return None
        return Slice(self._source, self._content(entry), entry.packed)

    def close(self) -> None:
        """Nothing is held."""

    def _member(self, number: int) -> Entry | None:
        """Entry `number`; behind the last, what no entry names; or None behind all."""
        entry = self._entry(number)
        return self._hidden().entry(number - len(self._places) + 1) if entry is None else entry

    def _before(self, start: int) -> Iterator[int]:
        """The entries whose local headers begin last before byte `start`, then the member there that no entry names: it
        is looked for only where no entry was the right one, as a gap may be beyond reading.
        """
        with contextlib.suppress(Absent, OSError):  # those before the place where it breaks off count
            while self._entry(len(self._places) - 1) is not None:
                pass
        if len(self._order) < (count := len(self._places) - 1):
            self._order = array("Q", sorted(range(count), key=self._local))
        at = bisect_right(self._order, start, key=self._local)
        yield from self._order[max(0, at - _NEAR) : at]
        try:
            if self._entry(count) is None:
                yield count + self._hidden().number_before(start)
        except Absent:  # where the directory breaks off, nothing is known of what it leaves out
            return

    def _entry(self, number: int) -> Entry | None:
        """Entry `number`, or None behind the last."""
        while len(self._places) <= number:
            if self._at(len(self._places) - 1) is None:
                return None
        return self._at(number)

    def _at(self, number: int) -> Entry | None:
        """An entry whose place is known already; the place of the next one is learnt from it."""
        place = self._places[number]
        if place >= self._stop:
            return None
        entry = of_directory(self._source, place, self._shift)
        if number == len(self._places) - 1:
            self._places.append(place + entry.length)
            self._spans.extend((min(max(entry.local, 0), self._stop), min(entry.packed, self._stop)))
        return entry

    def _what(self, entry: Entry) -> What:
        """What it is called, as long as it holds no more than that has, whatever size it states: other tools go by less
        than its mode, and unpack a file. What an encrypted link holds is not known, so it is none.
        """
        if entry.path.endswith(b"/"):
            hollow = entry.packed <= _HOLLOW if entry.closed else self._held(entry, 0) is not None
            return What.FOLDER if hollow and not self._more(entry) else What.FILE
        if stat.S_IFMT(entry.unix_mode) != stat.S_IFLNK:
            return What.FILE
        target = self._held(entry, PATH_MAX - 1)
        rightly = target is not None and is_path(target) and not self._more(entry)
        return What.SYMBOLIC_LINK if rightly else What.FILE

    def _more(self, entry: Entry) -> bool:
        """Whether its local header gives it more bytes than the directory, by which it is what it is called."""
        try:
            return not entry.closed and ziplocal.of(self._source, entry).packed > entry.packed
        except (Absent, OSError):  # nothing says so
            return False

    def _held(self, entry: Entry, most: int) -> bytes | None:
        """Its content, where that is no more than so many bytes; None where it is more or cannot be had."""
        if entry.closed or entry.packed > most + _HOLLOW:
            return None
        held = b""
        try:
            for chunk in self._unpacked(entry, self._content(entry)) if entry.packed else ():
                held += chunk
                if len(held) > most:
                    return None
        except (Absent, OSError, MemoryError):  # reading it will say why
            return None
        return held

    def _unpacked(self, entry: Entry, start: int) -> Iterator[bytes]:
        if entry.method == STORED:
            yield from self._packed(start, entry.packed)
            return
        if entry.method == LZMA:
            head = exactly(self._source, start, 9)
            engine: Any = _lzma(head)
            start, packed = start + 9, entry.packed - 9
        elif entry.method in _ENGINES:
            engine, packed = _ENGINES[entry.method](), entry.packed
        else:
            name = UNREAD.get(entry.method, f"method {entry.method}")
            why = f"compressed by {name}, which this version does not read: {_UNPACK}"
            raise Absent(Missing(Reason.UNPARSABLE, why))
        pieces = self._packed(start, packed)
        yield from unpacked(engine, lambda: next(pieces, b""))
        if engine.unused_data.strip(b"\0") or any(piece.strip(b"\0") for piece in pieces):
            raise lost("bytes follow its compressed data, among those that the archive says are its own")

    def _content(self, entry: Entry) -> int:
        """Where its compressed bytes begin: behind its local header."""
        return ziplocal.of(self._source, entry).content

    def _packed(self, start: int, length: int) -> Iterator[bytes]:
        while length > 0:
            piece = exactly(self._source, start, min(length, _PIECE))
            start, length = start + len(piece), length - len(piece)
            yield piece

    def _hidden(self) -> Unnamed:
        """The members that no entry names, once all entries were met."""
        if self._unnamed is None:
            self._unnamed = Unnamed(self._source, self._gaps(len(self._places) - 1))
        return self._unnamed

    def _gaps(self, count: int) -> Iterator[Gap]:
        """The stretches that no entry claims, from the first byte on. Entries that share bytes, another way to hide
        something, are noted.
        """
        last, covered = -1, 0
        for number in sorted(range(count), key=self._local):
            local, packed = self._local(number), self._spans[2 * number + 1]
            if local < covered:
                self._note("zip entries that share bytes with another entry")
            elif local >= covered + LOCAL_FORM.size:
                yield self._behind(last, local)
            if local + LOCAL_FORM.size + packed > covered:
                last, covered = number, local + LOCAL_FORM.size + packed
        yield self._behind(last, self._start)
        yield Gap(self._stop, self._source.size, self._source.size)

    def _behind(self, number: int, stop: int) -> Gap:
        """From where the content of an entry ends; from 0 on for -1. Where its local header cannot be read, from where
        that should be, and which of these bytes are its own is not known.
        """
        entry = self._entry(number) if number >= 0 else None
        if entry is None:
            return Gap(0, 0, stop)
        try:
            local = ziplocal.of(self._source, entry)
        except Absent:  # reading that entry says what is wrong with it
            return Gap(max(0, entry.local), stop, stop)
        end = local.content + entry.packed
        return Gap(end, end + ziplocal.descriptor(self._source, entry, local, end, stop), stop)

    def _local(self, number: int) -> int:
        """Where the local header of an entry lies that was met."""
        return self._spans[2 * number]

    def _note(self, what: str) -> None:
        self.notes[what] = self.notes.get(what, 0) + 1


def _lzma(head: bytes) -> Any:
    """The decompressor that the properties before LZMA data ask for (APPNOTE.TXT 5.8.8)."""
    length, properties, dictionary = struct.unpack_from("<HBI", head, 2)
    if length != 5 or properties >= 225:
        raise lost("its LZMA properties make no sense")
    rest, lc = divmod(properties, 9)
    pb, lp = divmod(rest, 5)
    chain = [{"id": lzma.FILTER_LZMA1, "lc": lc, "lp": lp, "pb": pb, "dict_size": max(dictionary, 4096)}]
    try:
        return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=chain)
    except (lzma.LZMAError, ValueError) as error:
        raise lost(f"its LZMA properties make no sense: {error}") from error


_ENGINES: dict[int, Callable[[], Any]] = {
    DEFLATED: lambda: zlib.decompressobj(-15),
    BZIP2: bz2.BZ2Decompressor,
    XZ: lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ),
}


def _header(number: int, entry: Entry, what: What) -> Header:
    times = entry.stamps
    return Header(
        number,
        entry.path,
        what,
        entry.size,
        entry.packed,
        encrypted("this member") if entry.closed else None,
        times.modified_ns,
        times.accessed_ns,
        None,
        times.born_ns,
        times.source,
        named=entry.named,
    )


def _directory(source: ByteSource) -> tuple[int, int, int, int]:
    """Where the directory begins and ends, by how much places in it are to be moved (bytes before the archive), and how
    many entries it states (4.3.14 to 4.3.16). Raises Absent where there is none.
    """
    tail_at, tail, found = _tail(source)
    if found < 0:
        raise lost("it has no directory")
    at = tail_at + found
    disk, _, _, count, length, offset = struct.unpack_from("<4H2I", tail, found + 4)
    stop = at
    locator = source.read(at - _LOCATOR_BYTES, _LOCATOR_BYTES) if at >= _LOCATOR_BYTES else b""
    moved = _U32 in {length, offset} or count == _U16 or not _begins(source, stop - length, count)
    if locator.startswith(_LOCATOR) and moved:  # some tools write it where nothing asks for it
        stop, count, length, offset = _directory64(source, at, locator)
    elif disk not in {0, _U16}:
        raise Absent(Missing(Reason.UNREADABLE, f"it is the last of {disk + 1} volumes: join them first, {_UNPACK}"))
    start = stop - length
    if not _begins(source, start, count):
        raise lost("its directory is not where it says")
    return start, stop, start - offset, count


def _begins(source: ByteSource, start: int, count: int) -> bool:
    """Whether a directory of so many entries can begin there."""
    return start >= 0 and (not count or source.read(start, len(ENTRY)) == ENTRY)


def last_volume(source: ByteSource) -> bool:
    """Whether this is the last of several volumes: by an end record whose directory lies before it, or, where another
    volume holds the beginning of that, which is the last that there is.
    """
    tail_at, tail, found = _tail(source)
    if found < 0:
        return False
    disk, begins, _, count, length, _ = struct.unpack_from("<4H2I", tail, found + 4)
    if not (0 < disk < _U16 and count and begins <= disk):
        return False
    start = tail_at + found - length
    if begins < disk:
        return _end(source) == source.size
    return start >= 0 and source.read(start, len(ENTRY)) == ENTRY


def _end(source: ByteSource) -> int:
    """Where a zip ends, with its comment (4.3.16)."""
    tail_at, tail, found = _tail(source)
    return tail_at + found + _END_BYTES + int.from_bytes(tail[found + 20 : found + 22], "little")


def _tail(source: ByteSource) -> tuple[int, bytes, int]:
    """The last bytes, in which the end record lies: where they begin, they, and where it lies in them, or -1."""
    tail_at = max(0, source.size - _END_BYTES - _MOST_COMMENT)
    tail = source.read(tail_at, source.size - tail_at)
    return tail_at, tail, tail.rfind(_END, 0, max(0, len(tail) - _END_BYTES + len(_END)))


def _directory64(source: ByteSource, at: int, locator: bytes) -> tuple[int, int, int, int]:
    """The same from the Zip64 end record: it ends before its locator."""
    place = int.from_bytes(locator[8:16], "little")
    record = source.read(place, 56) if place < at else b""
    if not record.startswith(_END64):  # bytes before the archive have moved it: it lies right before its locator
        place = at - _LOCATOR_BYTES - 56
        record = source.read(place, 56) if place >= 0 else b""
    if not record.startswith(_END64) or len(record) < 56:
        raise lost("its Zip64 end record is not where it says")
    _, count, length, offset = struct.unpack_from("<4Q", record, 24)
    return place, count, length, offset
