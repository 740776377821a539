"""What a peer says it holds, weighed against a Watch's piece map."""

from clew.model import Claim


class Pieces:
    """The pieces claimed so far: by bitfield, by HAVE, or all at once. `total` is None without a piece map.

    All at once only where the Fast extension may hold (`fast`): a have_all shows nothing of the torrent to whoever says
    it, as the length of a bitfield does, so DESIGN section 1 does not count it; no client may say it unasked (BEP 6).
    """

    def __init__(self, total: int | None, inner: range, *, fast: bool = False) -> None:
        self.total, self._inner, self._fast = total, inner, fast
        self._bits = 0
        self._all = False
        self.said = False

    def bitfield(self, data: bytes) -> str | None:
        """Takes a bitfield (BEP 3: first bit first, spare bits zero); says what is wrong with it, or None."""
        length = len(data) * 8
        bits = int.from_bytes(data, "big")
        if self.total is not None:
            if len(data) != -(-self.total // 8):
                return self.void("a bitfield of the wrong length")
            if bits & ((1 << (length - self.total)) - 1):
                return self.void("a bitfield with spare bits set")
        if self.said:
            return "pieces told a second time"
        self.said, self._bits = True, _reversed(data)
        return None

    def have(self, index: int) -> str | None:
        """Takes one HAVE; says what is wrong with it, or None."""
        if index >= (self.total if self.total is not None else 1 << 18):
            return self.void("a HAVE beyond the last piece")
        self.said = True
        self._bits |= 1 << index
        return None

    def everything(self, all_of_it: bool) -> str | None:
        """Takes have_all or have_none (BEP 6); says what is wrong with it, or None.

        A have_none is taken unasked, too: it claims nothing.
        """
        if all_of_it and not self._fast:
            return "have_all, which was not asked for"
        if self.said:
            told = "pieces told a second time"
            return told if all_of_it else self.void(told)
        self.said, self._all = True, all_of_it
        return None

    def void(self, why: str) -> str:
        """Takes everything back: who says this does not know the torrent, or denies what it said. Returns `why`."""
        self.said, self._all, self._bits = False, False, 0
        return why

    @property
    def complete(self) -> bool:
        """Whether every piece is claimed, so that nothing more can be told."""
        return self._all or self._bits.bit_count() == self.total

    @property
    def claimed(self) -> int | None:
        """How many pieces; None where nothing was said, or all of an unknown number."""
        if not self.said or (self._all and self.total is None):
            return None
        return self.total if self._all else self._bits.bit_count()

    @property
    def inner(self) -> int | None:
        """How many of the pieces that lie wholly inside the watched file; None without a piece map."""
        if not self.said or self.total is None or not self._inner:
            return None
        if self._all:
            return len(self._inner)
        window = (self._bits >> self._inner.start) & ((1 << len(self._inner)) - 1)
        return window.bit_count()

    @property
    def claim(self) -> Claim:
        """The claim as DESIGN section 1 names it."""
        if not self.said:
            return Claim.NOTHING_SAID
        if not self._all and not self._bits:
            return Claim.NONE
        return Claim.WATCHED_FILE if self.inner else Claim.TORRENT_ONLY


_FLIPPED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def _reversed(data: bytes) -> int:
    """The bitfield as an integer whose bit i is piece i."""
    return int.from_bytes(data.translate(_FLIPPED), "little")
