"""What went over UDP to a tracker or a node of the DHT, and a peer's gossip, in words."""

from collections.abc import Callable, Iterator

from clew.observe.networks import _pex
from clew.observe.networks._lists import V4_BYTES, V6_BYTES, endpoint
from clew.observe.networks._messages import EXTENDED, MAX_EXTENDED
from clew.observe.networks._udp_messages import ANNOUNCE, CONNECT, ERROR, EVENTS, PROTOCOL_ID, URL_DATA
from clew.observe.transcript import Kind, Segment

DHT_QUERY = b"d1:ad2:id20:"
KEYS = (b"6:values", b"6:nodes6")  # of a DHT reply; they look like an endpoint with its length before it
GOSSIP = bytes((EXTENDED, _pex.UT_PEX))
ANNOUNCE_HEAD, ANNOUNCE_TAIL = 16, 62  # of the request, the infohash between them
CONNECT_BYTES, ANNOUNCED_HEAD, ERROR_HEAD = 16, 20, 8


def describe(segments: list[Segment], shown: Callable[[bytes], str]) -> list[str] | None:
    """One line a part of a question over UDP, or of gossip as it is kept for one endpoint; None where it is neither.

    `shown` makes the words for what we have none for.
    """
    stream = [each for each in segments if each.kind is not Kind.ENTROPY][:1]
    if any(each.kind is Kind.SENT and each.data.startswith((PROTOCOL_ID, DHT_QUERY)) for each in stream):
        return [line for each in segments for line in _lines(each, segments[0].at_ns, shown)]
    if any(each.kind is Kind.RECEIVED and each.data[4:6] == GOSSIP for each in stream):
        return _gossip(segments)
    return None


def _lines(segment: Segment, start_ns: int, shown: Callable[[bytes], str]) -> Iterator[str]:
    sent = segment.kind in (Kind.SENT, Kind.SENT_LEFT_OUT, Kind.SENT_HEADER)
    stamp = f"{(segment.at_ns - start_ns) / 1e9:9.3f} s {'>>' if sent else '<<'}"
    if segment.kind is Kind.ENTROPY:
        return
    if segment.label:
        yield f"{stamp} [{segment.length} bytes left out: {segment.label}]"
    else:
        found = list((_question if sent else _answer)(segment.data))
        yield from (f"{stamp} {words}" for words in found or [shown(segment.data)])


def _gossip(segments: list[Segment]) -> list[str] | None:
    """What was left out is read as zeros: endpoints of port 0, which are none. None where it is too long to be one."""
    if sum(each.length for each in segments) > 2 * MAX_EXTENDED:
        return None
    message = b"".join(each.data or bytes(each.length) for each in segments)
    found = _pex.gossip(b"", message[6:], 0)
    return [f"{0:9.3f} s << peer exchange, {len(message)} bytes, all endpoints but one left out"] + [
        f"{0:9.3f} s << endpoint {_shown(each.address, each.port)}" for each in found.listed
    ]


def _question(data: bytes) -> Iterator[str]:
    """One stored part of what we sent; nothing where it is not a part that we know."""
    if data.startswith(PROTOCOL_ID):
        yield f"udp tracker: connect, transaction {data[12:16].hex()}"
    elif data.startswith(DHT_QUERY):
        yield f"dht: get_peers, as the node {data[12:32].hex()}, for:"
    elif data.endswith(b"1:y1:qe"):
        yield "dht: nodes of IPv4 and IPv6 wanted, read-only"
    elif len(data) == ANNOUNCE_HEAD:
        yield f"udp tracker: announce, connection {data[:8].hex()}, transaction {data[12:16].hex()}, for:"
    elif len(data) >= ANNOUNCE_TAIL:
        yield _announce(data)


def _announce(data: bytes) -> str:
    event = {number: name for name, number in EVENTS.items()}.get(int.from_bytes(data[44:48], "big"), "?")
    path, at = b"", ANNOUNCE_TAIL
    while at + 2 <= len(data) and data[at] == URL_DATA:
        path += data[at + 2 : at + 2 + data[at + 1]]
        at += 2 + data[at + 1]
    return (
        f"udp tracker: event {event}, left {int.from_bytes(data[28:36], 'big')}, "
        f"port {int.from_bytes(data[60:62], 'big')}, at most {int.from_bytes(data[56:60], 'big')} endpoints"
        + (f", path {path.decode('ascii', 'replace')}" if path else "")
    )


def _answer(data: bytes) -> Iterator[str]:
    action, transaction = int.from_bytes(data[:4], "big"), data[4:8].hex()
    if data.startswith(b"d1:rd2:id20:"):
        yield f"dht: answer of the node {data[12:32].hex()}"
    elif action == CONNECT and len(data) == CONNECT_BYTES:
        yield f"udp tracker: connection {data[8:16].hex()}, transaction {transaction}"
    elif action == ANNOUNCE and len(data) >= ANNOUNCED_HEAD:
        interval, leechers, seeders = (int.from_bytes(data[at : at + 4], "big") for at in (8, 12, 16))
        yield f"udp tracker: answer, again in {interval} s, {leechers} leechers, {seeders} seeders"
        yield from _endpoint(data[ANNOUNCED_HEAD:])
    elif action == ERROR and len(data) == ERROR_HEAD:
        yield f"udp tracker: error, transaction {transaction}"
    else:
        yield from _endpoint(data)


def _endpoint(data: bytes) -> Iterator[str]:
    """An endpoint that is kept alone, as it stands in a list, or in a node's with its length before it."""
    for prefix, width in ((b"", V4_BYTES), (b"6:", V4_BYTES), (b"", V6_BYTES), (b"18:", V6_BYTES)):
        if data.startswith(prefix) and len(data) == len(prefix) + width and data not in KEYS:
            address, port = endpoint(data[len(prefix) :])
            yield f"endpoint {_shown(address, port)}"
            return


def _shown(address: str, port: int) -> str:
    return f"{f'[{address}]' if ':' in address else address}:{port}"
