"""What a worker does with one Item: reads its bytes once, hashes, types and probes them.

Answers come as a stream, so that what is known survives what comes next: first {"content": ...} with the hashes, then
{"type": ...}, then {"traits": ...} from each Extractor. A decoder that kills the worker therefore cannot take the
hashes along.
"""

import ctypes
import hashlib
import importlib
import math
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from clew.core import held as born_with
from clew.core import sorted_keys
from clew.core.absent import Absent
from clew.core.channel import Reply
from clew.intake.api import Blob, ByteSource, Extractor, Frame, Probe, Value
from clew.model import ContentState, Missing, Reason

CHUNK = 1 << 20
HOLD = 192 << 20  # contents above this are hashed as a stream and shown to no Extractor
TYPED_BYTES = 1 << 20  # what libmagic is shown
KNOWN_GOOD = "known-good"  # the name of the trait, and of who says it
MOST_TEXT = 4096  # characters of a text trait, bytes of a data trait
FRAME_HASH = 32  # bytes of a PDQ
MOST_TRAITS = 200_000  # of one Extractor on one content
MOST_SAID = 24 << 20  # characters of all its texts
FRAME_TRAITS = 1_000  # that go out in one answer
MOST_BAD = 8  # stretches that are named


def preload() -> None:
    """Before the sandbox closes: the media type database and the codecs that Python would import on first use."""
    typer().from_buffer(b"\x00")
    "\x00".encode("utf-16-le").decode("utf-16-le")
    "a".encode("ascii").decode("latin-1")


@cache
def typer() -> Any:
    """The libmagic with the database that pylibmagic brings, so that the same bytes have the same type everywhere."""
    import pylibmagic

    bundled = Path(pylibmagic.__file__).parent
    ctypes.CDLL(str(bundled / "libmagic.so.1"))  # before `magic` looks for another version on the system
    import magic

    return magic.Magic(mime=True, magic_file=str(bundled / "magic.mgc"))


def read(payload: dict[str, Any], descriptors: list[int]) -> Iterator[Reply]:
    """Worker entry: one Item, behind its "opener"; see `Job` and `examine`."""
    return examine(find(payload["opener"])(payload, descriptors), payload)


def examine(source: ByteSource, payload: dict[str, Any]) -> Iterator[Reply]:
    """Everything that intake asks of one content. Ends in Absent where part of it was given as zeros.

    `payload`: "size" as listed, "state" the ContentState that the listing claims, "extractors" ("module:name" each),
    "mode"; optional "hold", bytes to hold at most, and "known_good", name and id of each of the worker's known-good
    lists, in their order.
    """
    md5, sha1, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha1(usedforsecurity=False), hashlib.sha256()
    most, held, first, size = payload.get("hold", HOLD), bytearray(), b"", 0
    while chunk := source.read(size, CHUNK):
        for each in (md5, sha1, sha256):
            each.update(chunk)
        size += len(chunk)
        first = first or chunk[:TYPED_BYTES]
        if size <= most:
            held += chunk
        elif held:
            held = bytearray()
    yield Reply(
        {
            "content": {
                "sha256": sha256.hexdigest(),
                "sha1": sha1.hexdigest(),
                "md5": md5.hexdigest(),
                "size": size,
                "state": str(ContentState.PARTIAL) if source.bad else _state(payload, size),
            }
        }
    )
    media_type = typer().from_buffer(first)
    yield Reply({"type": media_type})
    known = list(_known_good(sha256.digest(), payload.get("known_good", ())))
    yield from known
    data = memoryview(held).toreadonly() if size <= most else None
    probe = Probe(data, size, media_type, payload["mode"], source)
    for spec in () if known else payload["extractors"]:
        extractor = find(spec)
        if extractor.wants(media_type):
            yield from _traits(extractor, probe)
    if source.bad:
        stretches = ", ".join(f"{length:,} at {offset:,}" for offset, length in source.bad[:MOST_BAD])
        said = f"bytes of the image that could not be read, for which zeros stand: {stretches}"
        raise Absent(Missing(Reason.UNREADABLE, said))


def _known_good(sha256: bytes, lists: Sequence[Sequence[str]]) -> Iterator[Reply]:
    """The trait that says which known-good sets hold this content: no Extractor need look at it. None where one of the
    worker's further lists, which are those of alert sets, holds it too.
    """
    if not lists or any(sorted_keys.holds(alert, sha256) for alert in born_with.lists[len(lists) :]):
        return
    for descriptor, (name, identity) in zip(born_with.lists, lists, strict=False):
        if sorted_keys.holds(descriptor, sha256):
            yield Reply({"extractor": KNOWN_GOOD, "version": identity, "traits": [{"name": KNOWN_GOOD, "text": name}]})


def find(spec: str) -> Any:
    """What stands behind "module:name"; in a worker it was imported before the lock."""
    module, _, name = spec.partition(":")
    return getattr(sys.modules.get(module) or importlib.import_module(module), name)


def _state(payload: dict[str, Any], size: int) -> str:
    claimed = str(payload.get("state", ContentState.COMPLETE))
    if size < payload["size"] and claimed == ContentState.COMPLETE:
        return str(ContentState.PARTIAL)
    return claimed


def _traits(extractor: Extractor, probe: Probe) -> Iterator[Reply]:
    """What one Extractor says, in answers of bounded size; its own failure is a Missing under its name and costs
    nothing else.
    """
    frame = _Answer(extractor)
    try:
        for name, value in _bounded(extractor, probe):
            frame.add(name, value)
            if frame.full:
                yield frame.reply()
                frame = _Answer(extractor)
    except MemoryError:
        frame.add(extractor.name, Missing(Reason.LIMIT_REACHED, "memory"))
    except Absent as absent:
        frame.add(extractor.name, absent.missing)
    except Exception as error:  # noqa: BLE001  the one place where an extractor's error becomes a recorded Missing
        frame.add(extractor.name, Missing(Reason.UNPARSABLE, f"{type(error).__name__}: {error}"[:400]))
    yield frame.reply()


def _bounded(extractor: Extractor, probe: Probe) -> Iterator[tuple[str, Value]]:
    """The traits up to what one Extractor may say of one content; where it has more to say, that is the last one."""
    characters = 0
    for count, (name, value) in enumerate(extractor.traits(probe)):
        characters += len(value) if isinstance(value, str) else 0
        if count == MOST_TRAITS or characters > MOST_SAID:
            yield extractor.name, Missing(Reason.LIMIT_REACHED, f"stopped after {count} traits")
            return
        yield name, value


class _Answer:
    """Traits of one Extractor on their way out."""

    def __init__(self, extractor: Extractor) -> None:
        self._extractor = extractor
        self._rows: list[dict[str, Any]] = []
        self._blobs: list[bytes] = []

    def add(self, name: str, value: Value) -> None:
        """One more trait."""
        self._rows.append(_row(name, value, self._blobs))

    @property
    def full(self) -> bool:
        """Whether it is time to send them."""
        return len(self._rows) >= FRAME_TRAITS

    def reply(self) -> Reply:
        """As the supervisor hears it."""
        by = {"extractor": self._extractor.name, "version": self._extractor.version}
        return Reply({**by, "traits": self._rows}, tuple(self._blobs))


def _row(name: str, value: Value, blobs: list[bytes]) -> dict[str, Any]:
    """One trait as JSON can say it; a Blob stands by its number."""
    said: dict[str, Any]
    match value:
        case Missing():
            said = {"missing": str(value.reason), "detail": value.detail}
        case Blob():
            blobs.append(value.data)
            said = {"blob": len(blobs) - 1}
        case Frame() if len(value.pdq) == FRAME_HASH and math.isfinite(value.seconds):
            said = {"frame": value.pdq.hex(), "seconds": value.seconds, "quality": value.quality}
        case bytes() if len(value) <= MOST_TEXT:
            said = {"data": value.hex()}
        case str():
            said = {"text": value[:MOST_TEXT].encode("utf-8", "replace").decode()}
        case bool() | int() if -(1 << 63) <= value < 1 << 63:
            said = {"integer": int(value)}
        case float() if math.isfinite(value):
            said = {"number": value}
        case _:
            said = {"missing": str(Reason.LIMIT_REACHED), "detail": "a value beyond what a trait holds"}
    return {"name": name, **said}
