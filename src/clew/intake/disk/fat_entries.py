"""Live entries of a FAT directory that have a size and name no cluster: The Sleuth Kit passes them over.

Microsoft, FAT32 File System Specification, 2000, "FAT Directory Structure" and "FAT Long Directory Entries".
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

ENTRY = 32  # bytes
MOST_DIRECTORY = 65_536 * ENTRY  # bytes: none may be longer
_DELETED, _STANDS_FOR_DELETED = 0xE5, 0x05  # the first byte of a name, and what stands for that one as a letter
_OTHER = 0xD8  # attributes: volume, directory, and the two that no entry has
_LONG_NAME, _LAST, _MOST_PARTS = 0x0F, 0x40, 20
_LOWER_NAME, _LOWER_EXTENSION = 0x08, 0x10  # of byte 12, as Windows NT writes it
_FORBIDDEN = frozenset(b'"*+,./:;<=>?[\\]|')  # in a short name, as are control characters


class Pointless(NamedTuple):
    """One such entry: which it is in its directory, its name, and the size that it says, in bytes."""

    number: int
    name: bytes
    size: int


def pointless(data: bytes, *, fat32: bool) -> Iterator[Pointless]:
    """Those of a directory's bytes, in order, up to its end."""
    table = np.frombuffer(data, np.uint8, len(data) // ENTRY * ENTRY).reshape(-1, ENTRY)
    table = table[: int(np.argmin(table[:, 0] != 0)) if not table[:, 0].all() else None]
    zero = (table[:, 26:28] == 0).all(1) & (table[:, 28:32] != 0).any(1)
    zero &= (table[:, 0] != _DELETED) & (table[:, 11] & _OTHER == 0)
    if fat32:
        zero &= (table[:, 20:22] == 0).all(1)
    for number in np.flatnonzero(zero).tolist():
        raw = table[number].tobytes()
        if not any(letter < 0x20 or letter in _FORBIDDEN for letter in raw[1:11]):
            name = _long(table[max(number - _MOST_PARTS, 0) : number].tobytes(), _checksum(raw[:11])) or _short(raw)
            yield Pointless(number, name, struct.unpack_from("<I", raw, 28)[0])


def _long(before: bytes, checksum: int) -> bytes:
    """The long name that stands in the entries before one, the first part last; empty where there is none."""
    text = b""
    for part, at in enumerate(range(len(before) - ENTRY, -1, -ENTRY), 1):
        raw = before[at : at + ENTRY]
        if raw[11] != _LONG_NAME or raw[0] & ~_LAST != part or raw[13] != checksum:
            break
        text += raw[1:11] + raw[14:26] + raw[28:32]
        if raw[0] & _LAST:
            return text.decode("utf-16-le", "surrogatepass").partition("\0")[0].encode("utf-8", "surrogatepass")
    return b""


def _checksum(name: bytes) -> int:
    total = 0
    for letter in name:
        total = ((total & 1) << 7) + (total >> 1) + letter & 0xFF
    return total


def _short(raw: bytes) -> bytes:
    """As The Sleuth Kit tells it: letters of an unknown code page as "^"."""
    first = bytes([_DELETED]) if raw[0] == _STANDS_FOR_DELETED else raw[:1]
    name, extension = (first + raw[1:8]).rstrip(b" "), raw[8:11].rstrip(b" ")
    name = name.lower() if raw[12] & _LOWER_NAME else name
    extension = extension.lower() if raw[12] & _LOWER_EXTENSION else extension
    whole = name + b"." + extension if extension else name
    return bytes(letter if 0x20 <= letter < 0x7F else ord("^") for letter in whole)
