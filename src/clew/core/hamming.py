"""Exact radius search over 256-bit hashes by multi-index hashing; nothing within the radius is ever missed.

Norouzi, Punjani, Fleet, "Fast exact search in Hamming space with multi-index hashing" (2014), with the generalised
pigeonhole principle: cut 256 bits into m chunks and give each a radius r_t so that the sum of (r_t + 1) is radius + 1.
Two hashes within the radius then lie within r_t of each other in at least one chunk, or their distance would be at
least the sum. A chunk is looked up in a table of buckets, each candidate is then measured in full.

Where the buckets of one query hold more than the set itself (skewed or clustered hashes), that query scans the whole
set instead, which is exact as well.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from clew.core import _hamming_kernels as kernels
from clew.core.errors import Damaged, Usage

BITS = 256
BYTES = 32
SCAN_BELOW = 2_000
FEW_CHUNKS_FROM = 3_000_000
MAX_CHUNK_RADIUS = 3
FIRST_ROOM = 4_096

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Pairs:
    """What a search found: `query[i]` lies `distance[i]` bits from `entry[i]`; sorted by query, distance, entry."""

    query: Array
    entry: Array
    distance: Array

    def __len__(self) -> int:
        return len(self.query)


@dataclass(frozen=True, slots=True)
class Index:
    """A searchable set. `words` are the distinct hashes; `rows[starts[u]:starts[u+1]]` are the rows that carry hash u.

    `offsets` and `members` are the buckets of all chunks one after another; both are empty where scanning is quicker.
    """

    words: Array
    starts: Array
    rows: Array
    bounds: Array
    offsets: Array
    members: Array

    def __len__(self) -> int:
        return len(self.rows)


PARTS = ("words", "starts", "rows", "bounds", "offsets", "members")


def build(hashes: Array, *, scan_below: int = SCAN_BELOW, few_chunks_from: int = FEW_CHUNKS_FROM) -> Index:
    """An index over an (n, 32) array of bytes. Equal hashes are stored once. Raises Usage for another shape."""
    words, order, starts = _distinct(_as_words(hashes))
    if len(words) < scan_below:
        nothing = np.zeros(0, np.uint32)
        return Index(words, starts, order, np.zeros(0, np.int64), nothing, nothing)
    bounds = _bounds(16 if len(words) < few_chunks_from else 12)
    chunks = len(bounds) - 1
    tables = [1 << int(width) for width in np.diff(bounds)]
    offsets = np.zeros(sum(tables) + chunks, np.uint32)
    members = np.zeros(len(words) * chunks, np.uint32)
    kernels.fill(words, bounds, offsets, members)
    return Index(words, starts, order, bounds, offsets, members)


def save(index: Index, folder: Path) -> None:
    """Writes the index as `.npy` files into `folder`, to be opened memory-mapped."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        np.save(folder / f"{part}.npy", getattr(index, part), allow_pickle=False)


def load(folder: Path) -> Index:
    """Opens a saved index, memory-mapped. Raises Damaged where a part is not there or not an array."""
    parts = {}
    for part in PARTS:
        path = folder / f"{part}.npy"
        try:
            empty = path.stat().st_size <= 128 and not len(np.load(path, allow_pickle=False))
            parts[part] = np.load(path, mmap_mode=None if empty else "r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise Damaged(f"{path} cannot be read: {error}", "import the hash set again") from error
    return Index(**parts)


def search(index: Index, queries: Array, radius: int) -> Pairs:
    """Every (query, entry) at most `radius` bits apart, exactly. `queries` is (q, 32) bytes; equal ones cost once."""
    if not 0 <= radius < BITS:
        raise Usage(f"a radius of {radius} bits is not in 0..{BITS - 1}")
    words, order, starts = _distinct(_as_words(queries))
    query, found, distance = _search_distinct(index, words, radius)
    query, entry, distance = _expand(query, found, distance, index.starts, index.rows)
    entry, query, distance = _expand(entry, query, distance, starts, order)
    by = np.lexsort((entry, distance, query))
    return Pairs(query[by], entry[by], distance[by])


def distance(first: bytes, second: bytes) -> int:
    """Bits in which two 32-byte hashes differ."""
    return (int.from_bytes(first, "big") ^ int.from_bytes(second, "big")).bit_count()


def radii(radius: int, chunks: int) -> Array | None:
    """Chunk radii with sum(r + 1) = radius + 1, as even as can be; None where one would exceed 3 (scanning is quicker).

    A radius of -1 leaves a chunk out: the others alone carry the pigeonhole.
    """
    share, rest = divmod(radius + 1, chunks)
    spread = np.full(chunks, share - 1, np.int64)
    spread[:rest] += 1
    return None if spread.max() > MAX_CHUNK_RADIUS else spread


def _search_distinct(index: Index, words: Array, radius: int) -> tuple[Array, Array, Array]:
    chunks = len(index.bounds) - 1
    spread = radii(radius, chunks) if chunks > 0 else None
    parts, at, room = [], 0, FIRST_ROOM
    while at < len(words):
        query, entry, apart = (np.empty(room, t) for t in (np.int64, np.int64, np.int64))
        if spread is None:
            done, count = kernels.scan(index.words, words, at, radius, query, entry, apart)
        else:
            tables = (index.words, index.bounds, index.offsets, index.members)
            done, count = kernels.probe(*tables, spread, words, at, radius, query, entry, apart)
        parts.append((query[:count], entry[:count], apart[:count]))
        room = room * 2 if done == at else room
        at = done
    if not parts:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64)
    query, entry, apart = (np.concatenate(column) for column in zip(*parts, strict=True))
    return query, entry, apart


def _expand(keep: Array, unique: Array, apart: Array, starts: Array, rows: Array) -> tuple[Array, Array, Array]:
    """Replaces each distinct hash by all the rows that carry it."""
    counts = (starts[1:] - starts[:-1])[unique]
    total = int(counts.sum())
    within = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
    expanded = rows[np.repeat(starts[:-1][unique], counts) + within]
    return np.repeat(keep, counts), np.asarray(expanded, np.int64), np.repeat(apart, counts)


def _as_words(hashes: Array) -> Array:
    if hashes.ndim != 2 or hashes.shape[1] != BYTES or hashes.dtype != np.uint8:
        raise Usage(f"hashes of shape {hashes.shape} and type {hashes.dtype}", "give an (n, 32) array of bytes")
    return np.ascontiguousarray(hashes).view("<u8").reshape(-1, 4).astype(np.uint64, copy=False)


def _distinct(words: Array) -> tuple[Array, Array, Array]:
    """Distinct rows, the original row numbers grouped by them, and where each group starts (one more at the end)."""
    order = np.lexsort((words[:, 3], words[:, 2], words[:, 1], words[:, 0])).astype(np.int64)
    ordered = words[order]
    new = np.ones(len(ordered), bool)
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    starts = np.append(np.flatnonzero(new), len(ordered)).astype(np.int64)
    return np.ascontiguousarray(ordered[new]), order, starts


def _bounds(chunks: int) -> Array:
    """Bit positions where the chunks begin, and 256: widths differ by at most one."""
    share, rest = divmod(BITS, chunks)
    widths = [share + 1] * rest + [share] * (chunks - rest)
    return np.append(0, np.cumsum(widths)).astype(np.int64)
