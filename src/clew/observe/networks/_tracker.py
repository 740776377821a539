"""One question to an HTTP tracker (BEP 3; compact replies BEP 23, IPv6 BEP 7) and its answer.

The transcripts leave out the infohash that we sent and, for each endpoint listed, all endpoints but that one.
"""

import ipaddress
import re
from collections import Counter
from collections.abc import Callable

from clew.core import bencode
from clew.core.errors import Usage
from clew.model import Missing, Reason
from clew.observe.api import Ask, Event, Limits, Listed, Listing, Send, Sighted, Tracker
from clew.observe.networks._http import Reply, Unusable
from clew.observe.networks._messages import Announce
from clew.observe.networks._words import plain
from clew.observe.transcript import Transcript

URL = re.compile(r"http://([A-Za-z0-9.-]{1,253})(?::([0-9]{1,5}))?(/[\x21-\x7e]*)")
MAX_REASON = 120
MAX_AROUND = 1024
MAX_SECONDS = 86_400


def tracker(url: str) -> Tracker:
    """A tracker by its address. Raises Usage for anything but plain http."""
    found = URL.fullmatch(url)
    port = int(found[2] or 80) if found else 0
    if not found or not 0 < port < 65536:
        raise Usage(
            f"{url!r} is not a tracker that clew can ask", "give an address such as http://127.1.0.1:6969/announce"
        )
    return Tracker(url, found[1], port, found[3])


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
        host = ask.tracker.host if ask.tracker.port == 80 else f"{ask.tracker.host}:{ask.tracker.port}"
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
            return Listing(missing=Missing(Reason.REFUSED, f"tracker: {_words(found[b'failure reason'][0])}"))
        listed: list[Listed] = []
        unusable = 0
        for key, width in ((b"peers", 6), (b"peers6", 18)):
            value, place = found.get(key, (b"", slice(0, 0)))
            if isinstance(value, bytes) and value:
                some, bad = _compact(value, width, place.stop - len(value))
            elif isinstance(value, list):
                some, bad = _dictionaries(value, body, place.start)
            else:
                continue
            listed, unusable = listed + some, unusable + bad
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
        places = [found[key][1] for key in (b"peers", b"peers6") if key in found]
        start, stop = min((p.start for p in places), default=0), max((p.stop for p in places), default=0)
        common = self._transcript.copy()
        common.received(self._reply.head or b"", now_ns)
        _keep_short(common, body[:start], now_ns)

        def proof(one: Listed) -> bytes:
            own = common.copy()
            _leave_out(own, one.start - start, now_ns)
            own.received(body[one.start : one.stop], now_ns)
            _leave_out(own, stop - one.stop, now_ns)
            _keep_short(own, body[stop:], now_ns)
            return own.encode()

        return proof


def _keep_short(own: Transcript, part: bytes, now_ns: int) -> None:
    """What stands around the list of endpoints; of more than a tracker needs for that, only the length."""
    if len(part) > MAX_AROUND:
        own.left_out("other fields of the reply", len(part), now_ns)
    else:
        own.received(part, now_ns)


def _leave_out(own: Transcript, length: int, now_ns: int) -> None:
    if length:
        own.left_out("other endpoints listed", length, now_ns)


def _compact(value: bytes, width: int, start: int) -> tuple[list[Listed], int]:
    """Compact endpoints that stand at `start` in the reply, and how many are none (cut short, or of port 0)."""
    whole = len(value) - len(value) % width
    found, unusable = [], int(whole != len(value))
    for at in range(0, whole, width):
        address = str(ipaddress.ip_address(value[at : at + width - 2]))
        port = int.from_bytes(value[at + width - 2 : at + width], "big")
        if port:
            found.append(Listed(address, port, start + at, start + at + width))
        else:
            unusable += 1
    return found, unusable


def _dictionaries(value: list[object], body: bytes, start: int) -> tuple[list[Listed], int]:
    """Endpoints in BEP 3's first form, and how many are none; a name in place of an address is never resolved."""
    found = []
    for each in value:
        ip, port = (each.get(b"ip"), each.get(b"port")) if isinstance(each, dict) else (None, None)
        if not isinstance(ip, bytes) or not isinstance(port, int) or not 0 < port < 65536:
            continue
        try:
            address = str(ipaddress.ip_address(ip.decode("ascii")))
        except ValueError:
            continue
        at = body.find(b"%d:%s" % (len(ip), ip), start)
        found.append(Listed(address, port, at, at + len(b"%d:%s" % (len(ip), ip))))
    return found, len(value) - len(found)


def _number(found: dict[bytes, tuple[object, slice]], key: bytes) -> int | None:
    value = found.get(key, (None,))[0]
    return min(value, MAX_SECONDS) if isinstance(value, int) and value >= 0 else None


def _words(value: object) -> str:
    return plain(value, MAX_REASON) if isinstance(value, bytes) else "a failure without reason"
