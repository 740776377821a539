"""The compiled inner loops of `clew.core.hamming`; plain functions of arrays, compiled by numba on first use.

Bits are counted from the lowest bit of word 0 to the highest of word 3.
"""

from typing import Any

import numba
import numpy as np

_M1, _M2, _M4 = np.uint64(0x5555555555555555), np.uint64(0x3333333333333333), np.uint64(0x0F0F0F0F0F0F0F0F)
_H01 = np.uint64(0x0101010101010101)
_S1, _S2, _S4, _S56 = np.uint64(1), np.uint64(2), np.uint64(4), np.uint64(56)


def _compiled(function: Any) -> Any:
    return numba.njit(cache=True, nogil=True, boundscheck=False)(function)


def _popcount(x: Any) -> Any:
    x = x - ((x >> _S1) & _M1)
    x = (x & _M2) + ((x >> _S2) & _M2)
    x = (x + (x >> _S4)) & _M4
    return np.int64((x * _H01) >> _S56)


popcount = _compiled(_popcount)


def _apart(a: Any, i: Any, b: Any, j: Any) -> Any:
    return (
        popcount(a[i, 0] ^ b[j, 0])
        + popcount(a[i, 1] ^ b[j, 1])
        + popcount(a[i, 2] ^ b[j, 2])
        + popcount(a[i, 3] ^ b[j, 3])
    )


apart = _compiled(_apart)


def _chunk(words: Any, i: Any, low: Any, high: Any) -> Any:
    """Bits [low, high) of row i as one number; a chunk is at most 63 bits wide and may cross one word border."""
    word, shift = low >> 6, np.uint64(low & 63)
    value = words[i, word] >> shift
    if (high - 1) >> 6 != word:
        value |= words[i, word + 1] << (np.uint64(64) - shift)
    return np.int64(value & ((np.uint64(1) << np.uint64(high - low)) - np.uint64(1)))


chunk = _compiled(_chunk)


def _fill(words: Any, bounds: Any, offsets: Any, members: Any) -> None:
    """Counting sort of all rows by each chunk; bucket b of chunk t lies in members[t*n:] between two offsets."""
    n, base = words.shape[0], 0
    for t in range(bounds.shape[0] - 1):
        low, high = bounds[t], bounds[t + 1]
        size = 1 << (high - low)
        for i in range(n):
            offsets[base + chunk(words, i, low, high) + 1] += np.uint32(1)
        for b in range(size):
            offsets[base + b + 1] += offsets[base + b]
        at = offsets[base : base + size].copy()
        for i in range(n):
            b = chunk(words, i, low, high)
            members[t * n + at[b]] = i
            at[b] += np.uint32(1)
        base += size + 1


fill = _compiled(_fill)


def _scan_one(words: Any, queries: Any, q: Any, radius: Any, count: Any, query: Any, entry: Any, distance: Any) -> Any:
    """Measures one query against every row; returns the new count, or -1 where the room does not suffice."""
    for i in range(words.shape[0]):
        d = apart(words, i, queries, q)
        if d <= radius:
            if count == query.shape[0]:
                return -1
            query[count], entry[count], distance[count] = q, i, d
            count += 1
    return count


scan_one = _compiled(_scan_one)


def _scan(words: Any, queries: Any, start: Any, radius: Any, query: Any, entry: Any, distance: Any) -> Any:
    """Queries from `start` on until the room is full. Returns (first query not done, pairs written)."""
    count = 0
    for q in range(start, queries.shape[0]):
        after = scan_one(words, queries, q, radius, count, query, entry, distance)
        if after < 0:
            return q, count
        count = after
    return queries.shape[0], count


scan = _compiled(_scan)


def _flips(width: Any, radius: Any, out: Any) -> Any:
    """All masks of at most `radius` (0..3) set bits among `width`; returns how many."""
    out[0], n = 0, 1
    for a in range(width if radius > 0 else 0):
        out[n] = 1 << a
        n += 1
        for b in range(a if radius > 1 else 0):
            out[n] = (1 << a) | (1 << b)
            n += 1
            for c in range(b if radius > 2 else 0):
                out[n] = (1 << a) | (1 << b) | (1 << c)
                n += 1
    return n


flips = _compiled(_flips)


def _seen_before(words: Any, i: Any, queries: Any, q: Any, bounds: Any, radii: Any, t: Any) -> Any:
    """Whether an earlier chunk than t has led to row i already: then it was reported there."""
    for s in range(t):
        if radii[s] < 0:
            continue
        difference = chunk(words, i, bounds[s], bounds[s + 1]) ^ chunk(queries, q, bounds[s], bounds[s + 1])
        if popcount(np.uint64(difference)) <= radii[s]:
            return True
    return False


seen_before = _compiled(_seen_before)


def _candidates(queries: Any, q: Any, bounds: Any, offsets: Any, masks: Any, sizes: Any, limit: Any) -> Any:
    """How many rows the buckets of one query hold, counted up to just above `limit`."""
    base, total = 0, np.int64(0)
    for t in range(bounds.shape[0] - 1):
        value = chunk(queries, q, bounds[t], bounds[t + 1])
        for k in range(sizes[t]):
            b = base + (value ^ masks[t, k])
            total += np.int64(offsets[b + 1]) - np.int64(offsets[b])
        if total > limit:
            return total
        base += (1 << (bounds[t + 1] - bounds[t])) + 1
    return total


candidates = _compiled(_candidates)


def _probe_one(
    words: Any, bounds: Any, offsets: Any, members: Any, radii: Any, masks: Any, sizes: Any, queries: Any, q: Any,
    radius: Any, count: Any, query: Any, entry: Any, distance: Any,
) -> Any:  # fmt: skip
    """Looks one query up in its buckets; returns the new count, or -1 where the room does not suffice."""
    n, base = words.shape[0], 0
    for t in range(bounds.shape[0] - 1):
        value = chunk(queries, q, bounds[t], bounds[t + 1])
        for k in range(sizes[t]):
            b = base + (value ^ masks[t, k])
            for at in range(np.int64(offsets[b]), np.int64(offsets[b + 1])):
                i = members[t * n + at]
                d = apart(words, i, queries, q)
                if d <= radius and not seen_before(words, i, queries, q, bounds, radii, t):
                    if count == query.shape[0]:
                        return -1
                    query[count], entry[count], distance[count] = q, i, d
                    count += 1
        base += (1 << (bounds[t + 1] - bounds[t])) + 1
    return count


probe_one = _compiled(_probe_one)


def _probe(
    words: Any, bounds: Any, offsets: Any, members: Any, radii: Any, queries: Any, start: Any, radius: Any,
    query: Any, entry: Any, distance: Any,
) -> Any:  # fmt: skip
    """Queries from `start` on until the room is full. Returns (first query not done, pairs written)."""
    chunks, most, count = bounds.shape[0] - 1, 0, 0
    sizes = np.zeros(chunks, np.int64)
    for t in range(chunks):
        w = bounds[t + 1] - bounds[t]
        if radii[t] >= 0:
            r = radii[t]
            sizes[t] = 1
            sizes[t] += w if r > 0 else 0
            sizes[t] += w * (w - 1) // 2 if r > 1 else 0
            sizes[t] += w * (w - 1) * (w - 2) // 6 if r > 2 else 0
        most = max(most, sizes[t])
    masks = np.zeros((chunks, most), np.int64)
    for t in range(chunks):
        if sizes[t] > 0:
            flips(bounds[t + 1] - bounds[t], radii[t], masks[t])
    n = words.shape[0]
    for q in range(start, queries.shape[0]):
        if candidates(queries, q, bounds, offsets, masks, sizes, n) > n:
            after = scan_one(words, queries, q, radius, count, query, entry, distance)
        else:
            after = probe_one(
                words, bounds, offsets, members, radii, masks, sizes, queries, q, radius, count, query, entry, distance
            )
        if after < 0:
            return q, count
        count = after
    return queries.shape[0], count


probe = _compiled(_probe)
