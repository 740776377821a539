"""The one sequential read of a whole E01 image: its digests against those it stores, and every chunk that fails.

The fast way through an image: runs of neighbouring chunks are read at once and each is checked, unpacked and hashed
while it is in the processor's cache.
"""

from collections.abc import Collection, Iterator
from typing import Any

from clew.core import held
from clew.core.absent import Absent
from clew.core.channel import Reply
from clew.core.resumable import NAMES
from clew.intake.containers._ewf_tables import Entries, Stretch
from clew.intake.containers.acquisition import digest
from clew.intake.containers.ewf import Ewf, open_ewf

RUN = 1 << 18  # bytes of a segment that are read at once


def acquire(payload: dict[str, Any], _descriptors: list[int]) -> Iterator[Reply]:
    """Worker entry, on the descriptors that are held; the answers are those of `acquisition.acquire`."""
    try:
        image = open_ewf(list(held.descriptors))
    except Absent as absent:
        return iter([Reply({"unopened": str(absent.missing)})])
    return verify(image, NAMES, payload)


def verify(image: Ewf, names: Collection[str], payload: dict[str, Any]) -> Iterator[Reply]:
    """The answers of `acquisition.digest`; the last one also says "stored" digests, "acquisition_errors" ([byte offset,
    bytes] each), "facts", and "problems" in words. `names` are the hashes that are wanted.
    """
    for reply in digest(image, payload, lambda offset: chunks(image, offset // image.chunk), names):
        if "size" in reply.value:
            stored = {name: value.hex() for name, value in image.stored.items()}
            more = {"stored": stored, "acquisition_errors": image.acquisition_errors, "facts": image.facts}
            yield Reply({**reply.value, **more, "problems": image.problems})
        else:
            yield reply


def chunks(image: Ewf, first: int = 0) -> Iterator[bytes | memoryview]:
    """Each chunk from the one of that number on, in order; zeros for a bad one, which `image.bad` then names."""
    zeros = bytes(image.chunk)
    for stretch in image.tables.stretches():
        at = max(0, first - stretch.first)
        if at < stretch.chunks:
            yield from _stretch(image, stretch, at, zeros)


def _stretch(image: Ewf, stretch: Stretch, at: int, zeros: bytes) -> Iterator[bytes | memoryview]:
    """The chunks of one table from its chunk `at` on."""
    if stretch.table is None:
        for number in range(stretch.first + at, stretch.first + stretch.chunks):
            image.spoilt(number)
            yield zeros[: image.size_of(number)]
        return
    segment, entries = image.segments[stretch.table.segment], image.tables.compared(stretch.table)
    while at < stretch.chunks:
        run = _run(entries, at, stretch.chunks, image.longest)
        first, length = run[0][0], run[-1][1] - run[0][0]
        packed = memoryview(segment.read(first, length))
        for number, (start, stop, compressed) in enumerate(run, stretch.first + at):
            if len(packed) == length:
                data = image.unpack(packed[start - first : stop - first], compressed, image.size_of(number))
            else:  # the medium under the segment fails somewhere in it: which chunk?
                data = image.fetch(stretch, number)
            if data is None:
                image.spoilt(number)
                data = zeros[: image.size_of(number)]
            yield data
        at += len(run)


def _run(entries: Entries, at: int, count: int, longest: int) -> list[tuple[int, int, bool]]:
    """The places of chunk `at` of a table and of those behind it that lie in one stretch of `RUN` bytes."""
    run: list[tuple[int, int, bool]] = []
    while at < count:
        start, end, compressed = entries.place(at)
        end = min(end, start + longest)
        if run and not (run[-1][1] <= start and end - run[0][0] <= RUN):
            break
        run.append((start, end, compressed))
        at += 1
    return run
