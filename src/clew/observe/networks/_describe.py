"""A stored BitTorrent transcript, line by line, for a person."""

from collections.abc import Iterator, Mapping

from clew.core import bencode
from clew.observe.networks import _describe_lists, _describe_mse
from clew.observe.networks import _messages as m
from clew.observe.networks import _mse_transcript as mse
from clew.observe.networks import _utp_packets as utp
from clew.observe.transcript import CLOSED, TIME, Kind, Segment, decode

ENDS = {TIME: "time was up", CLOSED: "the other side closed"}
ARROWS = {
    Kind.SENT: ">>",
    Kind.SENT_LEFT_OUT: ">>",
    Kind.SENT_HEADER: ">>",
    Kind.RECEIVED: "<<",
    Kind.RECEIVED_LEFT_OUT: "<<",
    Kind.RECEIVED_HEADER: "<<",
    Kind.END: "--",
}
APART = (Kind.SENT_HEADER, Kind.RECEIVED_HEADER, Kind.END)  # no part of the stream, each a line of its own
MAX_SHOWN = 160
Line = tuple[int, Kind, str]


def describe(transcript: bytes, secrets: Mapping[bytes, str]) -> list[str]:
    """One line a message: seconds since the first, direction, meaning. Keys of `secrets` appear as their labels."""
    segments = decode(transcript)
    listed = _describe_lists.describe(segments, lambda data: _shown(data, secrets))
    if listed is not None:
        return listed
    start = segments[0].at_ns if segments else 0
    shown = [each for each in segments if each.kind in ARROWS]
    found = mse.reading(segments, secrets)
    if found is None:
        lines = list(_lines(shown, secrets))
    else:
        inside = mse.stream(segments, found) if found.infohash is not None else ()
        headers = _lines([s for s in shown if s.kind in (Kind.SENT_HEADER, Kind.RECEIVED_HEADER)], secrets)
        end = _lines([s for s in shown if s.kind is Kind.END], secrets)
        steps = _describe_mse.steps(segments, found, secrets)
        lines = sorted([*headers, *steps, *_lines(list(inside), secrets), *end], key=lambda line: line[0])
    return [f"{(at_ns - start) / 1e9:9.3f} s {ARROWS[kind]} {words}" for at_ns, kind, words in lines]


def _lines(segments: list[Segment], secrets: Mapping[bytes, str]) -> Iterator[Line]:
    found: list[tuple[int, Line]] = []
    for place, group in _joined(segments):
        first = group[0]
        if first.kind in APART:
            said = [_apart(first)]
        elif first.label:
            said = [f"[{first.length} bytes left out: {first.label}]"]
        else:
            said = list(_words(b"".join(each.data for each in group), secrets))
        found += [(place, (first.at_ns, first.kind, words)) for words in said]
    return (line for _, line in sorted(found, key=lambda each: each[0]))


def _joined(segments: list[Segment]) -> Iterator[tuple[int, list[Segment]]]:
    """Where each line begins: neighbouring segments of the stream in one direction as one, for a message may have come
    in pieces, and in several datagrams.
    """
    place, group = 0, list[Segment]()
    for at, segment in enumerate(segments):
        if segment.kind in APART:
            yield at, [segment]
            continue
        if group and (segment.label or segment.kind != group[0].kind or group[0].label):
            yield place, group
            group = []
        if not group:
            place = at
        group.append(segment)
    if group:
        yield place, group


def _apart(segment: Segment) -> str:
    if segment.kind is Kind.END:
        return ENDS.get(segment.label, f"ended by us: {segment.label}")
    packet = utp.read(segment.data)
    if packet is None:
        return f"header {segment.data.hex()}"
    header = packet.header
    known = [
        f"{utp.KNOWN_EXTENSIONS[e.kind][0]} {segment.data[e.place].hex()}" if e.kept else f"extension {e.kind} left out"
        for e in packet.extensions
    ]
    numbers = f"connection {header.connection}, seq {header.seq}, ack {header.ack}, window {header.window}"
    return ", ".join((f"uTP {utp.NAMES[packet.kind]} {numbers}", *known))


def _words(data: bytes, secrets: Mapping[bytes, str]) -> Iterator[str]:
    if data.startswith(m.PROTOCOL):
        yield _handshake(data[: m.HANDSHAKE_BYTES], secrets)
        data = data[m.HANDSHAKE_BYTES :]
    elif data[:4] in (b"GET ", b"HTTP") or data[:1] in (b"d", b"&") or not _framed(data):
        yield _shown(data, secrets)
        return
    while data:
        length = int.from_bytes(data[:4], "big")
        yield _message(data[4 : 4 + length]) if length else "keep-alive"
        data = data[4 + length :]


def _framed(data: bytes) -> bool:
    return len(data) >= 4 and int.from_bytes(data[:4], "big") <= m.MAX_BITFIELD + 1


def _handshake(data: bytes, secrets: Mapping[bytes, str]) -> str:
    reserved, infohash, peer_id = data[20:28], data[28:48], data[48:68]
    if not infohash:
        return f"handshake, reserved bits {reserved.hex()}, cut short"
    return (
        f"handshake, reserved bits {reserved.hex()}, infohash {secrets.get(infohash, 'of a control probe')}, "
        f"peer id {_shown(peer_id, {})}"
    )


def _message(body: bytes) -> str:
    if not body:
        return "a message that is cut short"
    kind, rest = body[0], body[1:]
    name = m.message_name(kind)
    if kind == m.BITFIELD:
        return f"bitfield of {len(rest)} bytes, {int.from_bytes(rest, 'big').bit_count()} pieces claimed"
    if kind == m.HAVE:
        return f"have piece {int.from_bytes(rest, 'big')}"
    if kind == m.EXTENDED and rest[:1] == b"\x00":
        return f"extension handshake {_extension(rest[1:])}"
    return name


def _extension(data: bytes) -> str:
    try:
        found = bencode.dictionary(data)
    except bencode.Malformed:
        return "(values left out)"
    pairs = (f"{_shown(key, {})}={_value(value)}" for key, (value, _) in found.items())
    return "{" + ", ".join(pairs) + "}"


def _value(value: object) -> str:
    if isinstance(value, bytes):
        return _shown(value, {})
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_shown(k, {})}={_value(v)}" for k, v in value.items()) + "}"
    return str(value)


def _shown(data: bytes, secrets: Mapping[bytes, str]) -> str:
    """Printable characters as they are, all else escaped in hexadecimal, at most MAX_SHOWN bytes."""
    for secret, label in secrets.items():
        data = data.replace(secret, f"({label})".encode())
    text = "".join(chr(b) if 32 <= b < 127 and b != 92 else f"\\x{b:02x}" for b in data[:MAX_SHOWN])
    return text + (f" ... {len(data) - MAX_SHOWN} more bytes" if len(data) > MAX_SHOWN else "")
