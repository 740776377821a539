"""Which nodes of the DHT are asked for which infohash, and when (BEP 5, "Routing Table" and "get_peers"; BEP 32, 42).

A lookup goes from the nodes it knows to those they name, always nearest to the infohash first, until of each address
family the K nearest have answered: on those, peers are stored. It asks each node once, and few nodes in all. Whoever
runs many nodes near an infohash could otherwise have us ask nobody else, so that of one network only a few are asked,
and a node whose id does not fit its address (BEP 42) is asked but not counted among the K.

The same shape as `Announces`, and the same Rounds: a node is a Tracker of the address dht://HOST:PORT. Nothing is ever
announced there, so that a Round of these has no event.
"""

import ipaddress
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from clew.model import Watch
from clew.observe.announces import DEFAULT_INTERVAL, Round, by_infohash
from clew.observe.api import SECOND, Listing, Tracker
from clew.observe.asked import WAITED, Asked
from clew.observe.gaps import LACKING
from clew.observe.node_ids import distance, fits
from clew.observe.policy import DHT, Policy, inside_loopback

K = 8  # BEP 5: how many nodes nearest to an infohash store its peers
ALPHA = 3  # Kademlia (Maymounkov, Mazieres 2002), 2.3: questions of one lookup at a time
MOST_ASKED = 64
MOST_KNOWN = 512
PER_NETWORK = 2  # nodes of one /24 (IPv4) or /48 (IPv6) that one lookup asks
PREFIX = {4: 24, 6: 48}
FARTHEST = 1 << 160  # of a node whose id is not known yet
Place = tuple[str, int]
Covered = Callable[[str], bool]  # whether a Mandate covers asking a node at this address


@dataclass(slots=True)
class Node:
    """A node as one lookup knows it: `far` from the infohash, `named` to us, not by other nodes; who answered `counts`
    where its id fits.
    """

    address: str
    port: int
    node_id: bytes | None
    far: int = FARTHEST
    named: bool = False
    asked: bool = False
    answered: bool = False
    counts: bool = False


@dataclass(slots=True, eq=False)
class Lookup:
    """One infohash, looked up again and again; what stands from `nodes` on is of this time alone,
    `barred` how many questions no Mandate covered, `lost` the families that this machine was found without.

    `limits` counts what a limit kept us from, by its words.
    """

    watches: tuple[Watch, ...]
    infohash: bytes
    start: dict[Place, Node]
    due_ns: int
    rounds: int = 0
    quiet: int = 0
    nodes: dict[Place, Node] = field(default_factory=dict)
    networks: Counter[str] = field(default_factory=Counter)
    limits: Counter[str] = field(default_factory=Counter)
    asked: int = 0
    out: int = 0
    barred: int = 0
    lost: set[int] = field(default_factory=set)

    def begin(self) -> None:
        """Starts from the nodes that were named to us, and the nearest that answered the time before."""
        self.nodes = {place: Node(n.address, n.port, n.node_id, n.far, n.named) for place, n in self.start.items()}
        self.networks, self.asked, self.barred, self.lost = Counter(), 0, 0, set()
        del self.limits[WAITED]

    def next(self) -> Node | None:
        """The next node to ask: of those that may be needed, the nearest. None where none is, or none now."""
        if self.out >= ALPHA or self.asked >= MOST_ASKED:
            return None
        for family in (4, 6):
            for node in self._wanted(family):
                if node.named or self.networks[network(node.address)] < PER_NETWORK:
                    return node
        return None

    def ask(self, node: Node) -> None:
        """This node is asked now."""
        node.asked = True
        self.asked, self.out = self.asked + 1, self.out + 1
        self.networks[network(node.address)] += 1

    def learn(self, listing: Listing, allowed: Policy, covered: Covered) -> None:
        """Takes the nodes that an answer names, as far as we may ask them; of too many, the nearest are kept."""
        for address, port, node_id in listing.nodes:
            if (address, port) in self.nodes:
                continue
            if not allowed.allows(address):
                self.limits["node outside the allow-list"] += 1
            elif not covered(address):
                self.limits["node outside the Mandates"] += 1
            else:
                self.nodes[address, port] = Node(address, port, node_id, distance(node_id, self.infohash))
        if len(self.nodes) > MOST_KNOWN:
            far = sorted((n for n in self.nodes.values() if not (n.asked or n.named)), key=_far)
            for node in far[MOST_KNOWN // 2 :]:
                self.limits[f"node farther than {MOST_KNOWN // 2} others"] += 1
                del self.nodes[node.address, node.port]

    def end(self) -> None:
        """Remembers, for the next time, what was named and the K nearest of each family that answered."""
        if left := sum(1 for family in (4, 6) for _ in self._wanted(family)):
            full = self.asked >= MOST_ASKED
            self.limits["node of a network that was asked enough" if not full else "lookup ended by its size"] += left
        kept = {place: node for place, node in self.start.items() if node.named}
        for family in (4, 6):
            answered = [n for n in self._nearest(family) if n.answered]
            kept |= {(n.address, n.port): n for n in answered[:K] if (n.address, n.port) not in kept}
        self.start, self.nodes = kept, {}

    def _nearest(self, family: int) -> list[Node]:
        return sorted((n for n in self.nodes.values() if version(n.address) == family), key=_far)

    def _wanted(self, family: int) -> Iterator[Node]:
        """Nodes not asked yet, nearest first, until the K nearest that count have answered; none of a family that is
        lost, whose nodes would fail at once and use up what one lookup may ask.
        """
        if family in self.lost:
            return
        nearest = self._nearest(family)
        yield from (n for n in nearest if n.named and not n.asked)
        counted = 0
        for node in nearest:
            if counted == K:
                return
            if not node.asked:
                yield node
            else:
                counted += node.counts


class Lookups:
    """Every lookup, by when it is due (monotonic nanoseconds). `bootstrap` are nodes by their addresses, `before` is
    what earlier runs asked.
    """

    def __init__(
        self,
        bootstrap: dict[Tracker, str],
        watches: list[Watch],
        policy: Policy,
        now_ns: int,
        covered: Covered,
        before: Asked | None = None,
    ) -> None:
        self._policy, self._covered = policy, covered
        start = {(at, t.port): Node(at, t.port, None, named=True) for t, at in bootstrap.items()}
        self._out: dict[Round, tuple[Lookup, Node]] = {}
        self._lookups = {
            infohash: Lookup(asked_for, infohash, dict(start), now_ns)
            for infohash, asked_for in by_infohash(watches if start else []).items()
        }
        for each in self._lookups.values():
            last = (before or {}).get((DHT, each.infohash))
            if last is not None and (due_ns := last[0] + self._pause_ns(start.values())) > now_ns:
                each.due_ns, each.limits[WAITED] = due_ns, 1

    def due(self, now_ns: int) -> list[Round]:
        """The questions to be asked now; each is out until `heard`."""
        found = []
        for lookup in self._lookups.values():
            if lookup.due_ns > now_ns:
                continue
            if not lookup.nodes:
                lookup.begin()
            while (node := lookup.next()) is not None:
                lookup.ask(node)
                one = Round(at(node.address, node.port), node.address, lookup.watches, lookup.infohash, "")
                self._out[one] = (lookup, node)
                found.append(one)
            self._end_of(lookup, now_ns)
        return found

    def owns(self, one: Round) -> bool:
        """Whether this question is out from here."""
        return one in self._out

    def heard(self, one: Round, listing: Listing, now_ns: int) -> None:
        """Takes the answer to the question of `one`."""
        lookup, node = self._out.pop(one)
        lookup.out -= 1
        if listing.missing in LACKING:
            lookup.lost.add(version(node.address))
        if listing.missing is None and listing.node is not None:
            if node.node_id is None:
                node.node_id, node.far = listing.node, distance(listing.node, lookup.infohash)
            node.answered = node.node_id == listing.node  # otherwise it is not who it was said to be
            node.counts = node.answered and fits(listing.node, node.address)
            lookup.learn(listing, self._policy, self._covered)
        self._end_of(lookup, now_ns)

    def barred(self, one: Round) -> None:
        """No Mandate covers the question that is out."""
        self._out[one][0].barred += 1

    def allowed(self, now_ns: int) -> None:
        """The Mandates have changed: a lookup that could ask nobody the last time begins now, any other in its time."""
        for lookup in self._lookups.values():
            if not lookup.nodes and 0 < lookup.barred == lookup.asked:
                lookup.due_ns = min(lookup.due_ns, now_ns)

    def never_asked(self, one: Round, now_ns: int) -> None:
        """This question was not sent."""
        lookup, node = self._out.pop(one)
        node.asked = False
        lookup.asked, lookup.out = lookup.asked - 1, lookup.out - 1
        lookup.networks[network(node.address)] -= 1
        lookup.due_ns = now_ns + SECOND

    def news(self, one: Round) -> None:
        """Somebody new was listed: rounds without news are counted from here again."""
        self._lookups[one.infohash].quiet = 0

    def quiet(self, rounds: int) -> bool:
        """Whether every infohash was looked up in `rounds` whole rounds without anybody new."""
        return not self._out and all(each.rounds >= 1 and each.quiet >= rounds for each in self._lookups.values())

    def limits(self) -> Counter[str]:
        """What limits kept lookups from, for the account."""
        return sum((each.limits for each in self._lookups.values()), Counter[str]())

    def _end_of(self, lookup: Lookup, now_ns: int) -> None:
        """The end of a round where nothing is out and nobody is left to be asked: the next comes after a pause."""
        if lookup.out or lookup.next() is not None:
            return
        pause_ns = self._pause_ns(lookup.nodes.values())
        lookup.end()
        lookup.rounds += 1
        lookup.quiet += 1
        lookup.due_ns = now_ns + pause_ns

    def _pause_ns(self, nodes: Iterable[Node]) -> int:
        """How long after a lookup that asks these nodes the next one begins."""
        pause = self._policy.round_seconds()
        return int((pause if all(inside_loopback(n.address) for n in nodes) else max(pause, DEFAULT_INTERVAL)) * SECOND)


def _far(node: Node) -> int:
    return node.far


def at(address: str, port: int) -> Tracker:
    """A node as a Tracker, as `Network.tracker` makes it of the same address."""
    host = f"[{address}]" if ":" in address else address
    return Tracker(f"dht://{host}:{port}", address, port, "", "udp")


def version(address: str) -> int:
    """4 or 6."""
    return 6 if ":" in address else 4


def network(address: str) -> str:
    """The network whose nodes are taken to be one person's: a /24 of IPv4, a /48 of IPv6."""
    return str(ipaddress.ip_network(f"{address}/{PREFIX[version(address)]}", strict=False))
