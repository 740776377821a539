"""What TCP and uTP flows have in common: who talks, one direction of it, what waits, and how a flow ends.

Where bytes overlap, those that came first in the capture hold. What comes early waits, within bounds. Once bytes are
missing for good, that direction ends there: nothing is guessed beyond a gap. Memory is bounded in flows, in bytes that
wait in one direction, and in all of them together.
"""

from dataclasses import dataclass, field
from typing import Protocol

from clew.model import Missing, Reason
from clew.observe.taken import Account

MAX_FLOWS = 32_768
MAX_AHEAD = 256 * 1024  # bytes that wait in one direction for what is missing before them
MAX_PIECES = 256
MAX_WAITING = 64 << 20
GAP = Missing(Reason.UNREADABLE, "bytes are missing in the capture: the rest of this direction is not read")
FULL = Missing(Reason.LIMIT_REACHED, "too much of the capture comes out of order")
DROPPED = Missing(Reason.LIMIT_REACHED, "more flows at once than are followed")
CUT_OFF = Missing(Reason.UNREADABLE, "the capture ends before this flow does")


class Talk(Protocol):
    """What reads a flow. Side 0 is who opened it."""

    @property
    def over(self) -> bool:
        """Nothing more of this flow is of interest."""

    def data(self, side: int, data: bytes, at_ns: int) -> None:
        """The next bytes of one direction."""

    def gap(self, side: int, why: Missing, at_ns: int) -> None:
        """One direction goes no further."""

    def closed(self, at_ns: int, why: Missing | None) -> None:
        """The flow has ended; `why` where we do not know that it has."""


@dataclass(frozen=True, slots=True)
class Ends:
    """Who talks: addresses as raw bytes. Side 0 opened the flow, as far as the capture shows; `at_ns` is when."""

    addresses: tuple[bytes, bytes]
    ports: tuple[int, int]
    carrier: str
    at_ns: int
    whole: bool = True


@dataclass(slots=True)
class Stream:
    """One direction by numbers that wrap at `modulus`: bytes (TCP), or packets (uTP, where each piece counts 1)."""

    modulus: int
    next: int | None = None
    pieces: dict[int, bytes] = field(default_factory=dict)
    waiting: int = 0
    over: bool = False

    def ahead(self, number: int) -> int:
        """How far `number` lies ahead of what is wanted next; negative for what has been."""
        assert self.next is not None
        half = self.modulus // 2
        return (number - self.next + half) % self.modulus - half

    def wait(self, number: int, data: bytes) -> int:
        """Keeps a piece that is early, the first one that came under its number; how many more bytes wait now."""
        if number in self.pieces:
            return 0
        self.pieces[number] = data
        self.waiting += len(data)
        return len(data)

    def drop(self) -> int:
        """Lets go of what waits and ends here; how many bytes that were."""
        held, self.waiting, self.over = self.waiting, 0, True
        self.pieces.clear()
        return held

    @property
    def full(self) -> bool:
        """Whether more waits than may."""
        return self.waiting > MAX_AHEAD or len(self.pieces) > MAX_PIECES


class Followed(Protocol):
    """A flow, whatever carries it. `done`: nothing of it is read any more."""

    done: bool

    @property
    def talk(self) -> Talk:
        """What reads it."""

    @property
    def streams(self) -> tuple[Stream, Stream]:
        """Its two directions."""


class Held:
    """What is held of all flows of one kind together, and how they let go of it. `now_ns`: of the packet looked at."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self.bytes = self.now_ns = 0

    @property
    def full(self) -> bool:
        """Whether more waits than may."""
        return self.bytes > MAX_WAITING

    def gap(self, flow: Followed, side: int, why: Missing) -> None:
        """One direction goes no further."""
        self._account.counts["directions of a flow that break off at a gap"] += 1
        self.bytes -= flow.streams[side].drop()
        flow.talk.gap(side, why, self.now_ns)

    def end(self, flow: Followed, why: Missing | None) -> None:
        """The flow is over; what still waits in it waited in vain. `why` where we do not know that it has ended."""
        if flow.done:
            return
        for side, stream in enumerate(flow.streams):
            if stream.pieces and not stream.over and not flow.talk.over:
                self.gap(flow, side, GAP)
        flow.talk.closed(self.now_ns, why)
        self.leave(flow)

    def leave(self, flow: Followed) -> None:
        """Nothing more of the flow is read."""
        for stream in flow.streams:
            self.bytes -= stream.drop()
        flow.done = True
