"""What the tests of uTP share: a conversation of ours, and a link that treats each datagram as it is told."""

import heapq
import itertools
from collections.abc import Callable
from typing import Any

from observe_stage import EXTENSION, MODERN, PIECES, PROTOCOL, bitfield, message
from utp_peer import HEADER, UtpPeer

from clew.observe.api import SECOND, Event, Limits, Send, Sighted, Target
from clew.observe.networks.bittorrent import PLUGIN

INFOHASH, OURS, THEIRS = b"\x11" * 20, b"-CW0100-abcdefghijkl", b"-TE1234-000000000000"
TARGET = Target("W-1", INFOHASH, (INFOHASH,), OURS, PIECES, range(5, 15))
ENTROPY = bytes(range(32))
HELLO = PROTOCOL + MODERN + b"{infohash}" + THEIRS
SAID = HELLO + message(20, EXTENSION) + bitfield(*range(PIECES))
DELAY_NS = SECOND // 50


def conversation(target: Target = TARGET, limits: Limits | None = None, entropy: bytes = ENTROPY) -> Any:
    return PLUGIN.contact(target, limits or Limits(), "utp", entropy)


def sent(events: list[Event]) -> list[bytes]:
    return [e.message.encode() for e in events if isinstance(e, Send)]


def end(events: list[Event]) -> Sighted:
    (found,) = [e for e in events if isinstance(e, Sighted)]
    return found


def numbers(datagram: bytes) -> tuple[int, int, int, int]:
    """Type, connection id, seq_nr, ack_nr."""
    kind, _, connection, _, _, _, seq, ack = HEADER.unpack(datagram[:20])
    return kind >> 4, connection, seq, ack


def over_link(talk: Any, peer: UtpPeer, fate: Callable[[bool, int], list[int]]) -> Sighted:
    """Plays both until the end, on a clock of our own. `fate` says of the n-th datagram outwards (True) or inwards when
    its copies arrive, in multiples of the delay: [] is lost, [1, 1] comes twice, [3] comes late."""
    now, tick = SECOND, itertools.count()
    flying: list[tuple[int, int, bool, bytes]] = []
    counts = {True: 0, False: 0}

    def send(out: bool, data: bytes) -> None:
        for late in fate(out, counts[out]):
            heapq.heappush(flying, (now + late * DELAY_NS, next(tick), out, data))
        counts[out] += 1

    events = talk.opened(now)
    while True:
        for data in sent(events):
            send(True, data)
        if any(isinstance(e, Sighted) for e in events):
            for _, _, out, data in sorted(flying):
                if out:
                    peer.take(data, now)
            return end(events)
        events = []
        arrives = flying[0][0] if flying else now + SECOND
        now = max(now + 1, min(arrives, talk.wake_ns, now + SECOND // 4))
        while flying and flying[0][0] <= now:
            _, _, out, data = heapq.heappop(flying)
            if out:
                for answer in peer.take(data, now):
                    send(False, answer)
            else:
                events += talk.receive(data, now)
        for again in peer.due(now):
            send(False, again)
        events += talk.tick(now)
