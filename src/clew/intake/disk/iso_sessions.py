"""The sessions of a disc, met one after the other: their trees, which of them is the last, and what of the disc they
hold.
"""

from typing import Any

from clew.intake.api import Range
from clew.intake.carving.view import overlap
from clew.intake.disk.iso_disc import Disc, Taken, descriptors
from clew.intake.disk.iso_records import FIRST, SECTOR
from clew.intake.disk.iso_tree import Volume, trees


class Sessions:
    """Those of the disc `here` that were met so far; what is `foreign` is taken by others, bytes of the disc."""

    def __init__(self, here: Disc, foreign: list[Range]) -> None:
        self.volumes: list[Volume] = []
        self.records = 0  # of directories of the first session
        self.taken = Taken()
        self.taken.add(foreign)
        self._here, self._foreign = here, foreign
        self._roots: dict[tuple[int, int], int] = {}  # and the session that has it first
        self._rootless: list[int] = []
        # The last session, and where it was met last: on media that can be written again, the first descriptors are its
        # own. One that counts from its own beginning is another disc's.
        self._last = self._met = FIRST

    def meet(self, place: dict[str, Any], sector: int) -> None:
        """That whose descriptors lie in a row with `sector`; they are met in order."""
        rows = descriptors(self._here, sector)
        self.taken.add([(sector * SECTOR, (max([sector, *(each.sector for each in rows)]) - sector + 2) * SECTOR)])
        order = trees(self._here, place, sector)
        if not order:
            self._rootless.append(sector)
        for each in order:
            root = each.base, each.root
            self.volumes += [each] if root not in self._roots else []
            owner = self._roots.setdefault(root, each.session)
            if each.base <= 0:
                self._last, self._met = owner, sector
            self.taken.add(each.survey().spans)
            self.records += each.survey().records if sector == FIRST else 0
            if self._foreign:
                files = {extent for lies in each.survey().contents for extent in lies}
                self._foreign = [one for one in self._foreign if not any(alike(one, extent) for extent in files)]
            each.known = None  # of a hundred trees it is much

    @property
    def first(self) -> list[Volume]:
        """The trees of the first session."""
        return [each for each in self.volumes if each.session == FIRST]

    def told(self) -> list[dict[str, Any]]:
        """Of each tree the "sector" of its descriptor, what it is in "words", and where the "last" session begins if it
        is of an earlier one.
        """
        order = sorted({each.session for each in self.volumes}, key=self._position)
        return [
            {"sector": each.said.sector, "words": _words(each, order)}
            | ({} if each.base > 0 or each.session == self._last else {"last": self._last})
            for each in self.volumes
        ]

    def said(self) -> list[str]:
        """What is to be said of them."""
        said: list[str] = []
        over = sum(length for _, length in overlap([(0, self._here.stated)], self._foreign))
        if over:
            why = "partitions of something else, which may have been written over it"
            said.append(f"{over:,} bytes of a disc lie in {why}")
        if self._rootless:
            where = f"the first in sector {self._rootless[0]:,}"
            count = len(self._rootless)
            said.append(f"{count:,} volume descriptors of a disc, {where}, whose root directory was not found")
        return said

    def _position(self, session: int) -> int:
        return self._met if session == self._last else session


def alike(partition: Range, extent: Range) -> bool:
    """Whether that partition is that extent of a file, as the image is that a disc boots; a table counts in sectors."""
    return partition[0] == extent[0] and abs(partition[1] - extent[1]) < SECTOR


def _words(each: Volume, starts: list[int]) -> str:
    words = f"the {each.kind} tree {each.said.label!r}"
    if len(starts) > 1:
        words += f" of session {starts.index(each.session) + 1} of {len(starts)}, at sector {each.session:,}"
    if each.base < 0:
        words += f", before which the image leaves out {-each.base // SECTOR:,} sectors"
    return words
