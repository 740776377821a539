"""What attribute takes from Sightings: contacts and control probes.

Listings (E0 hearsay) make no Subject and no Lead. Of them only address and port are read, from the observer's queue:
another port that is listed where a Lead is may be somebody who shares the address, and the Lead has to say so.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from clew.core import shards
from clew.core.case import Case
from clew.model import Claim, SightingKind, Tier, carrier

COLUMNS = (
    "id", "kind", "watch", "tier", "claim", "address", "port", "transport", "started_ns", "ended_ns", "peer_id",
    "client", "pieces_claimed", "inner_claimed", "pieces_total", "repeats", "promiscuous", "missing", "missing_detail",
    "infohash_sent", "infohash_echoed", "run", "sequence", "monotonic_ns",
)  # fmt: skip
ALIKE = (
    "watch", "address", "port", "transport", "peer_id", "client", "pieces_claimed", "inner_claimed", "pieces_total",
    "repeats", "missing", "missing_detail", "infohash_sent", "infohash_echoed", "run",
)  # fmt: skip
CONTACTS = f"SELECT {', '.join(COLUMNS)} FROM sightings WHERE kind IN ('contact', 'control')"  # noqa: S608 - ours
AT = f"{CONTACTS} AND address = ?"
RUNS = "SELECT id, number, steady_ns FROM observe_runs WHERE boot <> ''"
Runs = Mapping[str, tuple[int, int]]  # of a run of the observer: its number, and what makes steady time of monotonic


@dataclass(frozen=True, slots=True)
class Contact:
    """One contact or control probe, as far as merging needs it. Field meanings are those of model.Sighting.

    Contact and claim are separate facts: a contact that failed, or that claimed nothing, is one too. `started_ns` and
    `ended_ns` date it, in UTC as it was. Order and intervals go by `number` (its run's), `sequence` and `at_ns`.
    """

    id: str
    kind: SightingKind
    watch: str
    tier: Tier
    claim: Claim
    address: str
    port: int
    transport: str
    started_ns: int
    ended_ns: int
    peer_id: bytes | None = None
    client: str | None = None
    pieces_claimed: int | None = None
    inner_claimed: int | None = None
    pieces_total: int | None = None
    repeats: str | None = None
    promiscuous: bool = False
    missing: str | None = None
    missing_detail: str | None = None
    infohash_sent: bytes = b""
    infohash_echoed: bytes | None = None
    run: str | None = None
    sequence: int | None = None
    number: int = 0
    steady_ns: int | None = None

    @property
    def at_ns(self) -> int:
        """When it began, by the time that nobody can set, as the observer counts intervals (docs/decisions/0029).

        UTC where nothing better was kept of its run.
        """
        return self.started_ns if self.steady_ns is None else self.steady_ns

    @property
    def until_ns(self) -> int:
        """When it ended, by the same time."""
        return self.at_ns + self.ended_ns - self.started_ns

    @property
    def carrier(self) -> str:
        """What carried it, "tcp" or "utp": the same whether the stream was encrypted (MSE) or not."""
        return carrier(self.transport)

    @property
    def version(self) -> bytes:
        """The infohash that it was about: a peer may answer with the twin (BEP 52), and tell the pieces of that."""
        return self.infohash_echoed or self.infohash_sent

    @property
    def answered(self) -> bool:
        """Whether the endpoint itself answered for the Watch (E1 or better)."""
        return self.kind is SightingKind.CONTACT and self.tier is not Tier.LISTED

    @property
    def claims_pieces(self) -> bool:
        """Whether its bytes claim at least one piece; a claim without a count claims nothing."""
        return self.claim in (Claim.WATCHED_FILE, Claim.TORRENT_ONLY) and bool(self.pieces_claimed)

    @property
    def claims_file(self) -> bool:
        """Whether its bytes claim at least one piece that lies wholly inside the watched file."""
        return self.claim is Claim.WATCHED_FILE and bool(self.inner_claimed) and self.claims_pieces


def _contact(row: Sequence[Any], runs: Runs, same: dict[Any, Any]) -> Contact:
    """A Contact from its COLUMNS. `same` has what many of them say alike, so that all of those hold it once."""
    plain = dict(zip(COLUMNS, row, strict=True))
    plain |= {name: same.setdefault(plain[name], plain[name]) for name in ALIKE}
    number, base_ns = runs.get(plain["run"], (0, None))
    monotonic_ns = plain.pop("monotonic_ns")
    plain |= {"number": number, "steady_ns": None if base_ns is None else monotonic_ns + base_ns}
    plain |= {"kind": SightingKind(plain["kind"]), "tier": Tier(plain["tier"]), "claim": Claim(plain["claim"])}
    plain["infohash_sent"] = plain["infohash_sent"] or b""
    return Contact(**plain)


def marks(contacts: Iterable[Contact]) -> dict[str, int]:
    """How far each run of the observer had come: its last number among these. A later look tells what was new."""
    found: dict[str, int] = {}
    for each in contacts:
        run = each.run or ""
        found[run] = max(found.get(run, 0), each.sequence or 0)
    return found


def promiscuous(case: Case) -> set[tuple[str, int]]:
    """Endpoints that the observer's queue marks as answering for anything."""
    rows = case.read().execute("SELECT DISTINCT address, port FROM endpoints WHERE control = 'promiscuous'")
    return {(str(row["address"]), int(row["port"])) for row in rows}


def last_listed(case: Case) -> int:
    """The number of the latest endpoint in the observer's queue; a later look tells by it what was new."""
    return int(case.read().execute("SELECT coalesce(max(id), 0) FROM endpoints").fetchone()[0])


def listed(case: Case, until: int) -> set[tuple[str, int]]:
    """Every address and port that was listed, for whatever Watch and by whomever, up to that number in the queue."""
    rows = case.read().execute("SELECT DISTINCT address, port FROM endpoints WHERE id <= ?", (until,))
    return {(str(row["address"]), int(row["port"])) for row in rows}


def read(case: Case, address: str | None = None) -> list[Contact]:
    """Every contact and control probe of the case, or those of one address, oldest first."""
    sql, asked = (CONTACTS, []) if address is None else (AT, [address])
    return shards.take(case, sql, lambda rows: _contacts(case, rows), asked)


def _contacts(case: Case, rows: Iterable[Sequence[Any]]) -> list[Contact]:
    """Those of these rows, oldest first, each once: DuckDB would hold them all once more to order and to compare them.

    Runs are read after the list of shards was, so that none is unknown whose contacts are among these.
    """
    runs = {row["id"]: (int(row["number"]), int(row["steady_ns"])) for row in case.read().execute(RUNS)}
    found, known, same = list[Contact](), dict[str, Contact](), dict[Any, Any]()
    for row in rows:
        each = _contact(row, runs, same)
        if known.setdefault(each.id, each) is each or known[each.id] != each:
            found.append(each)
    found.sort(key=attrgetter("started_ns", "id"))
    return found
