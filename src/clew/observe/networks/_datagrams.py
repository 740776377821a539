"""What the questions over UDP have in common: a request that is sent again, and answers from anybody.

Datagrams get lost, so that each request is sent up to `TRIES` times. BEP 15 ("Time outs") waits 15 * 2 ^ n seconds,
more than an hour in all; whoever asks thousands of nodes and trackers, and asks again later anyway, need not: here all
tries lie within `Limits.answer_ns`, each wait twice as long as the one before.

Anybody can send us a datagram. Only one that carries the transaction id of our request is an answer; all others are
counted, dropped, and end nothing.
"""

import hashlib
from collections import Counter

from clew.model import Missing, Reason
from clew.observe.api import Event, Limits, Listing, Send, Sendable, Sighted
from clew.observe.transcript import Transcript

TRIES = 3
FIRST_WAIT = 8  # the first wait is this part of the time for an answer: 1/8, 1/4, and what is left


def derived(entropy: bytes, purpose: str, length: int) -> bytes:
    """Bytes that nobody can guess who does not know `entropy`."""
    return hashlib.sha256(purpose.encode() + b"\0" + entropy).digest()[:length]


class Question:
    """One request at a time, its tries, and the account of what came."""

    def __init__(self, limits: Limits, tape: Transcript) -> None:
        self._limits = limits
        self.tape, self.traffic = tape, Counter[str]()
        self._request: tuple[Sendable, tuple[bytes, bytes, bytes], str] | None = None
        self._tries = self._received = self._dropped = self._dropped_bytes = 0
        self._end_ns = self._again_ns = 0
        self.over = False

    @property
    def wake_ns(self) -> int:
        """When the request is sent again, or its time is over."""
        return min(self._again_ns, self._end_ns)

    def ask(
        self, message: Sendable, parts: tuple[bytes, bytes, bytes], secret: str, now_ns: int, within_ns: int
    ) -> list[Event]:
        """Sends a request; of its `parts`, the middle one is left out of the transcript as `secret`."""
        self._request, self._tries = (message, parts, secret), 0
        self._end_ns = now_ns + within_ns
        return self._send(now_ns)

    def takes(self, data: bytes, *, answer: bool) -> bool:
        """Counts what came; what is no `answer` to us is dropped. Whether it is one."""
        self._received += len(data)
        if not answer:
            self._dropped += 1
            self._dropped_bytes += len(data)
        return answer

    def flooded(self) -> bool:
        """Whether more came than one conversation may receive."""
        return self._received > self._limits.received or self._dropped > self._limits.messages

    def tick(self, who: str, now_ns: int) -> list[Event]:
        """Sends the request again, or ends the conversation where its time is over."""
        if self.over or now_ns < self.wake_ns:
            return []
        if now_ns >= self._end_ns:
            return self.end(Listing(missing=Missing(Reason.LIMIT_REACHED, f"{who}: no answer in time")), now_ns)
        return self._send(now_ns)

    def end(self, listing: Listing, now_ns: int) -> list[Event]:
        """The end. What was dropped is said in the transcript, and where it may be why nothing was found."""
        self.over = True
        if self._dropped:
            self.tape.left_out("datagrams that are no answer", self._dropped_bytes, now_ns)
            self.traffic["received and dropped"] += self._dropped_bytes
        missing = listing.missing
        if self._dropped and missing is not None:
            detail = f"{missing.detail}; datagrams that are no answer: {self._dropped}"
            listing = Listing(missing=Missing(missing.reason, detail))
        return [Sighted(listing, self.tape.encode(), dict(self.traffic))]

    def _send(self, now_ns: int) -> list[Event]:
        assert self._request is not None
        message, (before, middle, after), secret = self._request
        self.tape.sent(before, now_ns)
        if middle:
            self.tape.left_out(secret, len(middle), now_ns, sent=True)
        if after:
            self.tape.sent(after, now_ns)
        self.traffic[f"sent {message.name}"] += len(before) + len(middle) + len(after)
        self._tries += 1
        wait = (self._limits.answer_ns // FIRST_WAIT) << (self._tries - 1)
        self._again_ns = now_ns + wait if self._tries < TRIES else self._end_ns
        return [Send(message)]
