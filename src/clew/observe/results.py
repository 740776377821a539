"""What comes back: each Answer becomes Sightings, changes the book, and closes its dial."""

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace

from clew.core import clock
from clew.model import Missing, Reason, SightingKind, Tier
from clew.observe import keeping, retention
from clew.observe.account import Account
from clew.observe.announces import DEFAULT_INTERVAL, Round, is_part
from clew.observe.api import SECOND, Contact, Limits, Listed, Listing
from clew.observe.book import Book
from clew.observe.calls import ANNOUNCED_PORT, Errand
from clew.observe.chance import Chance
from clew.observe.endpoints import Endpoint
from clew.observe.exactness import Exactness
from clew.observe.gaps import LACKING, NO_NETWORK, STILL_NS, Gaps
from clew.observe.keeping import Keeper
from clew.observe.lists import Lists
from clew.observe.marks import Lately, Marks
from clew.observe.policy import DHT, PEX, named
from clew.observe.probes import CLEAN, PROMISCUOUS
from clew.observe.reflexive import Reflexive
from clew.observe.rows import Run, sighting
from clew.observe.silence import Silence
from clew.observe.steady import Steady
from clew.observe.tiers import about_twin, undecided
from clew.observe.wire import STOPPED, Answer

MOST_HEARSAY = 20_000
NO_NETWORK_PAUSE_NS = 5 * SECOND


class Results:
    """Takes the Answers of one run; `keep_much` commits what was taken so far where it is much."""

    def __init__(
        self,
        run: Run,
        book: Book,
        keeper: Keeper,
        lists: Lists,
        account: Account,
        revisit_seconds: float,
        time: Steady,
        gaps: Gaps,
        chance: Chance,
        keep_much: Callable[[], None],
        hold_ns: int = Limits().hold_ns,
    ) -> None:
        self._keep_much, self._hold_ns = keep_much, hold_ns
        self._time, self._gaps, self._chance = time, gaps, chance
        self._run, self._book, self._keeper = run, book, keeper
        self._lists, self._account = lists, account
        self._interval_ns = int(revisit_seconds * SECOND)
        self.count_hearsay()
        self._told: dict[str, Marks] = defaultdict(Marks)  # by source, the endpoints whose proof is kept
        self._told_since_ns = time.at(clock.now())
        self._lately: dict[str, Lately] = defaultdict(Lately)  # by source, whom it named lately for which Watch
        self._started: dict[str, Answer] = {}
        self._exactness = Exactness()
        self._reflexive = Reflexive()
        self._silence = Silence()

    def take(self, answer: Answer, errand: Errand) -> None:
        """Takes what became of one call."""
        known = self._exactness.of(answer.started, answer.ended)
        if known != (self._run.clock_offset_ns, self._run.clock_error_ns):
            self._run = replace(self._run, clock_offset_ns=known[0], clock_error_ns=known[1])
        if answer.mandate:
            self._gaps.call(answer.started, answer.ended, answer.missing, answer.call.wish.address)
            self._listen(answer, errand.endpoint)
        if answer.sighted is not None:
            self._account.traffic.update(answer.sighted.traffic)
        if errand.goodbye_to:
            state, why = self._on_goodbye(answer, errand)
        elif errand.round is not None:
            state, why = self._on_listing(answer, errand.round)
        else:
            assert errand.endpoint is not None
            if answer.heard is not None:
                self._book.heard(errand.endpoint, self._time.at(answer.ended))
            on = self._on_control if answer.call.wish.kind == "control" else self._on_contact
            state, why = on(answer, errand.endpoint, errand)
        self._account.error(why)
        if not answer.mandate:  # nothing was opened, so that no flow is accounted for by it (`comparing`)
            state = keeping.NOT_MADE
        heard_ns = self._time.at(answer.heard) if answer.heard else 0
        self._keeper.ended(answer.call.id, state, str(why) if why else None, heard_ns, answer.mandate)

    def _listen(self, answer: Answer, endpoint: Endpoint | None) -> None:
        """Whether anybody is heard at all; what we ended ourselves says nothing of that."""
        if answer.missing in (NO_NETWORK, STOPPED, *LACKING):
            return
        for each in self._silence.call(answer, endpoint, self._gaps):
            self._book.again(each, self._time.at(answer.ended) + self._interval_ns)

    def _on_contact(self, answer: Answer, endpoint: Endpoint, errand: Errand) -> tuple[str, Missing | None]:
        contact, heard_ns = _contact_of(answer), self._time.at(answer.heard or answer.started)
        if _cut_off(contact):
            if answer.mandate:  # it was opened, and may have been heard: not again within the interval
                self._book.refused(endpoint, contact.missing, heard_ns + self._interval_ns)
            else:
                self._book.put_back(endpoint)
            return keeping.INTERRUPTED, contact.missing
        if contact.missing == NO_NETWORK:
            self._book.refused(endpoint, contact.missing, self._time.at(answer.ended) + NO_NETWORK_PAUSE_NS)
            return keeping.INTERRUPTED, contact.missing
        if contact.missing in LACKING:
            self._book.never(endpoint, contact.missing)
            return keeping.INTERRUPTED, contact.missing
        if not answer.mandate:
            self._book.refused(endpoint, contact.missing, self._time.at(answer.started) + self._interval_ns)
            return keeping.NOT_MADE, contact.missing
        self._account.contacts += 1
        name, tier, repeats = answer.call.id, Tier.LISTED, None
        if answer.sighted is None:
            # Connected, and yet without a finding: a conversation that broke, after our handshake perhaps.
            self._book.failed(
                endpoint,
                answer.missing,
                heard_ns,
                answer.call.wish.transport,
                reached=bool(answer.local[0]),
                another=answer.unheard,
            )
        else:
            tier, repeats = self._book.contacted(
                endpoint,
                contact,
                name,
                self._time.at(answer.started),
                self._interval_ns,
                answer.call.wish.transport,
                heard_ns=heard_ns,
                twin=about_twin(contact, errand.infohash, sent_twin=errand.twin),
            )
        self._keeper.keep(
            sighting(
                self._run,
                answer,
                id=name,
                kind=SightingKind.CONTACT,
                tier=tier,
                infohash=errand.infohash,
                contact=contact,
                repeats=repeats,
                ended_ns=self._ended_ns(answer),
                promiscuous=endpoint.control == PROMISCUOUS,
            )
        )
        if contact.sees_us not in ("", answer.local[0]):
            self._reflexive.hear(contact.sees_us, endpoint.address)
        if contact.gossip is not None:
            self._gossip(answer, endpoint, errand, contact.gossip)
        return ("done" if contact.answered else "failed"), contact.missing

    def _ended_ns(self, answer: Answer) -> int:
        """When a contact was over, in UTC. None lasts longer than it may; one in which this machine was suspended is
        over when that wakes, and nobody was heard meanwhile.
        """
        lasted_ns = answer.ended.mono_ns - answer.started.mono_ns
        stood_still = lasted_ns > self._hold_ns + STILL_NS
        return answer.started.utc_ns + self._hold_ns if stood_still else answer.ended.utc_ns

    def _on_control(self, answer: Answer, endpoint: Endpoint, errand: Errand) -> tuple[str, Missing | None]:
        contact = _contact_of(answer)
        if contact.missing == NO_NETWORK:
            self._book.unprobed(endpoint, contact.missing, self._time.at(answer.ended) + NO_NETWORK_PAUSE_NS)
            return keeping.INTERRUPTED, contact.missing
        if contact.missing in LACKING:
            self._book.never(endpoint, contact.missing)
            return keeping.INTERRUPTED, contact.missing
        if not answer.mandate:
            if contact.missing == STOPPED:
                self._book.put_back(endpoint, "control")
            else:
                self._book.unprobed(endpoint, contact.missing, self._time.at(answer.started) + self._interval_ns)
            return keeping.NOT_MADE, contact.missing
        echoed = contact.infohash_echoed is not None
        why = undecided(contact) if answer.sighted is not None else contact.missing
        verdict = why or (PROMISCUOUS if echoed else CLEAN)
        self._book.controlled(endpoint, verdict)
        self._account.controls += 1
        self._keeper.keep(
            sighting(
                self._run,
                answer,
                id=answer.call.id,
                kind=SightingKind.CONTROL,
                tier=Tier.LISTED,
                infohash=errand.infohash,
                contact=contact,
                promiscuous=echoed,
                ended_ns=self._ended_ns(answer),
                missing=why.reason.value if why else None,
                missing_detail=why.detail if why else None,
            )
        )
        return ("failed" if why else "done"), why

    def _on_listing(self, answer: Answer, one: Round) -> tuple[str, Missing | None]:
        if answer.sighted is not None and isinstance(answer.sighted.finding, Listing):
            listing = answer.sighted.finding
        else:
            listing = Listing(missing=answer.missing)
        heard_ns = self._time.at(answer.heard) if answer.heard else None
        if answer.call.wish.event == "started":
            self._started[answer.call.id] = answer
        # A tracker over a family that is not there brings no list, as one that is down; it is looked up again in time.
        if listing.missing not in (None, *LACKING) and listing.missing.reason is Reason.INTERRUPTED:
            self._lists.never_asked(one, clock.now().mono_ns)
            self._keeper.asked(one, heard_ns)
            return keeping.INTERRUPTED, listing.missing
        self._account.announces += bool(answer.mandate)
        url = DHT if named(one.tracker.url) == DHT else one.tracker.url
        self._account.tracker(url, f"asked {answer.call.wish.event}".strip())
        self._account.tracker(
            url, "failed" if listing.missing else "listed", 1 if listing.missing else len(listing.listed)
        )
        self._account.unlisted.take(one, answer.started, answer.ended, listed=listing.missing is None)
        self._account.left_aside(listing)
        if listing.missing is None:
            for watch in one.watches:
                self._keeper.told_of(watch.id, answer.ended.utc_ns)
                self._turn(url, watch.id, answer, self._lists.pause_ns(one))
        for each in listing.listed:
            if self._is_us(answer, one.tracker.url, each):
                continue
            for watch in one.watches:
                twin = one.infohash != watch.infohash_v1
                if self._listed(answer, watch.id, one.tracker.url, one.infohash, twin, listing, each):
                    self._lists.news(one)
            self._keep_much()
        if not answer.mandate:
            self._lists.barred(one)
        self._lists.heard(one, listing, clock.now().mono_ns)
        self._keeper.asked(one, heard_ns)
        return ("failed" if listing.missing else "done"), listing.missing

    def _gossip(self, answer: Answer, endpoint: Endpoint, errand: Errand, gossip: Listing) -> None:
        """Takes whom a peer told us of; that it tells of us is only counted.

        Who has a hybrid torrent tells of all its peers, whichever infohash they know it by.
        """
        source = f"{PEX}://{endpoint.address}:{endpoint.port}"
        self._account.left_aside(gossip, "gossip ")
        if gossip.missing is None:
            self._turn(PEX, endpoint.watch, answer, DEFAULT_INTERVAL * SECOND)
        for each in gossip.listed:
            if each.address == answer.local[0]:
                self._account.gossiped += 1
            elif not self._is_us(answer, source, each):
                twin = None if errand.hybrid else errand.twin
                self._listed(answer, endpoint.watch, source, errand.infohash, twin, gossip, each)

    def _is_us(self, answer: Answer, source: str, each: Listed) -> bool:
        """Whether a list names us: that is counted, and so is what others take for our address.

        That one is listed as anybody all the same: who says so may be lying about somebody else.
        """
        if each.address == answer.local[0] and each.port == ANNOUNCED_PORT:
            self._account.listed_us += 1
            return True
        if self._reflexive.ours(each.address) and (each.port == ANNOUNCED_PORT or named(source) == PEX):
            self._account.presumed += 1
        return False

    def _listed(
        self,
        answer: Answer,
        watch: str,
        source: str,
        infohash: bytes,
        twin: bool | None,
        listing: Listing,
        each: Listed,
    ) -> bool:
        """Takes one who was listed for a Watch; says whether it is new.

        The proof is kept of the first time that this tracker, any node, or any peer listed it, and again after half the
        retention. Not of each node and peer: they can make up as many listings as they like.
        """
        if not self._room(watch, each, named(source)):
            return False
        at_ns, due_ns = answer.ended.utc_ns, self._time.at(answer.ended)
        endpoint, new = self._book.listed(
            watch, each.address, each.port, source=source, twin=twin, at_ns=at_ns, due_ns=due_ns
        )
        lately_left_out = self._lately[named(source)].add(watch, endpoint.id) and not new
        if lately_left_out and self._vouched(endpoint, source, listing, answer.call.wish.event):
            self._book.returned(endpoint, due_ns)
        if not self._told[named(source)].add(endpoint.id):
            return new
        self._keeper.keep(
            sighting(
                self._run,
                answer,
                id=self._chance.id(),
                kind=SightingKind.LISTED,
                tier=Tier.LISTED,
                watch=watch,
                infohash=infohash,
                address=each.address,
                port=each.port,
                source=source,
                transcript=listing.proof(each),
                promiscuous=endpoint.control == PROMISCUOUS,
                missing=None,
                missing_detail=None,
            )
        )
        return new

    def _turn(self, source: str, watch: str, answer: Answer, pause_ns: int) -> None:
        """A source has told its list for a Watch, as it does after such a pause: whom it left out twice over it has not
        named lately. One that fails for hours leaves out nobody.
        """
        self._lately[source].turn(watch, self._time.at(answer.ended), 2 * pause_ns)

    def _vouched(self, endpoint: Endpoint, source: str, listing: Listing, event: str) -> bool:
        """Whether that it is listed again is a sign: it has answered before, or a tracker named it in a whole list.

        Nodes and peers can make up who comes and goes, and have us call whom they like again and again. Of a large
        swarm a tracker names others each time, by chance, and so most of them as if they came and went.
        """
        whole = named(source) not in (DHT, PEX) and not is_part(listing, event)
        return whole or endpoint.tier != Tier.LISTED.value

    def forget(self, at_ns: int) -> None:
        """Goes with `retention.purge`: who is listed still has a listing kept again, well before the old one goes."""
        self.count_hearsay()
        if at_ns - self._told_since_ns >= retention.KEEP_NS // 2:
            self._told_since_ns = at_ns
            self._told.clear()

    def count_hearsay(self) -> None:
        """Counts anew, by Watch, who is only listed, and by a node or a peer first: some were forgotten meanwhile."""
        listed = (each for each in self._book if each.tier == Tier.LISTED.value)
        self._hearsay = Counter(each.watch for each in listed if named(each.source) in (DHT, PEX))

    def _room(self, watch: str, each: Listed, source: str) -> bool:
        """Whether one more endpoint is kept: nodes and peers can make up as many as they like."""
        if source not in (DHT, PEX) or self._book.known(watch, each.address, each.port):
            return True
        if self._hearsay[watch] >= MOST_HEARSAY:
            self._account.limits[f"listed by {source} beyond {MOST_HEARSAY:,} endpoints of a Watch"] += 1
            return False
        self._hearsay[watch] += 1
        return True

    def _on_goodbye(self, answer: Answer, errand: Errand) -> tuple[str, Missing | None]:
        """`stopped` after `started`: how long we ourselves were listed is kept as a sighting of ourselves."""
        found = answer.sighted.finding if answer.sighted else None
        why = found.missing if isinstance(found, Listing) else answer.missing
        began = self._started.pop(errand.goodbye_to, None)
        if began is not None and began.sighted is not None:
            self._account.ourselves += 1
            self._account.ourselves_ns += answer.ended.mono_ns - began.started.mono_ns
            offset_ns, error_ns = self._exactness.of(began.started, answer.ended)  # of both calls
            self._keeper.keep(
                sighting(
                    self._run,
                    answer,
                    id=self._chance.id(),
                    kind=SightingKind.OURSELVES,
                    tier=Tier.LISTED,
                    infohash=errand.infohash,
                    contact=Contact(missing=why),
                    address=began.local[0],
                    port=ANNOUNCED_PORT,
                    started_ns=began.started.utc_ns,
                    monotonic_ns=began.started.mono_ns,
                    clock_offset_ns=offset_ns,
                    clock_error_ns=error_ns,
                    peer_id=errand.peer_id,
                    mandate=began.mandate,
                )
            )
        return ("failed" if why else "done"), why


def _contact_of(answer: Answer) -> Contact:
    found = answer.sighted.finding if answer.sighted else None
    return found if isinstance(found, Contact) else Contact(missing=answer.missing)


def _cut_off(contact: Contact) -> bool:
    """Whether we ended it ourselves before it said anything."""
    return not contact.answered and contact.missing == STOPPED
