"""An image of over 2^32 blocks of 1 KiB, of which only the first NEAR bytes and some behind block 2^32 are there, one
behind the other in one file; all others are zeros.
"""

import os
from collections.abc import Sequence

NEAR, FAR = 80 << 20, (1 << 32) * 1024


class Far:
    """A ByteSource."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self.size, self.bad = descriptor, FAR + (1 << 20), []

    def read(self, offset: int, length: int) -> bytes:
        length = max(min(length, self.size - offset), 0)
        if offset < NEAR:
            data = os.pread(self._descriptor, min(length, NEAR - offset), offset)
        else:
            data = os.pread(self._descriptor, length, NEAR + offset - FAR) if offset >= FAR else b""
        return data.ljust(length, b"\0")


def open_far(descriptors: Sequence[int]) -> Far:
    return Far(descriptors[0])
