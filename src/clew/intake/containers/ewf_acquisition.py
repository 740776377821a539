"""The one sequential read of a whole E01 image: its digests against those it stores, and every chunk that fails.

The fast way through an image: runs of neighbouring chunks are read at once and each is checked, unpacked and hashed
while it is in the processor's cache.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

from clew.core import held
from clew.core.channel import Reply
from clew.intake.containers._ewf_tables import Entries, Stretch
from clew.intake.containers.ewf import Ewf, open_ewf

RUN = 1 << 18  # bytes of a segment that are read at once
TELL = 64 << 20  # bytes between two words about how far it is
HASHES = ("md5", "sha1", "sha256")


def acquire(payload: dict[str, Any], _descriptors: list[int]) -> Iterator[Reply]:
    """Worker entry, on the descriptors that are held. `payload`: "hashes" (optional), those of md5, sha1 and sha256
    that are wanted; a stored one is always checked.
    """
    image = open_ewf(held.descriptors)
    return verify(image, {*payload.get("hashes", HASHES), *image.stored})


def verify(image: Ewf, wanted: set[str]) -> Iterator[Reply]:
    """Answers {"read": bytes since the last one} on the way, and at the end what the image is and is worth.

    The end: each digest in hexadecimal, over zeros where a chunk is bad; "size"; "bad" and "acquisition_errors" as
    [byte offset, bytes]; "stored" digests and whether they "agree"; "facts"; "problems" in words.
    """
    hashes = {name: hashlib.new(name, usedforsecurity=False) for name in HASHES if name in wanted}
    updates = [each.update for each in hashes.values()]
    told = done = 0
    for data in chunks(image):
        for update in updates:
            update(data)
        done += len(data)
        if done - told >= TELL:
            yield Reply({"read": done - told})
            told = done
    digests = {name: each.hexdigest() for name, each in hashes.items()}
    stored = {name: value.hex() for name, value in image.stored.items()}
    agree = {name: digests[name] == value for name, value in stored.items() if name in digests}
    end = {"size": image.size, "bad": image.bad, "acquisition_errors": image.acquisition_errors, "stored": stored}
    yield Reply({**digests, **end, "agree": agree, "facts": image.facts, "problems": image.problems})


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
