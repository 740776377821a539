"""A stored BitTorrent transcript, line by line, for a person."""

from collections.abc import Iterator, Mapping

from clew.core import bencode
from clew.observe.networks import _messages as m
from clew.observe.networks import _mse_transcript as mse
from clew.observe.networks._mse_messages import PLAINTEXT
from clew.observe.transcript import CLOSED, TIME, Kind, Segment, decode

ENDS = {TIME: "time was up", CLOSED: "the other side closed"}
ARROWS = {
    Kind.SENT: ">>",
    Kind.SENT_LEFT_OUT: ">>",
    Kind.RECEIVED: "<<",
    Kind.RECEIVED_LEFT_OUT: "<<",
    Kind.END: "--",
}
MAX_SHOWN = 160
Line = tuple[int, Kind, str]


def describe(transcript: bytes, secrets: Mapping[bytes, str]) -> list[str]:
    """One line a message: seconds since the first, direction, meaning. Keys of `secrets` appear as their labels."""
    segments = decode(transcript)
    start = segments[0].at_ns if segments else 0
    found = mse.reading(segments, secrets)
    if found is None:
        lines = list(_lines([s for s in segments if s.kind in ARROWS], secrets))
    else:
        inside = mse.stream(segments, found) if found.infohash is not None else ()
        steps = list(_mse_steps(segments, found, secrets))
        lines = sorted([*steps, *_lines(list(inside), secrets)], key=lambda line: line[0])
    return [f"{(at_ns - start) / 1e9:9.3f} s {ARROWS[kind]} {words}" for at_ns, kind, words in lines]


def _lines(segments: list[Segment], secrets: Mapping[bytes, str]) -> Iterator[Line]:
    for group in _joined(segments):
        at_ns, kind = group[0].at_ns, group[0].kind
        if kind is Kind.END:
            yield at_ns, kind, ENDS.get(group[0].label, f"ended by us: {group[0].label}")
            continue
        if group[0].label:
            yield at_ns, kind, f"[{group[0].length} bytes left out: {group[0].label}]"
        else:
            data = b"".join(each.data for each in group)
            yield from ((at_ns, kind, words) for words in _words(data, secrets))


def _mse_steps(segments: list[Segment], found: mse.Reading, secrets: Mapping[bytes, str]) -> Iterator[Line]:
    """The steps of MSE that were taken, each at the time at which it was complete."""
    sent = [s for s in segments if s.kind in mse.SENT]
    received = [s for s in segments if s.kind in mse.RECEIVED]
    yield _at(sent, found.ours), Kind.SENT, f"MSE: our key, {found.ours - mse.KEY_BYTES} bytes of padding"
    if found.theirs is None:
        yield from _lines(received, {})
        return
    key = _at(received, found.theirs)
    yield key, Kind.RECEIVED, "MSE: its key"
    if sum(s.length for s in sent) > found.ours:
        label = secrets.get(found.infohash or b"", "that is not known here")
        yield _at(sent, found.ours + 1), Kind.SENT, f"MSE: proof that we know the infohash {label}"
    read = found.theirs
    if found.proof is not None:
        read = found.proof + mse.VC
        proven = f"MSE: {found.proof - found.theirs} bytes of padding, proof that it knew the infohash"
        yield _at(received, read), Kind.RECEIVED, proven
    if found.proof is not None and found.chosen is not None:
        read += mse.CHOICE
        method = ("plaintext" if found.chosen == PLAINTEXT else "RC4") if found.agreed else "nothing that we accept"
        words = f"MSE: it chose {method}, {found.pad_d} bytes of padding"
        yield _at(received, read), Kind.RECEIVED, words
    rest = sum(s.length for s in received) - read
    if rest and not found.agreed:
        yield received[-1].at_ns, Kind.RECEIVED, f"MSE: {rest} bytes that cannot be read"


def _at(segments: list[Segment], offset: int) -> int:
    """When the byte before this offset of one direction was complete."""
    for segment in segments:
        offset -= segment.length
        if offset <= 0:
            return segment.at_ns
    return segments[-1].at_ns


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
