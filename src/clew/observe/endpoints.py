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


@dataclass(slots=True)
class Endpoint:
    """One address and port listed for one Watch: a row of the table `endpoints`."""

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

    @property
    def place(self) -> tuple[str, int]:
        """Address and port: what a control probe is about."""
        return self.address, self.port


COLUMNS = tuple(f.name for f in fields(Endpoint))
OWN = ("address", "first_claim")  # the words that no two endpoints share; all others are held once, not in each
INSERT = f"INSERT OR REPLACE INTO endpoints ({','.join(COLUMNS)}) VALUES ({','.join('?' * len(COLUMNS))})"  # noqa: S608


row = attrgetter(*COLUMNS)  # of an endpoint, the values of INSERT


def of_row(found: sqlite3.Row) -> Endpoint:
    """The endpoint of a row of the table."""
    return Endpoint(*(_held(name, found[name]) for name in COLUMNS))


def _held(name: str, value: Any) -> Any:
    return sys.intern(value) if isinstance(value, str) and name not in OWN else value
