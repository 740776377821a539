"""One question to an HTTP tracker (BEP 3; compact replies BEP 23, IPv6 BEP 7) and its answer; trackers' addresses.

The transcripts leave out the infohash that we sent and, for each endpoint listed, all endpoints but that one.
"""

import re
from collections import Counter
from collections.abc import Callable

from clew.core import bencode
from clew.core.errors import Usage
from clew.model import Missing, Reason
from clew.observe.api import Ask, Event, Limits, Listed, Listing, Send, Sighted, Tracker, is_address
from clew.observe.networks._http import Reply, Unusable
from clew.observe.networks._lists import V4_BYTES, V6_BYTES, address, compact, payload, redact
from clew.observe.networks._messages import Announce
from clew.observe.networks._words import plain
from clew.observe.transcript import Transcript

# RFC 3986: an IPv6 address stands in brackets. HTTP needs a path; BEP 15 a port; a node of the DHT has no path.
HOST, PORT = r"([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])", r":([0-9]{1,5})"
URLS = (
    (re.compile(rf"http://{HOST}(?:{PORT})?(/[\x21-\x7e]*)"), "tcp"),
    (re.compile(rf"udp://{HOST}{PORT}((?:/[\x21-\x7e]*)?)"), "udp"),
    (re.compile(rf"dht://{HOST}{PORT}()"), "udp"),
)
MAX_REASON = 120
MAX_SECONDS, MOST_DIGITS = 86_400, 9


def tracker(url: str) -> Tracker:
    """A tracker (http or udp), or a node of the DHT, by its address. Raises Usage for anything else."""
    for pattern, transport in URLS:
        found = pattern.fullmatch(url)
        port = int(found[2] or 80) if found else 0
        if not found or not 0 < port < 65536:
            continue
        host = found[1].strip("[]")
        # A node is found by address alone, and no name of one is ever looked up.
        if is_address(host) or not (found[1].startswith("[") or url.startswith("dht://")):
            return Tracker(url, host, port, found[3], transport)
    raise Usage(
        f"{url!r} is not a tracker that clew can ask",
        "give an address such as http://127.1.0.1:6969/announce, udp://127.1.0.1:6969 or dht://127.2.0.1:6881",
    )


class TrackerConversation:
    """The state machine of one announce."""

    def __init__(self, ask: Ask, limits: Limits) -> None:
        self._ask, self._limits = ask, limits
        self._reply = Reply(limits.reply)
        self._transcript, self._traffic = Transcript(), Counter[str]()
        self._end_ns = 0
        self._over = False

    @property
    def wake_ns(self) -> int:
        """When time alone ends this."""
        return self._end_ns

    @property
    def held(self) -> int:
        """Bytes of the reply so far."""
        return self._reply.held

    def opened(self, now_ns: int) -> list[Event]:
        """Sends the announce."""
        self._end_ns = now_ns + self._limits.answer_ns
        ask = self._ask
        name = f"[{ask.tracker.host}]" if ":" in ask.tracker.host else ask.tracker.host
        host = name if ask.tracker.port == 80 else f"{name}:{ask.tracker.port}"
        message = Announce(host, ask.tracker.path, ask.infohash, ask.peer_id, ask.port, ask.left, ask.event, ask.want)
        before, infohash, after = message.parts()
        self._transcript.sent(before, now_ns)
        self._transcript.left_out(f"the infohash of {ask.label}", len(infohash), now_ns, sent=True)
        self._transcript.sent(after, now_ns)
        self._traffic[f"sent announce {ask.event}"] += len(before) + len(infohash) + len(after)
        return [Send(message)]

    def receive(self, data: bytes, now_ns: int) -> list[Event]:
        """Takes a part of the reply."""
        if self._over:
            return []
        self._traffic["received tracker reply"] += len(data)
        try:
            self._reply.receive(data)
        except Unusable as error:
            return self._end(now_ns, Missing(Reason.UNPARSABLE, f"tracker: {error}"))
        return self._end(now_ns, None) if self._reply.complete else []

    def tick(self, now_ns: int) -> list[Event]:
        """Ends the conversation where its time is over."""
        if self._over or now_ns < self._end_ns:
            return []
        return self._end(now_ns, Missing(Reason.LIMIT_REACHED, "tracker: no reply in time"))

    def closed(self, now_ns: int, why: Missing | None = None) -> list[Event]:
        """The end of a reply without a length, or of the conversation."""
        if self._over:
            return []
        if why is None:
            try:
                self._reply.closed()
            except Unusable as error:
                why = Missing(Reason.UNREADABLE, f"tracker: {error}")
        return self._end(now_ns, why)

    def _end(self, now_ns: int, missing: Missing | None) -> list[Event]:
        self._over = True
        listing = Listing(missing=missing)
        if missing is None:
            try:
                listing = self._listing(bytes(self._reply.body), now_ns)
            except bencode.Malformed as error:
                listing = Listing(missing=Missing(Reason.UNPARSABLE, f"tracker: {error}"))
        if self._reply.head:
            self._transcript.received(self._reply.head, now_ns)
        if self._reply.held:
            self._transcript.left_out("reply", self._reply.held, now_ns)
        return [Sighted(listing, self._transcript.encode(), dict(self._traffic))]

    def _listing(self, body: bytes, now_ns: int) -> Listing:
        found = bencode.dictionary(body)
        if b"failure reason" in found:
            refused = Missing(Reason.REFUSED, f"tracker: {_words(found[b'failure reason'][0])}")
            return Listing(missing=refused, interval=_retry_in(found.get(b"retry in", (None,))[0]))
        listed, unusable = endpoints(found, body)
        swarm = [n for n in (_number(found, k) for k in (b"complete", b"incomplete")) if n is not None]
        return Listing(
            listed=tuple(listed),
            unusable=unusable,
            interval=_number(found, b"interval"),
            min_interval=_number(found, b"min interval"),
            swarm=sum(swarm) if swarm else None,
            proof=self._prover(body, found, now_ns),
        )

    def _prover(self, body: bytes, found: dict[bytes, tuple[object, slice]], now_ns: int) -> Callable[[Listed], bytes]:
        """Makes the transcript as it is kept for one endpoint: the reply, all other endpoints left out."""
        places = [payload(*found[key]) for key in (b"peers", b"peers6") if key in found]
        common = self._transcript.copy()
        common.received(self._reply.head or b"", now_ns)

        def proof(one: Listed) -> bytes:
            own = common.copy()
            redact(own, body, places, one, now_ns)
            return own.encode()

        return proof


def endpoints(found: dict[bytes, tuple[object, slice]], body: bytes) -> tuple[list[Listed], int]:
    """The endpoints of a reply, compact or as dictionaries, and how many are none."""
    listed: list[Listed] = []
    unusable = 0
    for key, width in ((b"peers", V4_BYTES), (b"peers6", V6_BYTES)):
        value, place = found.get(key, (b"", slice(0, 0)))
        if isinstance(value, bytes) and value:
            some, bad = compact(value, width, place.stop - len(value))
        elif isinstance(value, list):
            some, bad = _dictionaries(value, body, place.start)
        else:
            continue
        listed, unusable = listed + some, unusable + bad
    return listed, unusable


def _dictionaries(value: list[object], body: bytes, start: int) -> tuple[list[Listed], int]:
    """Endpoints in BEP 3's first form, and how many are none; a name in place of an address is never resolved."""
    found = []
    for each in value:
        ip, port = (each.get(b"ip"), each.get(b"port")) if isinstance(each, dict) else (None, None)
        if not isinstance(ip, bytes) or not isinstance(port, int) or not 0 < port < 65536:
            continue
        try:
            there = address(ip.decode("ascii"))
        except ValueError:
            continue
        at = body.find(b"%d:%s" % (len(ip), ip), start)
        found.append(Listed(there, port, at, at + len(b"%d:%s" % (len(ip), ip))))
    return found, len(value) - len(found)


def _number(found: dict[bytes, tuple[object, slice]], key: bytes) -> int | None:
    value = found.get(key, (None,))[0]
    return min(value, MAX_SECONDS) if isinstance(value, int) and value >= 0 else None


def _retry_in(value: object) -> int | None:
    """In how many seconds who refuses wants to be asked again: BEP 31, in minutes, or "never", as some web server says
    that has the address of a tracker. Never is once in the longest interval: an operator may have put it right.
    """
    if value == b"never":
        return MAX_SECONDS
    if isinstance(value, bytes) and value.isdigit() and len(value) <= MOST_DIGITS:
        value = int(value)
    return min(60 * value, MAX_SECONDS) if isinstance(value, int) and value > 0 else None


def _words(value: object) -> str:
    return plain(value, MAX_REASON) if isinstance(value, bytes) else "a failure without reason"
