"""The queue: who was listed for which Watch, what they have claimed so far, and when to call again.

The book is kept in memory and in the table `endpoints`; the run that holds the lease is its only writer. How a claim
becomes a tier (DESIGN section 1) is decided here and nowhere else, by `weigh`. Times when somebody was listed are UTC;
those that intervals are counted by (`first_claim_ns`, `next_ns`) are of `observe.steady`.
"""

import heapq
import itertools
import sqlite3
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields

from clew.model import Claim, Missing, Tier
from clew.observe.api import SECOND, Contact
from clew.observe.policy import Policy

CLEAN, PROMISCUOUS = "clean", "promiscuous"
CONTROL_ATTEMPTS = 3
UNTIL_CONTROL_NS = SECOND // 4
LEVELS = {Claim.TORRENT_ONLY: 1, Claim.WATCHED_FILE: 2}


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

    @property
    def place(self) -> tuple[str, int]:
        """Address and port: what a control probe is about."""
        return self.address, self.port


COLUMNS = tuple(f.name for f in fields(Endpoint))
INSERT = f"INSERT OR REPLACE INTO endpoints ({','.join(COLUMNS)}) VALUES ({','.join('?' * len(COLUMNS))})"  # noqa: S608


def row(endpoint: Endpoint) -> tuple[object, ...]:
    """The values of INSERT."""
    return tuple(getattr(endpoint, name) for name in COLUMNS)


def weigh(endpoint: Endpoint, contact: Contact, sighting: str, at_ns: int, interval_ns: int) -> tuple[Tier, str | None]:
    """The tier of one contact, and the claim that it repeats; notes a first claim in `endpoint`.

    A claim counts as repeated only if the earlier one lies at least the interval back, came from the same client as
    far as both told, and claimed at least as much. A claim by another client, or of more than before, is a first claim
    again.
    """
    if not contact.answered:
        return Tier.LISTED, None
    level = LEVELS.get(contact.claim, 0)
    if not level:
        return Tier.ANSWERED, None
    endpoint.claims += 1
    known = LEVELS[Claim(endpoint.first_level)] if endpoint.first_level else 0
    client = _client(contact)
    other = endpoint.first_client is not None and client is not None and client != endpoint.first_client
    if other or level > known or endpoint.first_claim_ns is None or at_ns < endpoint.first_claim_ns:
        endpoint.first_claim, endpoint.first_claim_ns = sighting, at_ns
        endpoint.first_level, endpoint.first_client = contact.claim.value, client
        return Tier.ANSWERED, None
    if at_ns - endpoint.first_claim_ns < interval_ns:
        return Tier.ANSWERED, None
    return Tier.CLAIMS, endpoint.first_claim


def _client(contact: Contact) -> str | None:
    """What stays with a client over its connections: its name, and the prefix of its peer id (BEP 20, any style)."""
    prefix = contact.peer_id[:8].hex() if contact.peer_id else ""
    return f"{prefix} {contact.client or ''}".strip() or None


class Book:
    """Every endpoint of the case, by place and by when it is due."""

    def __init__(self, rows: Iterable[sqlite3.Row], policy: Policy, now_ns: int) -> None:
        self._policy = policy
        self._by_key: dict[tuple[str, str, int], Endpoint] = {}
        self._at: dict[tuple[str, int], list[Endpoint]] = defaultdict(list)
        self._heap: list[tuple[int, int, Endpoint]] = []
        self._number = itertools.count()
        self._controls: deque[Endpoint] = deque()
        self._control_tries: dict[tuple[str, int], int] = defaultdict(int)
        self._probing: set[tuple[str, int]] = set()
        self._busy: set[int] = set()
        self._changed: dict[int, Endpoint] = {}
        self._fresh: list[Endpoint] = []
        self._last_id = 0
        for each in rows:
            self._add(Endpoint(**{name: each[name] for name in COLUMNS}))
        for endpoint in self:
            if endpoint.next_ns is None and endpoint.control != PROMISCUOUS:
                endpoint.next_ns, endpoint.failures = now_ns, 0  # a new run tries everybody once more
            self._plan(endpoint)

    def __iter__(self) -> Iterator[Endpoint]:
        return iter(self._by_key.values())

    def __len__(self) -> int:
        return len(self._by_key)

    def listed(
        self, watch: str, address: str, port: int, *, source: str, twin: bool, at_ns: int, due_ns: int
    ) -> tuple[Endpoint, bool]:
        """Notes a listing; says whether this endpoint is new. A new one is not due before `save` was told."""
        found = self._by_key.get((watch, address, port))
        if found is not None:
            found.last_listed_ns = at_ns
            self._changed[found.id] = found
            return found, False
        self._last_id += 1
        found = Endpoint(self._last_id, watch, address, port, at_ns, at_ns, source, int(twin), next_ns=due_ns)
        beside = self._at.get(found.place)
        found.control = beside[0].control if beside else None
        self._add(found)
        self._changed[found.id] = found
        self._fresh.append(found)
        return found, True

    def never(self, endpoint: Endpoint, why: Missing) -> None:
        """This endpoint may not be called."""
        endpoint.next_ns, endpoint.last_failure = None, str(why)
        self._busy.discard(endpoint.id)
        self._probing.discard(endpoint.place)
        self._changed[endpoint.id] = endpoint

    def due(self, at_ns: int, room: int) -> list[tuple[Endpoint, str]]:
        """At most `room` calls that are due now, as (endpoint, "contact" | "control"), control probes first.

        They are busy until their result is told. A visit waits while its control probe is out, so that no second visit
        goes to whom the probe shows to be promiscuous.
        """
        found: list[tuple[Endpoint, str]] = []
        while self._heap and len(found) + len(self._controls) < room and self._heap[0][0] <= at_ns:
            when, _, endpoint = heapq.heappop(self._heap)
            if endpoint.next_ns != when or endpoint.id in self._busy:
                continue
            if self._wants_control(endpoint):
                self._probe(endpoint)
                endpoint.next_ns = at_ns + UNTIL_CONTROL_NS
                self._plan(endpoint)
            else:
                self._busy.add(endpoint.id)
                found.append((endpoint, "contact"))
        while self._controls and len(found) < room:
            found.append((self._controls.popleft(), "control"))
        return found

    def contacted(
        self, endpoint: Endpoint, contact: Contact, sighting: str, at_ns: int, interval_ns: int
    ) -> tuple[Tier, str | None]:
        """Takes the result of a contact that came about; returns its tier and what it repeats."""
        endpoint.contacts += 1
        tier, repeats = weigh(endpoint, contact, sighting, at_ns, interval_ns)
        if not contact.answered:
            self.failed(endpoint, contact.missing, at_ns)
            return tier, repeats
        endpoint.failures, endpoint.last_failure = 0, None
        endpoint.tier = max(endpoint.tier, tier.value)
        endpoint.next_ns = at_ns + interval_ns
        if self._wants_control(endpoint):
            self._probe(endpoint)
        self._done(endpoint)
        return tier, repeats

    def failed(self, endpoint: Endpoint, why: Missing | None, at_ns: int) -> None:
        """Takes a contact that failed: later again, each time later, and no more after the policy's attempts."""
        endpoint.failures += 1
        endpoint.last_failure = str(why) if why else None
        pause = int(self._policy.revisit * SECOND) << min(endpoint.failures - 1, 6)
        given_up = endpoint.failures >= self._policy.attempts and not endpoint.claims
        endpoint.next_ns = (
            None if given_up else at_ns + (int(self._policy.revisit * SECOND) if endpoint.claims else pause)
        )
        self._done(endpoint)

    def refused(self, endpoint: Endpoint, why: Missing | None, again_ns: int) -> None:
        """This call may not be made now, and says nothing about the endpoint."""
        endpoint.last_failure, endpoint.next_ns = str(why), again_ns
        self._done(endpoint)

    def put_back(self, endpoint: Endpoint) -> None:
        """This call was never made; it is due as before."""
        self._done(endpoint)

    def controlled(self, endpoint: Endpoint, verdict: str | Missing) -> None:
        """Takes the result of a control probe, for every Watch at that address and port."""
        self._probing.discard(endpoint.place)
        for each in self._at[endpoint.place]:
            each.control = str(verdict)
            self._changed[each.id] = each
            if verdict == PROMISCUOUS:
                each.next_ns = None

    def promiscuous(self, endpoint: Endpoint) -> bool:
        """Whether the control probe was echoed there."""
        return endpoint.control == PROMISCUOUS

    @property
    def fresh(self) -> bool:
        """Whether somebody waits for being written before the first call."""
        return bool(self._fresh)

    def changed(self) -> list[Endpoint]:
        """What has to be written; then call `saved`."""
        return list(self._changed.values())

    def saved(self, written: Iterable[Endpoint]) -> None:
        """These are in the case; new ones among them may be called from now on."""
        for endpoint in written:
            self._changed.pop(endpoint.id, None)
        for endpoint in self._fresh:
            self._plan(endpoint)
        self._fresh.clear()

    def settled(self) -> bool:
        """Whether nobody is left whose next visit could still change what is known."""
        return not self._busy and not self._probing and not self._fresh and all(self._settled(e) for e in self)

    def _settled(self, endpoint: Endpoint) -> bool:
        if endpoint.next_ns is None or endpoint.contacts >= self._policy.visits:
            return True
        return endpoint.tier == Tier.CLAIMS.value and not self._wants_control(endpoint)

    def _wants_control(self, endpoint: Endpoint) -> bool:
        if endpoint.tier == Tier.LISTED.value or endpoint.control in (CLEAN, PROMISCUOUS):
            return False
        return endpoint.place in self._probing or self._control_tries[endpoint.place] < CONTROL_ATTEMPTS

    def _probe(self, endpoint: Endpoint) -> None:
        if endpoint.place not in self._probing:
            self._probing.add(endpoint.place)
            self._control_tries[endpoint.place] += 1
            self._controls.append(endpoint)

    def _add(self, endpoint: Endpoint) -> None:
        self._by_key[endpoint.watch, endpoint.address, endpoint.port] = endpoint
        self._at[endpoint.place].append(endpoint)
        self._last_id = max(self._last_id, endpoint.id)

    def _plan(self, endpoint: Endpoint) -> None:
        if endpoint.next_ns is not None:
            heapq.heappush(self._heap, (endpoint.next_ns, next(self._number), endpoint))

    def _done(self, endpoint: Endpoint) -> None:
        self._busy.discard(endpoint.id)
        self._changed[endpoint.id] = endpoint
        self._plan(endpoint)
