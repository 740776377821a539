"""APFS: what a container's own books say of its volumes, read without libfsapfs (Apple File System Reference, 2020).

The newest superblock of the checkpoint area leads to the object map, a B-tree, and that to the superblock of each
volume, which counts its files, directories, links and snapshots.
"""

import struct
from dataclasses import dataclass

from clew.intake.api import ByteSource

MOST_CHECKPOINTS = 4096  # blocks of the checkpoint area that are looked at
MOST_VOLUMES = 100
MOST_LEVELS = 12
_ROOT, _LEAF, _FIXED = 1, 2, 4  # btn_flags
_HEAD, _TREE_INFO = 56, 40  # bytes of a node's header, and of what follows the keys and values in a root


@dataclass(frozen=True, slots=True)
class Books:
    """What the superblock of one volume counts."""

    files: int
    directories: int
    links: int
    others: int
    snapshots: int


def of(source: ByteSource, offset: int) -> list[Books | None]:
    """The books of each volume, in the container's order; None for one whose superblock is not found. [] where the
    container makes no sense.
    """
    try:
        block, newest = _superblock(source, offset)
        wanted = struct.unpack_from(f"<{MOST_VOLUMES}Q", newest, 184)
        map_at = struct.unpack_from("<Q", newest, 160)[0]
        root = struct.unpack_from("<Q", _block(source, offset, block, map_at), 48)[0]
        return [_volume(source, offset, block, root, each) for each in wanted if each]
    except (struct.error, OSError, ValueError):
        return []


def _superblock(source: ByteSource, offset: int) -> tuple[int, bytes]:
    """Bytes of a block, and the newest superblock whose checksum holds. Raises ValueError, struct.error, OSError."""
    first = source.read(offset, 4096)
    size = struct.unpack_from("<I", first, 36)[0]
    if first[32:36] != b"NXSB" or not 4096 <= size <= 65536:
        raise ValueError("no container")
    count, base = struct.unpack_from("<I", first, 104)[0], struct.unpack_from("<Q", first, 112)[0]
    found = [source.read(offset, size)]
    if not count >> 31:  # else the area itself is scattered, and a tree says where
        found += [_block(source, offset, size, base + number) for number in range(min(count, MOST_CHECKPOINTS))]
    whole = [each for each in found if each[32:36] == b"NXSB" and fletcher(each[8:]) == each[:8]]
    if not whole:
        raise ValueError("no superblock is whole")
    return size, max(whole, key=lambda each: int.from_bytes(each[16:24], "little"))


def _volume(source: ByteSource, offset: int, block: int, root: int, wanted: int) -> Books | None:
    at = _look_up(source, offset, block, root, wanted)
    raw = _block(source, offset, block, at) if at is not None else b""
    if raw[32:36] != b"APSB":
        return None
    files, directories, links, others, snapshots = struct.unpack_from("<5Q", raw, 184)
    return Books(files, directories, links, others, snapshots)


def _look_up(source: ByteSource, offset: int, block: int, root: int, wanted: int) -> int | None:
    """The block of an object by its number in an object map: the entry of the highest transaction."""
    at = root
    for _ in range(MOST_LEVELS):
        node = _block(source, offset, block, at)
        flags, _, count, toc_at, toc_length = struct.unpack_from("<HHIHH", node, 32)
        if not flags & _FIXED:
            return None
        keys = _HEAD + toc_at + toc_length
        values = block - (_TREE_INFO if flags & _ROOT else 0)
        best: int | None = None
        for number in range(min(count, block // 4)):
            key, value = struct.unpack_from("<HH", node, _HEAD + toc_at + 4 * number)
            if struct.unpack_from("<Q", node, keys + key)[0] <= wanted:
                best = number
        if best is None:
            return None
        key, value = struct.unpack_from("<HH", node, _HEAD + toc_at + 4 * best)
        if flags & _LEAF:
            here: int = struct.unpack_from("<Q", node, values - value + 8)[0]
            return here if struct.unpack_from("<Q", node, keys + key)[0] == wanted else None
        at = struct.unpack_from("<Q", node, values - value)[0]
    return None


def _block(source: ByteSource, offset: int, size: int, number: int) -> bytes:
    return source.read(offset + number * size, size)


def fletcher(data: bytes) -> bytes:
    """Fletcher's checksum of 64 bits over words of 32, as Apple turns it."""
    low = high = 0
    for (word,) in struct.iter_unpack("<I", data):
        low = (low + word) % 0xFFFFFFFF
        high = (high + low) % 0xFFFFFFFF
    first = 0xFFFFFFFF - (low + high) % 0xFFFFFFFF
    second = 0xFFFFFFFF - (low + first) % 0xFFFFFFFF
    return struct.pack("<II", first, second)
