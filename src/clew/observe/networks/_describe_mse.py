"""The steps of MSE in a stored transcript, for a person."""

from collections.abc import Iterator, Mapping

from clew.observe.networks import _mse_transcript as mse
from clew.observe.networks._mse_messages import PLAINTEXT
from clew.observe.transcript import Kind, Segment


def steps(segments: list[Segment], found: mse.Reading, secrets: Mapping[bytes, str]) -> Iterator[tuple[int, Kind, str]]:
    """The steps of MSE that were taken, each at the time at which it was complete."""
    sent = [s for s in segments if s.kind in mse.SENT]
    received = [s for s in segments if s.kind in mse.RECEIVED]
    yield _at(sent, found.ours), Kind.SENT, f"MSE: our key, {found.ours - mse.KEY_BYTES} bytes of padding"
    if found.theirs is None:
        if received:
            yield received[-1].at_ns, Kind.RECEIVED, f"MSE: {sum(s.length for s in received)} bytes that are no key"
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
