"""Exact matching: Contents sorted by hash, looked up in the sorted keys of a HashSet by binary search."""

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
