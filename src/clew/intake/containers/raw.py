"""A raw image (dd): its bytes as they are, in one file or in segments that follow each other."""

import errno
import os
from bisect import bisect_right
from itertools import accumulate

from clew.intake.api import Range


class Raw:
    """Segments one behind the other."""

    def __init__(self, descriptors: list[int]) -> None:
        self._descriptors = descriptors
        lengths = [os.lseek(descriptor, 0, os.SEEK_END) for descriptor in descriptors]
        self._starts = [0, *accumulate(lengths)]
        self.size = self._starts.pop()
        self.bad: list[Range] = []

    def read(self, offset: int, length: int) -> bytes:
        """Never moves a descriptor's own offset, which other workers share. Raises OSError."""
        length = min(length, self.size - offset)
        if length <= 0:
            return b""
        number = bisect_right(self._starts, offset) - 1
        data = os.pread(self._descriptors[number], length, offset - self._starts[number])
        if len(data) == length or not data:
            return data
        return data + self.read(offset + len(data), length - len(data))

    def hole(self, offset: int) -> int:
        """How many bytes from `offset` on are zeros that the file does not hold (lseek(2), SEEK_DATA); 0 for none."""
        number = bisect_right(self._starts, offset) - 1
        start = offset - self._starts[number]
        try:
            return os.lseek(self._descriptors[number], start, os.SEEK_DATA) - start
        except OSError as error:
            if error.errno != errno.ENXIO:  # the file system, or a device, does not tell
                return 0
            return max(0, os.fstat(self._descriptors[number]).st_size - start)


def open_raw(descriptors: list[int]) -> Raw:
    """The image behind its segments, in the order in which they are given."""
    return Raw(descriptors)
