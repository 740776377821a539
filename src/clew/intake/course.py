"""The course of a run: what is listed is read while the listing goes on, in one thread and with one pool of workers.

Whoever hands out an Item lists a little further before the next one, so that enumeration is always ahead and what there
is to do becomes known early. What is not live waits: which deleted Items share their bytes can be said only once
everything is listed.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from clew.core import shards
from clew.core.case import Case
from clew.core.engine import Pool
from clew.intake import batches, doubts, relist
from clew.intake.api import Ask, Deleted, Session
from clew.intake.listing import Lister
from clew.intake.work import Due, Reader
from clew.model import ContentState, NameState

LEAD = 8  # things listed for each Item that is handed out
BURST = 500  # things listed at a time, at most, while there is nothing to hand out

_CHECKED = r"\.(png|zip)$"  # of these alone a checksum stands over the bytes, so that none of them is another's
_DELETED = """
SELECT item, ref, content_state, name_state,
       name_state = 'carved' AND regexp_matches(CAST(path AS VARCHAR), $checked) AS checked FROM listings
WHERE exhibit=$exhibit AND name_state NOT IN ('live', 'unattached') AND content_state <> 'unreadable'
"""


@dataclass(slots=True)
class Listing:
    """An enumeration that is under way, and the batches that wait to be read."""

    steps: Iterator[tuple[str, ...]]
    ready: deque[str]
    over: bool = False

    def go_on(self) -> None:
        """Lists a little further, now that an Item was handed out."""
        for _ in range(LEAD):
            self._step()

    def catch_up(self) -> None:
        """Lists on until there is something to hand out, but not for long: workers must be heard too."""
        for _ in range(BURST):
            if self.ready or self.over:
                return
            self._step()

    def _step(self) -> None:
        found = None if self.over else next(self.steps, None)
        self.over = found is None
        self.ready.extend(found or ())


@dataclass(slots=True)
class Course:
    """Lists an Exhibit and reads it. `listed` is called once all of it is listed."""

    case: Case
    exhibit: str
    lister: Lister
    reader: Reader
    listed: Callable[[], None]

    def run(self, pool: Pool, session: Session, ask: Ask) -> None:
        """Lists what is not listed yet, and reads every batch without a receipt. Raises as `Pool.run` does."""
        unread = batches.unread(self.case, self.exhibit, self.reader.look, waits=False)
        listing = Listing(self.lister.steps(session, ask), deque(unread))
        self.reader.session = session
        self.reader.run(pool, self._due(session, ask, listing), listing.go_on)

    def again(self, pool: Pool, session: Session, ask: Ask, due: Iterator[Due]) -> None:
        """Reads what was read before, or could not be, once more. Raises as `Pool.run` does."""
        self._claim(session, ask)
        self.reader.session = session
        self.reader.run(pool, due)

    def _due(self, session: Session, ask: Ask, listing: Listing) -> Iterator[Due | None]:
        while listing.ready or not listing.over:
            if listing.ready:
                yield batches.due(self.case, listing.ready.popleft())
            else:
                listing.catch_up()
                yield None
        self.listed()
        waiting = batches.unread(self.case, self.exhibit, self.reader.look, waits=True)
        again = doubts.waits(self.case, self.exhibit)
        if waiting or again:
            self._claim(session, ask)
        if again:
            doubts.judge(self.case, self.exhibit, self.reader.claimed, self.reader.look, self.reader.basis.require())
        for name in waiting:
            yield batches.due(self.case, name)

    def _claim(self, session: Session, ask: Ask) -> None:
        """Tells the reader what may be claimed of deleted Items, now that all are listed."""
        self.reader.claimed = session.claims(self._deleted(), ask)

    def _deleted(self) -> dict[str, Deleted]:
        found: dict[str, Deleted] = {}
        twice = relist.named_since(self.case, self.exhibit)
        for chunk in shards.query(self.case, _DELETED, {"exhibit": self.exhibit, "checked": _CHECKED}).to_batches():
            for item, ref, state, name, checked in zip(*(column.to_pylist() for column in chunk.columns), strict=True):
                if item not in twice:
                    found[item] = Deleted(ref, ContentState(state), NameState(name), checked)
        return found
