"""What a worker does with one Item: reads its bytes once, hashes, types and probes them.

Answers come as a stream, so that what is known survives what comes next: {"content": ...} with the hashes,
{"type": ...}, {"traits": ...} from each Extractor. A decoder that kills the worker cannot take the hashes along: they
come first, or, where the content is too large to be held, are asked for again (`examine`).
"""

import importlib
import math
import sys
from collections.abc import Iterator
from typing import Any

from clew.core import held as born_with
from clew.core import sorted_keys
from clew.core.absent import Absent
from clew.core.channel import Reply
from clew.intake import mediatype
from clew.intake.api import Blob, ByteSource, Extractor, Frame, Probe, Value
from clew.intake.hashing import Hashing
from clew.intake.piecewise import runners
from clew.model import ContentState, Missing, Reason

HOLD = 192 << 20  # larger contents are not kept in memory: Extractors read them through `Probe.source`
KNOWN_GOOD = "known-good"  # the name of the trait, and of who says it
MOST_TEXT = 4096  # characters of a text trait, bytes of a data trait
CUT = ".cut"  # how the name of the trait ends that says of a text that it was cut
FRAME_HASH = 32  # bytes of a PDQ
MOST_TRAITS = 200_000  # of one Extractor on one content
MOST_SAID = 48 << 20  # characters of all its texts: a known.met of 100,000 files has 30 million
FRAME_TRAITS, FRAME_SAID = 1_000, 1 << 19  # that go out in one answer: traits, characters (12 bytes each at most)
MOST_BAD = 8  # stretches that are named


def preload() -> None:
    """Before the sandbox closes: the media type database and the codecs that Python would import on first use."""
    mediatype.of(b"\x00")
    "\x00".encode("utf-16-le").decode("utf-16-le")
    "a".encode("ascii").decode("latin-1")


def read(payload: dict[str, Any], descriptors: list[int]) -> Iterator[Reply]:
    """Worker entry: one Item, behind its "opener"; see `Job` and `examine`."""
    return examine(find(payload["opener"])(payload, descriptors), payload)


def examine(source: ByteSource, payload: dict[str, Any]) -> Iterator[Reply]:
    """Everything that intake asks of one content. Ends in Absent where part of it was given as zeros, or was not there.

    `payload`: "size" as listed, "state" the ContentState that the listing claims, "extractors" ("module:name" each),
    "mode", and optional: "every" (see `Probe`), "hold", bytes to hold at most, "checks" (see `piecewise.runners`),
    "beginning", of how many of its first bytes the hash is wanted, and "known_good", name and id of each of the
    worker's known-good lists, in their order.

    What is held is hashed before anything looks at it. What is too large for that is hashed while its Extractors read
    it, so that it is read once, and its hashes come last; should one of them kill the worker, the supervisor asks for
    the hashes alone. That a member of an archive is too large is only what the archive says: a picture is tried.
    """
    wanted = [{"beginning": payload["beginning"]}] if payload.get("beginning") else []
    read = Hashing(source, runners([*wanted, *payload.get("checks", ())]))
    data = read.whole(payload.get("hold", HOLD))
    first = read.read(0, mediatype.TYPED_BYTES) if data is None else b""
    if data is None and read.onward and mediatype.of(first).startswith("image/"):
        data = read.whole(payload.get("hold", HOLD), first)
    if data is not None:
        yield _content(read, payload)  # before anything looks at the bytes
        first = bytes(data[: mediatype.TYPED_BYTES])
    media_type = mediatype.of(first)
    wanting = [each for each in map(find, payload["extractors"]) if each.wants(media_type)]
    known: list[Reply] = []
    if data is None and not wanting:
        yield _content(read, payload)
    if data is not None or not wanting:
        known = list(_known_good(read, payload))
    yield Reply({"type": media_type})
    yield from known
    size = read.size if data is None else len(data)
    probe = Probe(data, size, media_type, payload["mode"], read, payload.get("every", 0.0))
    for extractor in () if known else wanting:
        yield from _traits(extractor, probe)
    if data is None and wanting:
        yield _content(read, payload)
        yield from _known_good(read, payload)
    if source.bad:
        stretches = ", ".join(f"{length:,} at {offset:,}" for offset, length in source.bad[:MOST_BAD])
        said = f"bytes of the image that could not be read, for which zeros stand: {stretches}"
        raise Absent(Missing(Reason.UNREADABLE, said))
    if read.cut is not None:
        raise Absent(read.cut)
    if read.done < payload["size"] and payload.get("state") != ContentState.PARTIAL:
        raise Absent(
            Missing(Reason.UNREADABLE, f"only {read.done:,} of the {payload['size']:,} bytes listed are there")
        )


def _content(read: Hashing, payload: dict[str, Any]) -> Reply:
    """The hashes, once all is read; and what came out of the checks, where it was all that was listed."""
    read.finish()
    state = str(ContentState.PARTIAL) if read.bad or read.cut else _state(payload, read)
    said: dict[str, Any] = {"content": {**read.digests(), "size": read.done, "state": state}}
    if read.erased and state == ContentState.OVERWRITTEN_POSSIBLE:
        said["erased"] = True
    checks = list(read.runners)
    if payload.get("beginning"):
        said["beginning"] = checks.pop(0).end()["sha256"]
    if checks and read.done == payload["size"] and not (read.bad or read.cut):
        said["checks"] = [each.end() for each in checks]
    return Reply(said)


def _known_good(read: Hashing, payload: dict[str, Any]) -> Iterator[Reply]:
    """The trait that says which known-good sets hold this content: no Extractor need look at it. None where one of the
    worker's further lists, which are those of alert sets, holds it too.
    """
    lists = payload.get("known_good", ())
    if not lists:
        return
    sha256 = bytes.fromhex(read.digests()["sha256"])
    if any(sorted_keys.holds(alert, sha256) for alert in born_with.lists[len(lists) :]):
        return
    for descriptor, (name, identity) in zip(born_with.lists, lists, strict=False):
        if sorted_keys.holds(descriptor, sha256):
            yield Reply({"extractor": KNOWN_GOOD, "version": identity, "traits": [{"name": KNOWN_GOOD, "text": name}]})


def find(spec: str) -> Any:
    """What stands behind "module:name"; in a worker it was imported before the lock."""
    module, _, name = spec.partition(":")
    return getattr(sys.modules.get(module) or importlib.import_module(module), name)


def _state(payload: dict[str, Any], read: Hashing) -> str:
    claimed = str(payload.get("state", ContentState.COMPLETE))
    if claimed != ContentState.COMPLETE:
        return claimed
    if read.done < payload["size"]:
        return str(ContentState.PARTIAL)
    return str(ContentState.OVERWRITTEN_POSSIBLE) if read.erased else claimed


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
    if not frame.empty:
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
        self._said = 0

    def add(self, name: str, value: Value) -> None:
        """One more trait; beside a text that is too long, that it was cut."""
        self._rows.append(_row(name, value, self._blobs))
        self._said += len(value) if isinstance(value, str) else 0
        if isinstance(value, str) and len(value) > MOST_TEXT:
            self.add(f"{name}{CUT}", cut(value))

    @property
    def full(self) -> bool:
        """Whether it is time to send them."""
        return len(self._rows) >= FRAME_TRAITS or self._said >= FRAME_SAID

    @property
    def empty(self) -> bool:
        """Whether there is nothing to send: most extractors have nothing to say of most contents."""
        return not self._rows

    def reply(self) -> Reply:
        """As the supervisor hears it."""
        by = {"extractor": self._extractor.name, "version": self._extractor.version}
        return Reply({**by, "traits": self._rows}, tuple(self._blobs))


def cut(text: str) -> Missing:
    """Why the rest of a text is not in its trait."""
    return Missing(Reason.LIMIT_REACHED, f"the first {MOST_TEXT:,} of {len(text):,} characters")


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
