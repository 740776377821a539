"""Sets of endpoints' numbers, a bit each: they are given one after another, so that few bits lie idle."""


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
    """The numbers that came up in this period or the one before: a list is made anew again and again."""

    def __init__(self) -> None:
        self._new, self._old, self._since_ns = Marks(), Marks(), 0

    def turn(self, now_ns: int, period_ns: int) -> None:
        """Begins a period where the last began at least so long ago. While nothing is told, none passes."""
        if now_ns - self._since_ns >= period_ns:
            self._old, self._new, self._since_ns = self._new, Marks(), now_ns

    def add(self, number: int) -> bool:
        """Adds a number; whether it did not come up lately."""
        return self._new.add(number) and number not in self._old
