"""Days of a run in a second: peers and trackers that answer by the hour, in the place of the wire."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from no_wire import Network, goes_on

from clew.core.case import Case
from clew.core.clock import Instant
from clew.model import Claim, Missing, Reason
from clew.observe.api import SECOND, TOO_SLOW, Contact, Listed, Listing, Sighted
from clew.observe.networks.bittorrent import PLUGIN
from clew.observe.policy import Go, Governor, Policy
from clew.observe.run import Observer
from clew.observe.wire import Answer, Call

TRACKER = "http://192.0.2.1:6969/announce"
POLICY = Policy(allow=("192.0.2.0/24",), revisit=900.0)
SCOPE = {"trackers": [TRACKER], "addresses": ["192.0.2.0/24"]}
HOUR, DAY, STEP_NS = 3_600 * SECOND, 86_400 * SECOND, 600 * SECOND
Place = tuple[str, int]
By = Callable[[int], bool]  # whether somebody is there, or named, so many nanoseconds after the beginning

OTHER = Contact(missing=Missing(Reason.UNREADABLE, "the peer closed before it answered"))


def claims(number: int) -> Contact:
    """What the client of that number says."""
    peer_id = b"-TR4040-%012d" % number
    return Contact(answered=True, claim=Claim.WATCHED_FILE, peer_id=peer_id, transport="mse-rc4/tcp")


@dataclass
class Days(Network):
    """`there` says when a place answers, `named` when the tracker lists it, `told` when peers do in their gossip.

    The tracker counts a `swarm` of so many, where it counts, and `fails` for some Watch at some times. While the
    network is `gone`, nobody answers. The machine `sleeps` from the first visit that is answered after the first of
    these times, for as long as the second, and that visit is over when it wakes. `governor` is that of the run.
    `contacts` are visits: when, for which Watch, where, and whether somebody answered.
    """

    there: dict[Place, By] = field(default_factory=dict)
    named: dict[Place, By] = field(default_factory=dict)
    told: dict[Place, By] = field(default_factory=dict)
    swarm: int | None = None
    gone: By = lambda _: False
    fails: Callable[[str, int], bool] = lambda *_: False
    sleeps: tuple[int, int] | None = None
    governor: Governor | None = None
    contacts: list[tuple[int, str, Place, bool]] = field(default_factory=list)
    began_ns: int = 0

    def __post_init__(self) -> None:
        self.began_ns = self.now.mono_ns

    def dial(self, calls: Iterable[Call]) -> None:
        for call in calls:
            assert self.governor is not None
            verdict = self.governor.decide(call.wish, self.now)
            assert isinstance(verdict, Go), "the queue plans nothing that may not be"
            self.governor.release(call.wish.address, call.wish.port)
            finding, self.left = self._said(call), self.now
            said = Sighted(finding, b"", {"received x": 1}) if finding else None
            local = ("192.0.2.7", 1) if said else ("", 0)
            missing = None if said else TOO_SLOW
            answer = Answer(call, said, missing, self.now, self.now, local, verdict.mandate, self.now)
            if answer.heard is None:
                self.governor.unheard(call.wish)
            else:
                self.governor.heard(call.wish, answer.heard.mono_ns)
            if said and call.wish.kind == "contact" and self.sleeps and self.sleeps[0] <= self.contacts[-1][0]:
                asleep_ns, self.sleeps = self.sleeps[1], None
                self.now = Instant(self.now.utc_ns + asleep_ns, self.now.mono_ns + asleep_ns)
                answer = replace(answer, ended=self.now)
            self.answers.append(answer)

    def _said(self, call: Call) -> Contact | Listing | None:
        wish, at_ns = call.wish, self.now.mono_ns - self.began_ns
        if self.gone(at_ns):
            return None
        if wish.kind == "announce":
            if self.fails(wish.watch, at_ns):
                return None
            return Listing(_now(self.named, at_ns), interval=1800, swarm=self.swarm)
        place = (wish.address, wish.port)
        is_there = place in self.there and self.there[place](at_ns)
        if wish.kind == "control":
            return OTHER if is_there else None
        self.contacts.append((at_ns, wish.watch, place, is_there))
        if not is_there:
            return None
        return replace(claims(wish.port), gossip=Listing(_now(self.told, at_ns)) if wish.gossip else None)


def _now(places: dict[Place, By], at_ns: int) -> tuple[Listed, ...]:
    return tuple(Listed(*place, 0, 6) for place, by in places.items() if by(at_ns))


def goes_on_for(case: Case, days: Days, lasts_ns: int, policy: Policy = POLICY) -> Observer:
    """A run of the case for so long."""
    observer = Observer(case, PLUGIN, policy, [TRACKER])
    days.governor = observer._governor
    goes_on(observer, days, lasts_ns / SECOND, STEP_NS)
    return observer
