"""When a run was under way and saw nothing, or its clock jumped: kept by name, for the coverage statement.

A machine without its network fails every call. That says nothing of those who were called, so they are put back and the
time is kept as a gap; it ends with the first call that gets out of this machine. Until then nothing is gained by
calling all of them: a probe at growing intervals decides, and the others wait. Where some of what was handed out last
got out, nobody waits. A machine may also be without IPv6, or IPv4, alone: nobody there is called until there is a way
again, which is looked for without a packet; a run may end without them, and the time is a gap of those alone. A machine
that was suspended called nobody and heard nobody either. Nor does a run while no Mandate holds: it goes on, and waits
for one.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from clew.core.clock import Instant
from clew.core.interruptions import NO_FAMILY
from clew.model import Missing, Reason
from clew.observe.api import SECOND
from clew.observe.policy import near

NO_NETWORK = Missing(Reason.INTERRUPTED, "this machine had no network")
NO_IPV4, NO_IPV6 = (Missing(Reason.INTERRUPTED, NO_FAMILY[family]) for family in ("IPv4", "IPv6"))
LACKING = (NO_IPV4, NO_IPV6)
LOOK_NS, LOOKED_FOR = 5 * SECOND, 8  # how often ways are looked for to so many who could not be called
LEAST_PAUSE_NS, MOST_PAUSE_NS = SECOND, 60 * SECOND  # between two probes of a network that is gone
NO_MANDATE = "no Mandate covered any call"
NAMED_AGAIN_NS = 60 * SECOND  # how often a gap in which nothing happens is kept longer: each time costs a write
STOOD_STILL = "the run stood still: this machine was suspended, or the program was stopped"
STILL_NS = 60 * SECOND  # without a turn of the run or the end of a call: a busy machine keeps no run from one that long
STEP_NS = SECOND  # what UTC may drift against the monotonic clock between two calls before it is called a step


HasWay = Callable[[str], bool]  # whether there is a route to this address now


@dataclass(slots=True)
class _Lack:
    """Since when this machine is without one family of addresses, and the last that could not be called for it."""

    since: Instant
    places: deque[str] = field(default_factory=lambda: deque(maxlen=LOOKED_FOR))
    looked_ns: int = 0
    named_ns: int = 0


@dataclass(slots=True)
class Gaps:
    """The gaps of one run; `take` hands on those that are not in the case yet, as (from, to, why).

    One that is still open is among them, as far as it is known, so that a run that is killed in it names it too; it
    comes again, longer, under the same beginning and reason.
    """

    _since: Instant | None = None
    _failed_ns: int = 0  # when the last call was dialled that had no network
    _left_ns: int = -1  # when the last call was dialled that got out
    _probed_ns: int = 0
    _last: Instant | None = None
    _uncovered: Instant | None = None
    _named_again_ns: int = 0
    _found: dict[tuple[int, str], int] = field(default_factory=dict)
    _none: list[tuple[int, int, str]] = field(default_factory=list)
    _lacking: dict[Missing, _Lack] = field(default_factory=dict)

    @property
    def open(self) -> bool:
        """Whether this machine has no network, as far as is known: of what was handed out last, nothing got out."""
        return self._since is not None and self._left_ns < self._probed_ns

    def call(self, began: Instant, ended: Instant, missing: Missing | None, address: str = "") -> None:
        """Looks at one call that is over: both of its moments, what was missing, and whom it was to."""
        self.look(ended)
        if missing == NO_NETWORK:
            self._since = self._since or began
            self._failed_ns = max(self._failed_ns, began.mono_ns)
            self.add(self._since, ended, NO_NETWORK.detail)
        elif missing in LACKING:
            lack = self._lacking.setdefault(missing, _Lack(began))
            lack.places.append(address)
            self.add(lack.since, ended, missing.detail)

    def lacks(self, address: str, has_way: HasWay) -> Missing | None:
        """What this machine lacks to call there: the family, where some of it had no way, and this one has none now."""
        missing = NO_IPV6 if ":" in address else NO_IPV4
        if (lack := self._lacking.get(missing)) is None:
            return None
        if not near(address):  # who can be called in this network is no way to others
            lack.places.append(address)
        return None if has_way(address) else missing

    def back(self, at: Instant, has_way: HasWay) -> bool:
        """Whether there is a way again to any who could not be called for such a lack, so that its gap ends."""
        ended = False
        for missing, lack in list(self._lacking.items()):
            if at.mono_ns < lack.looked_ns + LOOK_NS:
                continue
            lack.looked_ns = at.mono_ns
            if over := any(map(has_way, lack.places)):
                ended = True
                del self._lacking[missing]
            if over or at.mono_ns >= lack.named_ns + NAMED_AGAIN_NS:
                self.add(lack.since, at, missing.detail)
                lack.named_ns = at.mono_ns
        return ended

    def left(self, at: Instant | None) -> None:
        """Then a call last got out of this machine: if none has failed since, a gap ended with it."""
        if at is None:
            return
        self._left_ns = at.mono_ns
        if self._since is not None and at.mono_ns > self._failed_ns:
            self.add(self._since, at, NO_NETWORK.detail)
            self._since = None

    def waits(self, at: Instant) -> bool:
        """Whether a gap is open in which the next probe is not due yet; each comes when the gap is twice as long."""
        if self._since is None or not self.open:
            return False
        tried_ns = max(self._failed_ns, self._probed_ns)
        pause_ns = tried_ns - self._since.mono_ns
        return at.mono_ns < tried_ns + min(max(pause_ns, LEAST_PAUSE_NS), MOST_PAUSE_NS)

    def probed(self, at: Instant) -> None:
        """Calls are handed out now; in a gap, they are a probe."""
        self._probed_ns = at.mono_ns

    def covered(self, at: Instant, *, holds: bool) -> None:
        """Whether any Mandate to observe holds, at moments that come in order: a time in which none does is a gap."""
        if holds and self._uncovered is None:
            return
        self._uncovered = self._uncovered or at
        if holds or at.mono_ns >= self._named_again_ns:
            self.add(self._uncovered, at, NO_MANDATE)
            self._named_again_ns = at.mono_ns + NAMED_AGAIN_NS
        if holds:
            self._uncovered, self._named_again_ns = None, 0

    def add(self, since: Instant, until: Instant, why: str) -> None:
        """A gap, or as much of it as there is by now."""
        # Measured by the monotonic clock, so that a clock set meanwhile cannot hide or stretch it.
        self._found[since.utc_ns, why] = since.utc_ns + max(0, until.mono_ns - since.mono_ns)

    def take_back(self, since_ns: int, until_ns: int, why: str) -> None:
        """What was added for this reason with a beginning in this time (UTC) was no gap."""
        for key in [(at, said) for at, said in self._found if said == why and since_ns <= at <= until_ns]:
            del self._found[key]
        self._none.append((since_ns, until_ns, why))

    def over(self, at: Instant) -> None:
        """The run ends: so do the gaps that are open."""
        self.covered(at, holds=True)
        if self._since is not None:
            self.add(self._since, at, NO_NETWORK.detail)
            self._since = None
        for missing, lack in self._lacking.items():
            self.add(lack.since, at, missing.detail)
        self._lacking.clear()

    def take(self) -> list[tuple[int, int, str]]:
        """What was found since the last time."""
        found, self._found = self._found, {}
        return [(since, until, why) for (since, why), until in found.items()]

    def taken_back(self) -> list[tuple[int, int, str]]:
        """What was taken back since the last time; what `take` hands on comes after it."""
        found, self._none = self._none, []
        return found

    def look(self, at: Instant) -> None:
        """Looks at the clock, at moments that come in order; an earlier one than before says nothing."""
        last = self._last
        if last is not None and at.mono_ns < last.mono_ns:
            return
        self._last = at
        if last is None:
            return
        if at.mono_ns - last.mono_ns > STILL_NS:
            self.add(last, at, STOOD_STILL)
        step = step_ns(last, at)
        if abs(step) > STEP_NS:
            why = f"the clock was set {abs(step) / SECOND:.3f} s {'forward' if step > 0 else 'back'}"
            self._found[last.utc_ns, why] = at.utc_ns


def step_ns(before: Instant, after: Instant) -> int:
    """By how much UTC went forward more than the monotonic clock did between two moments."""
    return (after.utc_ns - before.utc_ns) - (after.mono_ns - before.mono_ns)
