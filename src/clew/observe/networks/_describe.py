"""A stored BitTorrent transcript, line by line, for a person."""

from collections.abc import Iterator, Mapping

from clew.core import bencode
from clew.observe.networks import _describe_lists
from clew.observe.networks import _messages as m
from clew.observe.transcript import Kind, Segment, decode

ARROWS = {
    Kind.SENT: ">>",
    Kind.SENT_LEFT_OUT: ">>",
    Kind.SENT_HEADER: ">>",
    Kind.RECEIVED: "<<",
    Kind.RECEIVED_LEFT_OUT: "<<",
    Kind.RECEIVED_HEADER: "<<",
    Kind.SECRET: "--",
}
MAX_SHOWN = 160


def describe(transcript: bytes, secrets: Mapping[bytes, str]) -> list[str]:
    """One line a message: seconds since the first, direction, meaning. Keys of `secrets` appear as their labels."""
    segments = decode(transcript)
    listed = _describe_lists.describe(segments, lambda data: _shown(data, secrets))
    if listed is not None:
        return listed
    start = segments[0].at_ns if segments else 0
    lines: list[str] = []
    for group in _joined(segments):
        arrow = ARROWS[group[0].kind]
        stamp = f"{(group[0].at_ns - start) / 1e9:9.3f} s {arrow} "
        if group[0].label:
            lines.append(f"{stamp}[{group[0].length} bytes left out: {group[0].label}]")
        else:
            data = b"".join(each.data for each in group)
            lines += [f"{stamp}{words}" for words in _words(data, secrets)]
    return lines


def _joined(segments: list[Segment]) -> Iterator[list[Segment]]:
    """Neighbouring segments of one direction as one, since a message may have come in pieces."""
    group: list[Segment] = []
    for segment in segments:
        if group and (segment.label or segment.kind != group[0].kind or group[0].label):
            yield group
            group = []
        group.append(segment)
    if group:
        yield group


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
