"""Looking hashes up in a file of sorted keys, one after another without anything between: how a compiled HashSet lies.

Many at once on a memory map (numpy), or one in a file behind a descriptor, as a worker does it that may open nothing
and has little memory to map.
"""

import hashlib
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Found:
    """`query[i]` (an index into the queries) is the key at `at[i]` (an index into the set's keys)."""

    query: Array
    at: Array


def lookup(keys: Array, queries: Array) -> Found:
    """Every pair of a query (row of an (n, width) array of bytes) and an equal key; `keys` is sorted, of dtype S.

    Queries are sorted first: neighbours then touch neighbouring pages of the memory map.
    """
    wanted = np.ascontiguousarray(queries).view(f"S{queries.shape[1]}").reshape(-1)
    order = np.argsort(wanted, kind="stable")
    ordered = wanted[order]
    first = np.searchsorted(keys, ordered, side="left")
    counts = np.searchsorted(keys, ordered, side="right") - first
    within = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
    return Found(np.repeat(order, counts), np.repeat(first, counts) + within)


def holds(descriptor: int, key: bytes) -> bool:
    """Whether the sorted keys in the file behind `descriptor`, each as long as `key`, hold it. Raises OSError."""
    width = len(key)
    low, high = 0, os.fstat(descriptor).st_size // width
    while low < high:
        middle = (low + high) // 2
        if os.pread(descriptor, width, middle * width) < key:
            low = middle + 1
        else:
            high = middle
    return os.pread(descriptor, width, low * width) == key


def set_id(text: bytes) -> str:
    """The id of a compiled HashSet: the first 128 bits of the SHA-256 of its set.json."""
    return hashlib.sha256(text).hexdigest()[:32]
