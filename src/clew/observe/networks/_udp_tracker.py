"""One question to a UDP tracker (BEP 15; IPv6 in the same, the URL's path by BEP 41): connect, announce, the end.

The transcript leaves out the infohash that we sent and, for each endpoint listed, all endpoints but that one.
"""

import hashlib

from clew.model import Missing, Reason
from clew.observe.api import SECOND, Ask, Event, Limits, Listed, Listing
from clew.observe.networks._datagrams import Question, derived
from clew.observe.networks._lists import V4_BYTES, V6_BYTES, compact, redact
from clew.observe.networks._udp_messages import ANNOUNCE, CONNECT, ERROR, UdpAnnounce, UdpConnect
from clew.observe.networks._words import plain
from clew.observe.transcript import Transcript

# BEP 15: action and transaction id begin every response; a connect response is 16 bytes, an announce response 20
# before its endpoints. Longer ones are to be expected ("UDP tracker protocol").
HEAD, CONNECTED, ANNOUNCED = 8, 16, 20
CONNECTION_NS = 60 * SECOND  # BEP 15, "UDP connections / spoofing": how long we may use a connection id
MAX_REASON = 120
MAX_SECONDS = 86_400


class UdpTrackerConversation:
    """The state machine of one announce."""

    def __init__(self, ask: Ask, limits: Limits, tape: Transcript, entropy: bytes) -> None:
        self._ask, self._limits = ask, limits
        self._question = Question(limits, tape)
        self._expected = CONNECT
        # Of each step its own, so that an answer to the first is none to the second.
        self._transactions = {CONNECT: derived(entropy, "connect", 4), ANNOUNCE: derived(entropy, "announce", 4)}

    @property
    def wake_ns(self) -> int:
        """When a request is sent again, or its time is over."""
        return self._question.wake_ns

    @property
    def held(self) -> int:
        """Always 0: a datagram is read at once."""
        return 0

    def opened(self, now_ns: int) -> list[Event]:
        """Asks for a connection id."""
        message = UdpConnect(self._transactions[CONNECT])
        return self._question.ask(message, (message.encode(), b"", b""), "", now_ns, self._limits.answer_ns)

    def receive(self, data: bytes, now_ns: int) -> list[Event]:
        """Takes one datagram."""
        question = self._question
        if question.over:
            return []
        ours = len(data) <= self._limits.reply and data[4:HEAD] == self._transactions[self._expected]
        if not question.takes(data, answer=ours):
            return self._fail(Reason.LIMIT_REACHED, "too many datagrams", now_ns) if question.flooded() else []
        question.traffic["received tracker reply"] += len(data)
        action = int.from_bytes(data[:4], "big")
        if action == ERROR:
            question.tape.received(data[:HEAD], now_ns)
            question.tape.left_out("the tracker's words", len(data) - HEAD, now_ns)
            return self._fail(Reason.REFUSED, plain(data[HEAD:], MAX_REASON) or "a failure without reason", now_ns)
        least = CONNECTED if self._expected == CONNECT else ANNOUNCED
        if action != self._expected or len(data) < least:
            question.tape.received(data[:HEAD], now_ns)
            question.tape.left_out("reply", len(data) - HEAD, now_ns)
            return self._fail(Reason.UNPARSABLE, "the reply is cut short, or to something else", now_ns)
        if action == CONNECT:
            return self._connected(data, now_ns)
        # What is kept in common is what came before the reply; the reply itself is redacted endpoint by endpoint.
        before = question.tape.copy()
        question.tape.received(data[:ANNOUNCED], now_ns)
        if len(data) > ANNOUNCED:
            question.tape.left_out("endpoints listed", len(data) - ANNOUNCED, now_ns)
        return question.end(self._listing(data, before, now_ns), now_ns)

    def tick(self, now_ns: int) -> list[Event]:
        """Sends again what was not answered, or ends the conversation where its time is over."""
        return self._question.tick("tracker", now_ns)

    def closed(self, now_ns: int, why: Missing | None = None) -> list[Event]:
        """Ends the conversation: no port is open there, or `why`."""
        if self._question.over:
            return []
        unanswered = Missing(Reason.UNREADABLE, "tracker: closed before it answered")
        return self._question.end(Listing(missing=why or unanswered), now_ns)

    def _connected(self, data: bytes, now_ns: int) -> list[Event]:
        tape, ask = self._question.tape, self._ask
        tape.received(data[:CONNECTED], now_ns)
        if len(data) > CONNECTED:
            tape.left_out("reply", len(data) - CONNECTED, now_ns)
        self._expected = ANNOUNCE
        message = UdpAnnounce(
            connection=data[HEAD:CONNECTED],
            transaction=self._transactions[ANNOUNCE],
            infohash=ask.infohash,
            peer_id=ask.peer_id,
            left=ask.left,
            event=ask.event,
            # The same for every announce under one peer id: a tracker may ask for it before it takes back a `started`.
            key=hashlib.sha256(b"key\0" + ask.peer_id).digest()[:4],
            want=ask.want,
            port=ask.port,
            path=ask.tracker.path,
        )
        within = min(self._limits.answer_ns, CONNECTION_NS)
        return self._question.ask(message, message.parts(), f"the infohash of {ask.label}", now_ns, within)

    def _listing(self, data: bytes, before: Transcript, now_ns: int) -> Listing:
        """BEP 15, "IPv6": the address family of the datagram says how wide an endpoint is; names are IPv4 to us."""
        width = V6_BYTES if ":" in self._ask.tracker.host else V4_BYTES
        listed, unusable = compact(data[ANNOUNCED:], width, ANNOUNCED)
        interval, leechers, seeders = (int.from_bytes(data[at : at + 4], "big") for at in (8, 12, 16))

        def proof(one: Listed) -> bytes:
            own = before.copy()
            redact(own, data, [slice(ANNOUNCED, len(data))], one, now_ns)
            return own.encode()

        return Listing(
            listed=tuple(listed),
            unusable=unusable,
            interval=min(interval, MAX_SECONDS),
            swarm=leechers + seeders,
            proof=proof,
        )

    def _fail(self, reason: Reason, words: str, now_ns: int) -> list[Event]:
        return self._question.end(Listing(missing=Missing(reason, f"tracker: {words}")), now_ns)
