"""One address and port listed for one Watch: a row of the queue, the table `endpoints`.

Times when somebody was listed are UTC; those that intervals are counted by (`first_claim_ns`, `next_ns`) are of
`observe.steady`.
"""

import sqlite3
import sys
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any

from clew.model import Tier
from clew.observe.policy import DHT, PEX, named

TWIN, EITHER = 1, 2  # in `Endpoint.twin`


@dataclass(slots=True)
class Endpoint:
    """One address and port listed for one Watch: a row of the table `endpoints`.

    `twin`: by which of a torrent's infohashes (BEP 52) it is called next, TWIN for the v2 one; with EITHER where it was
    listed under both, or by who cannot say under which.
    """

    id: int
    watch: str
    address: str
    port: int
    first_listed_ns: int
    last_listed_ns: int
    source: str
    twin: int = 0
    contacts: int = 0
    claims: int = 0
    first_claim_ns: int | None = None
    first_claim: str | None = None
    first_level: str | None = None
    first_client: str | None = None
    control: str | None = None
    tier: str = Tier.LISTED.value
    next_ns: int | None = None
    failures: int = 0
    last_failure: str | None = None
    transport: str | None = None
    tried: str = ""
    first_carrier: str | None = None
    first_twin: int | None = None
    further: str = ""

    @property
    def place(self) -> tuple[str, int]:
        """Address and port: what a control probe is about."""
        return self.address, self.port

    @property
    def sources(self) -> tuple[str, ...]:
        """Who listed it: the first of all, then the first of each further kind. A call is covered by any of them."""
        return (self.source, *self.further.split(" ")) if self.further else (self.source,)

    @property
    def by_twin(self) -> bool:
        """Whether it is called by the v2 infohash."""
        return bool(self.twin & TWIN)

    @property
    def by_tracker(self) -> bool:
        """Whether a tracker has listed it."""
        return any(named(source) not in (DHT, PEX) for source in self.sources)

    def listed_under(self, twin: bool | None, *, called: bool = False) -> bool:
        """Notes under which infohash it was listed, None for whichever; not `called` just now, it may be its turn.

        Whether it is: who failed by the one alone is as new by the other.
        """
        if self.twin & EITHER or twin == self.by_twin:
            return False
        self.twin |= EITHER
        if called or not self.failures or self.tier != Tier.LISTED.value:
            return False
        self.turn()
        self.failures = 0
        return True

    def turn(self) -> None:
        """The other infohash has its turn, over all transports, where it was listed under both."""
        if self.twin & EITHER:
            self.twin ^= TWIN
            self.tried = ""

    def listed_by(self, source: str) -> bool:
        """Notes who listed it; whether nobody of that kind (`policy.named`) had."""
        if source == self.source or named(source) in map(named, self.sources):
            return False
        self.further = sys.intern(f"{self.further} {source}".strip())
        return True


COLUMNS = tuple(f.name for f in fields(Endpoint))
OWN = ("address", "first_claim")  # the words that no two endpoints share; all others are held once, not in each
# What an id stands for never changes: the book gives it once, and each run goes on from the largest that it finds.
LASTING = ("id", "watch", "address", "port", "first_listed_ns", "source")
# A row that is there is changed in place, since a REPLACE writes it anew in the index of places too. Were it of another
# Watch or place after all, no value comes out for `last_listed_ns`, and its NOT NULL refuses the whole transaction.
_CHANGES = ",".join(f"{n}=excluded.{n}" for n in COLUMNS if n not in (*LASTING, "last_listed_ns"))
_SAME = "(endpoints.watch, endpoints.address, endpoints.port) = (excluded.watch, excluded.address, excluded.port)"
INSERT = (
    f"INSERT OR REPLACE INTO endpoints ({','.join(COLUMNS)}) VALUES ({','.join('?' * len(COLUMNS))}) "  # noqa: S608
    f"ON CONFLICT (id) DO UPDATE SET last_listed_ns=iif({_SAME}, excluded.last_listed_ns, NULL), {_CHANGES}"
)


row = attrgetter(*COLUMNS)  # of an endpoint, the values of INSERT


def of_row(found: sqlite3.Row) -> Endpoint:
    """The endpoint of a row of the table."""
    return Endpoint(*(_held(name, found[name]) for name in COLUMNS))


def _held(name: str, value: Any) -> Any:
    return sys.intern(value) if isinstance(value, str) and name not in OWN else value
