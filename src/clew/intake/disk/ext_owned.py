"""Which blocks of an ext file system its inodes in use have, and the file system itself: what no inode has, and is in
use all the same, holds no content of a file.

https://docs.kernel.org/filesystems/ext4/, "Layout", "Block Group Descriptors", "Index Nodes"; for block pointers
Carrier, File System Forensic Analysis, 2005, chapter 14. Extents that were never written own nothing: a file reads as
zeros there.
"""

import struct
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from clew.intake.api import ByteSource
from clew.intake.disk.ext_far import Inodes

_MMP, _SPARSE_SUPER, _SPARSE_SUPER_2 = 0x100, 1, 0x200  # features
_INODE_UNINIT = 1  # a group's flag: none of its inodes is in use
_RESERVED = 11  # inodes before it are the file system's own, whatever they say that they are
_FOLDER, _FILE, _LINK = 0x4000, 0x8000, 0xA000  # the kind of file that a mode says
_EXTENTS, _INLINE = 0x80000, 0x10000000  # flags of an inode
_SHORT = 60  # bytes of a link that stand in its inode
_LEAST_GROUP = 256  # blocks, as mke2fs makes them
_TOGETHER = 1024  # inodes that are read together
_INODE = struct.Struct("<H2xI")  # mode, size

Pointers = NDArray[np.int64]
Blocks = tuple[int, int]


def owned(source: ByteSource, offset: int) -> Iterator[Blocks]:
    """The runs of blocks that belong to somebody, as (first, blocks). Raises OSError, struct.error."""
    inodes = Inodes(source, offset)
    sb = source.read(offset + 1024, 1024)
    (blocks,) = struct.unpack_from("<I", sb, 4)
    blocks |= struct.unpack_from("<I", sb, 0x150)[0] << 32 if inodes.wide else 0
    (first,), (per_group,) = struct.unpack_from("<I", sb, 20), struct.unpack_from("<I", sb, 32)
    if per_group < _LEAST_GROUP:
        raise OSError(f"its groups have {per_group} blocks")
    groups = -(-(blocks - first) // per_group)
    described = -(-groups * inodes.descriptor // inodes.block)
    if struct.unpack_from("<I", sb, 96)[0] & _MMP:
        yield struct.unpack_from("<Q", sb, 0x168)[0], 1
    for group in range(groups):
        if _has_copy(group, sb):
            yield first + group * per_group, 1 + described
        bitmap, used, table, flags = inodes.group(group)
        yield from ((bitmap, 1), (used, 1), (table, -(-inodes.per_group * inodes.length // inodes.block)))
        if not flags & _INODE_UNINIT:
            yield from _group(inodes, used, table, group * inodes.per_group + 1)


def _has_copy(group: int, sb: bytes) -> bool:
    """Whether a group begins with the superblock and all descriptors, or a copy of them."""
    compatible, _, read_only = struct.unpack_from("<III", sb, 92)
    if compatible & _SPARSE_SUPER_2:
        return group == 0 or group in struct.unpack_from("<II", sb, 0x24C)
    if not read_only & _SPARSE_SUPER or group < 2:
        return True
    for base in (3, 5, 7):
        power = base
        while power < group:
            power *= base
        if power == group:
            return True
    return False


def _group(inodes: Inodes, used: int, table: int, number: int) -> Iterator[Blocks]:
    """Those of the inodes in use of one group, of which the first has that number."""
    bits = np.unpackbits(np.frombuffer(inodes.blocks(used, 1), np.uint8), bitorder="little")[: inodes.per_group]
    for start in range(0, len(bits), _TOGETHER):
        each = np.flatnonzero(bits[start : start + _TOGETHER]).tolist()
        if not each:
            continue
        raw = inodes.read(table * inodes.block + start * inodes.length, (each[-1] + 1) * inodes.length)
        for at in each:
            inode = raw[at * inodes.length : (at + 1) * inodes.length]
            with suppress(OSError, struct.error):  # what makes no sense owns nothing
                yield from _inode(inodes, inode, own=number + start + at < _RESERVED)


def _inode(inodes: Inodes, raw: bytes, *, own: bool) -> Iterator[Blocks]:
    """Those of one inode: its content, what tells where it lies, and its extended attributes."""
    (mode, size), (flags,) = _INODE.unpack_from(raw), struct.unpack_from("<I", raw, 32)
    attributes = struct.unpack_from("<I", raw, 0x68)[0] | struct.unpack_from("<H", raw, 0x76)[0] << 32
    if attributes:
        yield attributes, 1
    kind = mode & 0xF000
    if flags & _INLINE or not (own or kind in {_FOLDER, _FILE, _LINK}):
        return
    if flags & _EXTENTS:
        nodes: list[int] = []
        for _, place, count in inodes.extents(raw, nodes):
            if place is not None:
                yield place, count
        yield from ((node, 1) for node in nodes)
    elif kind != _LINK or size >= _SHORT:
        pointers = _pointers(raw[40:100])
        for depth, some in enumerate((pointers[:12], pointers[12:13], pointers[13:14], pointers[14:])):
            yield from _below(inodes, some, depth)


def _below(inodes: Inodes, pointers: Pointers, depth: int) -> Iterator[Blocks]:
    """The blocks that these pointers name, and `depth` times those that are named in them."""
    pointers = pointers[pointers != 0]
    edges = [0, *(np.flatnonzero(np.diff(pointers) != 1) + 1).tolist(), len(pointers)]
    for start, end in pairwise(edges):
        if start < end:
            yield int(pointers[start]), end - start
    if depth:
        for block in pointers.tolist():
            yield from _below(inodes, _pointers(inodes.blocks(block, 1)), depth - 1)


def _pointers(raw: bytes) -> Pointers:
    found: Pointers = np.frombuffer(raw, "<u4", len(raw) // 4).astype(np.int64)
    return found
