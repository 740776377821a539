"""The torrents of an operation: generated names, real info dictionaries, and which file of which one is on a watch.

Torrent and infohash as BEP 3. Contents are random bytes of the operation's seed; only those that real clients seed are
ever made (`content`).
"""
# ruff: noqa: S311 — a scenario wants a generator that can be seeded; nothing secret comes from it

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

KIB = 1024
Bencodable = int | bytes | str | Sequence["Bencodable"] | Mapping[str, "Bencodable"]


def bencode(value: Bencodable) -> bytes:
    """BEP 3 bencoding; dictionary keys sorted as raw strings."""
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):  # the commonest by far
        return b"%d:%s" % (len(value), value)
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, Mapping):
        pairs = sorted((key.encode(), bencode(item)) for key, item in value.items())
        return b"d" + b"".join(bencode(key) + item for key, item in pairs) + b"e"
    return b"l" + b"".join(bencode(item) for item in value) + b"e"


@dataclass(frozen=True, slots=True)
class Torrent:
    """One torrent. `watched` is the index of the file on the watch, None where nothing of it is watched."""

    index: int
    label: str
    name: str
    info: bytes
    infohash: bytes
    piece_length: int
    files: tuple[tuple[str, int], ...]
    watched: int | None
    trackers: tuple[int, ...]
    real_seed: int | None

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(length for _, length in self.files)

    @property
    def pieces(self) -> int:
        """Number of pieces, the last one maybe short."""
        return -(-self.size // self.piece_length)

    @property
    def offset(self) -> int:
        """Where the watched file begins; 0 where nothing is watched."""
        return sum(length for _, length in self.files[: self.watched or 0])

    def inner(self) -> range:
        """Pieces that lie wholly inside the watched file."""
        if self.watched is None:
            return range(0)
        first = -(-self.offset // self.piece_length)
        return range(first, max(first, (self.offset + self.files[self.watched][1]) // self.piece_length))

    def boundary(self) -> tuple[int, ...]:
        """Pieces that touch the watched file and another one."""
        if self.watched is None:
            return ()
        ends = {self.offset // self.piece_length} if self.watched else set()
        if self.watched < len(self.files) - 1:
            ends.add((self.offset + self.files[self.watched][1] - 1) // self.piece_length)
        inner = self.inner()
        return tuple(p for p in sorted(ends) if p not in inner)

    def outside(self) -> tuple[int, ...]:
        """Pieces that hold nothing of the watched file."""
        if self.watched is None:
            return tuple(range(self.pieces))
        end = self.offset + self.files[self.watched][1]
        touching = range(self.offset // self.piece_length, (end - 1) // self.piece_length + 1)
        return tuple(p for p in range(self.pieces) if p not in touching)


def content(seed: int, size: int) -> bytes:
    """The bytes of a really seeded torrent."""
    return random.Random(seed).randbytes(size)


def make_torrents(rng: random.Random, watches: int, others: int, real: int) -> tuple[Torrent, ...]:
    """`watches` watched torrents, the first `real` of them seeded by real clients, and `others` that nobody watches."""
    return tuple(_make(rng, index, index < watches, index < real) for index in range(watches + others))


def _make(rng: random.Random, index: int, watched: bool, real: bool) -> Torrent:
    piece_length = 16 * KIB if real else rng.choice((16, 32, 64, 256, 1024)) * KIB
    count = rng.choice((2, 3, 3, 4, 6))
    # Lengths that are no multiples of the piece, so that boundary pieces exist; 4 whole pieces at least in each file.
    files = tuple(
        (f"part-{n:02d}.bin", piece_length * rng.randrange(5, 14 if real else 60) + rng.randrange(1, piece_length))
        for n in range(count)
    )
    size = sum(length for _, length in files)
    seed = rng.getrandbits(64)
    if real:
        data = content(seed, size)
        blocks = (data[at : at + piece_length] for at in range(0, size, piece_length))
        pieces = b"".join(hashlib.sha1(block, usedforsecurity=False).digest() for block in blocks)
    else:
        pieces = rng.randbytes(20 * -(-size // piece_length))
    name = f"training-set-{index + 1:03d}-{rng.randrange(16**4):04x}"
    info = bencode(
        {
            "files": [{"length": length, "path": [path]} for path, length in files],
            "name": name,
            "piece length": piece_length,
            "pieces": pieces,
        }
    )
    return Torrent(
        index=index,
        label=f"W-{index + 1:02d}" if watched else f"U-{index + 1:02d}",
        name=name,
        info=info,
        infohash=hashlib.sha1(info, usedforsecurity=False).digest(),
        piece_length=piece_length,
        files=files,
        watched=rng.randrange(count) if watched else None,
        trackers=rng.choice(((0,), (1,), (0, 1))),
        real_seed=seed if real else None,
    )
