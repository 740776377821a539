"""A captured announce over HTTP (BEP 3) for a Watch, and the reply, read by the same reader as replies to ourselves."""

import re
from collections.abc import Callable

from clew.model import Missing, SightingKind
from clew.observe.api import ENTROPY_BYTES, Ask, Event, Limits, Listed, Listing, Sighted, Tracker
from clew.observe.captures._endpoint import V6_BYTES, place, text
from clew.observe.captures._streams import Ends
from clew.observe.networks.bittorrent import PLUGIN
from clew.observe.taken import ANNOUNCES, UNUSABLE, Account, Finding, Watched, Watchlist
from clew.observe.transcript import Transcript

METHOD = b"GET "
QUERY = re.compile(rb"GET [^ ?]*\?([^ ]*) HTTP/1\.[01]")
ESCAPED = re.compile(rb"%([0-9A-Fa-f]{2})")
MAX_KEPT = 512
INFOHASH_BYTES = 20

Sink = Callable[[Finding], None]


def begins_request(data: bytes) -> bool:
    """Whether these first bytes of a direction may be those of a request."""
    return data.startswith(METHOD[: len(data)])


class HttpAnnounce:
    """One request and its reply. Later ones on the same connection are not read."""

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
        cls, request: bytes, side: int, ends: Ends, watchlist: Watchlist, account: Account, at_ns: int, sink: Sink
    ) -> "HttpAnnounce | None":
        """The announce that this request line is, if it is for a Watch; who announced is a Finding at once."""
        query = QUERY.fullmatch(request)
        fields = _fields(query[1]) if query else {}
        infohash = fields.get(b"info_hash", b"")
        watches = watchlist.of(infohash) if len(infohash) == INFOHASH_BYTES else ()
        if query is None or not watches:
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

    def data(self, side: int, data: bytes, at_ns: int) -> None:
        """The next bytes of a direction."""
        if side != self._side:
            self._take(self._reply.receive(data, at_ns), at_ns)

    def closed(self, at_ns: int, why: Missing | None) -> None:
        """The end of the flow, or of what the capture holds of it."""
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
