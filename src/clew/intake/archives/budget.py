"""How much one archive may become, with everything inside it: bombs end here, and what ends here is said."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Budgets:
    """What is expanded of one archive that lies in no other, counted over all that lies in it.

    `depth` archives inside one another; `members`; bytes by their ratio to the archive's own: `ratio` up to `large`
    bytes, `large_ratio` beyond, never less than `least`. So a tar of several terabytes is expanded whole, and a small
    bomb is not. A member may hold `overrun` bytes more than its archive states. Time is bounded by the engine.
    """

    depth: int = 8
    members: int = 1_000_000
    least: int = 1 << 30
    ratio: int = 1000
    large: int = 1 << 40
    large_ratio: int = 20
    overrun: int = 64 << 20

    def bytes(self, size: int) -> int:
        """What an archive of that size may become."""
        return max(self.least, min(self.ratio * size, self.large), self.large_ratio * size)
