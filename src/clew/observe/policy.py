"""How the observer behaves, and the one place that decides whether a connection is opened.

`observe.wire` opens no socket that `Governor.decide` did not let go: inside the allow-list, covered by a signed
Mandate, one connection per address and port, within the rate, not sooner than the revisit interval, not in quiet
hours. Beyond 127.0.0.0/8 the Mandate has to name the tracker; "*" is not enough there.

The revisit interval holds for an address and port whatever the transport, also over the end of a run: for one Watch
nobody hears two handshakes of ours within it. So it counts from when the last one may have been heard, not from the
dial. Only where a connection ended before our handshake went out may another transport follow at once.
"""

import ipaddress
import json
import re
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from functools import lru_cache

from clew.core import mandate
from clew.core.case import Case
from clew.core.clock import Instant
from clew.core.errors import Refused
from clew.core.tunnels import leads_to
from clew.model import Mandate, Missing, Reason, carrier
from clew.observe.api import SECOND, Limits
from clew.observe.node_ids import EXEMPT
from clew.observe.transports import PLAIN
from clew.observe.visits import Visits

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LOOPBACK = ipaddress.IPv4Network("127.0.0.0/8")
LOOPBACK_ADDRESS = re.compile(r"127(\.(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)){3}", re.ASCII)  # the same, read fast
LOOPBACK_V6 = ipaddress.IPv6Network("::1/128")  # RFC 4291 2.5.3: one address, which no packet leaves the machine for
BROADCAST = ipaddress.IPv4Address("255.255.255.255")  # RFC 919, section 7
# Another machine in each network, this one or one beside it too: of this network, behind a carrier's translator (RFC
# 6890, table 1 and 3) or one of its own (RFC 8215), and what BEP 42 exempts.
NEAR = (*EXEMPT, *map(ipaddress.ip_network, ("0.0.0.0/8", "100.64.0.0/10", "64:ff9b:1::/48")))
LEAST_REVISIT, USUAL_REVISIT = 300.0, 900.0
LEAST_ANSWER = 6.0
PURPOSE = "observe"
PERMIT_STARTED, PERMIT_PLAIN, PERMIT_PLAIN_FIRST = "started_announce", "plaintext", "plaintext_first"
PERMIT_DHT, PERMIT_PEX = "dht", "pex"
DHT, PEX = "dht", "pex"  # how a Mandate names the two among its trackers
BURST_NS = SECOND // 10  # what a loop that was held up may make good at once
COVER_NS = 30 * SECOND
UNTIL_GOODBYE_NS = 60 * SECOND  # beyond what a reply may take: a `started` is followed by its `stopped` in that time
ENDS_SOON = Missing(Reason.REFUSED, "no Mandate holds for as long as `started` and its `stopped` may take")
NOT_NAMED = Missing(Reason.REFUSED, "beyond 127.0.0.0/8 the Mandate has to name the tracker")


@dataclass(frozen=True, slots=True)
class Policy:
    """The observer's conduct. Seconds, unless named otherwise; quiet hours are UTC, [from, to).

    `per_second` are new connections. `bytes_per_second` counts what is sent and received, headers below TCP and UDP
    apart: where it was more, no connection is opened until the account is even again, while those that are open go on
    (each is bounded by its own `Limits`). `transports` are tried in this order; none named means all that the network's
    plug-in has, in its own order. `gossip`: peers are asked whom they know (PEX), where the Mandate permits it.

    Raises Refused for what is never allowed: beyond 127.0.0.0/8 and ::1, revisits under 5 minutes, less than 6 s for an
    answer (slow clients answer late and would be miscounted), and asking a tracker more than once a round. And where we
    `bind` an address beyond them, and calls by the other family would leave from one that the system chooses.
    """

    allow: tuple[str, ...] = ("127.0.0.0/8",)
    per_second: float = 200.0
    bytes_per_second: float = 4_000_000.0
    concurrent: int = 200
    revisit: float = LEAST_REVISIT
    answer: float = LEAST_ANSWER
    hold: float = 20.0
    announce: float | None = None
    repeats: int = 60
    attempts: int = 3
    visits: int = 4
    quiet_rounds: int = 2
    quiet_hours: tuple[int, int] | None = None
    bind: str = "127.9.0.1"
    transports: tuple[str, ...] = ()
    gossip: bool = False

    def __post_init__(self) -> None:
        positive = (self.per_second, self.bytes_per_second, self.concurrent, self.revisit, self.answer, self.hold)
        if min(positive) <= 0:
            raise Refused("a rate, number or time of the policy is not positive", "give one above 0")
        if self.quiet_hours is not None and not all(0 <= hour < 24 for hour in self.quiet_hours):
            raise Refused("quiet hours are not hours of a day", "give them as 22-6, in UTC")
        self._addresses()
        if all(inside_loopback(network) for network in self.allow):
            return
        for what, value, least in (("revisit", self.revisit, LEAST_REVISIT), ("answer", self.answer, LEAST_ANSWER)):
            if value < least:
                raise Refused(
                    f"{what} of {value:g} s is under the {least:g} s that hold beyond 127.0.0.0/8",
                    "choose a longer time, or leave the allow-list at 127.0.0.0/8",
                )

    def _addresses(self) -> None:
        """Refuses what is no address or network, and to call from another address than the one that is bound."""
        try:
            ours = ipaddress.ip_address(self.bind) if self.bind else None
            beyond = [network for network in self.allow if not inside_loopback(network)]
        except ValueError as error:
            raise Refused(f"an address of the policy is none: {error}", "write --allow as 192.0.2.0/24") from error
        if ours is None or inside_loopback(self.bind):
            return
        if any(_network(network).version != ours.version for network in beyond):
            other = {4: "IPv6", 6: "IPv4"}[ours.version]
            raise Refused(
                f"{self.bind} is to be our address, and what leaves by {other} would leave from another",
                f"allow no network of {other}, or give no --bind",
            )

    def round_seconds(self) -> float:
        """How long after one round of asking the trackers the next begins, if the tracker does not ask for more."""
        if self.announce is not None:
            return self.announce
        return max(2.0, self.revisit / 5) if all(inside_loopback(n) for n in self.allow) else 1800.0

    @property
    def plain(self) -> bool:
        """Whether no carrier is to be used over MSE alone, so that control probes go in plaintext."""
        return all(carrier(each) in self.transports for each in self.transports)

    def limits(self) -> Limits:
        """What one conversation may cost."""
        return Limits(answer_ns=int(self.answer * SECOND), hold_ns=int(self.hold * SECOND))

    def allows(self, address: str) -> bool:
        """Whether the address lies inside the allow-list; one that hides an IPv4 address or a zone does not, nor one
        that is not a single machine's: a datagram to those would reach many who were never listed. Nor does one of
        this machine or of a private network, unless a network of the list lies wholly inside that: whoever lists it
        from elsewhere means another machine, or would have us call our own.
        """
        here = str(LOOPBACK) in self.allow and LOOPBACK_ADDRESS.fullmatch(address)  # read fast
        return bool(here) or _inside(self.allow, address)

    def quiet(self, at_ns: int) -> bool:
        """Whether this moment lies in quiet hours."""
        if self.quiet_hours is None:
            return False
        hour, (start, stop) = time.gmtime(at_ns // SECOND).tm_hour, self.quiet_hours
        return start <= hour < stop if start <= stop else hour >= start or hour < stop

    def text(self) -> str:
        """The policy as one JSON text, for receipts and records."""
        return json.dumps(asdict(self), sort_keys=True)


@dataclass(frozen=True, slots=True)
class Wish:
    """A connection that somebody would like to open. `source` is who listed it and covers it, or the tracker itself.

    A `goodbye` takes back a `started`: neither quiet hours nor the rate may hold it up. `transport` is the one that is
    tried, as Sightings name it. `gossip`: the peer is to be asked whom it knows, which keeps us there for longer.
    """

    kind: str
    watch: str
    address: str
    port: int
    source: str
    event: str = ""
    goodbye: bool = False
    transport: str = "tcp"
    gossip: bool = False

    @property
    def whom(self) -> tuple[str, str, int]:
        """Watch, address and port: what the revisit interval is about."""
        return self.watch, self.address, self.port


@dataclass(frozen=True, slots=True)
class Go:
    """Open it now, under this Mandate."""

    mandate: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Not now. `until_ns` is monotonic; None means until a connection is released."""

    until_ns: int | None


class Governor:
    """Decides about every connection. Knows which are open; ask `release` when one is closed."""

    def __init__(self, case: Case, policy: Policy, network: str) -> None:
        self._case, self.policy, self._network = case, policy, network
        self._open: set[tuple[str, int]] = set()
        self.bytes = self._even_ns = 0
        self._next_ns = 0
        self._mandates: tuple[int, list[Mandate]] = (-1, [])
        self._visits = Visits(int(policy.revisit * SECOND))

    def cover(self, wish: Wish, at: Instant) -> Mandate | Missing:
        """The Mandate that covers this connection, or why there may be none.

        Their signatures are checked again every 30 seconds; what they cover, dates too, at each connection.
        """
        if not self.policy.allows(wish.address):
            return Missing(Reason.REFUSED, "outside the allow-list")
        # A tracker that is named is in scope by that; "dht" names no node, so each needs its address in scope.
        asked = wish.kind == "announce" and named(wish.source) != DHT
        found: Mandate | Missing = NOT_NAMED
        if naming := self._naming(wish.source, at):
            found = self._covering(wish, at, None if asked else wish.address, naming)
        if isinstance(found, Missing):  # a tracker that is not named needs its address too
            found = self._covering(wish, at, wish.address, self._checked(at))
            if isinstance(found, Mandate) and not inside_loopback(wish.address):
                return NOT_NAMED
        elif wish.kind == "contact" and wish.transport in PLAIN and not inside_loopback(wish.address):
            return self._in_the_clear(wish, at)
        return found

    def covered(self, wish: Wish, sources: tuple[str, ...], at: Instant) -> Wish | Missing:
        """The wish, by the first of the sources that listed its endpoint by which a Mandate covers it.

        Where none does: why it is not covered by the first. So no source takes away what another covers, and none
        covers more than it would alone.
        """
        found = self.cover(wish, at)
        if not isinstance(found, Missing):
            return wish
        others = (replace(wish, source=each) for each in sources if each != wish.source)
        return next((each for each in others if not isinstance(self.cover(each, at), Missing)), found)

    def decide(self, wish: Wish, at: Instant) -> Go | Wait | Missing:
        """Whether this connection is opened now. On Go it counts as open until `release`."""
        place = (wish.address, wish.port)
        if place in self._open or len(self._open) >= self.policy.concurrent:
            return Wait(None)
        covered = self.cover(wish, at)
        if isinstance(covered, Missing):
            return covered
        if self.policy.quiet(at.utc_ns) and not wish.goodbye:
            return Wait(at.mono_ns + 60 * SECOND)
        contact = wish.kind == "contact"
        if contact and self._visits.too_soon(wish.whom, wish.transport, at.mono_ns):
            return Missing(Reason.REFUSED, "sooner than the policy's revisit interval")
        earliest_ns = max(self._next_ns, self._even_ns)
        if at.mono_ns < earliest_ns and not wish.goodbye:
            return Wait(earliest_ns)
        self._next_ns = max(self._next_ns, at.mono_ns - BURST_NS) + int(SECOND / self.policy.per_second)
        self._open.add(place)
        if contact:
            self._visits.began(wish.whom, at.mono_ns)
        return Go(covered.id)

    def valid(self, at: Instant) -> frozenset[str]:
        """The Mandates to observe this network, by id, that hold at this moment, whomever they cover; looked up as for
        `cover`.
        """
        wanted = {"network": self._network}
        may = (m for m in self._checked(at) if mandate.outside(m, PURPOSE, at.utc_ns, None, wanted) is None)
        return frozenset(m.id for m in may)

    def permits(self, permit: str, address: str, sources: tuple[str, ...], at: Instant) -> bool:
        """Whether a Mandate to observe at this address, that names one of these sources, gives this permit now; looked
        up as for `cover`.
        """
        wanted = {"permit": permit, "network": self._network}
        naming = (m for each in sources for m in self._naming(each, at))
        return any(mandate.outside(m, PURPOSE, at.utc_ns, address, wanted) is None for m in naming)

    def busy(self, address: str, port: int) -> bool:
        """Whether a connection to this address and port is open."""
        return (address, port) in self._open

    def release(self, address: str, port: int) -> None:
        """This connection is closed."""
        self._open.discard((address, port))

    def recall(self, visits: Iterable[tuple[str, str, int, int]]) -> None:
        """Takes who heard an earlier run: (watch, address, port, until when by this machine's monotonic clock)."""
        self._visits.recall(((watch, address, port), until_ns) for watch, address, port, until_ns in visits)

    def heard(self, wish: Wish, until_ns: int) -> None:
        """This connection is over. Until then a handshake of ours may have been heard: the interval counts from it."""
        if wish.kind == "contact":
            self._visits.heard(wish.whom, until_ns)

    def unheard(self, wish: Wish, *, left: bool = True) -> None:
        """This connection ended before a handshake of ours went out: another transport may be tried at once, and the
        same one too where nothing `left` this machine.
        """
        if wish.kind == "contact":
            self._visits.unheard(wish.whom, wish.transport, left=left)

    def spent(self, count: int, at_ns: int) -> None:
        """So many bytes were sent or received."""
        self.bytes += count
        self._even_ns = max(self._even_ns, at_ns - BURST_NS) + int(count * SECOND / self.policy.bytes_per_second)

    def _in_the_clear(self, wish: Wish, at: Instant) -> Mandate | Missing:
        """The Mandate that covers a contact in plaintext, perhaps another than the first that covers the endpoint."""
        plain = {PERMIT_PLAIN, PERMIT_PLAIN_FIRST, "*"}
        may = [m for m in self._naming(wish.source, at) if plain & {*m.permits}]
        found = self._covering(wish, at, wish.address, may)
        if isinstance(found, Mandate):
            return found
        return Missing(Reason.REFUSED, "beyond 127.0.0.0/8 plaintext needs the Mandate's permit")

    def _covering(self, wish: Wish, at: Instant, address: str | None, among: list[Mandate]) -> Mandate | Missing:
        """The first of these Mandates that covers this connection, and the end of a `started`; or why none does."""
        if wish.event == "started":
            until_ns = at.utc_ns + 2 * int(self.policy.answer * SECOND) + UNTIL_GOODBYE_NS
            lasting = [m for m in among if m.not_after_ns >= until_ns]
            if among and not lasting:
                return ENDS_SOON
            among = lasting
        try:
            return mandate.covering(
                among,
                purpose=PURPOSE,
                at_ns=at.utc_ns,
                network=self._network,
                address=address,
                tracker=named(wish.source),
                permit=_permit(wish),
            )
        except Refused as error:
            return Missing(Reason.REFUSED, error.message)

    def _naming(self, source: str, at: Instant) -> list[Mandate]:
        """The Mandates that name this source, as "*" does not."""
        name = named(source)
        return [m for m in self._checked(at) if name in m.trackers]

    def _checked(self, at: Instant) -> list[Mandate]:
        until_ns, found = self._mandates
        if at.mono_ns > until_ns:
            found = mandate.all_of(self._case)
            self._mandates = at.mono_ns + COVER_NS, found
        return found


def named(source: str) -> str:
    """How a Mandate names a source: a tracker by its address, every node of the DHT and every peer's gossip alike."""
    scheme = source.partition("://")[0]
    return scheme if scheme in (DHT, PEX) else source


def _permit(wish: Wish) -> str | None:
    """What a Mandate has to permit apart: to ask the DHT, which shows interest, to ask peers, who may tell of us, and
    to be listed by a tracker.
    """
    if wish.kind == "announce" and named(wish.source) == DHT:
        return PERMIT_DHT
    if wish.gossip:
        return PERMIT_PEX
    return PERMIT_STARTED if wish.event == "started" else None


def usual_revisit(allow: tuple[str, ...]) -> float:
    """The seconds between two visits where nobody says otherwise."""
    return LEAST_REVISIT if all(map(inside_loopback, allow)) else USUAL_REVISIT


@lru_cache(maxsize=4_096)
def inside_loopback(network: str) -> bool:
    """Whether an address or network lies wholly on this machine: inside 127.0.0.0/8, or ::1."""
    if LOOPBACK_ADDRESS.fullmatch(network):
        return True
    found = ipaddress.ip_network(network)
    return found.subnet_of(LOOPBACK) if isinstance(found, ipaddress.IPv4Network) else found.subnet_of(LOOPBACK_V6)


@lru_cache(maxsize=4_096)
def _inside(networks: tuple[str, ...], address: str) -> bool:
    one = ipaddress.ip_address(address)
    if isinstance(one, ipaddress.IPv6Address) and (one.ipv4_mapped or one.scope_id):
        return False
    goal = leads_to(address)
    if goal.is_multicast or goal.is_unspecified or goal == BROADCAST:
        return False
    found = [network for network in map(_network, networks) if one in network]
    around = near(address) if found else None
    return bool(found) and (around is None or any(_within(network, around) for network in found))


def near(address: str) -> Network | None:
    """Of this machine and private networks, the one that the address leads to; None for a public one."""
    goal = leads_to(address)
    return next((each for each in NEAR if goal in each), None)


def _within(network: Network, other: Network) -> bool:
    return network.network_address in other and network.broadcast_address in other


@lru_cache(maxsize=64)
def _network(text: str) -> Network:
    return ipaddress.ip_network(text)
