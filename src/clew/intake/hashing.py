"""The three hashes of a Content, taken while somebody else reads it, so that large contents are read once."""

from collections.abc import Sequence

from clew.core import one_pass
from clew.core.absent import CutShort
from clew.intake.api import ByteSource, Range
from clew.intake.piecewise import Runner
from clew.model import Missing

CHUNK = 1 << 20
BEYOND = 64 << 10  # bytes that are asked for at a time behind the end that a source tells
BLANK = (b"\x00", b"\xff")  # a byte of what was erased, as drives give it
GAP = 8 << 20  # bytes that a reader may leave out on its way forward: they are read for the hashes then and there


class Hashing:
    """A ByteSource over another one: each byte that is read for the first time in order is hashed on its way.

    Whoever reads forward has everything hashed when done. What is read out of order, such as an index at the end, is
    given and not counted; `finish` reads what is left. `done` is how many bytes are hashed. Where the source breaks off
    after some bytes, they are all there is, and `cut` says why. Each of `runners` is fed with the same bytes.

    A source that can only go forward says so by being `onward` (`archives.opening.Member`): nothing is left out in it,
    as what is passed over is unpacked all the same, and to finish is never to begin it anew.

    A source whose bytes lie where others may be by now says so by being `freed` (`disk.content.Stream`): of such a one
    `erased` tells whether what is hashed is all zeros, or all 0xFF.
    """

    def __init__(self, source: ByteSource, runners: Sequence[Runner] = ()) -> None:
        self._source, self.runners = source, runners
        self._hashes = one_pass.three()
        self.done = 0
        self._ended = False  # nothing lies behind what is hashed
        self.onward = bool(getattr(source, "onward", False))
        # The bytes that all of it may be yet
        self._blank: tuple[bytes, ...] = BLANK if getattr(source, "freed", False) else ()
        self.cut: Missing | None = None

    @property
    def size(self) -> int:
        """As the source says, bytes."""
        return self._source.size

    @property
    def erased(self) -> bool:
        """Whether it lies where files were deleted, and holds what is left of erased ones."""
        return self.done > 0 and bool(self._blank)

    @property
    def bad(self) -> list[Range]:
        """As the source says."""
        return self._source.bad

    def read(self, offset: int, length: int) -> bytes:
        """Raises what the source raises."""
        if self.done < offset and (self.onward or offset <= self.done + GAP):
            self._up_to(offset)
        data = self._given(offset, length)
        if offset <= self.done < offset + len(data):
            self._hash(data[self.done - offset :] if offset < self.done else data)
        elif offset == self.done and not data and length > 0:
            self._ended = True
        return data

    def whole(self, most: int, first: bytes = b"") -> memoryview | None:
        """All bytes, hashed, or None where they are more than `most`. Where the source says that they are, it is
        believed, unless `first` is given. To be called before anything is read but `first`, the beginning.

        Read in one go: piece by piece they would be copied once more, which costs as much as half of the three hashes.
        """
        size = self._source.size
        if (size > most and not first) or self.done > most:
            return None
        pieces = [first] if first else []
        while piece := self._given(self.done, min(max(size - self.done, BEYOND), most + 1 - self.done)):
            self._hash(piece)
            if self.done > most:
                return None
            pieces.append(piece)
        self._ended = True
        return memoryview(pieces[0] if len(pieces) == 1 else b"".join(pieces))

    def finish(self) -> None:
        """Hashes what nobody has read yet."""
        while not self._ended and (chunk := self._given(self.done, CHUNK)):
            self._hash(chunk)
        self._ended = True

    def digests(self) -> dict[str, str]:
        """Of the bytes that are hashed, in hexadecimal."""
        return self._hashes.hexdigests()

    def _up_to(self, offset: int) -> None:
        while self.done < offset and (chunk := self._given(self.done, min(CHUNK, offset - self.done))):
            self._hash(chunk)

    def _given(self, offset: int, length: int) -> bytes:
        try:
            return self._source.read(offset, length)
        except CutShort as short:
            if not self.done:
                raise
            self.cut = short.missing
            return b""

    def _hash(self, data: bytes) -> None:
        self._hashes.update(data)
        for each in self.runners:
            each.feed(data)
        self._blank = tuple(each for each in self._blank if data.count(each) == len(data))
        self.done += len(data)
