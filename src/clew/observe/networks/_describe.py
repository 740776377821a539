"""A stored BitTorrent transcript, line by line, for a person."""

from collections.abc import Iterator, Mapping

from clew.core.errors import Damaged
from clew.observe.networks import _describe_lists, _describe_mse, _kept_lists
from clew.observe.networks import _mse_transcript as mse
from clew.observe.networks import _utp_packets as utp
from clew.observe.networks._describe_stream import Stream
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
HTTP = (b"GET ", b"HTTP")
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
    lines += _kept(segments)
    return [f"{(at_ns - start) / 1e9:9.3f} s {ARROWS[kind]} {words}" for at_ns, kind, words in lines]


def _kept(segments: list[Segment]) -> list[Line]:
    """Of an HTTP tracker's list, the endpoint that was kept, as the decoder reads it."""
    if not any(_is_http(each) for each in segments[:1]):
        return []
    try:
        found = _kept_lists.listed(segments, "http://") or []
    except Damaged:
        return []
    shown = (f"[{address}]" if ":" in address else address for address, _ in found)
    places = (f"{each}:{port}" if port else each for each, (_, port) in zip(shown, found, strict=True))
    return [(segments[-1].at_ns, Kind.RECEIVED, f"that is the endpoint {place}") for place in places]


def _lines(segments: list[Segment], secrets: Mapping[bytes, str]) -> Iterator[Line]:
    """In the order of the segments; a message stands where it was complete."""
    found: list[tuple[int, str]] = []
    for run in _runs(segments):
        places, group = zip(*run, strict=True)
        if group[0].kind in APART:
            found.append((places[0], _apart(group[0])))
        elif _is_http(group[0]):
            found += [(place, _http(each, secrets)) for place, each in run]
        else:
            stream = Stream(list(group), secrets, lambda data: _shown(data, secrets))
            found += [(places[words.segment], words.text) for words in stream.lines()]
    found.sort(key=lambda each: each[0])
    return ((segments[place].at_ns, segments[place].kind, words) for place, words in found)


def _runs(segments: list[Segment]) -> Iterator[list[tuple[int, Segment]]]:
    """Neighbouring segments of the stream in one direction, with their places: a message may have come in pieces, and
    in several datagrams. What is no part of the stream stands alone.
    """
    run: list[tuple[int, Segment]] = []
    for place, segment in enumerate(segments):
        if segment.kind in APART:
            yield [(place, segment)]
            continue
        if run and ARROWS[segment.kind] != ARROWS[run[0][1].kind]:
            yield run
            run = []
        run.append((place, segment))
    if run:
        yield run


def _is_http(first: Segment) -> bool:
    return first.data.startswith(HTTP)


def _http(segment: Segment, secrets: Mapping[bytes, str]) -> str:
    if segment.label:
        return f"[{segment.length} bytes left out: {segment.label}]"
    return _shown(segment.data, secrets)


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


def _shown(data: bytes, secrets: Mapping[bytes, str]) -> str:
    """Printable characters as they are, all else escaped in hexadecimal, at most MAX_SHOWN bytes."""
    for secret, label in secrets.items():
        data = data.replace(secret, f"({label})".encode())
    text = "".join(chr(b) if 32 <= b < 127 and b != 92 else f"\\x{b:02x}" for b in data[:MAX_SHOWN])
    return text + (f" ... {len(data) - MAX_SHOWN} more bytes" if len(data) > MAX_SHOWN else "")
