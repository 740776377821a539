"""One question to one DHT node: who has this infohash, and which nodes are nearer to it (BEP 5, 32, 42, 43)?

We only read. The one message that leaves is get_peers, marked read-only (BEP 43), so that nobody puts us into a routing
table; queries to us are dropped. The answer's token, which would let us announce ourselves, is neither used nor kept.
The transcript leaves out the infohash that we sent and, for each endpoint listed, all else but that one.
"""

from collections.abc import Iterator
from typing import Any

from clew.core import bencode
from clew.model import Missing, Reason
from clew.observe.api import Ask, Event, Limits, Listed, Listing
from clew.observe.networks._datagrams import Question, derived
from clew.observe.networks._lists import NOBODY, V4_BYTES, V6_BYTES, endpoint, redact, unkept
from clew.observe.networks._udp_messages import DhtGetPeers
from clew.observe.networks._words import plain
from clew.observe.node_ids import ID_BYTES
from clew.observe.transcript import Transcript

# BEP 32, "Maximum packet size": 1024 bytes, longer ones are to be read in the interest of robustness.
MAX_DATAGRAM = 4_096
MAX_REASON = 120
Member = tuple[bytes, Any, slice]
# What a transcript keeps of a reply, besides one endpoint: of the message, and of what stands under "r".
KEPT_MESSAGE, KEPT_REPLY = frozenset((b"t", b"y")), frozenset((b"id",))


class DhtConversation:
    """The state machine of one get_peers."""

    def __init__(self, ask: Ask, limits: Limits, tape: Transcript, entropy: bytes) -> None:
        self._ask, self._limits = ask, limits
        self._question = Question(limits, tape)
        # BEP 42 has a node derive its id from the address by which others know it. We do not know ours, and a
        # read-only node is stored nowhere and stores nothing, so that a random id, of this question alone, will do.
        self._node_id = derived(entropy, "node id", ID_BYTES)
        self._transaction = derived(entropy, "get_peers", 4)

    @property
    def wake_ns(self) -> int:
        """When the query is sent again, or its time is over."""
        return self._question.wake_ns

    @property
    def held(self) -> int:
        """Always 0: a datagram is read at once."""
        return 0

    def opened(self, now_ns: int) -> list[Event]:
        """Sends the query."""
        message = DhtGetPeers(self._node_id, self._ask.infohash, self._transaction)
        secret = f"the infohash of {self._ask.label}"
        return self._question.ask(message, message.parts(), secret, now_ns, self._limits.answer_ns)

    def receive(self, data: bytes, now_ns: int) -> list[Event]:
        """Takes one datagram. A query, or anything that does not carry our transaction id, is dropped."""
        question = self._question
        if question.over:
            return []
        found = _message(data)
        kind, transaction = found.get(b"y", (None,))[0], found.get(b"t", (None,))[0]
        ours = transaction == self._transaction and kind in (b"r", b"e")
        if not question.takes(data, answer=ours):
            return self._fail(Reason.LIMIT_REACHED, "too many datagrams", now_ns) if question.flooded() else []
        question.traffic["received dht reply"] += len(data)
        before = question.tape.copy()
        question.tape.left_out("reply", len(data), now_ns)
        if kind == b"e":
            return self._fail(Reason.REFUSED, _error(found.get(b"e", (None,))[0]), now_ns)
        reply, place = found.get(b"r", (None, slice(0)))
        node_id = reply.get(b"id") if isinstance(reply, dict) else None
        if not isinstance(node_id, bytes) or len(node_id) != ID_BYTES:
            return self._fail(Reason.UNPARSABLE, "a reply without a node's id", now_ns)
        members = list(bencode.members(data, place.start))
        listed, unusable = values(data, members)
        hidden = [*_unkept_message(found), *unkept(members, KEPT_REPLY)]

        def proof(one: Listed) -> bytes:
            own = before.copy()
            redact(own, data, hidden, one, now_ns)
            return own.encode()

        listing = Listing(
            listed=tuple(listed), unusable=unusable, nodes=tuple(self._nodes(reply)), node=node_id, proof=proof
        )
        return question.end(listing, now_ns)

    def tick(self, now_ns: int) -> list[Event]:
        """Sends the query again, or ends the conversation where its time is over."""
        return self._question.tick("node", now_ns)

    def closed(self, now_ns: int, why: Missing | None = None) -> list[Event]:
        """Ends the conversation: no port is open there, or `why`."""
        if self._question.over:
            return []
        unanswered = Missing(Reason.UNREADABLE, "node: closed before it answered")
        return self._question.end(Listing(missing=why or unanswered), now_ns)

    def _nodes(self, reply: dict[bytes, Any]) -> Iterator[tuple[str, int, bytes]]:
        """Nodes that can be asked in turn; never one that is nobody, or that carries our own id."""
        for key, width in ((b"nodes", ID_BYTES + V4_BYTES), (b"nodes6", ID_BYTES + V6_BYTES)):
            value = reply.get(key)
            if not isinstance(value, bytes):
                continue
            for at in range(0, len(value) - len(value) % width, width):
                node_id = value[at : at + ID_BYTES]
                address, port = endpoint(value[at + ID_BYTES : at + width])
                if port and address not in NOBODY and node_id != self._node_id:
                    yield address, port, node_id

    def _fail(self, reason: Reason, words: str, now_ns: int) -> list[Event]:
        return self._question.end(Listing(missing=Missing(reason, f"node: {words}")), now_ns)


def _message(data: bytes) -> dict[bytes, tuple[Any, slice]]:
    """A KRPC message (BEP 5), or nothing where it is none that we would read."""
    if len(data) > MAX_DATAGRAM:
        return {}
    try:
        return bencode.dictionary(data)
    except bencode.Malformed:
        return {}


def values(data: bytes, members: list[Member]) -> tuple[list[Listed], int]:
    """The endpoints under "values", of either family (BEP 32 has both be read), and how many are none."""
    value, place = next(((v, p) for key, v, p in members if key == b"values"), ([], slice(0)))
    if not isinstance(value, list):
        return [], 1
    listed, at = [], place.start
    for each in value:
        if not isinstance(each, bytes) or len(each) not in (V4_BYTES, V6_BYTES):
            continue
        whole = b"%d:%b" % (len(each), each)
        start = data.index(whole, at)
        at = start + len(whole)
        address, port = endpoint(each)
        if port:
            listed.append(Listed(address, port, start, at))
    return listed, len(value) - len(listed)


def _unkept_message(found: dict[bytes, tuple[Any, slice]]) -> Iterator[slice]:
    members = ((key, value, place) for key, (value, place) in found.items())
    return unkept(members, KEPT_MESSAGE | {b"r"})


def _error(value: Any) -> str:
    """BEP 5, "Errors": a list of a code and words."""
    words = value[1] if isinstance(value, list) and len(value) > 1 else None
    return (plain(words, MAX_REASON) if isinstance(words, bytes) else "") or "an error without reason"
