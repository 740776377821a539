"""What a worker does with one Item: reads its bytes once, hashes, types and probes them.

Answers come as a stream, so that what is known survives what comes next: first {"content": ...} with the hashes, then
{"type": ...}, then {"traits": ...} from each Extractor. A decoder that kills the worker therefore cannot take the
hashes along.
"""

import ctypes
import hashlib
import importlib
import math
import os
import sys
from collections.abc import Iterator
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from clew.core.absent import Absent
from clew.core.channel import Reply
from clew.intake.api import Blob, Extractor, Frame, Probe, Value
from clew.model import ContentState, Missing, Reason

CHUNK = 1 << 20
HOLD = 192 << 20  # contents above this are hashed as a stream and shown to no Extractor
TYPED_BYTES = 1 << 20  # what libmagic is shown
MOST_TEXT = 4096  # characters of a text trait, bytes of a data trait
FRAME_HASH = 32  # bytes of a PDQ
MOST_TRAITS = 1000  # of one Extractor on one content


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


def from_descriptor(descriptor: int) -> Iterator[bytes]:
    """The content behind a descriptor, in order. Raises Absent where it cannot be read."""
    offset = 0
    while True:
        try:
            chunk = os.pread(descriptor, CHUNK, offset)
        except OSError as error:
            raise Absent(Missing(Reason.UNREADABLE, f"read error at byte {offset}: {error.strerror}")) from error
        if not chunk:
            return
        offset += len(chunk)
        yield chunk


def examine(chunks: Iterator[bytes], payload: dict[str, Any]) -> Iterator[Reply]:
    """Everything that intake asks of one content.

    `payload`: "size" as listed, "state" the ContentState that the listing claims, "extractors" ("module:name" each),
    "mode", "hold" (optional) bytes to hold at most.
    """
    md5, sha1, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha1(usedforsecurity=False), hashlib.sha256()
    most, held, first, size = payload.get("hold", HOLD), bytearray(), b"", 0
    for chunk in chunks:
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
                "state": _state(payload, size),
            }
        }
    )
    media_type = typer().from_buffer(first)
    yield Reply({"type": media_type})
    data = memoryview(held).toreadonly() if size <= most else None
    probe = Probe(data, size, media_type, payload["mode"])
    for spec in payload["extractors"]:
        extractor = find(spec)
        if extractor.wants(media_type):
            yield _traits(extractor, probe)


def find(spec: str) -> Extractor:
    """The Extractor behind "module:name"; in a worker it was imported before the lock."""
    module, _, name = spec.partition(":")
    found: Extractor = getattr(sys.modules.get(module) or importlib.import_module(module), name)
    return found


def _state(payload: dict[str, Any], size: int) -> str:
    claimed = str(payload.get("state", ContentState.COMPLETE))
    if size < payload["size"] and claimed == ContentState.COMPLETE:
        return str(ContentState.PARTIAL)
    return claimed


def _traits(extractor: Extractor, probe: Probe) -> Reply:
    """What one Extractor says; its own failure is a Missing under its name and costs nothing else."""
    rows: list[dict[str, Any]] = []
    blobs: list[bytes] = []
    try:
        for name, value in islice(extractor.traits(probe), MOST_TRAITS):
            rows.append(_row(name, value, blobs))
        if len(rows) == MOST_TRAITS:
            rows.append(
                _row(extractor.name, Missing(Reason.LIMIT_REACHED, f"stopped after {MOST_TRAITS} traits"), blobs)
            )
    except MemoryError:
        rows.append(_row(extractor.name, Missing(Reason.LIMIT_REACHED, "memory"), blobs))
    except Absent as absent:
        rows.append(_row(extractor.name, absent.missing, blobs))
    except Exception as error:  # noqa: BLE001  the one place where an extractor's error becomes a recorded Missing
        rows.append(_row(extractor.name, Missing(Reason.UNPARSABLE, f"{type(error).__name__}: {error}"[:400]), blobs))
    return Reply({"extractor": extractor.name, "version": extractor.version, "traits": rows}, tuple(blobs))


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
