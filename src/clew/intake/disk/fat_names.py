"""What the entries of a FAT directory are called, read by clew itself: The Sleuth Kit takes the parts of a long name
that stand before an entry for its own, whatever their checksum says, and no more than fifteen of them.

Programs that know no long names leave the parts of one behind when they rename, delete or write an entry. Whose name
it is, its parts tell by their order and by a checksum over the short name (Microsoft, FAT32 File System Specification,
2000, "FAT Long Directory Entries"). Of a deleted entry the order and the first letter of the short name are gone; but
the checksum tells which letter that was, and it begins the long name too, where that begins with one that a short name
may have.
"""

import struct
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import pytsk3

ENTRY = 32  # bytes
MOST_DIRECTORY = 65_536 * ENTRY  # bytes: none may be longer
DELETED, STANDS_FOR_DELETED = 0xE5, 0x05  # the first byte of a name, and what stands for that one as a letter
FORBIDDEN = frozenset(b'"*+,./:;<=>?[\\]|')  # in a short name, as are control characters
VOLUME = 0x08
_LONG_NAME, _ATTRIBUTES, _LAST, _MOST_PARTS = 0x0F, 0x3F, 0x40, 20
_MOST_READ = 15  # parts: The Sleuth Kit drops those behind
_DOTS = frozenset({b"", b".", b".."})  # which are no names
_LOWER_NAME, _LOWER_EXTENSION = 0x08, 0x10  # of byte 12, as Windows NT writes it
FIRST_ADDRESS = 3  # of an entry, as The Sleuth Kit numbers them from the first sector that can hold one


class Named(NamedTuple):
    """What an entry is called, and a long name that stands before it and is not its own; b"" where there is none."""

    name: bytes
    before: bytes
    odd: bool = False  # whether The Sleuth Kit may be left to say it: it is no UTF-16, and not too long for it


def named(data: bytes, number: int) -> Named:
    """The name of an entry of a directory's bytes that is no part of a name."""
    raw = data[number * ENTRY : (number + 1) * ENTRY]
    parts = list(_before(data, number))
    if not parts:
        return Named(_short(raw), b"")
    text = b"".join(part[1:11] + part[14:26] + part[28:32] for part in parts)
    units = struct.unpack(f"<{len(text) // 2}H", text)
    text = text[: 2 * units.index(0)] if 0 in units else text
    name = text.decode("utf-16-le", "surrogatepass")
    long = name.encode("utf-8", "surrogatepass")
    if long in _DOTS or not _its_own(raw, parts, name):
        return Named(_short(raw), long)
    odd = any(0xD800 <= ord(letter) < 0xE000 for letter in name)
    return Named(long, b"", odd and len(parts) <= _MOST_READ)


def _before(data: bytes, number: int) -> Iterator[bytes]:
    """The parts of one long name that stand before an entry, its beginning first."""
    check: int | None = None
    for at in range(number - 1, max(number - 1 - _MOST_PARTS, -1), -1):
        part = data[at * ENTRY : (at + 1) * ENTRY]
        if not part[0] or part[11] & _ATTRIBUTES != _LONG_NAME or part[13] != (part[13] if check is None else check):
            return
        check = part[13]
        yield part
        gone = part[0] == DELETED
        if (gone and _ends(part)) or (not gone and part[0] & _LAST):
            return


def _ends(part: bytes) -> bool:
    """Whether a name ends in that part before it is full."""
    return any(part[at : at + 2] == b"\0\0" for at in (*range(1, 11, 2), *range(14, 26, 2), 28, 30))


def _its_own(raw: bytes, parts: list[bytes], name: str) -> bool:
    """Whether these parts belong to an entry; deleted ones have lost their numbers."""
    gone = raw[0] == DELETED
    numbered = [(number, part[0]) for number, part in enumerate(parts, 1) if not (gone and part[0] == DELETED)]
    if any(said & ~_LAST != number for number, said in numbered) or not (gone or parts[-1][0] & _LAST):
        return False
    check = parts[0][13]
    return _began(name, _first(raw, check)) if gone else checksum(raw[:11]) == check


def _first(raw: bytes, check: int) -> int:
    """The letter with which a deleted short name began, by the checksum: there is one for each."""
    for letter in reversed(raw[1:11]):
        check = check - letter & 0xFF
        check = (check << 1 | check >> 7) & 0xFF
    return check


def _began(name: str, letter: int) -> bool:
    """Whether the short form of a long name may begin with that letter."""
    first = name.lstrip(" .")[:1]
    if first.isascii() and first.isalnum():
        return letter == ord(first.upper())
    return letter == STANDS_FOR_DELETED or (letter > 0x20 and letter not in FORBIDDEN and not 0x61 <= letter <= 0x7A)


def checksum(name: bytes) -> int:
    """That over a short name, of 11 bytes."""
    total = 0
    for letter in name:
        total = ((total & 1) << 7) + (total >> 1) + letter & 0xFF
    return total


def _short(raw: bytes) -> bytes:
    """As The Sleuth Kit tells it: letters of an unknown code page as "^", the first one of a deleted name as "_"."""
    first = b"_" if raw[0] == DELETED else bytes([DELETED]) if raw[0] == STANDS_FOR_DELETED else raw[:1]
    name, extension = (first + raw[1:8]).rstrip(b" "), raw[8:11].rstrip(b" ")
    name = name.lower() if raw[12] & _LOWER_NAME else name
    extension = extension.lower() if raw[12] & _LOWER_EXTENSION else extension
    whole = name + b"." + extension if extension else name
    return bytes(letter if 0x20 <= letter < 0x7F else ord("^") for letter in whole)


class Directory:
    """The bytes of one directory of FAT. Entries have The Sleuth Kit's addresses, which numbers them from the `first`
    sector on. Raises OSError.
    """

    def __init__(self, fs: pytsk3.FS_Info, address: int, first: int) -> None:
        file = fs.open_meta(inode=address)
        content = next(iter(file), None)  # None, or nothing, of a deleted one whose clusters are another's
        size = min(int(content.info.size), MOST_DIRECTORY) if content is not None else 0
        self.data = bytes(file.read_random(0, size)) if size else b""
        self._each = int(fs.info.block_size) // ENTRY
        sectors = (sector for run in content or () for sector in range(int(run.addr), int(run.addr) + int(run.len)))
        most = -(-len(self.data) // ENTRY // self._each)
        self._sectors = [sector - first for sector in islice(sectors, most)]
        self._numbers = {sector: number for number, sector in enumerate(self._sectors)}

    def address(self, number: int) -> int:
        """The address of an entry."""
        return FIRST_ADDRESS + self._sectors[number // self._each] * self._each + number % self._each

    def named(self, address: int) -> tuple[Named, int] | None:
        """What an entry is called, and the address of the one before it; None for what is no file's in it."""
        sector, at = divmod(address - FIRST_ADDRESS, self._each)
        number = self._numbers.get(sector, -1) * self._each + at
        raw = self.data[number * ENTRY : (number + 1) * ENTRY] if number >= 0 else b""
        if len(raw) < ENTRY or raw[11] & VOLUME:
            return None
        return named(self.data, number), self.address(max(number - 1, 0))
