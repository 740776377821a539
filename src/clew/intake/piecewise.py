"""Hashes of a content's parts, all in one pass over it, in a worker: BitTorrent's pieces and trees, and ed2k's."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from Cryptodome.Hash import MD4

BLOCK = 16_384  # bytes of a leaf (BEP 52)
DIGEST = 20  # bytes of a SHA-1
PART = 9_728_000  # bytes of an ed2k part
md4 = MD4.new  # what ed2k is made of; hashlib has none here
EMPTY = md4().digest()


class Runner(Protocol):
    """One thing to be found out of a content, fed with its bytes in order."""

    def feed(self, chunk: bytes) -> None:
        """The next bytes."""
        ...

    def end(self) -> dict[str, Any]:
        """What came out, as JSON can say it."""
        ...


class Cut:
    """The SHA-1 of v1's pieces (BEP 3) from byte `first` of a file on, `length` bytes each, for every torrent that
    cuts it in this manner.
    """

    def __init__(self, first: int, length: int) -> None:
        self._skip, self._length = first, length
        self._hash, self._filled = hashlib.sha1(usedforsecurity=False), 0
        self.most = 0  # pieces that are asked for
        self.digests = bytearray()  # 20 bytes each

    def feed(self, chunk: bytes) -> None:
        """Hashes piece by piece."""
        view = memoryview(chunk)[min(self._skip, len(chunk)) :]
        self._skip -= len(chunk) - len(view)
        while view and len(self.digests) < self.most * DIGEST:
            part = view[: self._length - self._filled]
            self._hash.update(part)
            self._filled += len(part)
            view = view[len(part) :]
            if self._filled == self._length:
                self.digests += self._hash.digest()
                self._hash, self._filled = hashlib.sha1(usedforsecurity=False), 0

    def rest(self, zeros: int) -> bytes:
        """The hash of the piece that is cut short by the file's end, with zeros behind it; b"" where there is none."""
        if not self._filled:
            return b""
        rest = self._hash.copy()
        rest.update(bytes(zeros))
        return rest.digest()


class Pieces:
    """v1: the pieces that lie wholly inside the file, against their SHA-1 in the torrent (BEP 3).

    `first` is the byte of the file where the first of them begins, `length` that of a piece, `hashes` theirs, 20 bytes
    each. The last may be cut short by the file's end; `zeros` bytes of a pad file (BEP 47) belong to it then. `cut` is
    that of another torrent which feeds it.
    """

    def __init__(self, first: int, length: int, hashes: bytes, zeros: int, cut: Cut | None = None) -> None:
        self._hashes, self._zeros = hashes, zeros
        self.cut, self._feeds = cut or Cut(first, length), cut is None
        self._count = -(-len(hashes) // DIGEST)
        self.cut.most = max(self.cut.most, self._count)

    def feed(self, chunk: bytes) -> None:
        """Hashes piece by piece."""
        if self._feeds:
            self.cut.feed(chunk)

    def end(self) -> dict[str, Any]:
        """How many were checked and right, and which was the first that was wrong (-1: none)."""
        found = bytes(self.cut.digests[: self._count * DIGEST])
        if len(found) < self._count * DIGEST:
            found += self.cut.rest(self._zeros)
        checked = len(found) // DIGEST
        if found == self._hashes[: len(found)]:
            return {"checked": checked, "matching": checked, "first_wrong": -1}
        places = range(0, len(found), DIGEST)
        right = [found[at : at + DIGEST] == self._hashes[at : at + DIGEST] for at in places]
        return {"checked": checked, "matching": sum(right), "first_wrong": right.index(False)}


class Merkle:
    """The root over a whole file (BEP 52): leaves of 16 KiB, filled up with zeros to a power of two. One hash a level
    is kept, so that a file of any size costs no memory.
    """

    def __init__(self) -> None:
        self._leaf, self._filled = hashlib.sha256(), 0
        self._levels: list[bytes | None] = []

    def feed(self, chunk: bytes) -> None:
        """Hashes leaf by leaf."""
        view = memoryview(chunk)
        while view:
            part = view[: BLOCK - self._filled]
            self._leaf.update(part)
            self._filled += len(part)
            view = view[len(part) :]
            if self._filled == BLOCK:
                self._settle()

    def root(self) -> bytes:
        """Of all that came."""
        if self._filled:
            self._settle()
        return self._top()

    def _settle(self) -> None:
        self._add(self._leaf.digest())
        self._leaf, self._filled = hashlib.sha256(), 0

    def _add(self, node: bytes) -> None:
        for level, waiting in enumerate(self._levels):
            if waiting is None:
                self._levels[level] = node
                return
            self._levels[level], node = None, hashlib.sha256(waiting + node).digest()
        self._levels.append(node)

    def _top(self) -> bytes:
        """What is waiting on each level, joined; where the right half is not there, a tree of zeros stands for it."""
        node, zeros = b"", bytes(32)
        for level, waiting in enumerate(self._levels):
            last = level == len(self._levels) - 1
            if node:
                node = hashlib.sha256((waiting or node) + (node if waiting else zeros)).digest()
            elif waiting:
                node = waiting if last else hashlib.sha256(waiting + zeros).digest()
            zeros = hashlib.sha256(zeros + zeros).digest()
        return node


class Tree:
    """v2: whether the whole file has the root that a torrent names (BEP 52). `merkle` is that of another torrent, which
    feeds it.
    """

    def __init__(self, root: bytes, merkle: Merkle | None = None) -> None:
        self._root = root
        self.merkle, self._feeds = merkle or Merkle(), merkle is None

    def feed(self, chunk: bytes) -> None:
        """Hashes leaf by leaf."""
        if self._feeds:
            self.merkle.feed(chunk)

    def end(self) -> dict[str, Any]:
        """Whether the whole file is the one that the torrent names."""
        right = self.merkle.root() == self._root
        return {"checked": 1, "matching": int(right), "first_wrong": -1 if right else 0}


class Ed2k:
    """ed2k: the MD4 (RFC 1320) of parts of 9,728,000 bytes, and of all their MD4 where there is more than one.

    For whole multiples clients differ. eMule and aMule count size / part + 1 hashes (eMule, CKnownFile::SetFileSize),
    so that the MD4 of nothing is the last (`red`); others, as later versions of ed2k_hash, leave that out (`blue`).
    """

    def __init__(self) -> None:
        self._part, self._filled, self._size = md4(), 0, 0
        self._parts: list[bytes] = []

    def feed(self, chunk: bytes) -> None:
        """Hashes part by part."""
        view = memoryview(chunk)
        self._size += len(chunk)
        while view:
            part = view[: PART - self._filled]
            self._part.update(bytes(part))
            self._filled += len(part)
            view = view[len(part) :]
            if self._filled == PART:
                self._settle()

    def end(self) -> dict[str, Any]:
        """Both, hexadecimal; they differ only for multiples of a part."""
        whole = self._size % PART == 0 and self._size > 0
        if self._filled or not self._size:
            self._settle()
        blue = self._joined(self._parts)
        return {"blue": blue.hex(), "red": (self._joined([*self._parts, EMPTY]) if whole else blue).hex()}

    def _settle(self) -> None:
        self._parts.append(self._part.digest())
        self._part, self._filled = md4(), 0

    @staticmethod
    def _joined(parts: list[bytes]) -> bytes:
        return parts[0] if len(parts) == 1 else md4(b"".join(parts)).digest()


class Beginning:
    """The SHA-256 of the first bytes."""

    def __init__(self, length: int) -> None:
        self._hash, self._left = hashlib.sha256(), length

    def feed(self, chunk: bytes) -> None:
        """Takes what belongs to them."""
        if self._left:
            self._hash.update(memoryview(chunk)[: self._left])
            self._left -= min(self._left, len(chunk))

    def end(self) -> dict[str, Any]:
        """The hash, hexadecimal."""
        return {"sha256": self._hash.hexdigest()}


def manner(wanted: Mapping[str, Any]) -> tuple[Any, ...]:
    """What tells one pass of a hash over a content from another: torrents that cut it alike share it."""
    return ("v1", wanted["first"], wanted["length"]) if "pieces" in wanted else tuple(sorted(wanted.keys()))


def runners(wanted: Sequence[dict[str, Any]]) -> list[Runner]:
    """The Runners that a payload asks for, in its order: what is cut in the same manner is hashed once. Raises
    KeyError, TypeError or ValueError for anything else.
    """
    shared: dict[tuple[Any, ...], Runner] = {}
    made: list[Runner] = []
    for each in wanted:
        like = shared.get(manner(each))
        made.append(runner(each, like))
        shared.setdefault(manner(each), made[-1])
    return made


def runner(wanted: dict[str, Any], like: Runner | None = None) -> Runner:
    """One of them; `like` is one of the same manner, which is fed before it."""
    match wanted:
        case {"pieces": str(hashes), "first": int(first), "length": int(length), "zeros": int(zeros)} if length > 0:
            cut = like.cut if isinstance(like, Pieces) else None
            return Pieces(first, length, bytes.fromhex(hashes), zeros, cut)
        case {"root": str(root)}:
            return Tree(bytes.fromhex(root), like.merkle if isinstance(like, Tree) else None)
        case {"ed2k": True}:
            return Ed2k()
        case {"beginning": int(length)}:
            return Beginning(length)
    raise ValueError("nothing that can be found out")
