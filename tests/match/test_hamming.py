"""The search must never miss: compared with a plain count of bits and with faiss, on even and on skewed sets."""

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.core import hamming
from clew.core.errors import Damaged, Usage

BITS = np.array([bin(i).count("1") for i in range(256)], np.uint16)


def brute(base, queries, radius):
    found = set()
    for q, row in enumerate(queries):
        distances = BITS[base ^ row].sum(axis=1)
        found |= {(q, int(i), int(distances[i])) for i in np.flatnonzero(distances <= radius)}
    return found


def as_set(pairs):
    listed = list(zip(pairs.query.tolist(), pairs.entry.tolist(), pairs.distance.tolist(), strict=True))
    assert len(set(listed)) == len(listed), "a pair was reported twice"
    return set(listed)


def flipped(row, bits):
    out = row.copy()
    for bit in bits:
        out[bit >> 3] ^= 1 << (bit & 7)
    return out


def planted(rng, base, distances):
    rows = []
    for k, apart in enumerate(distances):
        rows.append(flipped(base[k * 7 % len(base)], rng.choice(256, apart, replace=False)))
    return np.array(rows)


def even(rng, n):
    return rng.integers(0, 256, (n, 32), dtype=np.uint8)


def clustered(rng, n):
    """Ten centres and their close neighbours: every bucket near a centre is crowded."""
    centres = even(rng, 10)
    noise = np.packbits(rng.random((n, 256)) < 0.05, axis=1)
    return centres[rng.integers(0, 10, n)] ^ noise


def skewed(rng, n):
    """Most bits are nearly always zero, as in hashes of flat pictures."""
    return np.packbits(rng.random((n, 256)) < np.linspace(0.01, 0.5, 256), axis=1)


@pytest.mark.parametrize("make", [even, clustered, skewed])
@pytest.mark.parametrize("few_chunks_from", [10**9, 0], ids=["16 chunks", "12 chunks"])
@pytest.mark.parametrize("radius", [31, 41])
def test_finds_what_counting_bits_finds(make, few_chunks_from, radius):
    rng = np.random.default_rng(5)
    base = make(rng, 1_500)
    queries = np.concatenate([planted(rng, base, [0, 1, 15, 30, 31, 32, 33, 40, 41, 42] * 2), make(rng, 10)])
    index = hamming.build(base, scan_below=0, few_chunks_from=few_chunks_from)
    assert as_set(hamming.search(index, queries, radius)) == brute(base, queries, radius)


@pytest.mark.parametrize("make", [even, clustered, skewed])
def test_agrees_with_faiss(make):
    rng = np.random.default_rng(6)
    base = make(rng, 20_000)
    queries = np.concatenate([planted(rng, base, range(0, 64, 2)), make(rng, 20)])
    oracle = faiss.IndexBinaryFlat(256)
    oracle.add(base)
    limits, distances, ids = oracle.range_search(queries, 32)  # faiss: strictly below
    expected = {
        (q, int(ids[at]), int(distances[at])) for q in range(len(queries)) for at in range(limits[q], limits[q + 1])
    }
    assert as_set(hamming.search(hamming.build(base), queries, 31)) == expected
    assert len(expected) >= 16


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 60),
    apart=st.lists(st.integers(0, 64), min_size=1, max_size=6),
    radius=st.sampled_from([0, 1, 15, 31, 32, 41, 46, 47, 100]),
)
@settings(max_examples=60, deadline=None)
def test_exact_for_any_set(seed, n, apart, radius):
    rng = np.random.default_rng(seed)
    base = even(rng, n)
    base[rng.integers(0, n, n // 2)] = base[0]
    queries = planted(rng, base, apart)
    index = hamming.build(base, scan_below=0)
    assert as_set(hamming.search(index, queries, radius)) == brute(base, queries, radius)


def test_the_edge_lies_between_31_and_32_wherever_the_bits_fall():
    """Bits spread so that no chunk is favoured: two a chunk is 32, and must not be found; one less must."""
    base = even(np.random.default_rng(7), 3_000)
    even_bits = [t * 16 + k for t in range(16) for k in (3, 12)]
    index = hamming.build(base, scan_below=0)
    assert len(hamming.search(index, flipped(base[9], even_bits)[None], 31)) == 0
    for left_out in range(32):
        query = flipped(base[9], even_bits[:left_out] + even_bits[left_out + 1 :])[None]
        assert as_set(hamming.search(index, query, 31)) == {(0, 9, 31)}


def test_equal_hashes_are_stored_once_and_all_reported():
    base = np.repeat(even(np.random.default_rng(8), 1), 500, axis=0)
    index = hamming.build(base)
    assert len(index.words) == 1
    assert as_set(hamming.search(index, base[:2], 31)) == {(q, i, 0) for q in range(2) for i in range(500)}


def test_more_pairs_than_the_first_room_holds():
    rng = np.random.default_rng(9)
    base = clustered(rng, 9_000) & np.array([255] * 4 + [0] * 28, np.uint8)
    queries = base[:3]
    found = hamming.search(hamming.build(base, scan_below=0), queries, 31)
    assert as_set(found) == brute(base, queries, 31)
    assert len(found) > hamming.FIRST_ROOM


def test_saved_and_memory_mapped(tmp_path):
    base = even(np.random.default_rng(10), 5_000)
    for n in (0, 10, 5_000):
        folder = tmp_path / str(n)
        hamming.save(hamming.build(base[:n]), folder)
        opened = hamming.load(folder)
        assert as_set(hamming.search(opened, base[:50], 31)) == {(i, i, 0) for i in range(min(n, 50))}
    assert isinstance(opened.words, np.memmap)
    (tmp_path / "10" / "words.npy").write_bytes(b"not an array")
    with pytest.raises(Damaged):
        hamming.load(tmp_path / "10")


def test_no_queries_and_no_entries():
    nothing = np.zeros((0, 32), np.uint8)
    assert len(hamming.search(hamming.build(nothing), nothing, 31)) == 0


def test_other_shapes_are_refused():
    with pytest.raises(Usage):
        hamming.build(np.zeros((3, 16), np.uint8))
    with pytest.raises(Usage):
        hamming.search(hamming.build(np.zeros((3, 32), np.uint8)), np.zeros((1, 32), np.uint8), 256)


def test_distance_of_two():
    assert hamming.distance(bytes(32), b"\x07" + bytes(31)) == 3
