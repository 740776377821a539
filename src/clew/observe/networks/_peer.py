"""One contact with a BitTorrent peer: handshakes out, handshake and claims in, then goodbye.

Reads message by message and holds one message at most, none of them longer than its type allows. A message whose
content we refuse (piece, metadata, anything unknown) is never held: its type and length go into the transcript as left
out, and the conversation ends there, on what was said before. Where the target asks for gossip (BEP 11), we offer to
read ut_pex, wait for one such message, and leave the peers in it out of the transcript (`_pex` keeps them one by one).
"""

from collections import defaultdict
from collections.abc import Callable

from clew.core import bencode
from clew.model import Claim, Missing, Reason
from clew.observe.api import Contact, Event, Limits, Listing, Send, Sendable, Sighted, Tape, Target
from clew.observe.networks import _messages as m
from clew.observe.networks import _pex
from clew.observe.networks._claims import Pieces
from clew.observe.networks._lists import packed_address
from clew.observe.networks._words import plain
from clew.observe.transcript import CLOSED, TIME

MAX_CLIENT = 64
ADDRESS_BYTES = (4, 16)  # BEP 10, `yourip`: a compact IPv4 or IPv6 address, without a port
# Keys of the extension handshake that are kept in a transcript; the value of any other is left out.
KEPT_KEYS = frozenset((b"m", b"v", b"p", b"reqq", b"upload_only", b"metadata_size", b"yourip", b"e", b"complete_ago"))
MAX_KEPT_VALUE = 512
MAX_KEPT_KEY = 16
LEFT_OUT_VALUE, LEFT_OUT_KEY = "a value in an extension handshake", "a key and its value in an extension handshake"


class Over(Exception):
    """This conversation ends here; `missing` says why, where something is missing."""

    def __init__(self, missing: Missing | None) -> None:
        super().__init__()
        self.missing = missing


class PeerConversation:
    """The state machine of one contact. `_need` bytes complete the unit that `_take` handles."""

    def __init__(self, target: Target, limits: Limits, tape: Tape) -> None:
        self._target, self._limits, self._tape = target, limits, tape
        self._pieces = Pieces(target.pieces, target.inner, fast=target.fast)
        self._traffic: defaultdict[str, int] = defaultdict(int)
        self._held = bytearray()
        self._need: int = len(m.PROTOCOL)
        self._take: Callable[[bytes], None] = self._protocol
        self._kind = self._size = 0
        self._messages = self._received = 0
        self._reserved: bytes | None = None
        self._echoed: bytes | None = None
        self._peer_id: bytes | None = None
        self._client: str | None = None
        self._listen_port: int | None = None
        self._sees_us = ""
        self._extended = False
        self._header = b""
        self._gossiper = False
        self._gossip: Listing | None = None
        self._over = False
        self._now = self._end_ns = self._wake_ns = 0
        self._out: list[Event] = []

    @property
    def wake_ns(self) -> int:
        """When time alone ends this."""
        return min(self._wake_ns, self._end_ns)

    @property
    def held(self) -> int:
        """Bytes of the message that is not complete yet."""
        return len(self._held)

    @property
    def told(self) -> bool:
        """Whether it has said who it is, and that it holds a piece wholly inside the watched file."""
        return self._introduced() and self._pieces.claim is Claim.WATCHED_FILE

    def opened(self, now_ns: int) -> list[Event]:
        """Sends our handshake."""
        self._now = now_ns
        self._end_ns, self._wake_ns = now_ns + self._limits.hold_ns, now_ns + self._limits.answer_ns
        self._send(m.Handshake(self._target.infohash, self._target.peer_id))
        return self._flush()

    def receive(self, data: bytes, now_ns: int) -> list[Event]:
        """Reads what came, as far as we are willing to."""
        if self._over:
            return []
        self._now, at = now_ns, 0
        try:
            while at < len(data):
                part = data[at : at + self._need - len(self._held)]
                at, self._received = at + len(part), self._received + len(part)
                if len(part) == self._need:  # all of a unit came at once, as most do
                    self._take(part)
                else:
                    self._hold(part)
                if self._received > self._limits.received:
                    raise Over(Missing(Reason.LIMIT_REACHED, "more bytes than one contact may send"))
        except Over as over:
            self._finish(over.missing)
        return self._flush()

    def tick(self, now_ns: int) -> list[Event]:
        """Ends the conversation where its time is over."""
        if self._over or now_ns < self.wake_ns:
            return []
        self._now = now_ns
        slow = Missing(
            Reason.LIMIT_REACHED, "no answer in time" if self._echoed is None else "more time than one contact has"
        )
        enough = self._peer_id is not None and (self._wake_ns < self._end_ns or self._waits_for_gossip())
        self._finish(None if enough else slow, TIME)
        return self._flush()

    def closed(self, now_ns: int, why: Missing | None = None) -> list[Event]:
        """Ends the conversation on what was said before."""
        if self._over:
            return []
        self._now = now_ns
        unanswered = Missing(Reason.UNREADABLE, "the peer closed before it answered")
        self._finish(why or (unanswered if self._peer_id is None else None), str(why) if why else CLOSED)
        return self._flush()

    # units ----------------------------------------------------------------------------------------------------------

    def _hold(self, part: bytes) -> None:
        self._held += part
        if len(self._held) == self._need:
            data = bytes(self._held)
            self._held.clear()
            self._take(data)

    def _next(self, need: int, take: Callable[[bytes], None]) -> None:
        self._need, self._take = need, take

    def _protocol(self, data: bytes) -> None:
        if data != m.PROTOCOL:
            self._leave_out("something other than BitTorrent", len(data))
            raise Over(Missing(Reason.UNPARSABLE, "the answer is not BitTorrent"))
        self._note("handshake", data)
        self._next(28, self._answer)

    def _answer(self, data: bytes) -> None:
        reserved, infohash = data[:8], data[8:]
        self._note("handshake", reserved)
        if infohash not in self._target.accepted:
            self._leave_out("another infohash", len(infohash))
            raise Over(Missing(Reason.REFUSED, "answered for another infohash"))
        self._note("handshake", infohash)
        self._reserved, self._echoed = reserved, infohash
        self._next(20, self._peer)

    def _peer(self, data: bytes) -> None:
        self._note("handshake", data)
        self._peer_id = data
        if self._target.control:
            raise Over(None)
        self._wake_ns = self._now + self._limits.answer_ns
        if self._knows_extensions():
            self._send(m.GossipHandshake() if self._target.gossip else m.ExtensionHandshake())
        self._next(4, self._length)

    def _length(self, data: bytes) -> None:
        length = int.from_bytes(data, "big")
        if not length:
            self._count()
            self._note("keep-alive", data)
        else:
            self._size = length - 1
            self._next(1, self._type)

    def _type(self, data: bytes) -> None:
        kind, size = data[0], self._size
        self._kind = kind
        self._count()
        self._header = (size + 1).to_bytes(4, "big") + data
        self._note(m.message_name(kind), self._header)
        self._judge(kind, size)
        if kind == m.EXTENDED:
            self._next(1, self._extension_id)
        elif size:
            self._next(size, self._body)
        else:
            self._body(b"")

    def _judge(self, kind: int, size: int) -> None:
        """Whether we read the body of a message of this type and size at all; Over where not."""
        name = m.message_name(kind)
        most = m.MOST.get(kind)
        wrong = None
        if kind in m.CONTROL:
            if size != m.CONTROL[kind][1]:
                wrong = Missing(Reason.UNPARSABLE, f"{name} of the wrong length")
        elif most is None:
            wrong = Missing(Reason.REFUSED, f"{name}: its content is never read")
        elif kind == m.BITFIELD and self._target.pieces is not None and size != -(-self._target.pieces // 8):
            wrong = Missing(Reason.UNPARSABLE, self._pieces.void("a bitfield of the wrong length"))
        elif size > most:
            wrong = Missing(Reason.TOO_LARGE, f"{name} longer than {most} bytes")
        elif not size and kind == m.EXTENDED:
            wrong = Missing(Reason.UNPARSABLE, f"{name} message without an id")
        if wrong:
            self._leave_out(name, size)
            raise Over(wrong)

    def _body(self, data: bytes) -> None:
        kind = self._kind
        self._next(4, self._length)
        wrong = None
        if kind == m.BITFIELD:
            wrong = self._pieces.bitfield(data)
        elif kind == m.HAVE:
            wrong = self._pieces.have(int.from_bytes(data, "big"))
        elif kind in (m.HAVE_ALL, m.HAVE_NONE):
            wrong = self._pieces.everything(kind == m.HAVE_ALL)
        self._note(m.message_name(kind), data)
        if wrong:
            raise Over(Missing(Reason.UNPARSABLE, wrong))
        self._settle()

    def _extension_id(self, data: bytes) -> None:
        take = self._extension if data == b"\x00" else None
        if data[0] == _pex.UT_PEX and self._target.gossip:
            take = self._told
        self._note(m.message_name(m.EXTENDED), data)
        if take is None:
            # We did not offer it, so whatever this is, it was not asked for: metadata, PEX, anything.
            self._leave_out("extended", self._size - 1)
            raise Over(Missing(Reason.REFUSED, "extended message that we did not offer: its content is never read"))
        self._header += data
        if self._size > 1:
            self._next(self._size - 1, take)
        else:
            take(b"")

    def _extension(self, data: bytes) -> None:
        self._next(4, self._length)
        try:
            found = bencode.dictionary(data)
        except bencode.Malformed:
            self._leave_out("extended", len(data))
            raise Over(Missing(Reason.UNPARSABLE, "an extension handshake that is no bencoding")) from None
        self._keep_known(data, found)
        self._extended = True
        client, port = _kept(found, b"v"), _kept(found, b"p")
        if isinstance(client, bytes):
            self._client = plain(client, MAX_CLIENT) or None
        if isinstance(port, int) and 0 < port < 65536:
            self._listen_port = port
        seen = _kept(found, b"yourip")
        if isinstance(seen, bytes) and len(seen) in ADDRESS_BYTES:
            self._sees_us = packed_address(seen)
        offered = _kept(found, b"m")
        self._gossiper = isinstance(offered, dict) and bool(offered.get(b"ut_pex"))
        self._settle()

    def _told(self, data: bytes) -> None:
        """A ut_pex message. The first is the one that we stay for; any other is not read."""
        self._next(4, self._length)
        self._tape.left_out(_pex.NAME, len(data), self._now)
        self._traffic[f"received {_pex.NAME}"] += len(data)
        if self._gossip is None:
            self._gossip = _pex.gossip(self._header, data, self._now)
        self._settle()

    def _keep_known(self, data: bytes, found: dict[bytes, tuple[object, slice]]) -> None:
        """Writes the extension handshake to the transcript without the values of keys that nobody needs."""
        at = 0
        for key, (_, place) in found.items():
            start, stop = place.start, place.stop
            if key not in KEPT_KEYS or stop - start > MAX_KEPT_VALUE:
                what = LEFT_OUT_VALUE
                if len(key) > MAX_KEPT_KEY:
                    what = LEFT_OUT_KEY
                    start -= len(b"%d:" % len(key)) + len(key)
                self._note("extension handshake", data[at:start])
                self._leave_out(what, stop - start)
                at = stop
        self._note("extension handshake", data[at:])

    # what is common ---------------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Once the peer has said what it holds, we stay only for what usually follows at once, and for gossip.

        Where pieces are left, that may be HAVEs: a lazy bitfield leaves some out, other ones at each connection, and
        names them right after it.
        """
        if self._waits_for_gossip():
            self._wake_ns = self._end_ns
            return
        if not self._pieces.said and self._gossip is None:
            return
        if self._introduced() and self._pieces.complete:
            raise Over(None)
        self._wake_ns = min(self._wake_ns, self._now + self._limits.settle_ns)

    def _introduced(self) -> bool:
        return self._extended or not self._knows_extensions()

    def _waits_for_gossip(self) -> bool:
        return self._target.gossip and self._gossiper and self._gossip is None

    def _knows_extensions(self) -> bool:
        return bool(self._reserved and self._reserved[m.EXTENSION_BYTE] & m.EXTENSION_BIT)

    def _count(self) -> None:
        self._messages += 1
        self._next(4, self._length)
        if self._messages > self._limits.messages:
            raise Over(Missing(Reason.LIMIT_REACHED, "more messages than one contact may send"))

    def _send(self, message: Sendable) -> None:
        data = message.encode()
        self._tape.sent(data, self._now)
        self._traffic[f"sent {message.name}"] += len(data)
        self._out.append(Send(message))

    def _note(self, name: str, data: bytes) -> None:
        self._tape.received(data, self._now)
        self._traffic[f"received {name}"] += len(data)

    def _leave_out(self, name: str, length: int) -> None:
        self._tape.left_out(name, length, self._now)
        self._traffic[f"announced and refused {name}"] += length

    def _finish(self, missing: Missing | None, how: str = "") -> None:
        if self._held:
            self._leave_out("unfinished message", len(self._held))
            self._held.clear()
        if how:
            self._tape.end(how, self._now)
        self._over, self._take = True, _nothing  # refers to itself no more, so that it is given back at once
        self._out.append(Sighted(self._contact(missing), self._tape.encode(), dict(self._traffic)))

    def _contact(self, missing: Missing | None) -> Contact:
        answered = self._peer_id is not None
        return Contact(
            answered=answered,
            claim=self._pieces.claim,
            infohash_echoed=self._echoed,
            peer_id=self._peer_id,
            reserved=self._reserved,
            client=self._client or client_of(self._peer_id),
            listen_port=self._listen_port,
            pieces_claimed=self._pieces.claimed,
            inner_claimed=self._pieces.inner,
            pieces_total=self._target.pieces,
            missing=missing,
            gossip=self._heard_of() if self._target.gossip else None,
            sees_us=self._sees_us,
        )

    def _heard_of(self) -> Listing:
        """Whom the peer told us of, or why we do not know."""
        if self._gossip is not None:
            return self._gossip
        if not self._gossiper:
            return Listing(missing=Missing(Reason.NOT_APPLICABLE, "the peer did not say that it tells of others"))
        return Listing(missing=Missing(Reason.LIMIT_REACHED, "the peer told of nobody while we were there"))

    def _flush(self) -> list[Event]:
        out, self._out = self._out, []
        return out


def _nothing(_data: bytes) -> None:
    """What is taken once all is over."""


def _kept(found: dict[bytes, tuple[object, slice]], key: bytes) -> object:
    """The value, if it is one that the transcript keeps: nothing is concluded from bytes that are not kept."""
    value, place = found.get(key, (None, slice(0, 0)))
    return value if place.stop - place.start <= MAX_KEPT_VALUE else None


def client_of(peer_id: bytes | None) -> str | None:
    """The program that a peer id names in the style "-AB1234-" (BEP 20), as it stands there; None for any other."""
    if peer_id is None or peer_id[:1] != b"-" or peer_id[7:8] != b"-" or not peer_id[1:7].isalnum():
        return None
    return peer_id[:8].decode("ascii")
