"""SQLite: page size times page count (https://www.sqlite.org/fileformat2.html, section 1.3), every page looked at."""

import numpy as np
from numpy.typing import NDArray

from clew.intake.carving.view import BLOCK, Verdict, View

_TREE = (2, 5, 10, 13)  # the first byte of a b-tree page
_BIG_ENDIAN = np.array([1 << 24, 1 << 16, 1 << 8, 1])


def check(view: View) -> Verdict | None:
    """None where the header keeps to no form."""
    head = view.read(0, 108)
    if len(head) < 108 or head[21:24] != b"\x40\x20\x20" or head[18] not in {1, 2} or head[100] not in {5, 13, 2, 10}:
        return None
    page = int.from_bytes(head[16:18], "big")
    page = 65536 if page == 1 else page
    if page < 512 or page & (page - 1):
        return None
    pages = int.from_bytes(head[28:32], "big")
    if not pages or head[24:28] != head[92:96]:  # written by a version that did not keep the count
        return Verdict(min(page, view.size), "sqlite", "it does not tell its own length")
    if pages * page <= view.size and not any(view.read((pages - 1) * page, page)):
        return Verdict(pages * page, "sqlite", "its last page is empty: its end was never written, or is gone")
    sound = _sound(view, page, pages)
    if sound < pages:
        cut = (sound + 1) * page > view.size
        return Verdict(min(sound * page, view.size), "sqlite", "cut off" if cut else "its pages break off")
    return Verdict(pages * page, "sqlite", sure=pages * page)


def _sound(view: View, page: int, pages: int) -> int:
    """Pages from the first on that begin as a page may: as a tree's, or with the number of the next page of a list."""
    lock = (1 << 30) // page  # the page that is locked and never written
    done, step = 0, max(BLOCK // page, 1)
    while done < pages:
        wanted = min(step, pages - done)
        data = view.read(done * page, wanted * page)
        count = len(data) // page
        if not count:
            return done
        heads = np.frombuffer(data, np.uint8, count * page).reshape(count, page)[:, :8].astype(np.int64)
        following, parent = (heads[:, at : at + 4] @ _BIG_ENDIAN for at in (0, 1))
        mapped = (heads[:, 0] >= 1) & (heads[:, 0] <= 5) & (parent <= pages)  # a pointer map page
        good = (following <= pages) | _trees(heads, page) | mapped
        if done == 0:
            good[0] = True
        if done <= lock < done + count:
            good[lock - done] = True
        bad = np.flatnonzero(~good)
        if len(bad):
            return done + int(bad[0])
        done += count
        if count < wanted:
            return done
    return done


def _trees(heads: NDArray[np.int64], page: int) -> NDArray[np.bool_]:
    """Which pages begin like a b-tree's: type, first free block, number of cells, start of the cells, lost bytes."""
    free, cells, content = (heads[:, at] << 8 | heads[:, at + 1] for at in (1, 3, 5))
    found: NDArray[np.bool_] = np.isin(heads[:, 0], _TREE) & (free < page) & (heads[:, 7] <= 60)
    return found & (8 + 2 * cells <= page) & (content <= page)
