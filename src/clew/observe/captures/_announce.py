"""Captured announces over HTTP (BEP 3) for Watches, and the replies, read by the same reader as replies to ourselves.

Clients keep a connection to a tracker open, and ask over it for one torrent after the other (RFC 9112 section 9.3).
"""

import re
from collections.abc import Callable

from clew.model import Missing, Reason, SightingKind
from clew.observe.api import ENTROPY_BYTES, Ask, Event, Limits, Listed, Listing, Sighted, Tracker
from clew.observe.captures._endpoint import V6_BYTES, place, text
from clew.observe.captures._streams import Ends
from clew.observe.networks.bittorrent import PLUGIN
from clew.observe.taken import ANNOUNCES, UNUSABLE, Account, Finding, Watched, Watchlist
from clew.observe.transcript import Transcript

METHOD = b"GET "
LINE, HEAD = b"\r\n", b"\r\n\r\n"  # RFC 9112 section 2.1: how a line, and the head of a request, ends
MAX_REQUEST = 4 * 1024
MAX_HEAD = 64 * 1024
NO_WATCH = "HTTP flows that ask for no Watch"
NO_WATCH_SO_FAR = "HTTP flows that ask for no Watch as far as they are in the capture"
NOT_READ = "HTTP flows with a later request that cannot be read: nothing is read from there on"
TOGETHER = "replies to HTTP requests that did not wait for the one before: not read"
QUERY = re.compile(rb"GET [^ ?]*\?([^ ]*) HTTP/1\.[01]")
ESCAPED = re.compile(rb"%([0-9A-Fa-f]{2})")
MAX_KEPT = 512
INFOHASH_BYTES = 20
CUT_SHORT = Missing(Reason.UNREADABLE, "the next request came before the end of the reply")

Sink = Callable[[Finding], None]


def begins_request(data: bytes) -> bool:
    """Whether these first bytes of a direction may be those of a request."""
    return data.startswith(METHOD[: len(data)])


class HttpAnnounce:
    """One request and its reply."""

    def __init__(
        self, ask: Ask, watches: tuple[Watched, ...], side: int, ends: Ends, account: Account, sink: Sink
    ) -> None:
        self.over = False
        self._account = account
        self._ask, self._watches, self._side, self._ends, self._sink = ask, watches, side, ends, sink
        # never `opened`: this reader asks for nothing, it only reads the reply to somebody else's question
        self._reply = PLUGIN.ask(ask, Limits(), bytes(ENTROPY_BYTES))

    @classmethod
    def of(
        cls,
        request: bytes,
        fields: dict[bytes, bytes],
        side: int,
        ends: Ends,
        watchlist: Watchlist,
        account: Account,
        at_ns: int,
        sink: Sink,
    ) -> "HttpAnnounce | None":
        """The announce with these fields, if it is for a Watch; who announced is a Finding at once."""
        infohash = fields.get(b"info_hash", b"")
        watches = watchlist.of(infohash)
        if not watches:
            return None
        address, port = ends.addresses[1 - side], ends.ports[1 - side]
        host = f"[{text(address)}]" if len(address) == V6_BYTES else text(address)
        tracker = Tracker(f"http://{place(address, port)}", host, port, "/")
        event = fields.get(b"event", b"").decode("ascii", "replace")
        told = fields.get(b"port", b"")
        announced = int(told) if told.isdigit() and len(told) <= 5 else 0
        ask = Ask(tracker, watches[0].label, infohash, event, fields.get(b"peer_id", b""), announced, 1)
        account.counts[ANNOUNCES] += 1
        made = cls(ask, watches, side, ends, account, sink)
        if 0 < announced < 65536:
            made._announced(announced, _kept(request, at_ns), at_ns)
        return made

    def data(self, data: bytes, at_ns: int) -> None:
        """The next bytes of the reply."""
        if not self.over:
            self._take(self._reply.receive(data, at_ns), at_ns)

    def closed(self, at_ns: int, why: Missing | None) -> None:
        """The end of the flow, or of what the capture holds of the reply."""
        if not self.over:
            self._take(self._reply.closed(at_ns, why), at_ns)

    def _announced(self, port: int, transcript: bytes, at_ns: int) -> None:
        source = f"announced to {self._ask.tracker.url}"
        self._find(source, text(self._ends.addresses[self._side]), port, transcript, at_ns)

    def _take(self, events: list[Event], at_ns: int) -> None:
        for each in events:
            if isinstance(each, Sighted) and isinstance(each.finding, Listing):
                self.over = True
                self._account.counts[UNUSABLE] += each.finding.unusable
                if each.finding.missing is not None:
                    self._account.counts[f"answers of trackers not read: {each.finding.missing.reason}"] += 1
                for one in each.finding.listed:
                    self._listed(one, each.finding.proof(one), at_ns)

    def _listed(self, one: Listed, transcript: bytes, at_ns: int) -> None:
        self._find(f"listed by {self._ask.tracker.url}", one.address, one.port, transcript, at_ns)

    def _find(self, source: str, address: str, port: int, transcript: bytes, at_ns: int) -> None:
        far = 1 - self._side
        for watched in self._watches:
            self._sink(
                Finding(
                    kind=SightingKind.CAPTURED,
                    watch=watched.id,
                    source=source,
                    address=address,
                    port=port,
                    transport="tcp",
                    other_address=text(self._ends.addresses[far]),
                    other_port=self._ends.ports[far],
                    started_ns=at_ns,
                    ended_ns=at_ns,
                    infohash=self._ask.infohash,
                    contact=None,
                    returned=False,
                    transcript=transcript,
                )
            )


class HttpFlow:
    """A connection to a tracker: the requests of its `side`, each in its turn, and the replies to those for Watches.

    A client asks again once it has the whole reply, which therefore ends where the next request begins. Where requests
    did not wait for one another (pipelining, RFC 9112 section 9.3.2) no reply after that is read: whose it is would be
    guessed. `over`: nothing more of it is read.
    """

    def __init__(self, side: int, ends: Ends, watchlist: Watchlist, account: Account, sink: Sink) -> None:
        self.over = False
        self._side, self._ends, self._watchlist, self._account, self._sink = side, ends, watchlist, account, sink
        self._line = b""
        self._head = b""  # the end of what came of a head, as long as its own end; empty outside one
        self._head_bytes = 0
        self._announce: HttpAnnounce | None = None
        self._watched = False
        self._asked = self._answered = self._together = False

    def data(self, side: int, data: bytes, at_ns: int) -> None:
        """The next bytes of a direction."""
        if side == self._side:
            while data and not self.over:
                data = self._skip_head(data) if self._head else self._take_line(data, at_ns)
        elif data:
            self._answered = True
            if self._announce is not None:
                self._announce.data(data, at_ns)

    def closed(self, at_ns: int, why: Missing | None) -> None:
        """The end of the flow, or of what the capture holds of it."""
        if self._announce is not None:
            self._announce.closed(at_ns, why)
        if not self._watched:
            self._account.counts[NO_WATCH if why is None else NO_WATCH_SO_FAR] += 1
        self.over = True

    def _skip_head(self, data: bytes) -> bytes:
        """What comes after the head of the request that is under way; nothing of a head is kept."""
        seen = self._head + data
        end = seen.find(HEAD)
        self._head_bytes += len(data)
        if end < 0:
            self._head = seen[1 - len(HEAD) :]
            if self._head_bytes > MAX_HEAD:
                self._leave(NOT_READ)
            return b""
        self._head, self._head_bytes = b"", 0
        return seen[end + len(HEAD) :]

    def _take_line(self, data: bytes, at_ns: int) -> bytes:
        """What comes after the request line, once it is whole."""
        self._line = (self._line + data).lstrip(LINE)  # RFC 9112 section 2.2: empty lines before it mean nothing
        line, found, rest = self._line.partition(LINE)
        if not begins_request(self._line) or len(line) > MAX_REQUEST:
            self._leave(NOT_READ if self._asked else NO_WATCH)
        elif found:
            self._line, self._head = b"", LINE
            self._request(line, at_ns)
            return rest
        return b""

    def _request(self, line: bytes, at_ns: int) -> None:
        fields = _announced(line)
        if not (fields or self._asked):
            self._leave(NO_WATCH)
            return
        self._together = self._together or (self._asked and not self._answered)
        if self._announce is not None:
            self._announce.closed(at_ns, CUT_SHORT)
        self._asked, self._answered = True, False
        known = self._watchlist, self._account
        self._announce = HttpAnnounce.of(line, fields, self._side, self._ends, *known, at_ns, self._sink)
        self._watched = self._watched or self._announce is not None
        if self._together and self._announce is not None:
            self._account.counts[TOGETHER] += 1
            self._announce = None

    def _leave(self, why: str) -> None:
        self._account.counts[why] += 1
        self._line = self._head = b""
        self.over = True


def _announced(request: bytes) -> dict[bytes, bytes]:
    """The fields of the request line of an announce or a scrape for one torrent (BEP 3, BEP 48); none of another."""
    query = QUERY.fullmatch(request)
    fields = _fields(query[1]) if query else {}
    return fields if len(fields.get(b"info_hash", b"")) == INFOHASH_BYTES else {}


def _fields(query: bytes) -> dict[bytes, bytes]:
    """The fields of a query (RFC 3986); of a name that stands twice the first."""
    found: dict[bytes, bytes] = {}
    for part in query.split(b"&"):
        name, _, value = part.partition(b"=")
        found.setdefault(name, ESCAPED.sub(lambda m: bytes((int(m[1], 16),)), value))
    return found


def _kept(request: bytes, at_ns: int) -> bytes:
    """The request line without the infohash, which is left out of every transcript, and without the tracker's path."""
    kept = Transcript()
    query = request.split(b"?", 1)[1].rpartition(b" ")[0]
    for part in query.split(b"&"):
        name, _, value = part.partition(b"=")
        if name in (b"peer_id", b"port", b"event") and len(part) <= MAX_KEPT:
            kept.received(b"&" + part, at_ns)
        else:
            kept.left_out("the infohash" if name == b"info_hash" else "another field", len(value), at_ns)
    return kept.encode()
