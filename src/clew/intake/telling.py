"""What a run tells of itself while it goes on: the progress line, fed by the listing and the reading."""

import time
from dataclasses import dataclass

from clew.core.case import Case
from clew.core.progress import Progress
from clew.model import ItemState

EVERY_S = 0.25  # how often the oldest item in hand is looked up


@dataclass(slots=True)
class Telling:
    """The progress of one run."""

    bar: Progress
    _looked: float = 0.0

    def begin(self, case: Case, exhibit: str) -> None:
        """Items that earlier runs listed and left open are known to be ahead; the listing goes on."""
        sql = "SELECT count(*) AS n, total(size) AS size FROM items WHERE exhibit=? AND state='open'"
        row = case.read().execute(sql, (exhibit,)).fetchone()
        self.bar.begin(items=row["n"], bytes=int(row["size"]), counting=True)

    def listed(self, items: int, size: int) -> None:
        """So much more there is to read."""
        self.bar.found(items=items, bytes=size)

    def all_listed(self) -> None:
        """From now on the totals are known."""
        self.bar.counted()

    def read(self, state: str, size: int, reason: str) -> None:
        """One Item has its final state."""
        self.bar.advance(items=1, bytes=size)
        if state == ItemState.UNREADABLE:
            self.bar.error(reason)

    def in_hand(self, path: bytes, seconds: float) -> None:
        """The Item longest in hand, and for how long."""
        now = time.monotonic()
        if now - self._looked >= EVERY_S:
            self._looked = now
            self.bar.in_hand(path.decode(errors="replace"), seconds)
