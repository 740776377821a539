"""Sets of endpoints' numbers, a bit or a word each: they are given one after another, so that few lie idle together."""

from array import array

MARKS = 65_535
PAGE = 1_024  # numbers: those of a case of years go far beyond the endpoints that it still has


class Marks:
    """The numbers that were added, from 0."""

    def __init__(self) -> None:
        self._bits = bytearray()

    def add(self, number: int) -> bool:
        """Adds a number; whether it was not there."""
        at, bit = number >> 3, 1 << (number & 7)
        if at >= len(self._bits):
            self._bits.extend(bytes(at + 1 - len(self._bits)))
        new = not self._bits[at] & bit
        self._bits[at] |= bit
        return new

    def __contains__(self, number: int) -> bool:
        at = number >> 3
        return at < len(self._bits) and bool(self._bits[at] & 1 << (number & 7))


class Lately:
    """Which numbers came up in this period of their group or the one before: a list is made anew again and again."""

    def __init__(self) -> None:
        # In pages, by number, the mark of the period in which it came up last; 0: never
        self._pages: dict[int, array[int]] = {}
        self._periods: dict[str, tuple[int, int]] = {}  # of each group, which it is, and since when

    def turn(self, group: str, now_ns: int, period_ns: int) -> None:
        """Begins a period of a group where the last began at least so long ago. While nothing is told, none passes."""
        period, since_ns = self._periods.get(group, (0, 0))
        if now_ns - since_ns >= period_ns:
            self._periods[group] = period + 1, now_ns

    def add(self, group: str, number: int) -> bool:
        """Adds a number, which is of this group always; whether it did not come up lately."""
        page, at = divmod(number, PAGE)
        if page not in self._pages:
            self._pages[page] = array("H", bytes(2 * PAGE))
        marks, (period, _) = self._pages[page], self._periods.get(group, (0, 0))
        last, marks[at] = marks[at], _mark(period)
        return last not in (_mark(period), _mark(period - 1))


def _mark(period: int) -> int:
    """From 1 on, and again from 1 after some years of periods."""
    return period % MARKS + 1
