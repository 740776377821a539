"""A TIFF structure (TIFF 6.0, section 2), as EXIF blocks, TIFF pictures and camera raws have it. Nothing is copied
that is not asked for, nothing is read beyond the bytes there are, and no count is believed.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

# Type -> (bytes, struct code); rationals are two numbers each. 13 is IFD (TIFF technical note 1).
_TYPES = {1: (1, "B"), 2: (1, "B"), 3: (2, "H"), 4: (4, "I"), 5: (8, "II"), 6: (1, "b"), 7: (1, "B"), 8: (2, "h"),
          9: (4, "i"), 10: (8, "ii"), 11: (4, "f"), 12: (8, "d"), 13: (4, "I")}  # fmt: skip
_ASCII, _RATIONALS = 2, (5, 10)
# 42 of TIFF; "RO" and "RS" of Olympus, 0x55 of Panasonic
_MAGIC = (42, 0x4F52, 0x5352, 0x55)
MOST_ENTRIES = 2_000  # of one directory; cameras write up to a few hundred
MOST_DIRECTORIES = 64  # of one chain
MOST_BYTES = 1 << 16  # of one value that is copied


@dataclass(frozen=True, slots=True)
class Entry:
    """One field: its type, how many values it claims, and where they begin in the block."""

    tag: int
    kind: int
    count: int
    at: int


@dataclass(frozen=True, slots=True)
class Directory:
    """One IFD: the first entry of each tag, and the offset of the directory after it (0: none).

    `cut` says that it claims more entries than are there, or than are read.
    """

    entries: dict[int, Entry] = field(default_factory=dict)
    after: int = 0
    cut: bool = False


class Tiff:
    """A block that begins with a TIFF header; every offset counts from its first byte. Raises ValueError for other
    bytes.

    `order`, "<" or ">", given: the block has no header, as maker notes are.
    """

    def __init__(self, data: memoryview, order: str = "") -> None:
        self.data = data
        if order:
            self.order, self.first = order, 0
            return
        mark = bytes(data[:2])
        if len(data) < 8 or mark not in (b"II", b"MM"):
            raise ValueError("no TIFF header")
        self.order = "<" if mark == b"II" else ">"
        self.magic, self.first = struct.unpack_from(self.order + "HI", data, 2)
        if self.magic not in _MAGIC:
            raise ValueError(f"TIFF of kind {self.magic} is not known")

    def directory(self, at: int) -> Directory:
        """The directory at that offset. Raises ValueError where none can lie there."""
        if not 0 < at <= len(self.data) - 2 and not (at == 0 and self.first == 0):
            raise ValueError(f"a directory at {at} lies outside the block")
        (claimed,) = struct.unpack_from(self.order + "H", self.data, at)
        count = min(claimed, MOST_ENTRIES, (len(self.data) - at - 2) // 12)
        entries: dict[int, Entry] = {}
        fields = struct.iter_unpack(self.order + "HHI4s", self.data[at + 2 : at + 2 + 12 * count])
        for number, (tag, kind, values, inline) in enumerate(fields):
            if kind not in _TYPES or tag in entries:
                continue
            size = _TYPES[kind][0] * values
            place = at + 2 + 12 * number + 8 if size <= 4 else struct.unpack(self.order + "I", inline)[0]
            entries[tag] = Entry(tag, kind, values, place)
        end, after = at + 2 + 12 * count, 0
        if count == claimed and end + 4 <= len(self.data):
            (after,) = struct.unpack_from(self.order + "I", self.data, end)
        return Directory(entries, after, count < claimed)

    def chain(self, at: int) -> Iterator[Directory]:
        """The directory there and those after it, each once. A link that leads nowhere ends it."""
        seen: set[int] = set()
        while at and at not in seen and len(seen) < MOST_DIRECTORIES:
            seen.add(at)
            try:
                found = self.directory(at)
            except ValueError:
                return
            yield found
            at = found.after

    def raw(self, entry: Entry, most: int = MOST_BYTES) -> bytes:
        """The bytes of a value. Raises ValueError where they lie outside the block or are more than `most`."""
        size = _TYPES[entry.kind][0] * entry.count
        if size > most or entry.at + size > len(self.data):
            raise ValueError(f"tag {entry.tag:#06x}: {size} bytes at {entry.at} of {len(self.data)}")
        return bytes(self.data[entry.at : entry.at + size])

    def numbers(self, entry: Entry | None, most: int = 4096) -> tuple[float, ...]:
        """Its values; () where there is no such entry. Rationals with a denominator of 0 are infinite or no number.

        Raises ValueError as `raw` does.
        """
        if entry is None:
            return ()
        size, code = _TYPES[entry.kind]
        values = struct.unpack(self.order + code * entry.count, self.raw(entry, size * most))
        if entry.kind in _RATIONALS:
            return tuple(_divided(above, below) for above, below in zip(values[::2], values[1::2], strict=True))
        return values

    def number(self, entry: Entry | None) -> int | None:
        """Its one whole number; None where it is not there or is another thing."""
        if entry is None or entry.count != 1 or entry.kind in (*_RATIONALS, 11, 12):
            return None
        return int(self.numbers(entry)[0])

    def text(self, entry: Entry | None, most: int = MOST_BYTES) -> str:
        """Its text up to the first NUL, without spaces at its ends; "" where there is none. Raises ValueError as
        `raw` does. Numbers are written out.
        """
        if entry is None:
            return ""
        if entry.kind not in (1, _ASCII, 7):
            return " ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in self.numbers(entry))
        return plain(self.raw(entry, most))


def plain(raw: bytes) -> str:
    """Text of a field that names no encoding: UTF-8 where it is valid, else Latin-1; up to the first NUL."""
    raw = raw.split(b"\x00", 1)[0]
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return text.strip()


def _divided(above: int, below: int) -> float:
    if below == 0:
        return float("nan") if above == 0 else float("inf")
    return above / below
