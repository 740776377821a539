"""Takes a file that others made into the case: a capture, or the log of another lawful tool.

What it says becomes Sightings of kinds of their own. They are graded by the same rules as our own contacts, and never
mixed with them: no Lead rests on them, and their clock is not ours, so its error is unknown. The file is read in a
locked worker; everything is committed in one transaction, so that a killed import leaves nothing behind and is simply
run again. The same file again, for the same Watches and by the same reader, adds nothing; a later version of the reader
may find more in it, and adds that alone.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from clew.core import clock, mandate, plugins, shards, watch
from clew.core.case import Case, new_id
from clew.core.engine import Limits, Outcome, Policy, Pool, Task
from clew.core.errors import Damaged, Usage
from clew.core.failpoints import failpoint
from clew.core.lease import lease
from clew.model import Claim, Missing, Reason, SightingKind, Tier, Watch
from clew.observe.announces import infohashes
from clew.observe.api import SECOND, Contact
from clew.observe.captures import _work
from clew.observe.captures._carry import read_account, read_finding, watched_to
from clew.observe.captures._dissect import MOST_BYTES, MOST_FINDINGS
from clew.observe.endpoints import Endpoint
from clew.observe.handed import CAPTURES, File, Given, opened, recognised
from clew.observe.policy import LEAST_REVISIT, PURPOSE, inside_loopback
from clew.observe.rows import tool
from clew.observe.taken import Account, Finding, Source, Watched, Watchlist
from clew.observe.tiers import about_twin, weigh

NETWORK, NETWORK_VERSION = "bittorrent", "1"
ENTRY = f"{_work.__name__}:{_work.read.__name__}"
LIMITS = Limits(seconds=60.0, seconds_per_mb=2.0, memory=768 << 20, output=8 << 20)
ROWS = 20_000
ONE_SIDED = Missing(Reason.UNREADABLE, "the capture does not hold the other direction's handshake")


# What a Sighting is recognised again by: of the same moment a later reader may understand more, which is another then.
SAME = ("watch", "address", "port", "transport", "started_ns", "source", "claim", "pieces_claimed", "missing")


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a file. `again` where it had been read for the same Watches before."""

    id: str
    label: str
    sha256: str
    format: str
    again: bool
    watches: int
    tiers: dict[str, int]
    counts: dict[str, int]
    flaws: list[str]

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def take(
    case: Case, given: Given, *, format: str | None = None, interval: float = LEAST_REVISIT, accept_weak: bool = False
) -> Taken:
    """Reads the file for every Watch that it was not read for before by this version of its reader.

    `format` is a plug-in's name, by default the one that recognises the file. `interval` is the least time in seconds
    between two claims that count as repeated; beyond 127.0.0.0/8 never less than 300. Raises Usage, Refused without a
    Mandate for it, Held while an observation or another import is under way, ClewError where the file changes.
    """
    at_ns = clock.now().utc_ns
    basis = mandate.require(case, purpose=PURPOSE, at_ns=at_ns, network=NETWORK, exhibit=given.label).id
    with lease(case, "observe", NETWORK), opened(given.path) as file:
        plugin: Source = plugins.load(CAPTURES, format) if format else recognised(file)
        sql = "SELECT * FROM captures WHERE sha256=? ORDER BY taken_ns"
        before = case.read().execute(sql, (file.sha256,)).fetchall()
        done = [row for row in before if row["whole"] and _reader(row["tool"]) == _reader(_tool(plugin))]
        covered = {name for row in done for name in json.loads(row["watches"])}
        watches = [each for each in watch.all_of(case) if each.id not in covered]
        if before and not watches:
            return _again(before[-1])
        if not watches:
            raise Usage("this case has no Watch to read the file for", "add one: clew watch add CASE FILE")
        known = _known(case, file.sha256) if len(before) > len(done) else {}
        reading = _Reading(case, given, plugin, watches, interval, known)
        with Pool(1, (_work.__name__, reading.module), LIMITS, Policy(accept_weak=accept_weak)) as pool:
            for outcome in pool.run([reading.task(os.dup(file.descriptor), file.size)]):
                reading.hear(outcome)
            isolation = pool.isolation
        file.still()
        return reading.keep(file, basis, isolation)


class _Reading:
    """One file while it is read, and what has come of it so far."""

    def __init__(
        self,
        case: Case,
        given: Given,
        plugin: Source,
        watches: list[Watch],
        interval: float,
        known: dict[tuple[Any, ...], str],
    ) -> None:
        self._case, self._given, self._plugin, self._interval = case, given, plugin, interval
        self._tool = _tool(plugin)
        self._known = known
        self.module = type(plugin).__module__
        self._watched = [watched(each) for each in watches]
        self._first = {each.id: each.infohashes[0] for each in self._watched}
        self._watchlist = Watchlist(self._watched)
        self._found: list[Finding] = []
        self._account: Account | None = None
        self._broken: Missing | None = None
        self._bytes = 0

    def task(self, descriptor: int, size: int) -> Task:
        """The worker's task; the descriptor is the pool's from then on."""
        payload = {"module": self.module, "watches": [watched_to(each) for each in self._watched]}
        return Task(self._given.label, ENTRY, payload, (descriptor,), size)

    def hear(self, outcome: Outcome) -> None:
        """Takes a batch of findings, the account, or how it broke off. Raises Damaged for what cannot be."""
        if isinstance(outcome.reply, Missing):
            self._broken = outcome.reply
            return
        told = outcome.reply.value
        if not isinstance(told, dict):
            raise Damaged("the file's reader said something that cannot be")
        if "counts" in told:
            self._account = read_account(told)
            return
        findings = told.get("findings")
        if not isinstance(findings, list) or len(findings) != len(outcome.reply.blobs):
            raise Damaged("the file's reader said something that cannot be")
        self._bytes += sum(map(len, outcome.reply.blobs))
        if len(self._found) + len(findings) > MOST_FINDINGS or self._bytes > MOST_BYTES:
            raise Damaged("the file's reader said more than it may")
        pairs = zip(findings, outcome.reply.blobs, strict=True)
        self._found += [read_finding(each, transcript, self._watchlist) for each, transcript in pairs]

    def keep(self, file: File, basis: str, isolation: dict[str, Any]) -> Taken:
        """Commits all of it: shards, receipts, the account and the ledger's entry."""
        account = self._account or Account()
        if self._broken is not None:
            account.flaw(Missing(self._broken.reason, f"the file was not read to its end: {self._broken.detail}"))
        rows = list(self._rows(file.sha256, basis))
        tiers = Counter(f"{row['kind']} {row['tier']}" for row in rows)
        made = Taken(
            new_id(), self._given.label, file.sha256.hex(), self._plugin.name, False, len(self._watched), dict(tiers),
            dict(account.counts), [str(each) for each in account.flaws],
        )  # fmt: skip
        failpoint("observe.receipt.before")
        brief = [row for row in rows if row["tier"] == Tier.LISTED.value]
        lasting = [row for row in rows if row["tier"] != Tier.LISTED.value]
        pending = {
            f"{name}capture {made.id} {at}": shards.write(self._case, "sightings", some[at : at + ROWS])
            for name, some in ((shards.BRIEF, brief), ("contacts ", lasting))
            for at in range(0, len(some), ROWS)
        }
        self._commit(made, file, pending, basis, isolation)
        failpoint("observe.receipt.after")
        return made

    def _commit(
        self, made: Taken, file: File, pending: dict[str, shards.Pending], basis: str, isolation: dict[str, Any]
    ) -> None:
        with self._case.write("observe") as tx:
            for batch, shard in pending.items():
                shards.commit(
                    tx, stage="observe", batch=batch, versions=self._tool, config=self._config, pending=[shard]
                )
            values = (
                made.id, file.sha256, made.label, file.path.name, file.size, made.format, self._tool, self._given.by,
                self._given.vantage, basis, json.dumps([each.id for each in self._watched]),
                json.dumps(made.counts, sort_keys=True), json.dumps(made.flaws), json.dumps(isolation, sort_keys=True),
                int(self._broken is None), clock.now().utc_ns,
            )  # fmt: skip
            tx.execute(f"INSERT INTO captures VALUES ({','.join('?' * len(values))})", values)  # noqa: S608 - ours
            subject = {"capture": made.id, "label": made.label, "sha256": made.sha256, "given by": self._given.by}
            tx.record("capture.taken", subject=subject, counts=made.tiers, mandate=basis)
            failpoint("observe.receipt.inside")

    @property
    def _config(self) -> str:
        return hashlib.sha256(json.dumps({"interval": self._interval}).encode()).hexdigest()

    def _rows(self, sha256: bytes, basis: str) -> Iterator[dict[str, Any]]:
        """Every finding as a row of the sightings shard, graded in the order of the file's own times."""
        known: dict[tuple[str, str, int, str, bool], Endpoint] = {}
        for found in sorted(self._found, key=lambda each: each.started_ns):
            row = self._row(found, sha256, basis)
            before = self._known.get(tuple(row[name] for name in SAME))
            name = before or new_id()
            key = (found.watch, found.address, found.port, found.transport, self._twin(found))
            endpoint = known.setdefault(
                key, Endpoint(0, *key[:3], found.started_ns, found.started_ns, found.source)
            )  # fmt: skip
            tier, repeats = self._grade(found, endpoint, name)
            if before is None:
                yield row | {"id": name, "tier": tier.value, "repeats": repeats}

    def _grade(self, found: Finding, endpoint: Endpoint, name: str) -> tuple[Tier, str | None]:
        if found.contact is None or not found.returned:
            return Tier.LISTED, None
        least = self._interval if inside_loopback(found.address) else max(self._interval, LEAST_REVISIT)
        interval_ns, twin = int(least * SECOND), self._twin(found)
        return weigh(endpoint, found.contact, name, found.started_ns, interval_ns, found.transport, twin=twin)

    def _twin(self, found: Finding) -> bool:
        """Whether it is about the second infohash of its Watch."""
        sent_twin = found.infohash != self._first[found.watch]
        return about_twin(found.contact or Contact(), found.infohash, sent_twin=sent_twin)

    def _row(self, found: Finding, sha256: bytes, basis: str) -> dict[str, Any]:
        contact = found.contact
        missing = contact.missing if contact is not None else None
        if contact is not None and contact.answered and not found.returned:
            missing = missing or ONE_SIDED
        what = "capture" if found.kind is SightingKind.CAPTURED else "log"
        return {
            "kind": found.kind.value,
            "watch": found.watch,
            "claim": contact.claim.value if contact else Claim.NOTHING_SAID.value,
            "source": f"{what} {sha256.hex()}: {found.source}",
            "address": found.address,
            "port": found.port,
            "transport": found.transport,
            "local_address": found.other_address,
            "local_port": found.other_port,
            "started_ns": found.started_ns,
            "ended_ns": found.ended_ns,
            "monotonic_ns": 0,
            "clock_offset_ns": None,
            "clock_error_ns": None,
            "infohash_sent": found.infohash,
            "infohash_echoed": contact.infohash_echoed if contact else None,
            "peer_id": contact.peer_id if contact else None,
            "reserved": contact.reserved if contact else None,
            "client": contact.client if contact else None,
            "listen_port": contact.listen_port if contact else None,
            "pieces_claimed": contact.pieces_claimed if contact else None,
            "inner_claimed": contact.inner_claimed if contact else None,
            "pieces_total": contact.pieces_total if contact else None,
            "promiscuous": False,
            "missing": missing.reason.value if missing else None,
            "missing_detail": missing.detail if missing else None,
            "transcript": found.transcript,
            "tool": f"{self._tool}, by {found.tool}" if found.tool else self._tool,
            "config": self._config,
            "mandate": basis,
            "vantage": self._given.vantage,
        }


def _tool(plugin: Source) -> str:
    return f"{tool(NETWORK, NETWORK_VERSION)} from {plugin.name} {plugin.version}"


def _reader(made_by: str) -> str:
    """What decides which Findings a file gives, of a tool's name: all but the version of clew."""
    return made_by.split(" ", 2)[-1]


def watched(one: Watch) -> Watched:
    """A Watch as a reader of files needs it."""
    found = tuple(infohash for infohash, _ in infohashes(one))
    whole = (one.infohash_v2,) if one.infohash_v2 else ()
    return Watched(one.id, one.label, found, whole, one.pieces, one.inner_pieces())


def _known(case: Case, sha256: bytes) -> dict[tuple[Any, ...], str]:
    """What earlier readings of the same file, that broke off or by other versions, have told: the ids of Sightings."""
    sql = f"SELECT id, {', '.join(SAME)} FROM sightings WHERE kind IN ('captured', 'imported') AND contains(source, ?)"  # noqa: S608 - ours
    rows = shards.query(case, sql, (sha256.hex(),)).to_pylist()
    return {tuple(row[name] for name in SAME): row["id"] for row in rows}


def _again(row: Any) -> Taken:
    return Taken(
        row["id"], row["label"], row["sha256"].hex(), row["format"], True, 0, {}, json.loads(row["counts"]),
        json.loads(row["flaws"]),
    )  # fmt: skip
