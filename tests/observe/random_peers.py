"""Random peers over every transport, and a conversation as the wire holds it, for the observer's tests."""

from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import strategies as st
from utp_peer import DATA, FIN, HEADER, STATE, packet

from clew.model import Missing, Reason
from clew.observe.api import SECOND, Conversation, Event, Limits, Send, Sighted, Target
from clew.observe.networks.bittorrent import PLUGIN

INFOHASH, TWIN, OURS = b"\x31" * 20, b"\x32" * 20, b"-CW0100-exampleOURS0"
ENTROPY = bytes(range(32))
STOPPED = Missing(Reason.INTERRUPTED, "the observer was stopped")
CANARY = b"CANARY-never-kept"


@st.composite
def bencoded(draw: st.DrawFn, depth: int = 2) -> bytes:
    """A value, as a peer may put it into its extension handshake."""
    kinds = [st.integers(-9, 70_000).map(lambda n: b"i%de" % n), st.binary(max_size=700).map(string)]
    if depth:
        kinds.append(st.lists(bencoded(depth - 1), max_size=3).map(lambda each: b"l" + b"".join(each) + b"e"))
        kinds.append(dictionaries(depth - 1))
    return draw(st.one_of(kinds))


def dictionaries(depth: int) -> st.SearchStrategy[bytes]:
    keys = st.sampled_from([b"m", b"v", b"p", b"reqq", b"e", b"hello", b"x" * 30, b"y" * 17]) | st.binary(max_size=20)
    pairs = st.dictionaries(keys, bencoded(depth), max_size=5)
    return pairs.map(lambda d: b"d" + b"".join(string(k) + v for k, v in d.items()) + b"e")


def string(data: bytes) -> bytes:
    return b"%d:%b" % (len(data), data)


def message(kind: int, body: bytes, lie: int = 0) -> bytes:
    return (len(body) + 1 + lie).to_bytes(4, "big") + bytes([kind]) + body


MESSAGES = st.one_of(
    dictionaries(2).map(lambda d: message(20, b"\0" + d)),
    st.binary(min_size=2, max_size=2).map(lambda d: message(5, d)),
    st.integers(0, 13).map(lambda n: message(4, n.to_bytes(4, "big"))),
    st.sampled_from([message(14, b""), message(15, b""), b"\0\0\0\0", message(1, b""), message(9, b"\1\2")]),
    st.just(message(7, CANARY * 20)),
    st.just(message(20, b"\3" + CANARY)),
    st.just(message(7, CANARY, lie=1 << 31)),
    st.builds(message, st.integers(0, 255), st.binary(max_size=20), st.sampled_from([0, 0, 3])),
)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """What a peer says: mostly a handshake and messages, cut short at times."""
    reserved = draw(st.sampled_from([bytes(8), bytes((0, 0, 0, 0, 0, 0x10, 0, 5))]))
    hash_ = draw(st.sampled_from([INFOHASH, INFOHASH, TWIN, b"\x33" * 20]))
    said = b"\x13BitTorrent protocol" + reserved + hash_ + draw(st.sampled_from([b"-TR3000-123456789012", bytes(20)]))
    said += b"".join(draw(st.lists(MESSAGES, max_size=6)))
    return said[: draw(st.integers(0, len(said)) | st.just(len(said)))]


@dataclass
class Talk:
    """A conversation as the wire holds it: time passes, and it is ticked whenever it wants to be."""

    transport: str
    target: Target
    events: list[Event] = field(default_factory=list)
    now: int = 5 * SECOND
    heard: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.talk = self.begin()
        self._take(self.talk.opened(self.now))

    def begin(self) -> Conversation:
        return PLUGIN.contact(self.target, Limits(), self.transport, ENTROPY)

    def give(self, data: bytes, after: int) -> None:
        self.wait(after)
        self._take(self.talk.receive(data, self.now))

    def wait(self, after: int) -> None:
        until = self.now + after
        while not self.end and self.talk.wake_ns < until:
            self.now = max(self.now, self.talk.wake_ns)
            self._take(self.talk.tick(self.now))
        self.now = until

    def over(self, how: str) -> Sighted:
        if how == "time":
            self.wait(400 * SECOND)
        elif not self.end:
            self._take(self.talk.closed(self.now, STOPPED if how == "stopped" else None))
        [found] = self.end
        return found

    @property
    def end(self) -> list[Sighted]:
        return [each for each in self.events if isinstance(each, Sighted)]

    def _take(self, events: list[Event]) -> None:
        self.events += events
        self.heard += [each.message.encode() for each in events if isinstance(each, Send)]


def target(control: bool) -> Target:
    if control:
        return Target("W-1", INFOHASH, (INFOHASH,), OURS, control=True)
    return Target("W-1", INFOHASH, (INFOHASH, TWIN), OURS, pieces=12, inner=range(2, 9))


def cut(data: bytes, draw: st.DrawFn) -> list[bytes]:
    places = sorted({0, len(data), *draw(st.lists(st.integers(0, len(data)), max_size=5))})
    return [data[a:b] for a, b in pairwise(places)]


class Link:
    """Brings a stream to the conversation over one carrier."""

    def __init__(self, talk: Talk, draw: st.DrawFn) -> None:
        self.talk, self.draw, self.utp = talk, draw, talk.transport.endswith("utp")
        self.seq, self.read = draw(st.sampled_from([1, 1000, 0xFFFE])), 0
        if self.utp:
            _, _, self.id, _, _, _, self.ack, _ = HEADER.unpack(talk.heard[0][:20])
            talk.give(packet(STATE, self.id, self.seq, self.ack), 1000)

    def sent(self) -> bytes:
        """The stream that we heard of it so far."""
        if not self.utp:
            return b"".join(self.talk.heard)
        parts: dict[int, bytes] = {}
        for each in self.talk.heard:
            kind, _, _, _, _, _, seq, _ = HEADER.unpack(each[:20])
            if kind >> 4 == DATA:
                parts[seq] = each[20:]
                self.ack = seq
        return b"".join(parts.values())

    def say(self, data: bytes, *, mixed: bool) -> None:
        draw = self.draw
        parts = cut(data, draw)
        if not self.utp:
            for each in parts:
                self.talk.give(each, draw(st.sampled_from([0, 1, 1000, SECOND, 7 * SECOND])))
            return
        self.sent()
        numbered = [packet(DATA, self.id, self.seq + n, self.ack, each) for n, each in enumerate(parts)]
        self.seq += len(parts)
        if mixed:
            numbered += [packet(FIN, self.id, self.seq, self.ack)] * draw(st.booleans())
            numbered += draw(st.lists(st.sampled_from(numbered), max_size=3)) if numbered else []
            numbered = draw(st.permutations(numbered))
            numbered = numbered[draw(st.integers(0, 1)) :]
        for each in numbered:
            self.talk.give(each, draw(st.sampled_from([0, 1, 1000, SECOND])))
