"""The queue: who was listed for which Watch, what they have claimed so far, and when to call again.

The book is kept in memory and in the table `endpoints`; the run that holds the lease is its only writer.
"""

import heapq
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping

from clew.model import Missing, Reason, Tier, carrier
from clew.observe import pauses, transports
from clew.observe.api import SECOND, TOO_SLOW, Contact, turned_away
from clew.observe.endpoints import Endpoint, of_row
from clew.observe.places import Places
from clew.observe.policy import Policy
from clew.observe.probes import CLEAN, PROMISCUOUS, Probes
from clew.observe.tiers import weigh
from clew.observe.turns import Turns

UNTIL_CONTROL_NS = SECOND // 4
UNANSWERED = 2  # from this urgency on


class Book:
    """Every endpoint of the case, by place and by when it is due."""

    def __init__(
        self,
        rows: Iterable[sqlite3.Row],
        policy: Policy,
        now_ns: int,
        offered: Callable[[Endpoint], tuple[str, ...]],
        torrents: Mapping[str, str] | None = None,
    ) -> None:
        self._policy, self._offered = policy, offered
        self._known = Places()
        self._heaps: tuple[list[tuple[int, int, int, Endpoint]], ...] = ([], [], [], [])  # by `_urgency`
        self._trying: set[int] = set()
        self._waited: set[int] = set()  # who did not answer so far, and cost us as long as we wait
        self._revisit_ns = int(policy.revisit * SECOND)
        self._probes = Probes(self._revisit_ns)
        self._turns = Turns(self._probes.after_ns, torrents or {})
        self._changed: dict[int, Endpoint] = {}
        self._fresh: list[Endpoint] = []
        self._barred: dict[int, tuple[Endpoint, int]] = {}  # who may not be called, and when a call was due
        self._last_id = 0
        for each in rows:
            self._add(of_row(each))
        self._gone = {each.id for each in self if each.last_failure and each.tier != Tier.LISTED.value}  # since before
        for endpoint in self:
            if endpoint.next_ns is None and endpoint.control != PROMISCUOUS:
                # A new run tries everybody once more (`keeping.begin`: not too soon).
                endpoint.next_ns, endpoint.failures = now_ns, 0
            endpoint.tried = ""
            self._plan(endpoint)

    def __iter__(self) -> Iterator[Endpoint]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    def places(self) -> Iterator[tuple[Endpoint, ...]]:
        """The endpoints of each address and port together, one for each Watch."""
        return self._known.each()

    def known(self, watch: str, address: str, port: int) -> bool:
        """Whether this endpoint is in the book."""
        return self._known.find(watch, (address, port)) is not None

    def listed(
        self, watch: str, address: str, port: int, *, source: str, twin: bool | None, at_ns: int, due_ns: int
    ) -> tuple[Endpoint, bool]:
        """Notes a listing; says whether this endpoint is new. A new one is not due before `save` was told.

        `twin` is None where who lists it cannot say under which of the torrent's two infohashes.
        """
        found = self._known.find(watch, (address, port))
        if found is not None:
            found.last_listed_ns = at_ns
            fresh = self.fresh and found.id >= self._fresh[0].id  # ids ascend
            if found.listed_by(source) and not fresh:
                self._look_again(found, due_ns)
            self._changed[found.id] = found
            self._back(found, due_ns, soon=found.listed_under(twin, called=found in self._turns))
            return found, False
        self._last_id += 1
        found = Endpoint(self._last_id, watch, address, port, at_ns, at_ns, source, int(twin or 0), next_ns=due_ns)
        found.listed_under(twin)
        beside = self._known.at(found.place)
        found.control = beside[0].control if beside else None
        if found.control == PROMISCUOUS:
            found.next_ns = None
        self._add(found)
        self._changed[found.id] = found
        self._fresh.append(found)
        return found, True

    def returned(self, endpoint: Endpoint, due_ns: int) -> None:
        """A list names it that lately did not: where its last call failed, it is called an interval from now at most.

        Nor sooner, as that call may be just over. Who claimed before then has several tries at the plain interval.
        """
        soon_ns = due_ns + self._revisit_ns
        if not endpoint.failures or self._left_alone(endpoint):
            return
        endpoint.failures = min(endpoint.failures, self._policy.attempts)
        if endpoint.next_ns is None or endpoint.next_ns > soon_ns:
            endpoint.next_ns = soon_ns
            self._plan(endpoint)
        self._changed[endpoint.id] = endpoint

    def never(self, endpoint: Endpoint, why: Missing) -> None:
        """This endpoint may or can not be called, until `allowed` says that more may be."""
        self._barred[endpoint.id] = endpoint, endpoint.next_ns or 0
        endpoint.next_ns, endpoint.last_failure = None, sys.intern(str(why))
        self._turns.end(endpoint, "contact")
        self._trying.discard(endpoint.id)
        self._give_back(endpoint)
        self._changed[endpoint.id] = endpoint

    def allowed(self, at_ns: int) -> None:
        """Mandates or ways have changed: whoever could not be called is looked at again, none sooner than was due."""
        for endpoint, _ in list(self._barred.values()):
            if self._known.find(endpoint.watch, endpoint.place) is endpoint:
                self._look_again(endpoint, at_ns)
        self._barred.clear()

    def due(self, at_ns: int, room: int) -> list[tuple[Endpoint, str]]:
        """At most `room` calls that are due now, as (endpoint, "contact" | "control"), control probes first.

        They are busy until their result is told. A visit waits while its control probe is out, so that no second visit
        goes to whom the probe shows to be promiscuous. Both wait while it is another's turn there (`turns`).
        """
        found: list[tuple[Endpoint, str]] = []
        while len(found) < room and (probed := self._probes.next(at_ns, self._turns.free_ns)) is not None:
            self._turns.begin(probed, "control")
            found.append((probed, "control"))
        while len(found) < room and (endpoint := self._next(at_ns)) is not None:
            there = not endpoint.failures and endpoint.id not in self._gone
            if self._probes.comes_first(endpoint, there=there):
                self._probes.plan(endpoint, at_ns)
                endpoint.next_ns = at_ns + UNTIL_CONTROL_NS
                self._plan(endpoint)
            else:
                self._turns.begin(endpoint, "contact")
                self._barred.pop(endpoint.id, None)
                found.append((endpoint, "contact"))
        return found

    def transport(self, endpoint: Endpoint, kind: str) -> str:
        """Over what this endpoint is called next."""
        if kind == "control":
            return transports.probe(endpoint.transport or transports.PLAIN[0], self._policy.transports)
        offered = self._offered(endpoint)
        if not offered:
            return transports.PLAIN[0]  # which nothing permits here, as the Governor then says
        return transports.following(offered, endpoint.transport, endpoint.tried) or offered[0]

    def heard(self, endpoint: Endpoint, at_ns: int) -> None:
        """A call ended then in which a handshake of ours may have been heard: others of that torrent wait a while."""
        self._turns.rest(endpoint, at_ns)

    def contacted(
        self,
        endpoint: Endpoint,
        contact: Contact,
        sighting: str,
        at_ns: int,
        interval_ns: int,
        transport: str,
        *,
        heard_ns: int,
        twin: bool = False,
    ) -> tuple[Tier, str | None]:
        """Takes the result of a contact that came about over `transport`, about the v1 infohash or the v2 `twin`.

        Claims are counted from `at_ns`, when it began; the next visit from `heard_ns`, until when a handshake of ours
        may have been heard. Returns its tier and what it repeats.
        """
        endpoint.contacts += 1
        tier, repeats = weigh(endpoint, contact, sighting, at_ns, interval_ns, carrier(transport), twin=twin)
        if not contact.answered:
            reached = contact.missing != TOO_SLOW and not turned_away(contact.missing)  # over uTP nobody was there
            self.failed(endpoint, contact.missing, heard_ns, transport, reached=reached, another=contact.shut)
            return tier, repeats
        endpoint.failures, endpoint.last_failure = 0, None
        self._waited.discard(endpoint.id)
        self._gone.discard(endpoint.id)
        endpoint.transport, endpoint.tried = contact.transport or transport, ""
        endpoint.tier = max(endpoint.tier, tier.value)
        endpoint.next_ns = heard_ns + pauses.answered_ns(endpoint, tier, interval_ns)
        if self._probes.wanted(endpoint):
            self._probes.plan(endpoint, at_ns)
        self._done(endpoint)
        return tier, repeats

    def failed(
        self,
        endpoint: Endpoint,
        why: Missing | None,
        at_ns: int,
        transport: str = "tcp",
        *,
        reached: bool = False,
        another: bool = True,
    ) -> None:
        """Takes a contact that failed over `transport`: at once again over another, where one may be.

        Not at once where our handshake may have been heard: nobody gets two within the revisit interval. Then later
        again, each time later, and no more after the policy's attempts, nor before each transport had its turn (in
        plaintext each takes a visit of its own). Who answered before is first tried again over
        what worked, and over the others only after a visit that failed; at once where somebody is there who turns that
        transport away: an endpoint that changed hands. The torrent's other infohash, if it was listed under that too,
        has its turn after all transports; where this one worked before, not before the policy's attempts.
        """
        if why is not None and why.reason is Reason.LIMIT_REACHED:
            self._waited.add(endpoint.id)
        offered = self._offered(endpoint)
        endpoint.tried = transports.failed(offered, endpoint.tried, transport, reached=reached)
        further = transports.following(offered, endpoint.transport, endpoint.tried) is not None
        if further and another and (endpoint.transport is None or endpoint.failures > 0 or reached):
            endpoint.last_failure, endpoint.next_ns = sys.intern(str(why)) if why else None, at_ns
            self._done(endpoint)
            return
        if not further or another:
            endpoint.tried = ""
        endpoint.failures += 1
        if not further and (endpoint.transport is None or endpoint.failures >= self._policy.attempts):
            endpoint.turn()
        endpoint.last_failure = sys.intern(str(why)) if why else None
        given_up = endpoint.failures >= self._policy.attempts and not endpoint.claims and not further
        endpoint.next_ns = None if given_up else at_ns + pauses.failed_ns(endpoint, self._revisit_ns)
        self._done(endpoint)

    def refused(self, endpoint: Endpoint, why: Missing | None, again_ns: int) -> None:
        """This call may not be made now, and says nothing about the endpoint."""
        endpoint.last_failure, endpoint.next_ns = sys.intern(str(why)), again_ns
        self._done(endpoint)

    def again(self, endpoint: Endpoint, at_ns: int) -> None:
        """What failed there says nothing: as if it had not been called or probed, but not sooner than `at_ns`.

        Who answered before keeps one failure, so that it is no sign of another silence (`silence`) until it answers.
        """
        if self._known.find(endpoint.watch, endpoint.place) is not endpoint:
            return  # forgotten since, and perhaps listed anew
        if endpoint.control != CLEAN:
            self._probes.forget(endpoint.place)
        if endpoint.failures == 0 or endpoint.control == PROMISCUOUS or endpoint in self._turns:
            return
        endpoint.failures, endpoint.next_ns = int(endpoint.tier != Tier.LISTED.value), at_ns
        self._waited.discard(endpoint.id)
        self._done(endpoint)

    def put_back(self, endpoint: Endpoint, kind: str = "contact") -> None:
        """This contact or control probe was never made; it is due as before."""
        if kind == "control":
            self._give_back(endpoint)
        else:
            self._done(endpoint)

    def controlled(self, endpoint: Endpoint, verdict: str | Missing) -> None:
        """Takes the result of a control probe, for every Watch at that address and port."""
        self._turns.end(endpoint, "control")
        self._probes.over(endpoint.place, decided=verdict in (CLEAN, PROMISCUOUS))
        for each in self._known.at(endpoint.place):
            each.control = str(verdict)
            self._changed[each.id] = each
            if verdict == PROMISCUOUS:
                each.next_ns = None

    def unprobed(self, endpoint: Endpoint, why: Missing | None, again_ns: int) -> None:
        """This probe could not be made, and does not count as a try; what is due there waits as long."""
        self._give_back(endpoint)
        for each in self._known.at(endpoint.place):
            if each.next_ns is not None and each not in self._turns:
                self.refused(each, why, max(each.next_ns, again_ns))

    def forget(self, before_ns: int) -> None:
        """Drops who was only listed, last before this moment, as `retention.purge` does; not who is called just now."""
        for each in [e for e in self if e.tier == Tier.LISTED.value and e.last_listed_ns < before_ns]:
            if each not in self._turns:
                each.next_ns = None
                self._known.remove(each)
                self._changed.pop(each.id, None)
                self._barred.pop(each.id, None)
                self._waited.discard(each.id)

    def answered(self, watch: str, address: str, port: int) -> bool:
        """Whether this endpoint has ever answered for this Watch."""
        found = self._known.find(watch, (address, port))
        return found is not None and found.tier != Tier.LISTED.value

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
        return not self._turns.visits() and not self._probes and not self._fresh and all(self._settled(e) for e in self)

    def _settled(self, endpoint: Endpoint) -> bool:
        if endpoint.next_ns is None or endpoint.contacts >= self._policy.visits:
            return True
        if endpoint.failures >= self._policy.attempts and not endpoint.tried:
            return True  # given up, though whoever is listed again will be called again
        return endpoint.tier == Tier.CLAIMS.value and not self._probes.wanted(endpoint)

    def _back(self, endpoint: Endpoint, due_ns: int, *, soon: bool = False) -> None:
        """Who was given up and is listed again, is called again: `soon`, or each time only after the longest pause."""
        if endpoint.next_ns is None and not self._left_alone(endpoint):
            endpoint.next_ns = due_ns + (self._revisit_ns if soon else pauses.longest_ns(endpoint, self._revisit_ns))
            self._plan(endpoint)

    def _give_back(self, endpoint: Endpoint) -> None:
        """Its control probe could not be made."""
        self._turns.end(endpoint, "control")
        self._probes.give_back(endpoint)

    def _left_alone(self, endpoint: Endpoint) -> bool:
        """Whether it is called no more, or just now."""
        return endpoint.control == PROMISCUOUS or endpoint.id in self._barred or endpoint in self._turns

    def _add(self, endpoint: Endpoint) -> None:
        self._known.add(endpoint)
        self._last_id = max(self._last_id, endpoint.id)

    def _plan(self, endpoint: Endpoint) -> None:
        if endpoint.control == PROMISCUOUS:  # left alone, on whatever Watch
            endpoint.next_ns = None
        if endpoint.next_ns is not None:
            due_ns = endpoint.next_ns
            heapq.heappush(self._heaps[self._urgency(endpoint)], (due_ns, due_ns, endpoint.id, endpoint))

    def _urgency(self, endpoint: Endpoint) -> int:
        """0 who answered or is new on a tracker's word, 1 new on a node's or a peer's alone; 2 and 3 are those of 0
        and 1 for whom we waited, or who could be reached over nothing, and of 1 who turned a transport away.

        Who was listed by a tracker and only refused a transport, or closed, cost nothing, and somebody is there, or at
        least a host: its visit goes on over the next one. What gossip names is mostly nobody, and the next one may
        cost a wait: were it not in 3, those waits would take up all calls.
        """
        if endpoint.tier != Tier.LISTED.value:
            return 0
        by_gossip = not endpoint.by_tracker
        goes_on = endpoint.tried and not by_gossip
        if endpoint.id in self._waited or ((endpoint.failures or endpoint.tried) and not goes_on):
            return UNANSWERED + by_gossip
        return int(by_gossip)

    def _look_again(self, endpoint: Endpoint, at_ns: int) -> None:
        """More may cover it, or a tracker vouch for it: who could not be called is due, none sooner than was due."""
        barred = self._barred.pop(endpoint.id, None)
        if barred is not None and endpoint.control != PROMISCUOUS:
            endpoint.next_ns = max(at_ns, barred[1])
            self._changed[endpoint.id] = endpoint
        self._plan(endpoint)

    def _next(self, at_ns: int) -> Endpoint | None:
        """Who is due, the most urgent first. Of those who did not answer so far, at most half of all calls at once:
        each may cost as long as we wait, and whoever lists what is not there must not keep us from others.
        """
        for urgency, heap in enumerate(self._heaps):
            if urgency >= UNANSWERED and len(self._trying) >= max(1, self._policy.concurrent // 2):
                return None
            while heap and heap[0][0] <= at_ns:
                _, due_ns, _, endpoint = heapq.heappop(heap)
                if endpoint.next_ns != due_ns or endpoint in self._turns:
                    continue
                free_ns = self._turns.free_ns(endpoint, at_ns)
                if free_ns > at_ns:
                    heapq.heappush(heap, (free_ns, due_ns, endpoint.id, endpoint))
                    continue
                if urgency >= UNANSWERED:
                    self._trying.add(endpoint.id)
                return endpoint
        return None

    def _done(self, endpoint: Endpoint) -> None:
        self._turns.end(endpoint, "contact")
        self._trying.discard(endpoint.id)
        self._changed[endpoint.id] = endpoint
        self._plan(endpoint)
