"""Bytes that lie in pieces all over an image, read as one."""

from bisect import bisect_right

from clew.intake.api import ByteSource

Piece = tuple[int, int | None, int]  # offset in the whole, place in the image or None for a hole, bytes


class Direct:
    """What lies in `pieces`, which follow each other without a gap and cover at least `size` bytes."""

    def __init__(self, source: ByteSource, pieces: list[Piece], size: int) -> None:
        self._source, self._pieces, self.size = source, pieces, size
        self._starts = [start for start, _, _ in pieces]

    def place(self, offset: int) -> int | None:
        """Where in the image a byte of it lies; None in a hole."""
        start, place, _ = self._pieces[bisect_right(self._starts, offset) - 1]
        return None if place is None else place + offset - start

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes; what the container cannot read comes as zeros, and is named in its `bad`."""
        length = min(length, self.size - offset)
        if length <= 0:
            return b""
        parts: list[bytes] = []
        while length > 0:
            start, place, run = self._pieces[bisect_right(self._starts, offset) - 1]
            here = min(length, start + run - offset)
            part = bytes(here) if place is None else self._source.read(place + offset - start, here)
            parts.append(part)
            offset, length = offset + here, length - here
            if len(part) < here:
                break
        return parts[0] if len(parts) == 1 else b"".join(parts)


class Resident:
    """Bytes that are held already, as those of a small file in its record."""

    def __init__(self, data: bytes) -> None:
        self._data, self.size = data, len(data)

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes."""
        return self._data[offset : offset + max(length, 0)]
