"""BitTorrent (BEP 3, 10, 21) over TCP and uTP (BEP 29), with and without MSE: the observer's plug-in.

Who is there is told by trackers (HTTP: BEP 3, 7, 23; UDP: BEP 15), the DHT (BEP 5, 32, 42, 43) and gossip (BEP 11).
What it does is in the files beside it: `_messages`, `_mse_messages`, `_utp_packets` and `_udp_messages` (the closed
set); `_peer`, `_claims`, `_mse`, `_utp`; `_tracker`, `_http`, `_udp_tracker`, `_dht`, `_pex`; `_describe`, `_filled`,
`_kept_lists`.
"""

from collections.abc import Callable, Mapping

from clew.model import Claim, Missing, Reason, carrier
from clew.observe.api import Ask, Conversation, Example, Limits, Network, Sendable, Tape, Target, Tracker
from clew.observe.networks import _describe, _examples_lists, _filled, _kept_lists, _mse_examples, _tracker
from clew.observe.networks._dht import DhtConversation
from clew.observe.networks._messages import PROTOCOL, Announce, ExtensionHandshake, GossipHandshake, Handshake
from clew.observe.networks._mse import MseConversation
from clew.observe.networks._mse_messages import Encrypted, MseKey, MseProof
from clew.observe.networks._peer import PeerConversation
from clew.observe.networks._tracker import TrackerConversation
from clew.observe.networks._udp_messages import DhtGetPeers, UdpAnnounce, UdpConnect
from clew.observe.networks._udp_tracker import UdpTrackerConversation
from clew.observe.networks._utp import UtpConversation
from clew.observe.networks._utp_examples import EXAMPLES as UTP_EXAMPLES
from clew.observe.networks._utp_packets import SENDABLE as UTP
from clew.observe.transcript import Segment, Transcript

_INFOHASH, _TWIN, _OURS, _THEIRS = b"\x11" * 20, b"\x22" * 20, b"-CW0100-exampleOURS0", b"-TR3000-exampleTHEM0"
_TARGET = Target("W-1", _INFOHASH, (_INFOHASH, _TWIN), _OURS, pieces=12, inner=range(2, 9))
_HELLO = Handshake(_INFOHASH, _OURS).encode()
_EXTENSION = ExtensionHandshake().encode()
_PLAIN, _MODERN = bytes(8), bytes((0, 0, 0, 0, 0, 0x10, 0, 0x04))
_ASK = Ask(Tracker("http://127.1.0.1:6969/a", "127.1.0.1", 6969, "/a"), "W-1", _INFOHASH, "stopped", _OURS, 9, 4096)
_GET = Announce("127.1.0.1:6969", "/a", _INFOHASH, _OURS, 9, 4096, "stopped", 200).encode()
_REPLY = b"d8:completei1e10:incompletei0e8:intervali60e5:peers6:\x7f\x0a\x00\x01\x1a\xe1e"


def _answer(reserved: bytes = _PLAIN, infohash: bytes = _INFOHASH) -> bytes:
    return PROTOCOL + reserved + infohash + _THEIRS


def _message(kind: int, body: bytes = b"") -> bytes:
    return (len(body) + 1).to_bytes(4, "big") + bytes([kind]) + body


def _contact(name: str, *script: tuple[str, bytes], **expect: object) -> Example:
    return Example(name, _TARGET, (("out", _HELLO), *script), expect)


_THEIR_EXTENSION = _message(20, b"\x00d1:pi51413e1:v16:Transmission 3.0e")
_EXAMPLES = (
    _contact(
        "a seeder that knows extensions",
        ("in", _answer(_MODERN)),
        ("out", _EXTENSION),
        ("in", _THEIR_EXTENSION + _message(5, b"\xff\xf0")),
        answered=True,
        claim=Claim.WATCHED_FILE,
        inner_claimed=7,
        pieces_claimed=12,
        client="Transmission 3.0",
        listen_port=51413,
    ),
    _contact(
        "an old client, nothing of an extension to it",
        ("in", _answer()),
        ("in", _message(5, b"\x3f\x80")),
        claim=Claim.WATCHED_FILE,
        inner_claimed=7,
        client="-TR3000-",
    ),
    _contact("the v2 twin in the answer", ("in", _answer(infohash=_TWIN)), answered=True, infohash_echoed=_TWIN),
    _contact(
        "boundary pieces alone", ("in", _answer() + _message(5, b"\xc0\x70")), claim=Claim.TORRENT_ONLY, inner_claimed=0
    ),
    _contact(
        "HAVE in place of a bitfield", ("in", _answer() + _message(4, bytes((0, 0, 0, 2)))), claim=Claim.WATCHED_FILE
    ),
    _contact(
        "a lazy bitfield, pieces left out and named right after it",
        ("in", _answer(_MODERN)),
        ("out", _EXTENSION),
        ("in", _THEIR_EXTENSION + _message(5, b"\xef\xe0") + _message(4, b"\0\0\0\x03") + _message(4, b"\0\0\0\x0b")),
        claim=Claim.WATCHED_FILE,
        inner_claimed=7,
        pieces_claimed=12,
        missing=None,
    ),
    _contact("an empty bitfield", ("in", _answer() + _message(5, bytes(2))), claim=Claim.NONE, pieces_claimed=0),
    _contact(
        "have_all that was not asked for",
        ("in", _answer() + _message(14)),
        answered=True,
        claim=Claim.NOTHING_SAID,
        missing=Missing(Reason.UNPARSABLE, "have_all, which was not asked for"),
    ),
    _contact("have_none", ("in", _answer() + _message(15)), claim=Claim.NONE),
    Example(
        "a control probe is echoed",
        Target("W-1", _TWIN, (_TWIN,), _OURS, control=True),
        (("out", Handshake(_TWIN, _OURS).encode()), ("in", _answer(_MODERN, _TWIN))),
        {"answered": True},
    ),
    Example(
        "a tracker that tells peers on stopped",
        _ASK,
        (("out", _GET), ("in", b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(_REPLY) + _REPLY)),
        {"swarm": 1, "interval": 60, "missing": None, "unusable": 0},
    ),
)


def _stream(target: Target, limits: Limits, transport: str, entropy: bytes) -> Callable[[Tape], Conversation]:
    """What is said over the stream that a carrier gives: BitTorrent as it is, or inside MSE."""

    def plain(tape: Tape) -> Conversation:
        return PeerConversation(target, limits, tape)

    def mse(tape: Tape) -> Conversation:
        return MseConversation(target, limits, plain, tape, entropy, carrier(transport))

    return mse if transport.startswith("mse/") else plain


class BitTorrent:
    """The plug-in."""

    name = "bittorrent"
    version = "5"
    transports = ("mse/tcp", "tcp", "mse/utp", "utp")
    sendable: tuple[type[Sendable], ...] = (
        *(Handshake, ExtensionHandshake, GossipHandshake),
        *(MseKey, MseProof, Encrypted, *UTP),
        *(Announce, UdpConnect, UdpAnnounce, DhtGetPeers),
    )
    examples = (*_EXAMPLES, *_mse_examples.around(_EXAMPLES), *UTP_EXAMPLES, *_examples_lists.EXAMPLES)

    def tracker(self, url: str) -> Tracker:
        """A tracker (http or udp), or a node of the DHT, by its address. Raises Usage for anything else."""
        return _tracker.tracker(url)

    def contact(self, target: Target, limits: Limits, transport: str, entropy: bytes) -> Conversation:
        """One contact with a peer."""
        tape, stream = Transcript(entropy), _stream(target, limits, transport, entropy)
        return UtpConversation(limits, stream, tape, entropy) if carrier(transport) == "utp" else stream(tape)

    def filled(self, segments: list[Segment], infohash: bytes) -> list[Segment]:
        """A transcript that can be played again."""
        return _filled.filled(segments, infohash)

    def listed(self, segments: list[Segment], source: str) -> list[tuple[str, int]] | None:
        """A kept list, read again."""
        return _kept_lists.listed(segments, source)

    def ask(self, ask: Ask, limits: Limits, entropy: bytes) -> Conversation:
        """One announce, or one question to a node of the DHT."""
        if ask.tracker.transport == "tcp":
            return TrackerConversation(ask, limits)
        make = DhtConversation if ask.tracker.url.startswith("dht://") else UdpTrackerConversation
        return make(ask, limits, Transcript(entropy), entropy)

    def describe(self, transcript: bytes, secrets: Mapping[bytes, str]) -> list[str]:
        """A stored transcript line by line."""
        return _describe.describe(transcript, secrets)


PLUGIN: Network = BitTorrent()
