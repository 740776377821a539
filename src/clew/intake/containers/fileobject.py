"""A ByteSource as a file object of Python, for libyal's readers, which open nothing else in a locked worker."""

import os

from clew.intake.api import ByteSource


class FileObject:
    """`length` bytes of a source from `begin` on (all where not given), read-only.

    libyal turns an exception of ours into one of its own, and may read on after a short read: `failed` says whether
    any read failed or ended early, so that nobody needs to trust what it then gives.
    """

    def __init__(self, source: ByteSource, begin: int = 0, length: int | None = None) -> None:
        self._source, self._begin = source, begin
        self._size = max(source.size - begin, 0) if length is None else length
        self._at = 0
        self.failed = False

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes from where it stands. Raises OSError."""
        wanted = max(min(self._size - self._at, size if size >= 0 else self._size), 0)
        try:
            data = self._source.read(self._begin + self._at, wanted)
        except OSError:
            self.failed = True
            raise
        self.failed |= len(data) < size
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As a file does it."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError("before the beginning")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        """Where it stands."""
        return self._at

    get_offset = tell

    def get_size(self) -> int:
        """Bytes."""
        return self._size
