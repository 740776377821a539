"""A set of file record numbers, of one bit each, in pages: as large as what is in it, whatever a disk claims."""

PAGE = 4096  # bytes


class Records:
    """The numbers that were added."""

    def __init__(self) -> None:
        self._pages: dict[int, bytearray] = {}

    def add(self, number: int) -> None:
        """One more."""
        page, at = divmod(number // 8, PAGE)
        self._pages.setdefault(page, bytearray(PAGE))[at] |= 1 << (number % 8)

    def forget(self, number: int) -> None:
        """One less, where it is in."""
        page, at = divmod(number // 8, PAGE)
        if page in self._pages:
            self._pages[page][at] &= ~(1 << (number % 8))

    def bits(self, first: int, end: int) -> bytes:
        """The bits of the numbers from `first`, a multiple of 8, to `end` and up to 7 more."""
        start, stop = first // 8, end // 8 + 1
        pages = range(start // PAGE, (stop - 1) // PAGE + 1)
        data = b"".join(bytes(self._pages.get(page, bytes(PAGE))) for page in pages)
        return data[start % PAGE : start % PAGE + stop - start]
