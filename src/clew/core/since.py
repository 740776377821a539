"""What the observer saw since the Leads were made: they know nothing of it, and every page and Bundle has to say so.

The Ledger's entry of the last `clew attribute` names how far each run of the observer had come by then.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from clew.core import clock, shards
from clew.core.case import Case

Place = tuple[str, int]
ENTRY = """
SELECT o.opening FROM ledger l LEFT JOIN ledger_openings o USING (seq) WHERE l.line LIKE '%"action":"leads.rebuilt"%'
ORDER BY l.seq DESC LIMIT 1
"""
BEYOND = """
SELECT address, port, count(DISTINCT id) FILTER (kind = 'contact') AS contacts,
       count(DISTINCT id) FILTER (kind = 'control') AS probes, max(ended_ns) AS last_ns,
       count(DISTINCT id) FILTER (kind = 'control' OR tier <> 'E2' OR missing IS NOT NULL) AS doubtful
FROM sightings
LEFT JOIN (SELECT unnest(?::VARCHAR[]) AS known, unnest(?::BIGINT[]) AS mark) ON coalesce(run, '') = known
WHERE kind IN ('contact', 'control') AND coalesce(sequence, 0) > coalesce(mark, -1) GROUP BY address, port
"""
PROMISCUOUS = "SELECT DISTINCT address, port FROM endpoints WHERE control = 'promiscuous'"
UNKNOWN = "whether it was called again since this lead was made is not known"


@dataclass(frozen=True, slots=True)
class Seen:
    """Contacts with one address and port, answered or not, and control probes of it; when the last of them ended.

    `doubtful`: those that repeat no claim: contacts that failed or claimed nothing (E0, E1), and all probes. Whether
    another claims as much as before, its tier does not tell.
    """

    contacts: int
    probes: int
    last_ns: int
    doubtful: int


@dataclass(frozen=True, slots=True)
class Since:
    """By address and port; None where nobody knows what the Leads were made of: the Ledger's opening was erased, or an
    earlier version made them.
    """

    places: Mapping[Place, Seen] | None

    @property
    def count(self) -> int | None:
        """How many contacts and probes there are; None where nobody knows."""
        return None if self.places is None else sum(each.contacts + each.probes for each in self.places.values())

    def doubtful(self, places: Iterable[Place]) -> bool:
        """Whether something in it may speak against a Lead with these endpoints; also where nobody knows."""
        known = self.places
        return known is None or any(known[place].doubtful for place in set(places) if place in known)

    def against(self, places: Iterable[Place]) -> tuple[str, ...]:
        """What a Lead with these endpoints does not know, as a sentence; nothing where it knows all."""
        if self.places is None:
            return (UNKNOWN,)
        seen = [self.places[place] for place in sorted(set(places)) if place in self.places]
        if not seen:
            return ()
        contacts, probes = sum(each.contacts for each in seen), sum(each.probes for each in seen)
        last = clock.iso(max(each.last_ns for each in seen))
        return (
            f"since this lead was made its address and port were called again, which it does not weigh: contacts "
            f"{contacts}, control probes {probes}, the last at {last}",
        )


def marks(case: Case) -> dict[str, int] | None:
    """The last number of each run of the observer among what the Leads were made of; None where nobody knows."""
    row = case.read().execute(ENTRY).fetchone()
    told = json.loads(row["opening"]) if row and row["opening"] else {}
    found: dict[str, int] | None = told.get("evidence")
    return found


def read(case: Case) -> Since:
    """All of it, as the case is now. Nothing where it holds no Lead."""
    if case.read().execute("SELECT 1 FROM leads LIMIT 1").fetchone() is None:
        return Since({})
    return beyond(case, marks(case))


def beyond(case: Case, known: Mapping[str, int] | None) -> Since:
    """What the case holds now beyond these `marks`."""
    if known is None:
        return Since(None)
    found = shards.query(case, BEYOND, [list(known), list(known.values())]).to_pylist()
    counts = "contacts", "probes", "last_ns", "doubtful"
    return Since({(each["address"], each["port"]): Seen(*(each[name] for name in counts)) for each in found})


def promiscuous(case: Case) -> set[Place]:
    """Endpoints that answered for an infohash that nobody has, by every probe that is kept by now."""
    found = shards.query(case, "SELECT DISTINCT address, port FROM sightings WHERE promiscuous").to_pylist()
    rows = [*found, *case.read().execute(PROMISCUOUS)]
    return {(row["address"], row["port"]) for row in rows}
