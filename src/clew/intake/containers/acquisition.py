"""The one sequential read of a whole image: its digests, for custody. It can be stopped and gone on with.

The answers of such a read, whatever the container: {"read": bytes since the last one} on the way; {"state": ...} now
and then, which comes back as payload "resume" when the read goes on; at the end {"md5", "sha1", "sha256", "size",
"bad"}, and where the container has them "stored" (digests that it brings itself, by name, hexadecimal), "facts",
"problems" (texts) and "acquisition_errors" (ranges that its maker could not read).
"""

from collections.abc import Callable, Collection, Iterator
from typing import Any

from clew.core import held
from clew.core.absent import Absent
from clew.core.channel import Reply
from clew.core.resumable import NAMES, Digests, saves
from clew.intake.api import ByteSource, Range
from clew.intake.containers._ranges import Ranges
from clew.intake.reading import find

CHUNK = 4 << 20
TELL = 64 << 20  # bytes between two words about how far it is
SAVE = 1 << 30  # bytes between two states that are saved
STINT = 1 << 40  # bytes that one worker reads at most: its CPU time is limited
_ZEROS = bytes(CHUNK)


def acquire(payload: dict[str, Any], _descriptors: list[int]) -> Iterator[Reply]:
    """Worker entry: the digests of the image behind "container"; {"unopened": why} where there is none to read. All
    optional: "resume", the state to go on from; "save", the bytes between two states; "stint", the bytes after which a
    state is the last answer.
    """
    try:
        source = find(payload["container"])(list(held.descriptors))
    except Absent as absent:
        return iter([Reply({"unopened": str(absent.missing)})])
    return digest(source, payload)


def digest(
    source: ByteSource,
    payload: dict[str, Any],
    chunks: Callable[[int], Iterator[bytes | memoryview]] | None = None,
    names: Collection[str] = NAMES,
) -> Iterator[Reply]:
    """All the answers of a whole read of `source`, or of one stint of it. `chunks` gives its bytes from an offset on,
    where the container has a faster way than `read`. Where no state can be saved it begins at byte 0, and
    does all in one go.
    """
    resume = payload.get("resume") if saves() else None
    save, stint = payload.get("save", SAVE), payload.get("stint", STINT) if saves() else 1 << 63
    hashes = Digests(resume["hashes"] if resume else None, names)
    bad: list[Range] = [(at, length) for at, length in resume["bad"]] if resume else []
    offset = told = saved = began = resume["offset"] if resume else 0
    for chunk in chunks(offset) if chunks is not None else _chunks(source, offset):
        hashes.update(chunk)
        offset += len(chunk)
        if offset - told >= min(TELL, save):
            yield Reply({"read": offset - told})
            told = offset
        if offset - saved >= save and (state := hashes.state()):
            yield Reply({"state": {"offset": offset, "hashes": state, "bad": _joined(bad, source.bad)}})
            saved = offset
            if offset - began >= stint:
                return
    yield Reply({**hashes.hexdigests(), "size": offset, "bad": _joined(bad, source.bad)})


def _chunks(source: ByteSource, offset: int) -> Iterator[bytes]:
    while chunk := _next(source, offset):
        yield chunk
        offset += len(chunk)


def _next(source: ByteSource, offset: int) -> bytes:
    """The next chunk; where the image's file has a hole there, without reading it."""
    hole = getattr(source, "hole", None)
    zeros = hole(offset) if hole is not None else 0
    return _ZEROS[:zeros] if zeros else source.read(offset, CHUNK)


def _joined(before: list[Range], now: list[Range]) -> list[Range]:
    """What earlier stints could not read and what this one could not, as few ranges as one of them may have."""
    if not before:
        return list(now)
    found = Ranges()
    for offset, length in sorted({*before, *now}):
        found.add(offset, length)
    return found.list
