"""Near duplicates: pictures whose PDQ lies within 31 bits of a picture that stands for them.

Star clusters, not chains: pictures are taken best first (by quality, then pixels, then SHA-256); each that no centre
holds yet becomes a centre and holds all within 31 bits. Two pictures 31 bits from their centre may lie 62 apart, never
more; a chain of neighbours could lead from anything to anything. What lies within 31 of several centres is linked to
each of them. Further pages and pictures of a file come after all that are shown, whose stars are the same without them;
within one file nothing is linked.
"""

from collections.abc import Iterator

import numpy as np

from clew.core import hamming
from clew.core.pictures import RADIUS, Pictures
from clew.identify.api import Linker, Near

BLOCK = 256


class NearDuplicate:
    """The plug-in."""

    name = "nearduplicate"
    version = "2"
    what = f"pictures whose PDQ lies within {RADIUS} bits of the one that stands for them"

    def link(self, pictures: Pictures) -> Iterator[Near]:
        """See Linker."""
        order = np.lexsort((np.arange(len(pictures)), -pictures.pixels, -pictures.quality, pictures.part > 0))
        index = hamming.build(pictures.pdq)
        held = np.zeros(len(pictures), bool)
        at = 0
        while at < len(order):
            # several at once, as a search has its fixed cost; whoever is held meanwhile is passed over
            block = [int(i) for i in order[at : at + BLOCK] if not held[i]]
            pairs = hamming.search(index, pictures.pdq[block], RADIUS)
            begin = np.searchsorted(pairs.query, np.arange(len(block) + 1))
            for n, centre in enumerate(block):
                if held[centre]:
                    continue
                near = slice(begin[n], begin[n + 1])
                held[pairs.entry[near]] = True
                for member, apart in zip(pairs.entry[near].tolist(), pairs.distance[near].tolist(), strict=True):
                    if member != centre and not _one_file(pictures, centre, member):
                        yield _near(pictures, centre, member, apart)
            at += BLOCK

    def example(self) -> tuple[Pictures, list[tuple[int, int, int]]]:
        """See Linker. Hashes made up: a pair 31 apart, one 32 away, one equal to the first."""
        pdq = np.zeros((4, 32), np.uint8)
        pdq[1, :4] = (255, 255, 255, 127)
        pdq[2, 28:] = 255
        content = np.repeat(np.arange(4, dtype=np.uint8)[:, None], 32, axis=1)
        quality = np.array([100, 90, 80, 60], np.int64)
        exact, part = np.array([True, False, True, True]), np.zeros(4, np.int64)
        pixels = np.full(4, 100, np.int64)
        return Pictures(content, pdq, exact, quality, pixels, part, part > 0, {}), [(0, 1, 31), (0, 3, 0)]


def _one_file(pictures: Pictures, one: int, other: int) -> bool:
    """Whether both are pictures of one Content: it has one picture that is shown, and further ones."""
    further = pictures.part[one] or pictures.part[other]
    return bool(further and pictures.content[one].tobytes() == pictures.content[other].tobytes())


def _near(pictures: Pictures, centre: int, member: int, apart: int) -> Near:
    fast = [name for name, row in (("first", centre), ("second", member)) if not pictures.exact[row]]
    told = f"; fast mode: {' and '.join(fast)}" if fast else ""
    told += "".join(
        f"; {pictures.said(row)} of the {name}"
        for name, row in (("first", centre), ("second", member))
        if pictures.part[row]
    )
    return Near(centre, member, apart, round(1 - apart / hamming.BITS, 4), f"PDQ distance {apart}{told}")


PLUGIN: Linker = NearDuplicate()
