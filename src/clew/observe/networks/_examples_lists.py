"""Benign examples of what tells of endpoints: a UDP tracker, a DHT node, a peer's gossip.

Datagrams carry ids that derive from the entropy a conversation is given: here the bytes 0 to 31, as the contract test
gives them. Each ("in", ...) of an Ask over UDP is one datagram.
"""

from clew.model import Claim, Missing, Reason
from clew.observe.api import ENTROPY_BYTES, Ask, Example, Target, Tracker
from clew.observe.networks._datagrams import derived
from clew.observe.networks._messages import PROTOCOL, GossipHandshake, Handshake
from clew.observe.networks._udp_messages import DhtGetPeers, UdpAnnounce, UdpConnect

_ENTROPY = bytes(range(ENTROPY_BYTES))
_INFOHASH, _OURS, _THEIRS = b"\x11" * 20, b"-CW0100-exampleOURS0", b"-TR3000-exampleTHEM0"
_PEER, _PEER6 = b"\x7f\x0a\x00\x01\x1a\xe1", bytes(15) + b"\x01\x1a\xe1"

_FIRST, _SECOND = derived(_ENTROPY, "connect", 4), derived(_ENTROPY, "announce", 4)
_CONNECTION = b"\x00\x01\x02\x03\x04\x05\x06\x07"
_CONNECT = UdpConnect(_FIRST).encode()
_GRANTED = bytes(4) + _FIRST + _CONNECTION
_HEAD = b"\x00\x00\x00\x01" + _SECOND + b"\x00\x00\x07\x08" + b"\x00\x00\x00\x00" + b"\x00\x00\x00\x01"


def _announce(host: str, path: str) -> Ask:
    url = f"udp://{f'[{host}]' if ':' in host else host}:6969{path}"
    return Ask(Tracker(url, host, 6969, path, "udp"), "W-1", _INFOHASH, "stopped", _OURS, 9, 4096)


def _announced(path: str) -> bytes:
    # The key is the first 4 bytes of SHA-256 over "key", a zero byte, and the peer id above.
    key = bytes.fromhex("1ad8a4d2")
    return UdpAnnounce(_CONNECTION, _SECOND, _INFOHASH, _OURS, 4096, "stopped", key, 200, 9, path).encode()


_NODE = b"-a node of the DHT--"
_NEARER = b"-a node that is near"
_ASK_NODE = Ask(Tracker("dht://127.2.0.1:6881", "127.2.0.1", 6881, "", "udp"), "W-1", _INFOHASH, "", _OURS, 9, 1)
_QUERY = derived(_ENTROPY, "get_peers", 4)
_GET_PEERS = DhtGetPeers(derived(_ENTROPY, "node id", 20), _INFOHASH, _QUERY).encode()
_ANSWER = b"d1:rd2:id20:%b5:nodes26:%b\x7f\x02\x00\x02\x1a\xe15:token4:abcd6:valuesl6:%b18:%bee1:t4:%b1:y1:re"
_GOSSIP = b"\x14\x01d5:added6:%b7:added.f1:\x026:added618:%b8:added6.f1:\x00e" % (_PEER, _PEER6)
_EXTENSIONS = b"\x14\x00d1:md6:ut_pexi3ee1:v6:Testere"

EXAMPLES = (
    Example(
        "a UDP tracker by its path, told by BEP 41",
        _announce("127.1.0.1", "/announce"),
        (("out", _CONNECT), ("in", _GRANTED), ("out", _announced("/announce")), ("in", _HEAD + _PEER)),
        {"swarm": 1, "interval": 1800, "missing": None, "unusable": 0},
    ),
    Example(
        "a UDP tracker over IPv6",
        _announce("::1", ""),
        (("out", _CONNECT), ("in", _GRANTED), ("out", _announced("")), ("in", _HEAD + _PEER6)),
        {"swarm": 1, "missing": None, "unusable": 0},
    ),
    Example(
        "a UDP tracker that refuses",
        _announce("127.1.0.1", ""),
        (("out", _CONNECT), ("in", b"\x00\x00\x00\x03" + _FIRST + b"not here")),
        {"missing": Missing(Reason.REFUSED, "tracker: not here")},
    ),
    Example(
        "a DHT node that knows peers and a nearer node",
        _ASK_NODE,
        (("out", _GET_PEERS), ("in", _ANSWER % (_NODE, _NEARER, _PEER, _PEER6, _QUERY))),
        {"node": _NODE, "nodes": (("127.2.0.2", 6881, _NEARER),), "missing": None, "unusable": 0},
    ),
    Example(
        "a peer that tells of others",
        Target("W-1", _INFOHASH, (_INFOHASH,), _OURS, pieces=12, inner=range(2, 9), gossip=True),
        (
            ("out", Handshake(_INFOHASH, _OURS).encode()),
            ("in", PROTOCOL + bytes((0, 0, 0, 0, 0, 0x10, 0, 0)) + _INFOHASH + _THEIRS),
            ("out", GossipHandshake().encode()),
            ("in", len(_EXTENSIONS).to_bytes(4, "big") + _EXTENSIONS + b"\x00\x00\x00\x03\x05\xff\xf0"),
            ("in", len(_GOSSIP).to_bytes(4, "big") + _GOSSIP),
        ),
        {"answered": True, "claim": Claim.WATCHED_FILE, "client": "Tester", "missing": None},
    ),
)
