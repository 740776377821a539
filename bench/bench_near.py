"""Near search over 256-bit hashes, radius 31: ours (multi-index hashing, exact) against faiss BinaryFlat, one thread.

The set is N random hashes; half of the queries are neighbours planted 0 to 31 bits away, half are strangers. Both
answer the same queries, and every answer is compared: a search that misses one is no search.
"""

import argparse
import time
from collections.abc import Iterable

import faiss
import numpy as np

from _claims import Claim, run
from clew.core import hamming

RADIUS = 31


def measure(options: argparse.Namespace) -> Iterable[Claim]:
    rng = np.random.default_rng(options.seed)
    base = rng.integers(0, 256, (options.entries, 32), dtype=np.uint8)
    queries, planted = questions(rng, base, options.queries)
    command = (
        f"python bench/bench_near.py --entries {options.entries} --queries {options.queries} --seed {options.seed}"
    )

    started = time.process_time()
    index = hamming.build(base)
    hamming.search(index, queries[:10], RADIUS)
    our_build = time.process_time() - started
    started = time.process_time()
    found = hamming.search(index, queries, RADIUS)
    ours = time.process_time() - started

    faiss.omp_set_num_threads(1)
    flat = faiss.IndexBinaryFlat(256)
    started = time.process_time()
    flat.add(base)
    peer_build = time.process_time() - started
    asked = queries[: options.peer_queries]
    started = time.process_time()
    limits, distances, ids = flat.range_search(asked, RADIUS + 1)  # faiss: strictly below
    peer = (time.process_time() - started) / len(asked) * len(queries)

    expected = {(q, int(ids[k]), int(distances[k])) for q in range(len(asked)) for k in range(limits[q], limits[q + 1])}
    told = set(zip(found.query.tolist(), found.entry.tolist(), found.distance.tolist(), strict=True))
    same = {one for one in told if one[0] < len(asked)} == expected
    if not same:
        raise SystemExit("ours and faiss differ")
    recall = len({q for q, entry, _ in told if planted.get(q) == entry}) / len(planted)
    n = options.entries
    rates = len(queries) / ours, len(queries) / peer
    yield Claim("near search, exact, radius 31", rates[0], rates[1], rates[0] / rates[1], "queries/CPU s", n, command)
    yield Claim("planted neighbours found", recall, 1.0, recall, "share", len(planted), command)
    yield Claim("same answers as faiss", 1.0, 1.0, 1.0, "share", len(asked), command)
    yield Claim("index built", our_build, peer_build, peer_build / our_build, "CPU s", n, command)


def questions(rng: np.random.Generator, base: np.ndarray, count: int) -> tuple[np.ndarray, dict[int, int]]:
    """Queries, and which entry each planted one lies near."""
    queries = rng.integers(0, 256, (count, 32), dtype=np.uint8)
    planted = {}
    for q in range(0, count, 2):
        planted[q] = int(rng.integers(len(base)))
        bits = np.zeros(256, np.uint8)
        bits[rng.choice(256, (q // 2) % (RADIUS + 1), replace=False)] = 1
        queries[q] = base[planted[q]] ^ np.packbits(bits)
    return queries, planted


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=20_000)
    parser.add_argument("--peer-queries", type=int, default=2_000, help="how many of them faiss answers")
    parser.add_argument("--seed", type=int, default=1)
    run("Near search, one thread", measure, parser)
