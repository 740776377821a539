"""When which tracker is asked for which infohash, and how (DESIGN section 3, tracker policy).

`stopped` always comes first: it lists us nowhere. Only where a tracker then tells no peers, and only under the
Mandate's permit `started_announce`, follows `started`, and at once after it `stopped`. Replies are capped
(opentracker: 200 endpoints), so a full reply is asked for again, inside 127.0.0.0/8 only; beyond it a tracker is asked
once in its own interval, also by one run after the other.
"""

import heapq
import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from clew.model import Reason, Watch
from clew.observe.api import SECOND, Listed, Listing, Tracker
from clew.observe.asked import WAITED, Asked, key
from clew.observe.policy import Policy, inside_loopback

FULL_REPLY = 200  # endpoints of one reply, those that none can have among them: opentracker tells no more
COUNTED_TOO, COUNTED_TOO_SHARE = 2, 8  # whom a tracker counts beyond those it names: two, or one in eight
DRY = 4
DEFAULT_INTERVAL = 1800
FAILED_AGAIN = 4  # rounds at most
NOT_NAMED = "endpoints that trackers counted and did not name in their last round"


@dataclass(slots=True, eq=False)
class Round:
    """The asking of one tracker for one infohash, again and again, for every Watch that has it. `address` is the
    tracker's; `failed_at` where the last question was asked, if it brought no reply; `interval` the seconds after which
    it last told us to ask again, which hold while it does not reply too.

    `seen` is whom this round's replies named, as numbers (`_fingerprint`) that are only counted.
    """

    tracker: Tracker
    address: str
    watches: tuple[Watch, ...]
    infohash: bytes
    event: str = "stopped"
    asked: int = 0
    dry: int = 0
    seen: set[int] = field(default_factory=set)
    rounds: int = 0
    failures: int = 0
    failed_at: str = ""
    interval: int = DEFAULT_INTERVAL


def infohashes(watch: Watch) -> list[tuple[bytes, bool]]:
    """What can be asked for: the v1 infohash, and the v2 one cut to 20 bytes (BEP 52), which is its twin."""
    found = [(watch.infohash_v1, False)] if watch.infohash_v1 else []
    return found + ([(watch.infohash_v2[:20], True)] if watch.infohash_v2 else [])


def by_infohash(watches: Iterable[Watch]) -> dict[bytes, tuple[Watch, ...]]:
    """What is asked for (`infohashes`), and for which Watches: who is there for one file of a torrent is for all.

    One may have as its v1 infohash what is the twin of another: lists tell no more of a v2 one than 20 bytes.
    """
    found: dict[bytes, tuple[Watch, ...]] = {}
    for watch in watches:
        for infohash, _ in infohashes(watch):
            found[infohash] = (*found.get(infohash, ()), watch)
    return found


def is_part(listing: Listing, event: str) -> bool:
    """Whether a tracker's reply to this `event` names only a part of the swarm: it counts more, or gives no more.

    A few more do not make it a part: trackers count who asks, and whoever left without a word for a while.
    """
    more = (listing.swarm or 0) - int(event == "started") - _given(listing)
    return _full(listing) or more > max(COUNTED_TOO, _given(listing) // COUNTED_TOO_SHARE)


def _full(listing: Listing) -> bool:
    return _given(listing) >= FULL_REPLY


def _given(listing: Listing) -> int:
    return len(listing.listed) + listing.unusable


def _fingerprint(listed: Listed) -> int:
    """What stands for an address and port where they are counted: of 50,000 a third of what they hold themselves. Two
    in 2^64 are alike, and would count as one.
    """
    return hash((listed.address, listed.port))


class Announces:
    """Every Round, by when it is due (monotonic nanoseconds)."""

    def __init__(
        self,
        trackers: dict[Tracker, str],
        watches: list[Watch],
        policy: Policy,
        may_start: dict[str, bool],
        now_ns: int,
        before: Asked | None = None,
    ) -> None:
        self._policy, self._may_start, self._before = policy, may_start, before or {}
        self._asks = by_infohash(watches)
        self._heap: list[tuple[int, int, Round]] = []
        self._of: dict[Tracker, list[Round]] = defaultdict(list)
        self._number = itertools.count()
        self._out = 0
        self._barred: set[Round] = set()
        self._waiting: set[Round] = set()  # whose first question in this run is not due yet
        self._quiet: dict[int, int] = defaultdict(int)
        self._short: dict[int, int] = {}
        self.usable: dict[str, bool] = dict.fromkeys((t.url for t in trackers), False)
        for tracker, address in trackers.items():
            self._begin(tracker, address, now_ns)

    def due(self, now_ns: int) -> list[Round]:
        """The rounds whose next question is due; each is out until `heard`."""
        found = []
        while self._heap and self._heap[0][0] <= now_ns:
            found.append(heapq.heappop(self._heap)[2])
        self._out += len(found)
        self._barred.difference_update(found)
        self._waiting.difference_update(found)
        return found

    def heard(self, one: Round, listing: Listing, now_ns: int) -> None:
        """Takes the reply to the question of `one` and decides what is asked next, and when."""
        self._out -= 1
        one.asked += 1
        if listing.missing is not None:
            one.failures += 1
            # Who refuses has answered. Whose reply did not come may be busy, and a list that broke off is needed soon.
            refused = listing.missing.reason is Reason.REFUSED
            one.failed_at = "" if refused else one.address
            slower = FAILED_AGAIN if refused else min(1 << (one.failures - 1), FAILED_AGAIN)
            self._again(one, listing, now_ns, slower=slower)
            return
        one.failures, one.failed_at, self.usable[one.tracker.url] = 0, "", True
        before = len(one.seen)
        one.seen.update(map(_fingerprint, listing.listed))
        one.dry = 0 if len(one.seen) > before else one.dry + 1
        if not listing.listed and one.event == "stopped" and self._may_start[one.tracker.url]:
            one.event = "started"
            self._plan(one, now_ns)
        elif self._more(one, listing):
            self._plan(one, now_ns)
        else:
            self._again(one, listing, now_ns)

    def barred(self, one: Round) -> None:
        """No Mandate covers the question that is out: it counts as failed, and is remembered for `allowed`."""
        self._barred.add(one)

    def allowed(self, now_ns: int) -> None:
        """The Mandates have changed: what could not be asked is due now."""
        self._due_now(set(self._barred), now_ns)

    def moved(self, tracker: Tracker, address: str, now_ns: int) -> None:
        """This tracker is at another address now: whatever is asked next is asked there, what could not be asked now.

        What was asked and failed is not: names that change to and fro are no reason to ask a tracker more often. One
        that was at none until now is asked for the first time.
        """
        if not self._of[tracker] and tracker.url in self._may_start:
            self._begin(tracker, address, now_ns)
        for one in self._of[tracker]:
            one.address = address
        self._due_now(self._barred.intersection(self._of[tracker]), now_ns)

    def failing(self, tracker: Tracker, address: str) -> bool:
        """Whether a question to this tracker at this address brought no reply the last time; a refusal is one."""
        return any(one.failed_at == address for one in self._of[tracker])

    def never_asked(self, one: Round, now_ns: int) -> None:
        """This question was not sent."""
        self._out -= 1
        self._plan(one, now_ns + SECOND)

    def news(self, one: Round) -> None:
        """Somebody new was listed: rounds without news are counted from here again."""
        self._quiet[id(one)] = 0

    def quiet(self, rounds: int) -> bool:
        """Whether every tracker was asked in `rounds` whole rounds without anybody new."""
        waiting = [one for _, _, one in self._heap]
        return not self._out and all(one.rounds >= 1 and self._quiet[id(one)] >= rounds for one in waiting)

    def pause_ns(self, one: Round, slower: int = 1) -> int:
        """How long after one round the next begins; beyond this machine, not before the tracker wants to be asked."""
        pause = self._policy.round_seconds() * slower
        return int((pause if inside_loopback(one.address) else max(pause, one.interval)) * SECOND)

    def limits(self) -> Counter[str]:
        """How many endpoints there should be that no reply named, and how many questions were not due yet."""
        return +Counter({NOT_NAMED: sum(self._short.values()), WAITED: len(self._waiting)})

    def _more(self, one: Round, listing: Listing) -> bool:
        if (
            not inside_loopback(one.address)
            or one.asked >= self._policy.repeats
            or one.dry >= DRY
            or not listing.listed
        ):
            return False
        ourselves = int(one.event == "started")
        return _full(listing) or (listing.swarm is not None and len(one.seen) < listing.swarm - ourselves)

    def _again(self, one: Round, listing: Listing, now_ns: int, slower: int = 1) -> None:
        """The end of a round: the next one begins with `stopped`, not before the tracker wants to be asked again."""
        if listing.swarm is not None:  # it may count us too
            self._short[id(one)] = max(0, listing.swarm - int(one.event == "started") - len(one.seen))
        # Within its interval a client may ask sooner for a reason, never sooner than the least (BEP 3); we have none.
        told = max(listing.interval or 0, listing.min_interval or 0)
        if told or listing.missing is None:
            one.interval = told or DEFAULT_INTERVAL
        one.event, one.asked, one.dry, one.seen = "stopped", 0, 0, set()
        one.rounds += 1
        self._quiet[id(one)] += 1
        self._plan(one, now_ns + self.pause_ns(one, slower))

    def _begin(self, tracker: Tracker, address: str, now_ns: int) -> None:
        for infohash, watches in self._asks.items():
            one = Round(tracker, address, watches, infohash)
            self._of[tracker].append(one)
            self._first(one, now_ns)

    def _first(self, one: Round, now_ns: int) -> None:
        """Plans the first question of this run: not sooner than an earlier run would have asked it."""
        when_ns = now_ns
        if (last := self._before.get(key(one.tracker.url, one.infohash))) is not None:
            last_ns, one.interval = last
            when_ns = max(now_ns, last_ns + self.pause_ns(one))
        if when_ns > now_ns:
            self._waiting.add(one)
        self._plan(one, when_ns)

    def _due_now(self, rounds: set[Round], now_ns: int) -> None:
        """These were barred, and are so no more, as far as is known."""
        self._heap = [(now_ns if one in rounds else when, number, one) for when, number, one in self._heap]
        heapq.heapify(self._heap)
        self._barred -= rounds

    def _plan(self, one: Round, when_ns: int) -> None:
        heapq.heappush(self._heap, (when_ns, next(self._number), one))
