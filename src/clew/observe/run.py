"""The observer's loop: ask the trackers, call who is listed, come back after the revisit interval, keep the proof.

Connections run in the wire's own thread; here are decisions and commits. Every dial is committed as intent before its socket
opens, every result in a transaction with its receipt, so that `kill -9` at any moment forgets nothing and doubles nothing.
"""

import hashlib
import ipaddress
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from clew.core import clock, mandate, plugins, watch
from clew.core.case import Case, new_id
from clew.core.clock import Instant
from clew.core.errors import Refused, Usage
from clew.core.lease import lease
from clew.model import Missing, Reason, SightingKind, Tier, Watch
from clew.observe import keeping, retention
from clew.observe.account import Account, Summary, by_place, coverage
from clew.observe.announces import Announces, Round, infohashes
from clew.observe.api import SECOND, Ask, Contact, Limits, Listing, Network, Target, Tracker
from clew.observe.endpoints import CLEAN, COLUMNS, PROMISCUOUS, Book, Endpoint
from clew.observe.keeping import Keeper
from clew.observe.policy import PURPOSE, Governor, Policy, Wish
from clew.observe.rows import Run, sighting, tool
from clew.observe.wire import STOPPED, Answer, Call, Wire, resolve

NETWORKS = "clew.observe.networks"
PEER_ID_PREFIX = b"-CW0100-"  # published, so that other observers can tell us apart
ANNOUNCED_PORT = 9  # discard (RFC 863): nobody listens there, least of all we
TICK_SECONDS = 0.05
FLUSH_SECONDS = 0.5
FLUSH_ROWS = 500
MOST_IN_FLIGHT = 1_000

Progress = Callable[[dict[str, object]], None]


def observe(
    case: Case,
    *,
    trackers: list[str] | None = None,
    seconds: float | None = None,
    policy: Policy | None = None,
    network: str = "bittorrent",
    progress: Progress | None = None,
) -> Summary:
    """Observes every Watch of the case for `seconds`, or, without a number, until nobody's next visit could tell more.

    `trackers` are announce URLs; without them, those that the case's Mandates name. Raises Refused without a Mandate for
    it, Held where another run is under way, Usage where there is nothing to do. SIGINT ends it within a second, in order.
    """
    plugin: Network = plugins.load(NETWORKS, network)
    with lease(case, "observe", network):
        return Observer(case, plugin, policy or Policy(), trackers).run(seconds, progress)


@dataclass(frozen=True, slots=True)
class Errand:
    """What a Call was made for."""

    endpoint: Endpoint | None = None
    round: Round | None = None
    infohash: bytes = b""
    goodbye_to: str = ""


class Observer:
    """One run."""

    def __init__(self, case: Case, plugin: Network, policy: Policy, trackers: list[str] | None) -> None:
        self._case, self._plugin, self._policy = case, plugin, policy
        self._start = clock.now()
        self._limits: Limits = policy.limits()
        self._governor = Governor(case, policy, plugin.name)
        self._watches = {each.id: each for each in watch.all_of(case)}
        if not self._watches:
            raise Usage("this case has no Watch", "add one with: clew watch add CASE FILE")
        self._mandate = mandate.require(case, purpose=PURPOSE, at_ns=self._start.utc_ns, network=plugin.name).id
        config = hashlib.sha256(policy.text().encode()).hexdigest()
        self._run = Run(
            new_id(), tool(plugin.name, plugin.version), config, case.settings.vantage, plugin.transport, None, None
        )
        retention.purge(case, self._start.utc_ns)
        self._trackers = self._places(trackers)
        self._interval_ns = int(policy.revisit * SECOND)
        self._interrupted = keeping.begin(
            case, self._run, policy.text(), self._start.utc_ns, self._mandate, self._interval_ns
        )
        known = case.read().execute(f"SELECT {','.join(COLUMNS)} FROM endpoints")  # noqa: S608 - our own names
        self._book = Book(known, policy, self._start.utc_ns)
        self._keeper = Keeper(case, self._run, self._book)
        self._account = Account()
        self._errands: dict[str, Errand] = {}
        self._told: set[tuple[int, str]] = set()
        self._started: dict[str, Answer] = {}
        self._flushed_ns = 0
        own = hashlib.sha256(f"clew observer {case.settings.id}".encode()).digest()
        self._peer_id = PEER_ID_PREFIX + own[: 20 - len(PEER_ID_PREFIX)]
        may = {t.url: self._may_start(t, address) for t, address in self._trackers.items()}
        self._announces = Announces(self._trackers, list(self._watches.values()), policy, may, self._start.mono_ns)

    def run(self, seconds: float | None, progress: Progress | None = None) -> Summary:
        """Goes on until time is up, everybody is settled, or SIGINT."""
        stopped, stop = "time", threading.Event()
        with _interruptible(stop), Wire(self._governor, self._plugin.sendable) as wire:
            shown_ns = 0
            while seconds is None or self._elapsed() < seconds:
                self._dispatch(wire)
                self._take(wire.collect(TICK_SECONDS))
                self._flush(force=False)
                if stop.is_set():
                    stopped = "interrupted"
                    break
                if seconds is None and self._settled():
                    stopped = "settled"
                    break
                now_ns = clock.now().mono_ns
                if progress is not None and now_ns - shown_ns > SECOND:
                    shown_ns = now_ns
                    progress(self._state())
            wire.stop()
            self._take(wire.collect(0))
        self._flush(force=True)
        summary = self._summary(stopped)
        keeping.end(self._case, self._run, clock.now().utc_ns, summary.as_dict(), self._mandate)
        return summary

    # what is asked -----------------------------------------------------------------------------------------------------

    def _places(self, urls: list[str] | None) -> dict[Tracker, str]:
        """The trackers with their addresses. Raises Refused for one that may not be asked, Usage where there is none."""
        named = {t for m in mandate.all_of(self._case) if PURPOSE in m.purposes for t in m.trackers if t != "*"}
        found = {}
        for url in sorted(named) if urls is None else urls:
            place = self._plugin.tracker(url)
            address = place.host if _is_address(place.host) else resolve(place.host)
            allowed = self._governor.cover(Wish("announce", "", address, place.port, url), self._start)
            if isinstance(allowed, Missing):
                raise Refused(f"the tracker {url} may not be asked: {allowed.detail}", "see the Mandate, and --allow")
            found[place] = address
        if not found:
            raise Usage("no tracker is named", "give one with --tracker, or have the Mandate name them")
        return found

    def _may_start(self, tracker: Tracker, address: str) -> bool:
        wish = Wish("announce", "", address, tracker.port, tracker.url, "started")
        return not isinstance(self._governor.cover(wish, self._start), Missing)

    def _dispatch(self, wire: Wire) -> None:
        now = clock.now()
        room = min(MOST_IN_FLIGHT, 3 * self._policy.concurrent) - len(self._errands)
        calls = [call for one in self._announces.due(now.mono_ns) for call in self._question(one)]
        for endpoint, kind in self._book.due(now.utc_ns, max(0, room)):
            call = self._visit(endpoint, kind, now)
            if call is not None:
                calls.append((call, endpoint.id))
        if calls:
            self._keeper.intend(calls, now.utc_ns, self._mandate)
            # A goodbye is no call of its own: the wire opens it at once after its `started`.
            wire.dial(call for call, _ in calls if not self._errands[call.id].goodbye_to)

    def _question(self, one: Round) -> list[tuple[Call, int | None]]:
        goodbye = self._announce(one, "stopped") if one.event == "started" else None
        call = self._announce(one, one.event, goodbye)
        self._errands[call.id] = Errand(round=one, infohash=one.infohash)
        if goodbye is None:
            return [(call, None)]
        self._errands[goodbye.id] = Errand(round=one, infohash=one.infohash, goodbye_to=call.id)
        return [(call, None), (goodbye, None)]

    def _announce(self, one: Round, event: str, then: Call | None = None) -> Call:
        wish = Wish("announce", one.watch.id, one.address, one.tracker.port, one.tracker.url, event)
        left = one.watch.file_length or (one.watch.pieces or 1) * (one.watch.piece_length or 1 << 20)
        ask = Ask(one.tracker, one.watch.label, one.infohash, event, self._peer_id, ANNOUNCED_PORT, left)
        return Call(new_id(), wish, self._plugin.ask(ask, self._limits), then)

    def _visit(self, endpoint: Endpoint, kind: str, now: Instant) -> Call | None:
        """The call to an endpoint; None where it may not be called, which the book then knows."""
        wish = Wish(kind, endpoint.watch, endpoint.address, endpoint.port, endpoint.source)
        covered = self._governor.cover(wish, now)
        known = self._watches[endpoint.watch]
        if isinstance(covered, Missing):
            self._book.never(endpoint, covered)
            return None
        target = self._control(known) if kind == "control" else self._target(known, endpoint)
        call = Call(new_id(), wish, self._plugin.contact(target, self._limits))
        self._errands[call.id] = Errand(endpoint=endpoint, infohash=target.infohash)
        return call

    def _target(self, known: Watch, endpoint: Endpoint) -> Target:
        hashes = infohashes(known)
        sent = next((h for h, twin in hashes if twin == bool(endpoint.twin)), hashes[0][0])
        accepted = tuple(h for h, _ in hashes)
        return Target(known.label, sent, accepted, _fresh_peer_id(), known.pieces, known.inner_pieces())

    def _control(self, known: Watch) -> Target:
        random = os.urandom(20)
        return Target(known.label, random, (random,), _fresh_peer_id(), control=True)

    # what came back ----------------------------------------------------------------------------------------------------

    def _take(self, answers: list[Answer]) -> None:
        for answer in answers:
            errand = self._errands.pop(answer.call.id)
            if answer.sighted is not None:
                self._account.traffic.update(answer.sighted.traffic)
            if errand.goodbye_to:
                state, why = self._on_goodbye(answer, errand)
            elif errand.round is not None:
                state, why = self._on_listing(answer, errand.round)
            else:
                assert errand.endpoint is not None
                on = self._on_control if answer.call.wish.kind == "control" else self._on_contact
                state, why = on(answer, errand.endpoint, errand.infohash)
            self._account.error(why)
            self._keeper.ended(answer.call.id, state, str(why) if why else None)

    def _on_contact(self, answer: Answer, endpoint: Endpoint, infohash: bytes) -> tuple[str, Missing | None]:
        contact = _contact_of(answer)
        if _cut_off(contact):
            self._book.put_back(endpoint)
            return keeping.INTERRUPTED, contact.missing
        self._account.contacts += 1
        name, tier, repeats = new_id(), Tier.LISTED, None
        if answer.sighted is None:
            self._book.failed(endpoint, answer.missing, answer.started.utc_ns)
        else:
            tier, repeats = self._book.contacted(endpoint, contact, name, answer.started, self._interval_ns)
        self._keeper.keep(
            sighting(
                self._run,
                answer,
                id=name,
                kind=SightingKind.CONTACT,
                tier=tier,
                infohash=infohash,
                contact=contact,
                repeats=repeats,
                promiscuous=self._book.promiscuous(endpoint),
            )  # fmt: skip
        )
        return ("done" if contact.answered else "failed"), contact.missing

    def _on_control(self, answer: Answer, endpoint: Endpoint, infohash: bytes) -> tuple[str, Missing | None]:
        contact = _contact_of(answer)
        undecided = contact.missing if answer.sighted is None or _cut_off(contact) else None
        verdict = undecided or (PROMISCUOUS if contact.answered else CLEAN)
        self._book.controlled(endpoint, verdict)
        self._account.controls += 1
        self._keeper.keep(
            sighting(
                self._run,
                answer,
                id=new_id(),
                kind=SightingKind.CONTROL,
                tier=Tier.LISTED,
                infohash=infohash,
                contact=contact,
                promiscuous=contact.answered,
                missing=undecided.reason.value if undecided else None,
                missing_detail=undecided.detail if undecided else None,
            )  # fmt: skip
        )
        return ("failed" if undecided else "done"), undecided

    def _on_listing(self, answer: Answer, one: Round) -> tuple[str, Missing | None]:
        if answer.sighted is not None and isinstance(answer.sighted.finding, Listing):
            listing = answer.sighted.finding
        else:
            listing = Listing(missing=answer.missing)
        if answer.call.wish.event == "started":
            self._started[answer.call.id] = answer
        if listing.missing is not None and listing.missing.reason is Reason.INTERRUPTED:
            self._announces.never_asked(one, clock.now().mono_ns)
            return keeping.INTERRUPTED, listing.missing
        self._account.announces += 1
        url = one.tracker.url
        self._account.tracker(url, f"asked {answer.call.wish.event}")
        self._account.tracker(
            url, "failed" if listing.missing else "listed", 1 if listing.missing else len(listing.listed)
        )
        self._note(answer, listing, one)
        self._announces.heard(one, listing, clock.now().mono_ns)
        return ("failed" if listing.missing else "done"), listing.missing

    def _note(self, answer: Answer, listing: Listing, one: Round) -> None:
        """Takes everybody who was listed: the first time by this tracker in this run with the proof."""
        at_ns = answer.ended.utc_ns
        for each in listing.listed:
            if each.address == answer.local[0] and each.port == ANNOUNCED_PORT:
                continue
            endpoint, new = self._book.listed(
                one.watch.id, each.address, each.port, source=one.tracker.url, twin=one.twin, at_ns=at_ns
            )
            if new:
                self._announces.news(one)
            if (endpoint.id, one.tracker.url) in self._told:
                continue
            self._told.add((endpoint.id, one.tracker.url))
            self._keeper.keep(
                sighting(
                    self._run,
                    answer,
                    id=new_id(),
                    kind=SightingKind.LISTED,
                    tier=Tier.LISTED,
                    infohash=one.infohash,
                    address=each.address,
                    port=each.port,
                    transcript=listing.proof(each),
                    promiscuous=self._book.promiscuous(endpoint),
                    missing=None,
                    missing_detail=None,
                )  # fmt: skip
            )

    def _on_goodbye(self, answer: Answer, errand: Errand) -> tuple[str, Missing | None]:
        """`stopped` after `started`: how long we ourselves were listed is kept as a sighting of ourselves."""
        found = answer.sighted.finding if answer.sighted else None
        why = found.missing if isinstance(found, Listing) else answer.missing
        began = self._started.pop(errand.goodbye_to, None)
        if began is not None and began.sighted is not None:
            self._account.ourselves += 1
            self._account.ourselves_ns += answer.ended.mono_ns - began.started.mono_ns
            self._keeper.keep(
                sighting(
                    self._run,
                    answer,
                    id=new_id(),
                    kind=SightingKind.OURSELVES,
                    tier=Tier.LISTED,
                    infohash=errand.infohash,
                    contact=Contact(missing=why),
                    address=began.local[0],
                    port=ANNOUNCED_PORT,
                    started_ns=began.started.utc_ns,
                    monotonic_ns=began.started.mono_ns,
                    peer_id=self._peer_id,
                    mandate=began.mandate,
                )  # fmt: skip
            )
        return ("failed" if why else "done"), why

    # how it stands -----------------------------------------------------------------------------------------------------

    def _flush(self, *, force: bool) -> None:
        now_ns = clock.now().mono_ns
        late = now_ns - self._flushed_ns > FLUSH_SECONDS * SECOND
        if force or self._keeper.waiting >= FLUSH_ROWS or late:
            self._keeper.flush(self._mandate)
            self._flushed_ns = now_ns

    def _settled(self) -> bool:
        return not self._errands and self._announces.quiet(self._policy.quiet_rounds) and self._book.settled()

    def _elapsed(self) -> float:
        return (clock.now().mono_ns - self._start.mono_ns) / SECOND

    def _state(self) -> dict[str, object]:
        return {
            "seconds": round(self._elapsed(), 1),
            "places": by_place(list(self._book)),
            "contacts": self._account.contacts,
            "in_flight": len(self._errands),
            "errors": dict(self._account.errors),
        }

    def _summary(self, stopped: str) -> Summary:
        endpoints, account = list(self._book), self._account
        return Summary(
            run=self._run.id,
            stopped=stopped,
            seconds=round(self._elapsed(), 3),
            watches=len(self._watches),
            places=by_place(endpoints),
            contacts=account.contacts,
            controls=account.controls,
            announces=account.announces,
            interrupted_before=self._interrupted,
            errors=dict(account.errors),
            traffic=dict(account.traffic),
            coverage=coverage(self._case, endpoints),
            ourselves={"times": account.ourselves, "seconds": round(account.ourselves_ns / SECOND, 3)},
            trackers={url: dict(counts) for url, counts in account.trackers.items()},
        )


def _contact_of(answer: Answer) -> Contact:
    found = answer.sighted.finding if answer.sighted else None
    return found if isinstance(found, Contact) else Contact(missing=answer.missing)


def _cut_off(contact: Contact) -> bool:
    """Whether we ended it ourselves before it said anything."""
    return not contact.answered and contact.missing == STOPPED


def _fresh_peer_id() -> bytes:
    return PEER_ID_PREFIX + os.urandom(20 - len(PEER_ID_PREFIX))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


@contextmanager
def _interruptible(stop: threading.Event) -> Iterator[None]:
    """SIGINT sets `stop`, so that no commit is torn; a second one acts as usual."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(_signal: int, _frame: object) -> None:
        stop.set()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
