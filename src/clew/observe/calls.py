"""What is asked: turns a due round or endpoint into Calls. Nothing here opens anything."""

import hashlib
from dataclasses import dataclass, field, replace

from clew.core import clock
from clew.model import Watch
from clew.observe.announces import Round, infohashes
from clew.observe.api import ENTROPY_BYTES, Ask, Limits, Network, Target
from clew.observe.chance import Chance
from clew.observe.endpoints import Endpoint
from clew.observe.policy import Wish
from clew.observe.wire import Call

PEER_ID_PREFIX = b"-CW0100-"  # published, so that other observers can tell us apart
PEER_ID_BYTES = 20
ANNOUNCED_PORT = 9  # discard (RFC 863): nobody listens there, least of all we
UNKNOWN_LEFT = (
    1 << 20
)  # what we say is missing to us where the size is not known; never 0, which would claim everything


@dataclass(frozen=True, slots=True)
class Errand:
    """What a Call was made for. `goodbye_to` names the `started` that this `stopped` follows.

    `twin`: `infohash` is a torrent's v2 one; `hybrid`: that torrent has both.
    """

    endpoint: Endpoint | None = None
    round: Round | None = None
    infohash: bytes = b""
    peer_id: bytes = b""
    goodbye_to: str = ""
    twin: bool = False
    hybrid: bool = False
    since_ns: int = field(default_factory=clock.mono_ns)

    def what(self) -> str:
        """For people: who is called, or which tracker is asked."""
        if self.endpoint is not None:
            return f"{self.endpoint.address}:{self.endpoint.port}"
        return self.round.tracker.url if self.round is not None else ""


class Caller:
    """Makes Calls with the conversations of one network plug-in."""

    def __init__(
        self, plugin: Network, limits: Limits, watches: dict[str, Watch], case_id: str, chance: Chance
    ) -> None:
        self._plugin, self._limits, self._watches = plugin, limits, watches
        self._chance = chance
        # One peer id towards trackers for the whole case: `stopped` after a crash then takes back what `started` began.
        own = hashlib.sha256(f"clew observer {case_id}".encode()).digest()
        self._tracker_peer_id = PEER_ID_PREFIX + own[: PEER_ID_BYTES - len(PEER_ID_PREFIX)]

    def question(self, one: Round) -> list[tuple[Call, Errand]]:
        """The announce that a round asks for next; `started` comes with its goodbye, which follows at once."""
        if one.event != "started":
            return [self._announce(one, one.event)]
        goodbye, last = self._announce(one, "stopped", goodbye=True)
        call, first = self._announce(one, "started", goodbye)
        return [(call, first), (goodbye, Errand(None, one, last.infohash, last.peer_id, goodbye_to=call.id))]

    def visit(self, endpoint: Endpoint, wish: Wish) -> tuple[Call, Errand]:
        """A contact with an endpoint, which may ask for gossip, or a control probe of it, as the wish's kind says."""
        entropy, known = self._chance(ENTROPY_BYTES), self._watches[endpoint.watch]
        hashes = infohashes(known)
        sent, twin = next((each for each in hashes if each[1] == endpoint.by_twin), hashes[0])
        random = self._chance(20) if wish.kind == "control" else None
        target = target_of(known, sent, peer_id_of(entropy), random)
        target = replace(target, gossip=True) if wish.gossip else target
        call = Call(self._chance.id(), wish, self._plugin.contact(target, self._limits, wish.transport, entropy))
        return call, Errand(endpoint, None, target.infohash, target.peer_id, twin=twin, hybrid=len(hashes) > 1)

    def _announce(
        self, one: Round, event: str, then: Call | None = None, *, goodbye: bool = False
    ) -> tuple[Call, Errand]:
        first, further = one.watches[0], len(one.watches) - 1
        wish = Wish(
            "announce",
            first.id,
            one.address,
            one.tracker.port,
            one.tracker.url,
            event,
            goodbye,
            one.tracker.transport,
        )
        left = first.file_length or UNKNOWN_LEFT
        label = f"{first.label} and {further} more" if further else first.label
        ask = Ask(one.tracker, label, one.infohash, event, self._tracker_peer_id, ANNOUNCED_PORT, left)
        talk = self._plugin.ask(ask, self._limits, self._chance(ENTROPY_BYTES))
        call = Call(self._chance.id(), wish, talk, then, goes_on=one.asked > 0)
        return call, Errand(None, one, one.infohash, self._tracker_peer_id)


def target_of(known: Watch, sent: bytes, peer_id: bytes, random: bytes | None) -> Target:
    """What a contact asks: for a Watch by one of its infohashes, or, as a control probe, for a `random` one."""
    if random is not None:
        return Target(known.label, random, (random,), peer_id, control=True)
    accepted = tuple(infohash for infohash, _ in infohashes(known))
    return Target(known.label, sent, accepted, peer_id, known.pieces, known.inner_pieces())


def peer_id_of(entropy: bytes) -> bytes:
    """Our peer id in one contact: the prefix that all may know us by, and what only this contact has."""
    own = hashlib.sha256(b"clew peer id" + entropy).digest()
    return PEER_ID_PREFIX + own[: PEER_ID_BYTES - len(PEER_ID_PREFIX)]
