"""A set of endpoints' numbers, a bit each: they are given one after another, so that few bits lie idle."""


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
