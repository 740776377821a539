"""What carving says of the free space that it read: where a search for lost entries of a directory has to look again.

Kept for this run alone: what was carved by an earlier one, that was stopped in between, is searched as a whole.
"""

from typing import Any

from clew.intake.api import Range
from clew.intake.containers._ranges import Ranges

MOST = 10_000  # stretches of a volume that are kept
_I64 = 1 << 63


class Sifted:
    """Of one volume, the ranges of the image that carving read, and those of them that may hold an entry. Where there
    are too many of the first, the rest is searched; of the second, those near each other become one.
    """

    def __init__(self) -> None:
        self._passed, self._found = Ranges(most=2 * MOST), Ranges(most=MOST)

    def take(self, said: Any) -> None:
        """What one stretch of carving said; nothing is believed of an answer that keeps to no form."""
        try:
            passed, found = (_ranges(said["sifted"][name]) for name in ("passed", "found"))
        except (KeyError, TypeError, ValueError):
            return
        for each in found:
            self._found.add(*each)
        for each in passed:
            if len(self._passed.list) < MOST:
                self._passed.add(*each)

    def told(self) -> dict[str, list[Range]]:
        """What the search is told."""
        return {"passed": self._passed.list, "found": self._found.list}


def _ranges(said: Any) -> list[Range]:
    found = [(start, length) for start, length in said]
    if any(type(each) is not int or not 0 <= each < _I64 for pair in found for each in pair):
        raise ValueError("no ranges")
    return found
