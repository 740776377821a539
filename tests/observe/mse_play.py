"""One MSE conversation as the tests drive it, and the same peer without MSE."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from mse_responder import Responder

from clew.observe.api import Contact, Conversation, Limits, Send, Sighted, Target
from clew.observe.networks._messages import PROTOCOL
from clew.observe.networks._peer import PeerConversation
from clew.observe.networks.bittorrent import PLUGIN
from clew.observe.transcript import Kind, Segment, Transcript, decode

INFOHASH, OURS, THEIRS = b"\x31" * 20, b"-CW0100-exampleOURS0", b"-TR3000-exampleTHEM0"
TARGET = Target("W-1", INFOHASH, (INFOHASH,), OURS, pieces=12, inner=range(2, 9))
LIMITS = Limits()
ENTROPY = bytes(range(7, 39))
ANSWER = PROTOCOL + bytes((0, 0, 0, 0, 0, 0x10, 0, 4)) + INFOHASH + THEIRS
BITFIELD = bytes((0, 0, 0, 3, 5)) + b"\xff\xf0"
EXTENSION = b"d1:pi51413e1:q40:" + b"Z" * 40 + b"1:v6:Tester4:zzzz3:abce"
SAID = ANSWER + (len(EXTENSION) + 2).to_bytes(4, "big") + b"\x14\x00" + EXTENSION + BITFIELD
CANARY = b"CANARY-must-never-be-kept-"
HELD = 128 * 1024
BEGUN = 1_000_000


@dataclass
class Play:
    """One conversation as the tests drive it."""

    entropy: bytes = ENTROPY
    target: Target = TARGET
    limits: Limits = LIMITS
    events: list[Any] = field(default_factory=list)
    now: int = BEGUN

    def __post_init__(self) -> None:
        self.talk: Conversation = PLUGIN.contact(self.target, self.limits, "mse/tcp", self.entropy)
        self.events += self.talk.opened(self.now)

    def give(self, data: bytes, *cuts: int) -> None:
        places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
        for start, stop in pairwise(places):
            self.now += 1_000
            self.events += self.talk.receive(data[start:stop], self.now)
            assert self.talk.held <= HELD

    @property
    def sent(self) -> bytes:
        return b"".join(e.message.encode() for e in self.events if isinstance(e, Send))

    @property
    def end(self) -> Sighted:
        [found] = [e for e in self.events if isinstance(e, Sighted)]
        assert isinstance(self.events[-1], Sighted)
        assert self.talk.held == 0
        assert all(type(e.message) in PLUGIN.sendable for e in self.events if isinstance(e, Send))
        return found

    @property
    def contact(self) -> Contact:
        assert isinstance(self.end.finding, Contact)
        return self.end.finding

    def wait(self) -> None:
        for _ in range(3):
            self.now = max(self.now + 1, self.talk.wake_ns)
            self.events += self.talk.tick(self.now)


def run(other: Responder, said: bytes = SAID, *cuts: int, **play: Any) -> Play:
    """The whole of it: keys, proofs, what the other side says, and then silence."""
    one = Play(**play)
    one.give(other.key(), *cuts)
    proven = len(one.sent)
    one.give(other.prove(one.sent) + other.says(said), *cuts)
    other.hears(one.sent[proven:])
    one.wait()
    return one


def plainly(said: bytes = SAID, target: Target = TARGET) -> tuple[Contact, list[Segment], bytes]:
    """What the same peer is found to be without MSE."""
    talk = PeerConversation(target, LIMITS, Transcript())
    events = talk.opened(0) + talk.receive(said, 1)
    for _ in range(3):
        events += talk.tick(talk.wake_ns)
    end = events[-1]
    assert isinstance(end, Sighted)
    assert isinstance(end.finding, Contact)
    sent = b"".join(e.message.encode() for e in events if isinstance(e, Send))
    return end.finding, decode(end.transcript), sent


def joined(segments: list[Segment], *kinds: Kind) -> list[bytes | tuple[str, int]]:
    """One direction: bytes put together, and what was left out between them."""
    out: list[bytes | tuple[str, int]] = []
    for one in segments:
        if one.kind not in kinds:
            continue
        if one.label:
            out.append((one.label, one.length))
        elif out and isinstance(out[-1], bytes):
            out[-1] += one.data
        else:
            out.append(one.data)
    return out


SENT, RECEIVED = (Kind.SENT, Kind.SENT_LEFT_OUT), (Kind.RECEIVED, Kind.RECEIVED_LEFT_OUT)
