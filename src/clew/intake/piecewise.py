"""Hashes of a content's parts, all in one pass over it, in a worker: BitTorrent's pieces and trees, and ed2k's."""

import hashlib
from typing import Any, Protocol

from Cryptodome.Hash import MD4

BLOCK = 16_384  # bytes of a leaf (BEP 52)
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


class Pieces:
    """v1: the pieces that lie wholly inside the file, against their SHA-1 in the torrent (BEP 3).

    `first` is the byte of the file where the first of them begins, `length` that of a piece, `hashes` theirs, 20 bytes
    each. The last may be cut short by the file's end; `zeros` bytes of a pad file (BEP 47) belong to it then.
    """

    def __init__(self, first: int, length: int, hashes: bytes, zeros: int) -> None:
        self._skip, self._length, self._zeros = first, length, zeros
        self._wanted = [hashes[at : at + 20] for at in range(0, len(hashes), 20)]
        self._hash, self._filled = hashlib.sha1(usedforsecurity=False), 0
        self._right: list[bool] = []

    def feed(self, chunk: bytes) -> None:
        """Hashes piece by piece."""
        view = memoryview(chunk)[min(self._skip, len(chunk)) :]
        self._skip -= len(chunk) - len(view)
        while view and len(self._right) < len(self._wanted):
            part = view[: self._length - self._filled]
            self._hash.update(part)
            self._filled += len(part)
            view = view[len(part) :]
            if self._filled == self._length:
                self._settle()

    def end(self) -> dict[str, Any]:
        """How many were checked and right, and which was the first that was wrong (-1: none)."""
        if self._filled and len(self._right) < len(self._wanted):
            self._hash.update(bytes(self._zeros))
            self._settle()
        wrong = next((n for n, right in enumerate(self._right) if not right), -1)
        return {"checked": len(self._right), "matching": sum(self._right), "first_wrong": wrong}

    def _settle(self) -> None:
        self._right.append(self._hash.digest() == self._wanted[len(self._right)])
        self._hash, self._filled = hashlib.sha1(usedforsecurity=False), 0


class Tree:
    """v2: the root of the Merkle tree over the whole file (BEP 52): leaves of 16 KiB, filled up with zeros to a power
    of two. One hash a level is kept, so that a file of any size costs no memory.
    """

    def __init__(self, root: bytes) -> None:
        self._root = root
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

    def end(self) -> dict[str, Any]:
        """Whether the whole file is the one that the torrent names."""
        if self._filled:
            self._settle()
        right = self._top() == self._root
        return {"checked": 1, "matching": int(right), "first_wrong": -1 if right else 0}

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


def runner(wanted: dict[str, Any]) -> Runner:
    """The Runner that a payload asks for. Raises KeyError, TypeError or ValueError for any other."""
    match wanted:
        case {"pieces": str(hashes), "first": int(first), "length": int(length), "zeros": int(zeros)} if length > 0:
            return Pieces(first, length, bytes.fromhex(hashes), zeros)
        case {"root": str(root)}:
            return Tree(bytes.fromhex(root))
        case {"ed2k": True}:
            return Ed2k()
        case {"beginning": int(length)}:
            return Beginning(length)
    raise ValueError("nothing that can be found out")
