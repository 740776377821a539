"""The observer's loop: ask the trackers, call who is listed, come back after the revisit interval, keep the proof.

Connections run in the wire's own thread; here are decisions and commits. Every dial is committed as intent before its
socket opens, every result in a transaction with its receipt, so that `kill -9` at any moment forgets nothing and
doubles nothing.
"""

import hashlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from clew.core import clock, descriptors, mandate, plugins, watch
from clew.core.case import Case, new_id
from clew.core.clock import Instant
from clew.core.errors import Usage
from clew.core.lease import lease
from clew.core.questions import KEPT
from clew.model import Missing, Watch
from clew.observe import asked, keeping, retention, transports
from clew.observe.account import Account, Summary, by_place, coverage
from clew.observe.announces import Announces, Round
from clew.observe.api import SECOND, Network, Tracker
from clew.observe.batches import FLUSH_ROWS, Batches
from clew.observe.book import Book
from clew.observe.calls import Caller, Errand
from clew.observe.chance import Chance
from clew.observe.endpoints import COLUMNS, Endpoint
from clew.observe.gaps import Gaps
from clew.observe.gossip import Gossip
from clew.observe.keeping import Keeper
from clew.observe.lists import Lists
from clew.observe.lookups import Lookups
from clew.observe.policy import (
    DHT,
    PERMIT_PLAIN,
    PERMIT_PLAIN_FIRST,
    PURPOSE,
    Governor,
    Policy,
    Wish,
    inside_loopback,
    named,
)
from clew.observe.results import Results
from clew.observe.rows import Run, tool
from clew.observe.signals import interruptible
from clew.observe.steady import steady
from clew.observe.turns import shared
from clew.observe.unlisted import Unlisted, asked_for
from clew.observe.whereabouts import Whereabouts
from clew.observe.wire import Call, Wire

NETWORKS = "clew.observe.networks"
TICK_SECONDS = 0.05
MOST_IN_FLIGHT = 1_000

Progress = Callable[[dict[str, object]], None]


def observe(
    case: Case,
    *,
    trackers: list[str] | None = None,
    seconds: float | None = None,
    go_on: bool = False,
    policy: Policy | None = None,
    network: str = "bittorrent",
    progress: Progress | None = None,
) -> Summary:
    """Observes every Watch of the case for `seconds`, or, without a number, until nobody's next visit could tell more.

    With `go_on` it does not end there either: who was seen is visited again for as long as the run goes on.

    `trackers` are announce URLs; without them, those that the Mandates name which hold now. Raises Refused without a
    Mandate for it, Held where another run is under way, Usage where there is nothing to do. SIGINT or SIGTERM ends it
    within a second, in order. `progress` is called about once a second with how it stands.
    """
    plugin: Network = plugins.load(NETWORKS, network)
    most = (policy or Policy()).concurrent
    descriptors.room_for(most, f"{most:,} connections at once were asked for", "lower --concurrent")
    with lease(case, "observe", network):
        keeping.merge(case)  # what earlier runs left
        return Observer(case, plugin, policy or Policy(), trackers).run(seconds, progress, go_on=go_on)


class Observer:
    """One run."""

    def __init__(self, case: Case, plugin: Network, policy: Policy, trackers: list[str] | None) -> None:
        self._case, self._plugin, self._policy = case, plugin, policy
        self._start = clock.now()
        self._governor = Governor(case, policy, plugin.name)
        watches = {each.id: each for each in watch.all_of(case)}
        if not watches:
            raise Usage("this case has no Watch", "add one with: clew watch add CASE FILE")
        self._watches = len(watches)
        self._mandate = mandate.require(case, purpose=PURPOSE, at_ns=self._start.utc_ns, network=plugin.name).id
        self._bases = {self._mandate}  # what the run began, and called anybody, under
        self._run = _run(case, plugin, policy)
        self._whereabouts = Whereabouts(plugin, self._governor)
        places, offers = self._places(trackers), self._offers()
        retention.purge(case, self._start.utc_ns)
        wait_ns = int(policy.revisit * SECOND)
        self._steady = steady(case, self._start)
        steady_ns = self._steady.at(self._start)
        self._interrupted = keeping.begin(
            case, self._run, policy.text(), self._start, self._mandate, self._steady, wait_ns, plain=policy.plain
        )
        self._governor.recall(keeping.heard(case, self._start, self._steady, wait_ns))
        known = case.read().execute(f"SELECT {','.join(COLUMNS)} FROM endpoints")  # noqa: S608 - our own names
        self._book = Book(known, policy, steady_ns, offers, shared(watches.values()))
        self._gaps = Gaps()
        self._keeper = Keeper(case, self._run, self._book, self._gaps)
        self._account = Account(unlisted=Unlisted(asked_for(places, watches.values())))
        for url in (*(each.url for each in self._whereabouts.nowhere), *self._whereabouts.not_ours):
            self._account.tracker(url, "failed")
        chance = Chance()
        self._caller = Caller(plugin, policy.limits(), watches, case.settings.id, chance)
        self._lists = self._ask_of(places, list(watches.values()))
        self._gossip = Gossip(wait_ns if policy.gossip else 0)
        self._results = Results(
            self._run,
            self._book,
            self._keeper,
            self._lists,
            self._account,
            policy.revisit,
            self._steady,
            self._gaps,
            chance,
            self._keep_much,
            policy.limits().hold_ns,
        )
        self._errands: dict[str, Errand] = {}
        self._visits = 0  # errands to an endpoint among them
        self._valid = self._governor.valid(self._start)
        self._batches, self._shown_ns = Batches(policy), 0
        self._forget_ns = steady_ns + retention.EVERY_NS

    def run(self, seconds: float | None, progress: Progress | None = None, *, go_on: bool = False) -> Summary:
        """Goes on until time is up, everybody is settled (unless it is to `go_on`), or a signal."""
        stop, stopped = threading.Event(), ""
        with interruptible(stop), Wire(self._governor, self._plugin.sendable) as wire:
            while not stopped:
                self._dispatch(wire)
                stop.wait(TICK_SECONDS)  # answers are taken together: a turn for each would cost more than they do
                self._take(wire, 0)
                self._flush()
                self._forget()
                self._show(progress)
                stopped = self._over(seconds, stop, go_on=go_on)
            wire.stop()
            self._take(wire, 0)
        self._gaps.over(clock.now())
        self._account.unlisted.over(clock.now())
        self._keep()
        summary = self._summary(stopped)
        held = self._holding()
        basis = held if self._bases == {held} else None
        keeping.end(self._case, self._run, clock.now().utc_ns, summary.as_dict(), basis)
        return summary

    def _places(self, urls: list[str] | None) -> dict[Tracker, str]:
        """The trackers with their addresses. Raises Refused for one that may not be asked, Usage without any."""
        found = self._whereabouts.find(urls, mandate.all_of(self._case), self._start)
        if not found:
            raise Usage("no tracker is named", "give one with --tracker, or have a Mandate that holds now name them")
        return found

    def _ask_of(self, places: dict[Tracker, str], watches: list[Watch]) -> Lists:
        """Who is asked: the trackers among the places, and the DHT from those that are nodes of it."""
        nodes = {place: address for place, address in places.items() if named(place.url) == DHT}
        trackers = {place: address for place, address in places.items() if place not in nodes}
        may = {t.url: self._may_start(t, address) for t, address in (trackers | self._whereabouts.nowhere).items()}
        policy, begin, before = self._policy, self._start.mono_ns, asked.recall(self._case, self._steady)
        lookups = Lookups(nodes, watches, policy, begin, self._may_ask_node, before)
        return Lists(Announces(trackers, watches, policy, may, begin, before), lookups)

    def _offers(self) -> Callable[[Endpoint], tuple[str, ...]]:
        """The transports to try with an endpoint: those of the plug-in that the policy and the Mandates leave now.

        Raises Usage for one that the plug-in has not.
        """
        wanted = self._policy.transports or self._plugin.transports
        if unknown := set(wanted) - set(self._plugin.transports):
            raise Usage(
                f"{self._plugin.name} has no transport {', '.join(sorted(unknown))}",
                f"there are: {', '.join(self._plugin.transports)}",
            )

        def offered(whom: Endpoint) -> tuple[str, ...]:
            if inside_loopback(whom.address):
                return wanted
            place = whom.address, whom.sources
            plain, first = (self._governor.permits(p, *place, clock.now()) for p in (PERMIT_PLAIN, PERMIT_PLAIN_FIRST))
            return transports.permitted(wanted, plain=plain, plain_first=first)

        return offered

    def _may_start(self, tracker: Tracker, address: str) -> bool:
        wish = Wish("announce", "", address, tracker.port, tracker.url, "started")
        return not isinstance(self._governor.cover(wish, self._start), Missing)

    def _may_ask_node(self, address: str) -> bool:
        wish = Wish("announce", "", address, 0, f"{DHT}://")
        return not isinstance(self._governor.cover(wish, clock.now()), Missing)

    def _dispatch(self, wire: Wire) -> None:
        """Commits what is due as intent, then hands it to the wire."""
        now = clock.now()
        if not self._batches.intend(now.mono_ns):
            return
        self._renew(now)
        if self._gaps.back(now, wire.has_way):
            self._book.allowed(self._steady.at(now))
        if self._policy.quiet(now.utc_ns) or self._gaps.waits(now):
            return
        for tracker, address in self._whereabouts.moved(now, self._lists.failing).items():
            self._lists.moved(tracker, address, now.mono_ns)
        self._whereabouts.look_again(now, self._lists.failing)
        made = [pair for one in self._questions(now) for pair in self._caller.question(one)]
        # Trackers that answer slowly or never must not keep us from peers: only visits and probes take room.
        room = min(MOST_IN_FLIGHT, 3 * self._policy.concurrent) - self._visits
        if self._gaps.open:
            room = min(room, 1)
        for endpoint, kind in self._book.due(self._steady.at(now), max(0, room)):
            over = self._book.transport(endpoint, kind)
            wish = Wish(kind, endpoint.watch, *endpoint.place, endpoint.source, transport=over)
            lacking = self._gaps.lacks(endpoint.address, wire.has_way)
            covered = lacking or self._governor.covered(wish, endpoint.sources, now)
            if isinstance(covered, Missing):
                self._book.never(endpoint, covered)
            else:
                made.append(self._caller.visit(endpoint, self._asking(endpoint, covered, now)))
        if made:
            self._gaps.probed(now)
            self._send(wire, made, now)

    def _questions(self, now: Instant) -> list[Round]:
        """What is asked now; while the network is gone, one question. The others are due again when it is there."""
        due = self._lists.due(now.mono_ns)
        if not self._gaps.open:
            return due
        for one in due[1:]:
            self._lists.never_asked(one, now.mono_ns)
        return due[:1]

    def _renew(self, now: Instant) -> None:
        """Looks again at who could not be called or asked, where a Mandate was added or its time has come. While none
        holds, that is a gap.
        """
        before, self._valid = self._valid, self._governor.valid(now)
        self._gaps.covered(now, holds=bool(self._valid))
        if self._valid - before:
            self._book.allowed(self._steady.at(now))
            self._lists.allowed(now.mono_ns)

    def _asking(self, endpoint: Endpoint, wish: Wish, now: Instant) -> Wish:
        """The visit, asking for gossip too where it is this endpoint's turn and the Mandate that covers it permits."""
        if not self._policy.gossip or wish.kind != "contact":
            return wish
        asking = self._governor.covered(replace(wish, gossip=True), endpoint.sources, now)
        if isinstance(asking, Missing):
            return wish
        return asking if self._gossip.ask(endpoint, self._steady.at(now)) else wish

    def _send(self, wire: Wire, made: list[tuple[Call, Errand]], now: Instant) -> None:
        bases: dict[str | None, list[tuple[Call, Errand]]] = {}
        for call, errand in made:
            covered = self._governor.cover(call.wish, now)
            bases.setdefault(None if isinstance(covered, Missing) else covered.id, []).append((call, errand))
        for basis, some in bases.items():
            intents = [(call, errand.endpoint.id if errand.endpoint else None) for call, errand in some]
            asking = [errand.round for _, errand in some if errand.round is not None]
            self._keeper.intend(intents, now.utc_ns, basis, asking, self._steady.at(now))
        self._errands.update((call.id, errand) for call, errand in made)
        self._visits += sum(errand.endpoint is not None for _, errand in made)
        # A goodbye is not dialled by itself: the wire opens it at once after its `started`.
        wire.dial(call for call, errand in made if not errand.goodbye_to)

    def _take(self, wire: Wire, timeout: float) -> None:
        for answer in wire.collect(timeout):
            errand = self._errands.pop(answer.call.id)
            self._visits -= errand.endpoint is not None
            self._results.take(answer, errand)
            self._bases |= {answer.mandate} - {""}
            self._keep_much()
        self._gaps.left(wire.left)

    def _flush(self) -> None:
        now = clock.now()
        self._gaps.look(now)
        if self._batches.keep(now.mono_ns, self._keeper.waiting, new=self._book.fresh):
            self._keep()

    def _keep_much(self) -> None:
        """Commits what was taken where it is much: a list of thousands is never in memory as a whole."""
        if self._keeper.waiting >= FLUSH_ROWS:
            self._keep()

    def _keep(self) -> None:
        """Commits what was taken."""
        account = self._account
        told: dict[str, Mapping[str, Any]] = {"limits": self._limits(), "ourselves": account.of_ourselves()}
        told[KEPT] = account.unlisted.told()
        self._keeper.flush(self._holding(), {name: said for name, said in told.items() if any(said.values())})

    def _holding(self) -> str | None:
        """The Mandate for what rests on no call: the one that the run began under while it holds, else another."""
        return self._mandate if self._mandate in self._valid else min(self._valid, default=None)

    def _limits(self) -> dict[str, int]:
        """The limits that this run has come to, by their words, and how often."""
        return dict(self._account.limits) | self._lists.limits() | self._whereabouts.limits

    def _forget(self) -> None:
        """Keeps to retention while the run goes on; by the earlier of the steady time and UTC, which what is kept is
        dated by: whichever was set wrong, nothing is forgotten early for it.
        """
        now = clock.now()
        now_ns = self._steady.at(now)
        if now_ns < self._forget_ns:
            return
        self._forget_ns = now_ns + retention.EVERY_NS
        self._keep()
        earlier_ns = min(now_ns, now.utc_ns)
        retention.purge(self._case, earlier_ns)
        self._book.forget(earlier_ns - retention.KEEP_NS)
        self._results.forget(now_ns)

    def _over(self, seconds: float | None, stop: threading.Event, *, go_on: bool) -> str:
        if stop.is_set():
            return "interrupted"
        if seconds is not None:
            return "time" if self._elapsed() >= seconds else ""
        if go_on:
            return ""
        quiet = not self._errands and self._lists.quiet(self._policy.quiet_rounds)
        return "settled" if quiet and self._book.settled() else ""

    def _elapsed(self) -> float:
        return (clock.now().mono_ns - self._start.mono_ns) / SECOND

    def _show(self, progress: Progress | None) -> None:
        now_ns = clock.now().mono_ns
        if progress is None or now_ns - self._shown_ns < SECOND:
            return
        self._shown_ns = now_ns
        progress(
            {
                "seconds": round(self._elapsed(), 1),
                "contacts": self._account.contacts,
                "in_flight": len(self._errands),
                "bytes": self._governor.bytes,
                "errors": dict(self._account.errors),
                **self._oldest(now_ns),
            }
        )

    def _oldest(self, now_ns: int) -> dict[str, object]:
        """The call that has been in hand for longest, as calls are kept in order."""
        errand = next(iter(self._errands.values()), None)
        if errand is None:
            return {"oldest": "", "oldest_s": 0.0}
        return {"oldest": errand.what(), "oldest_s": (now_ns - errand.since_ns) / SECOND}

    def _summary(self, stopped: str) -> Summary:
        account = self._account
        return Summary(
            run=self._run.id,
            stopped=stopped,
            seconds=round(self._elapsed(), 3),
            watches=self._watches,
            places=by_place(self._book.places()),
            contacts=account.contacts,
            controls=account.controls,
            announces=account.announces,
            interrupted_before=self._interrupted,
            errors=dict(account.errors),
            traffic=dict(account.traffic),
            coverage=coverage(self._case, self._book.places()),
            ourselves=account.of_ourselves(),
            limits=self._limits(),
            trackers={url: dict(counts) for url, counts in account.trackers.items()},
            questions=account.unlisted.told(),
        )


def _run(case: Case, plugin: Network, policy: Policy) -> Run:
    config = hashlib.sha256(policy.text().encode()).hexdigest()
    return Run(new_id(), tool(plugin.name, plugin.version), config, case.settings.vantage, None, None)
