"""Extents of ext4 in a file system of more than 2^32 blocks, read from the inodes themselves.

The Sleuth Kit (4.15) takes the upper 16 of an extent's 48 bits for bits 16 to 31: from block 2^32 on it reads other
blocks than the file's, and says nothing. So in such a file system it is asked for no content of a file with extents,
and for no directory that lies there (https://docs.kernel.org/filesystems/ext4/, "Data Blocks", "Directory Entries").
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import pytsk3

from clew.intake.api import ByteSource
from clew.intake.disk import ext_layout

FAR = 1 << 32  # the first block of which The Sleuth Kit tells another one
MOST_EXTENTS = 1 << 20  # of one file
MOST_DIRECTORY = 1 << 30  # bytes
_WIDE = 0x80  # a feature: numbers of blocks have 64 bits
_ORPHANS, _PROJECTS = 0x1000, 0x2100  # features: a file of orphans; quota, and that of projects
_ORPHANS_END, _PROJECTS_BEGIN = struct.pack("<I", 0x0B10CA04), struct.pack("<I", 0xD9C03F14)
_TAIL = 8  # bytes at the end of a block of the file of orphans: its magic, and a checksum
_ENCRYPT, _ENCRYPTED = 0x10000, 0x800  # fscrypt: the feature, and the flag of an inode
_NARROW, _WIDE_DESCRIPTOR = 32, 64  # bytes of a group's descriptor, at least, and of one with numbers of 64 bits
_LEAST = 128  # bytes of an inode
_INDEXED = 0x1000  # an inode's flag: a directory has a tree of hashes
_INLINE = 0x10000000  # an inode's flag: its content stands in it
_EXTENTS = 0x80000  # an inode's flag: a tree of extents stands where block pointers would
_NODE, _LEAF, _INDEX = struct.Struct("<HH2xH4x"), struct.Struct("<IHHI"), struct.Struct("<IIH2x")
_MAGIC, _MOST_DEPTH = 0xF30A, 5
_WRITTEN = 32768  # blocks that an extent has at most; one that says more was never written
_ENTRY = struct.Struct("<IHBB")  # of a directory: inode, bytes of the entry, bytes of the name, kind
_DIRECTORY = 2  # the kind
SPARSE, _NON_RESIDENT = int(pytsk3.TSK_FS_ATTR_RUN_FLAG_SPARSE), int(pytsk3.TSK_FS_ATTR_NONRES)
_DEFAULT = int(pytsk3.TSK_FS_ATTR_TYPE_DEFAULT)
_NAMES = {True: int(pytsk3.TSK_FS_NAME_TYPE_DIR), False: int(pytsk3.TSK_FS_NAME_TYPE_UNDEF)}


class Extent(NamedTuple):
    """Blocks of a file from its block `first` on; they lie at `place`, None where nothing was ever written."""

    first: int
    place: int | None
    blocks: int


class Run(NamedTuple):
    """One run of an attribute, as The Sleuth Kit names its parts: in blocks."""

    offset: int
    addr: int
    len: int
    flags: int


@dataclass(frozen=True, slots=True)
class Info:
    """What is asked of an attribute, as The Sleuth Kit names it."""

    size: int
    type: int = _DEFAULT
    id: int = 0
    flags: int = _NON_RESIDENT
    name: bytes | None = None


@dataclass(frozen=True, slots=True)
class Attribute:
    """A file's content, in the place of The Sleuth Kit's own."""

    info: Info
    runs: tuple[Run, ...]

    def __iter__(self) -> Iterator[Run]:
        return iter(self.runs)


class Inodes:
    """The inodes of the file system at byte `offset`. Raises struct.error, OSError."""

    def __init__(self, source: ByteSource, offset: int) -> None:
        sb = source.read(offset + 1024, 1024)
        self._source, self._offset = source, offset
        first, log_size = struct.unpack_from("<II", sb, 20)
        (self.per_group,) = struct.unpack_from("<I", sb, 40)
        self.length, features = struct.unpack_from("<H6xI", sb, 88)
        if not struct.unpack_from("<I", sb, 76)[0]:  # revision 0 says neither
            self.length, features = _LEAST, 0
        self.wide = bool(features & _WIDE)
        self._encrypts = bool(features & _ENCRYPT)
        self.descriptor = max(_NARROW, struct.unpack_from("<H", sb, 254)[0]) if self.wide else _NARROW
        self.block = 1024 << min(log_size, 6)
        self.own = _own(sb, self.block)
        self._table = offset + (first + 1) * self.block
        if ext_layout.scattered(sb) or not self.per_group or self.length < _LEAST:
            raise OSError("where its groups are described is not read")

    def attribute(self, number: int, size: int) -> Attribute | None:
        """The content, of `size` bytes, of that inode; None where it has no extents: The Sleuth Kit has the word.

        Raises OSError.
        """
        raw = self.raw(number)
        if not struct.unpack_from("<I", raw, 32)[0] & _EXTENTS:
            return None
        runs, at, end = list[Run](), 0, -(-size // self.block)
        for first, place, count in self.extents(raw, []):
            if first < at:
                raise OSError("its extents are not in order")
            runs += [Run(at, 0, first - at, SPARSE)] if first > at else []
            runs.append(Run(first, place or 0, count, 0 if place is not None else SPARSE))
            at = first + count
        runs += [Run(at, 0, end - at, SPARSE)] if at < end else []
        return Attribute(Info(size), tuple(runs))

    def encrypted(self, number: int) -> bool:
        """Whether the content of that inode, or of a directory the names, are encrypted by the file system itself
        (https://docs.kernel.org/filesystems/fscrypt.html). Raises OSError.
        """
        return self._encrypts and bool(struct.unpack_from("<I", self.raw(number), 32)[0] & _ENCRYPTED)

    def inline(self, number: int) -> bool:
        """Whether the content of that inode stands in it. Raises OSError."""
        return bool(struct.unpack_from("<I", self.raw(number), 32)[0] & _INLINE)

    def far(self, number: int) -> bool:
        """Whether that inode has a block, or a node of its tree, of which The Sleuth Kit tells another.

        Raises OSError.
        """
        raw = self.raw(number)
        if not struct.unpack_from("<I", raw, 32)[0] & _EXTENTS:
            return False
        nodes: list[int] = []
        return any((place or 0) >= FAR for _, place, _ in self.extents(raw, nodes)) or any(
            node >= FAR for node in nodes
        )

    def indexed(self, number: int) -> bool:
        """Whether that directory has an index over its names. Raises OSError."""
        return bool(struct.unpack_from("<I", self.raw(number), 32)[0] & _INDEXED)

    def names(self, number: int, size: int) -> Iterator[tuple[bytes, int, bool]]:
        """(name, inode, whether that is a directory) of the live entries of that directory. Raises OSError."""
        attribute = self.attribute(number, min(size, MOST_DIRECTORY))
        for run in attribute or ():
            for block in range(run.addr, run.addr + run.len) if not run.flags else ():
                data = self.blocks(block, 1)
                at = 0
                while at + _ENTRY.size <= len(data):
                    inode, length, letters, kind = _ENTRY.unpack_from(data, at)
                    if length < _ENTRY.size:
                        break
                    if inode and letters and at + _ENTRY.size + letters <= len(data):
                        yield data[at + _ENTRY.size :][:letters], inode, kind == _DIRECTORY
                    at += length

    def place(self, number: int) -> int:
        """The byte of the disk at which that inode begins. Raises OSError."""
        group, inside = divmod(number - 1, self.per_group)
        at: int = self._offset + self.group(group)[2] * self.block + inside * self.length
        return at

    def raw(self, number: int) -> bytes:
        """That inode as it lies on the disk. Raises OSError."""
        raw = self._source.read(self.place(number), self.length)
        if len(raw) < _LEAST:
            raise OSError("its inode cannot be read")
        return raw

    def read(self, at: int, length: int) -> bytes:
        """So many bytes of the file system, as far as there are any."""
        return self._source.read(self._offset + at, length)

    def blocks(self, first: int, count: int) -> bytes:
        """So many of its blocks."""
        return self.read(first * self.block, count * self.block)

    def group(self, number: int) -> tuple[int, int, int, int]:
        """Where a group's bitmap of blocks, its bitmap of inodes and its inodes begin, in blocks; its flags.

        Raises OSError.
        """
        raw = self._source.read(self._table + number * self.descriptor, self.descriptor)
        if len(raw) < self.descriptor:
            raise OSError("its group's descriptor cannot be read")
        places = struct.unpack_from("<3I", raw)
        if self.descriptor >= _WIDE_DESCRIPTOR:
            places = tuple(
                low | high << 32 for low, high in zip(places, struct.unpack_from("<3I", raw, 32), strict=True)
            )
        return *places, struct.unpack_from("<H", raw, 18)[0]

    def extents(self, raw: bytes, nodes: list[int]) -> list[Extent]:
        """The extents of an inode, in order; the blocks of the nodes of its tree are added to `nodes`."""
        found = list(islice(self._extents(raw[40:100], nodes, _MOST_DEPTH), MOST_EXTENTS + 1))
        if len(found) > MOST_EXTENTS:
            raise OSError(f"it has more than {MOST_EXTENTS:,} extents")
        return found

    def _extents(self, node: bytes, nodes: list[int], depth: int) -> Iterator[Extent]:
        magic, entries, below = _NODE.unpack_from(node) if len(node) >= _NODE.size else (0, 0, 0)
        if magic != _MAGIC or below > depth or (1 + entries) * _LEAF.size > len(node) or len(nodes) > MOST_EXTENTS:
            raise OSError("its tree of extents makes no sense")
        for at in range(_LEAF.size, (1 + entries) * _LEAF.size, _LEAF.size):
            if below:
                _, low, high = _INDEX.unpack_from(node, at)
                nodes.append(high << 32 | low)
                yield from self._extents(self.blocks(nodes[-1], 1), nodes, below - 1)
            else:
                first, count, high, low = _LEAF.unpack_from(node, at)
                written = count <= _WRITTEN
                yield Extent(first, high << 32 | low if written else None, count if written else count - _WRITTEN)


def _own(sb: bytes, block: int) -> dict[int, tuple[int, bytes]]:
    """Inodes behind the reserved ones that the superblock says are the file system's own; and at which byte of their
    content what magic stands ("Super Block", "Orphan File"; Linux, fs/quota/quotaio_v2.h): behind any other number a
    file could be hidden.
    """
    (compatible,), (readable,) = struct.unpack_from("<I", sb, 92), struct.unpack_from("<I", sb, 100)
    (project,), (orphans,) = struct.unpack_from("<I", sb, 0x26C), struct.unpack_from("<I", sb, 0x280)
    found = {project: (0, _PROJECTS_BEGIN)} if readable & _PROJECTS == _PROJECTS else {}
    return found | ({orphans: (block - _TAIL, _ORPHANS_END)} if compatible & _ORPHANS else {})


@dataclass(frozen=True, slots=True)
class _Name:
    name: bytes
    meta_addr: int
    type: int
    meta_seq: int = 0
    flags: int = int(pytsk3.TSK_FS_NAME_FLAG_ALLOC)


@dataclass(frozen=True, slots=True)
class _Both:
    name: _Name
    meta: Any


@dataclass(frozen=True, slots=True)
class File:
    """An entry of a directory, as The Sleuth Kit gives one; the file behind it is its own."""

    info: _Both
    file: Any

    def __iter__(self) -> Iterator[Any]:
        return iter(self.file or ())


def directory(fs: pytsk3.FS_Info, inodes: Inodes, number: int) -> Iterator[File]:
    """The live entries of a directory that The Sleuth Kit would read elsewhere. Raises OSError."""
    for name, inode, is_directory in inodes.names(number, int(fs.open_meta(inode=number).info.meta.size)):
        try:
            file = fs.open_meta(inode=inode)
        except OSError:
            file = None
        meta = file.info.meta if file is not None else None
        yield File(_Both(_Name(name, inode, _NAMES[is_directory]), meta), file)
