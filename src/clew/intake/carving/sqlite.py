"""SQLite: page size times page count (https://www.sqlite.org/fileformat2.html, section 1.3).

The beginning of every page is looked at, and what holds nothing but zeros. A page has no checksum: nothing vouches for
the rest of it, of which a whole cluster may be another's where pages are larger than clusters.
"""

import numpy as np
from numpy.typing import NDArray

from clew.intake.carving.view import BLOCK, Verdict, View

_TREE = (2, 5, 10, 13)  # the first byte of a b-tree page
EMPTY = "pages of it that are not free ones hold zeros alone"  # a free page may: see PRAGMA secure_delete
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
    return _graded(view, page, pages, free=int.from_bytes(head[36:40], "big"))


def _graded(view: View, page: int, pages: int, free: int) -> Verdict:
    """All pages of a file that tells its length; `free` of them hold nothing, and may be zeros."""
    sound, empty = _sound(view, page, pages)
    if sound < pages:
        cut = (sound + 1) * page > view.size
        return Verdict(min(sound * page, view.size), "sqlite", "cut off" if cut else "its pages break off")
    if len(empty) > free:
        return Verdict(pages * page, "sqlite", EMPTY, sure=empty[0] * page)
    return Verdict(pages * page, "sqlite", sure=pages * page, unread=((0, pages * page),), stores=True)


def _sound(view: View, page: int, pages: int) -> tuple[int, list[int]]:
    """(pages from the first on that begin as a page may: as a tree's, or with the number of the next page of a list;
    those of them that are all zeros).
    """
    lock = (1 << 30) // page  # the page that is locked and never written
    done, step, empty = 0, max(BLOCK // page, 1), list[int]()
    while done < pages:
        wanted = min(step, pages - done)
        data = view.read(done * page, wanted * page)
        count = len(data) // page
        if not count:
            return done, empty
        whole = np.frombuffer(data, np.uint8, count * page).reshape(count, page)
        heads = whole[:, :8].astype(np.int64)
        following, parent = (heads[:, at : at + 4] @ _BIG_ENDIAN for at in (0, 1))
        mapped = (heads[:, 0] >= 1) & (heads[:, 0] <= 5) & (parent <= pages)  # a pointer map page
        good = (following <= pages) | _trees(heads, page) | mapped
        if done == 0:
            good[0] = True
        if done <= lock < done + count:
            good[lock - done] = True
        zeros = (done + place for place in np.flatnonzero(~heads.any(axis=1)).tolist() if not whole[place].any())
        empty += (number for number in zeros if number != lock)
        bad = np.flatnonzero(~good)
        if len(bad):
            return done + int(bad[0]), empty
        done += count
        if count < wanted:
            return done, empty
    return done, empty


def _trees(heads: NDArray[np.int64], page: int) -> NDArray[np.bool_]:
    """Which pages begin like a b-tree's: type, first free block, number of cells, start of the cells, lost bytes."""
    free, cells, content = (heads[:, at] << 8 | heads[:, at + 1] for at in (1, 3, 5))
    found: NDArray[np.bool_] = np.isin(heads[:, 0], _TREE) & (free < page) & (heads[:, 7] <= 60)
    return found & (8 + 2 * cells <= page) & (content <= page)
