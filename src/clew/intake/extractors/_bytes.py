"""A Content as the file object that decoders ask for: read, seek and tell over bytes in memory or a ByteSource."""

import io
import os
from collections.abc import Callable

from clew.core.absent import Absent
from clew.intake.api import Probe
from clew.model import Missing, Reason


class Reader(io.RawIOBase):
    """Never gives more than was asked for: PyAV copies what it is given without looking."""

    def __init__(self, size: int, read: Callable[[int, int], bytes]) -> None:
        """`read(offset, length)` gives the bytes there, fewer only at the end."""
        self._size, self._read, self._at = size, read, 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Where the next byte comes from."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Goes there; behind the end nothing is read. Raises ValueError before the beginning."""
        at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        if at < 0:
            raise ValueError("a place before the first byte")
        self._at = at
        return at

    def read(self, size: int | None = -1) -> bytes:
        """Up to `size` bytes, all that is left for -1. Raises what the source raises."""
        left = max(0, self._size - self._at)
        length = left if size is None or size < 0 else min(size, left)
        data = self._read(self._at, length)[:length] if length else b""
        self._at += len(data)
        return data


def reader(probe: Probe) -> Reader:
    """The Content's bytes, from memory or read again. Raises Absent where there is neither."""
    data, source = probe.data, probe.source
    if data is not None:
        held = data
        return Reader(len(held), lambda offset, length: bytes(held[offset : offset + length]))
    if source is not None:
        return Reader(source.size, source.read)
    raise Absent(Missing(Reason.TOO_LARGE, f"{probe.size:,} bytes are not held, and cannot be read again"))
