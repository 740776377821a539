"""What The Sleuth Kit takes for deleted entries of an ext directory, and is the index over its names: a tree of hashes
that stands where a block has no entry (https://docs.kernel.org/filesystems/ext4/, "Hash Tree Directories").

What lies in such a block behind the tree may be an entry of the time before the directory had an index.
"""

import re
import struct
from collections.abc import Iterator

from clew.intake.api import Range
from clew.intake.disk.ext_far import MOST_DIRECTORY
from clew.intake.disk.image import FileSystem

_INFO = struct.Struct("<IBBBB")  # zero; kind of hash; bytes of this; levels below; flags
_NODE, _PLACE = struct.Struct("<HH"), struct.Struct("<II")  # limit and count of places; hash and block of one
_INFO_AT, _ROOT_AT, _NODE_AT = 24, 32, 8  # bytes of a block: behind "." and "..", or behind an entry of the whole block
_MOST_LEVELS = 3
_HEAD = 8  # bytes of an entry before its name


class Index:
    """The index of one directory, where it has one. Raises OSError."""

    def __init__(self, opened: FileSystem, address: int) -> None:
        self._data, self._block = b"", opened.block
        self._ranges: list[Range] = []
        if opened.table is not None and opened.table.indexed(address):
            file = opened.fs.open_meta(inode=address)
            self._data = bytes(file.read_random(0, min(int(file.info.meta.size), MOST_DIRECTORY)))
            self._root()

    def holds(self, name: bytes, inode: int) -> bool:
        """Whether what was read as an entry of that name stands in it, and nowhere else in the directory."""
        if not self._ranges:
            return False
        found = [at for at in self._numbered(inode) if self._name(at) == name]
        return bool(found) and all(any(start <= at < end for start, end in self._ranges) for at in found)

    def _numbered(self, inode: int) -> Iterator[int]:
        """Where an entry of that inode may begin."""
        for match in re.finditer(b"(?=" + re.escape(inode.to_bytes(4, "little")) + b")", self._data):
            if match.start() % 4 == 0:
                yield match.start()

    def _name(self, at: int) -> bytes:
        """The name of an entry that would begin there, as The Sleuth Kit takes it: to the first zero."""
        letters = self._data[at + 6] if at + _HEAD <= len(self._data) else 0
        return self._data[at + _HEAD : at + _HEAD + letters].partition(b"\0")[0]

    def _root(self) -> None:
        if len(self._data) < _ROOT_AT + _NODE.size:
            return
        zero, _, length, levels, _ = _INFO.unpack_from(self._data, _INFO_AT)
        if not zero and length == _INFO.size and levels <= _MOST_LEVELS:
            self._node(0, _INFO_AT, _ROOT_AT, levels)

    def _node(self, block: int, begin: int, at: int, levels: int) -> None:
        """A node of the tree, whose places stand at byte `at` of that block, and those below it."""
        start = block * self._block
        if start + self._block > len(self._data):
            return
        limit, count = _NODE.unpack_from(self._data, start + at)
        if not 0 < count <= limit <= (self._block - at) // _PLACE.size:
            return
        self._ranges.append((start + begin, start + at + count * _PLACE.size))
        for number in range(count) if levels else ():
            (below,) = struct.unpack_from("<I", self._data, start + at + number * _PLACE.size + 4)
            here = below * self._block
            if below and self._data[here : here + 6] == bytes(4) + (self._block & 0xFFFF).to_bytes(2, "little"):
                self._node(below, 0, _NODE_AT, levels - 1)
