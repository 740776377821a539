"""The thumbnails that Windows' Explorer keeps since Vista, thumbcache_*.db: entries one after the other, each with a
name and a JPEG, PNG or BMP (libwtcdb: Windows Explorer Thumbnail Cache database format, section 3). Entries that the
index beside it has forgotten are still there, and are members like the others.
"""

import struct
from array import array
from collections.abc import Iterator
from typing import NamedTuple

from clew.core.absent import Absent
from clew.intake.api import ByteSource
from clew.intake.archives.members import BROKEN, CHUNK, Header, Slice, Stated, What, exactly, lost

MAGIC = b"CMMM"
FIRST = 24  # byte of the first entry
MOST_SEARCHES = 10_000  # for the next entry behind one that makes no sense
MOST_NAME = 1 << 10  # bytes of one
VISTA, SEVEN = 20, 21
# Where an entry says how long its name, padding and picture are, and bytes before its name; later ones are as `_LATER`
_FORMS, _LATER = {VISTA: (24, 56), SEVEN: (16, 48)}, (16, 56)


class _Entry(NamedTuple):
    """One entry; `size` is what the file states, and may lead beyond its end."""

    name: bytes
    start: int
    size: int


class ThumbCache:
    """One such file. Raises Absent where it has no header."""

    def __init__(self, source: ByteSource) -> None:
        self.notes: dict[str, int] = {}
        self._source = source
        version = int.from_bytes(exactly(source, 0, FIRST)[4:8], "little")
        self._lengths, self._head = _FORMS.get(version, _LATER)
        self._places = array("Q")  # of the entries with a picture, as far as they were met
        self._next = FIRST
        self._searches = 0
        self._broken = False

    def headers(self, first: int) -> Iterator[Header]:
        """As Archive."""
        number = first
        while (entry := self._entry(number)) is not None:
            yield Header(number, entry.name, What.FILE, entry.size)
            number += 1
        if self._broken:
            raise Absent(BROKEN)

    def chunks(self, number: int) -> Iterator[bytes]:
        """As Archive; nothing is checked but that all of it is there."""
        entry = self._member(number)
        for at in range(0, entry.size, CHUNK):
            wanted = min(CHUNK, entry.size - at)
            yield (data := self._source.read(entry.start + at, wanted))
            exactly(self._source, entry.start + at + len(data), wanted - len(data))

    def stated(self, number: int) -> Stated:
        """As Archive."""
        entry = self._member(number)
        return Stated(entry.name, entry.size)

    def place(self, number: int) -> ByteSource | None:
        """As Archive; of the one that the file breaks off in, nothing."""
        entry = self._member(number)
        whole = entry.start + entry.size <= self._source.size
        return Slice(self._source, entry.start, entry.size) if whole else None

    def close(self) -> None:
        """As Archive."""

    def _member(self, number: int) -> _Entry:
        entry = self._entry(number)
        if entry is None:
            raise lost(f"it has no entry {number} with a picture")
        return entry

    def _entry(self, number: int) -> _Entry | None:
        while number >= len(self._places):
            if not self._step():
                return None
        at = self._places[number]
        head = self._source.read(at, self._head + MOST_NAME)
        names, padding, size = struct.unpack_from("<III", head, self._lengths)
        name = head[self._head : self._head + min(names, MOST_NAME)].decode("utf-16-le", "replace")
        plain = name.isprintable() and name and not set(name) & {"/", "\N{REPLACEMENT CHARACTER}"}
        known = name.encode() if plain else head[8:16][::-1].hex().encode()
        return _Entry(known, at + self._head + names + padding, size)

    def _step(self) -> bool:
        """To the next entry; whether there is one."""
        head = self._source.read(self._next, self._head)
        if len(head) < self._head:
            self._broken |= any(head)
            return False
        (size,) = struct.unpack_from("<I", head, 4)
        lengths = struct.unpack_from("<III", head, self._lengths)
        if not head.startswith(MAGIC) or size < self._head + sum(lengths):
            return self._search()
        if lengths[2]:
            self._places.append(self._next)
        self._next += size
        return True

    def _search(self) -> bool:
        """To the next magic, where none is or one that makes no sense; what is passed may only be zeros."""
        self._searches += 1
        at = self._next + 1 if self._source.read(self._next, len(MAGIC)) == MAGIC else self._next
        self._broken |= at > self._next
        if self._searches > MOST_SEARCHES:
            return False
        while data := self._source.read(at, CHUNK):
            found = data.find(MAGIC)
            self._broken |= any(data[: found if found >= 0 else None])
            if found >= 0:
                self._next = at + found
                return True
            at += len(data) - (len(MAGIC) - 1 if len(data) == CHUNK else 0)
        self._next = at
        return False
