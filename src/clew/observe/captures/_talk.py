"""A captured stream (TCP or uTP): whose it is shows in its first bytes; only those of a Watch are read.

Nothing of a flow is kept before its infohash, or its tracker request, shows that it belongs to a Watch. Encrypted
flows (MSE) look like noise without the secret, as other protocols do: they are counted as what they are, unknown.
"""

from collections.abc import Callable

from clew.model import Missing, SightingKind
from clew.observe.captures._announce import LINE, MAX_REQUEST, HttpFlow, begins_request
from clew.observe.captures._endpoint import text
from clew.observe.captures._speaker import Speaker
from clew.observe.captures._streams import Ends
from clew.observe.networks._messages import PROTOCOL
from clew.observe.taken import Account, Finding, Watched, Watchlist

INFOHASH = slice(28, 48)  # in the handshake of BEP 3
UNKNOWN = "flows of no protocol that is read (as encrypted ones are, MSE)"
UNWATCHED = "BitTorrent flows of torrents that are on no Watch"

Sink = Callable[[Finding], None]


class StreamTalk:
    """Reads one flow as far as it is of interest."""

    def __init__(self, ends: Ends, watchlist: Watchlist, account: Account, sink: Sink) -> None:
        self._ends, self._watchlist, self._account, self._sink = ends, watchlist, account, sink
        self._begun = [b"", b""]
        self._gaps: dict[int, Missing] = {}
        self._peers: list[tuple[Watched, tuple[Speaker, Speaker]]] = []
        self._http: HttpFlow | None = None
        self._dropped = False

    @property
    def over(self) -> bool:
        """Whether nothing more is read of this flow."""
        return self._dropped

    def data(self, side: int, data: bytes, at_ns: int) -> None:
        """The next bytes of a direction."""
        if self._peers:
            self._say(side, data, at_ns)
        elif self._http is not None:
            self._http.data(side, data, at_ns)
            self._dropped = self._http.over
        else:
            self._begun[side] += data
            self._decide(side, at_ns)

    def gap(self, side: int, why: Missing, at_ns: int) -> None:
        """A direction that goes no further."""
        self._gaps[side] = why
        if self._http is not None:
            self._http.closed(at_ns, why)
            self._dropped = True
        elif not self._peers and len(self._gaps) == 2:
            self._drop("flows that break off before it shows what they are")

    def closed(self, at_ns: int, why: Missing | None) -> None:
        """The flow has ended."""
        if self._dropped:
            return
        if self._http is not None:
            self._http.closed(at_ns, why)
        elif self._peers:
            for watched, speakers in self._peers:
                self._ended(watched, speakers, at_ns, why)
        elif any(self._begun):
            self._account.counts["flows that break off before it shows what they are"] += 1
        self._dropped = True

    def _decide(self, side: int, at_ns: int) -> None:
        """What the first bytes of this direction show, once there are enough of them."""
        begun = self._begun[side]
        if begun.startswith(PROTOCOL[: len(begun)]):
            if len(begun) >= INFOHASH.stop:
                self._begin_peers(begun[INFOHASH], at_ns)
        elif begins_request(begun):
            if LINE in begun or len(begun) > MAX_REQUEST:
                self._begin_http(side, at_ns)
        else:
            self._drop(UNKNOWN)

    def _begin_peers(self, infohash: bytes, at_ns: int) -> None:
        account = self._account
        for watched in self._watchlist.of(infohash):
            target = watched.target(infohash)
            self._peers.append((watched, (Speaker(target, account, at_ns), Speaker(target, account, at_ns))))
            account = Account()  # what is heard a second time, for another Watch of this torrent, is counted once
        if not self._peers:
            self._drop(UNWATCHED)
            return
        self._account.counts["BitTorrent flows of Watches"] += 1
        begun, self._begun = self._begun, [b"", b""]
        for side in (0, 1):
            if begun[side]:
                self._say(side, begun[side], at_ns)

    def _say(self, side: int, data: bytes, at_ns: int) -> None:
        for watched, speakers in self._peers:
            speaker, other = speakers[side], speakers[1 - side]
            before = speaker.greeting
            speaker.say(data, at_ns)
            if before is None and speaker.greeting is not None and _greets(speaker, watched):
                other.tape.other(speaker.greeting, at_ns)
        if all(speaker.over for _, speakers in self._peers for speaker in speakers):
            self.closed(at_ns, None)

    def _begin_http(self, side: int, at_ns: int) -> None:
        begun, self._begun = self._begun, [b"", b""]
        self._http = HttpFlow(side, self._ends, self._watchlist, self._account, self._sink)
        for each in (side, 1 - side):
            self._http.data(each, begun[each], at_ns)
        self._dropped = self._http.over

    def _drop(self, why: str) -> None:
        self._account.counts[why] += 1
        self._begun = [b"", b""]
        self._dropped = True

    def _ended(self, watched: Watched, speakers: tuple[Speaker, Speaker], at_ns: int, why: Missing | None) -> None:
        for side in (0, 1):
            if _greets(speakers[side], watched):
                self._found(side, watched, speakers, self._gaps.get(side, why), at_ns)
            elif speakers[side].greeting is not None:
                self._account.counts["answers for another torrent than was asked for"] += 1

    def _found(
        self, side: int, watched: Watched, speakers: tuple[Speaker, Speaker], why: Missing | None, at_ns: int
    ) -> None:
        """What one side said of itself. That the other side answered it shows that its address was not forged."""
        own, other = speakers[side], speakers[1 - side]
        if side not in self._gaps:  # of all until now nothing is known to be missing
            own.settle(at_ns)
        contact, transcript = own.end(why, at_ns)
        ends, greeting = self._ends, own.greeting
        assert greeting is not None
        self._sink(
            Finding(
                kind=SightingKind.CAPTURED,
                watch=watched.id,
                source="opened the flow" if side == 0 and ends.whole else "answered" if ends.whole else "in a flow",
                address=text(ends.addresses[side]),
                port=ends.ports[side],
                transport=ends.carrier,
                other_address=text(ends.addresses[1 - side]),
                other_port=ends.ports[1 - side],
                started_ns=own.first_ns,
                ended_ns=own.last_ns,
                infohash=greeting[INFOHASH],
                contact=contact,
                returned=_greets(other, watched),
                transcript=transcript,
            )
        )


def _greets(speaker: Speaker, watched: Watched) -> bool:
    """Whether it sent a whole handshake for this Watch."""
    return speaker.greeting is not None and speaker.greeting[INFOHASH] in watched.infohashes
