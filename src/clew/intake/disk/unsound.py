"""Directories that are not what was written as one: The Sleuth Kit takes a wiped block for an empty directory.

On FAT every directory but the root begins with an entry of itself, ".", and one of the directory above it, ".."
(Microsoft, FAT32 File System Specification, 2000, "FAT Directory Structure"). So does every one of ext, where besides
the entries of each block fill it to its end (https://docs.kernel.org/filesystems/ext4/, "Directory Entries"). On exFAT
nothing tells a wiped directory from an empty one.
"""

import struct
from collections.abc import Iterator

from clew.intake.disk.ext_far import MOST_DIRECTORY, Inodes
from clew.intake.disk.image import FileSystem

WIPED = "its first entries are not those of itself and the directory above it: what is listed of it may not be all"
_FAT_ENTRY, _FAT_DOTS = 32, (b".".ljust(11), b"..".ljust(11))
_ENTRY = struct.Struct("<IHB")  # of ext: inode, bytes of the entry, bytes of the name
_NAME = 8  # the byte of an entry at which its name stands
_LEAST, _LARGEST_BLOCK = 12, 65536  # bytes of an entry, at least; of a block, which an entry's 16 bits cannot say
_TOGETHER = 1 << 20  # bytes that are read together, at least


def unsound(opened: FileSystem, address: int) -> str:
    """Why the live directory with that file record cannot be as it was written; "" where nothing speaks against it.

    Raises OSError.
    """
    if opened.family == "FAT" and address != opened.root:
        data = bytes(opened.fs.open_meta(inode=address).read_random(0, 2 * _FAT_ENTRY))
        dots = tuple(data[at : at + len(_FAT_DOTS[0])] for at in (0, _FAT_ENTRY))
        return WIPED if dots != _FAT_DOTS else ""
    table = opened.table
    if opened.family != "ext" or table is None or table.inline(address) or table.far(address):
        return ""
    bad = count = 0
    for block in _blocks(opened, table, address):
        if count == 0 and not _begins(block, address):
            return WIPED
        bad += not _filled(block)
        count += 1
    return f"{bad:,} of its {count:,} blocks hold no entries of a directory" if bad or not count else ""


def _blocks(opened: FileSystem, table: Inodes, address: int) -> Iterator[bytes]:
    file = opened.fs.open_meta(inode=address)
    size, together = min(int(file.info.meta.size), MOST_DIRECTORY), max(_TOGETHER, table.block)
    for start in range(0, size, together):
        data = bytes(file.read_random(start, min(together, size - start)))
        yield from (data[at : at + table.block] for at in range(0, len(data), table.block))


def _begins(block: bytes, address: int) -> bool:
    """Whether a block is the first one of that directory."""
    if len(block) < 2 * _LEAST:
        return False
    inode, length, letters = _ENTRY.unpack_from(block)
    above = block[length + _NAME - 2 : length + _NAME - 1], block[length + _NAME : length + _NAME + 2]
    return (inode, block[_NAME : _NAME + letters], *above) == (address, b".", b"\x02", b"..")


def _filled(block: bytes) -> bool:
    """Whether entries fill a block to its end."""
    at = 0
    while at + _NAME <= len(block):
        length = _ENTRY.unpack_from(block, at)[1]
        if len(block) == _LARGEST_BLOCK and length in {0, _LARGEST_BLOCK - 1}:
            length = _LARGEST_BLOCK
        if length < _LEAST or length % 4:
            return False
        at += length
    return at == len(block)
