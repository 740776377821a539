"""Near matching: picture hashes within 31 bits, all of them.

A hash in fast mode lies at most 10 bits from the exact one (at quality 80 and above, DESIGN section 3), so it is
searched within 41: nothing that lies within 31 by exact mode is lost, and what lies farther falls away when it is
computed again.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from clew.core import hamming
from clew.core.pictures import RADIUS, Pictures
from clew.match.api import FAST_MARGIN

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Near:
    """One near match: row of the picture, entry of the set, distance, and whether exact mode says so."""

    picture: int
    row: int
    distance: int
    exact: bool


def search(pictures: Pictures, index: hamming.Index, rows: Array) -> list[Near]:
    """Every near match with a set; those by fast mode are candidates until exact mode confirms them."""
    found: list[Near] = []
    for exact, radius in ((True, RADIUS), (False, RADIUS + FAST_MARGIN)):
        chosen = np.flatnonzero(pictures.exact == exact)
        pairs = hamming.search(index, pictures.pdq[chosen], radius)
        found += [
            Near(int(chosen[query]), int(rows[entry]), int(apart), exact)
            for query, entry, apart in zip(pairs.query, pairs.entry, pairs.distance, strict=True)
        ]
    return found


def best(pictures: Pictures, found: Iterable[Near]) -> list[Near]:
    """One near match for each Content and entry: one that stands before a candidate, the picture that is shown before
    the others of its file, the nearest before those farther away, the first of a file before later ones.
    """
    chosen: dict[tuple[bytes, int], Near] = {}
    for one in sorted(found, key=lambda n: (not n.exact, bool(pictures.part[n.picture]), n.distance, n.picture)):
        chosen.setdefault((pictures.content[one.picture].tobytes(), one.row), one)
    return list(chosen.values())
