"""The segment files of an EWF image and the chain of sections in each.

Format: "Expert Witness Compression Format specification" (J. Metz, libewf documentation), sections "Segment file",
"The sections", "Next section", "Done section" and "Corruption scenarios". All numbers are little-endian.
"""

import errno
import os
import re
import struct
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple, cast

from isal import isal_zlib
from isal.isal_zlib import adler32

from clew.core.absent import absent
from clew.model import Reason

FILE_HEADER = struct.Struct("<8sBHH")
DESCRIPTOR = struct.Struct("<16sQQ40xI")
LAST = {"next", "done"}
LOST = ""  # the kind of a stretch whose descriptor does not hold
MOST_DAMAGED = 64  # places of one segment from which a way on is looked for
MOST_SEARCHED = 4 << 30  # bytes that are searched for it; sections of media data are up to 2 GiB long
MOST_PROBLEMS = 100

_EWF = b"EVF\x09\x0d\x0a\xff\x00"
_OTHERS = {
    b"EVF2": (Reason.UNPARSABLE, "an Ex01 (EWF2) image, which this version does not read: export it as E01 or raw"),
    b"LVF\x09": (Reason.UNPARSABLE, "an L01 image: logical files, no disk; this version does not read it"),
    b"LEF2": (Reason.UNPARSABLE, "an Lx01 image: logical files, no disk; this version does not read it"),
    b"ADCRYPT\x00": (Reason.ENCRYPTED, "an image under AD encryption: decrypt it with the tool that wrote it"),
}
_NAMES = re.compile(rb"(?:header2?|volume|disk|data|sectors|table2?|error2|session|hash|digest|next|done)\x00{2,14}")
_BLOCK = 1 << 20

NotPacked = cast(type[Exception], isal_zlib.error)  # isal's own annotation makes an instance of the class


class Problems:
    """What does not hold in an image, in words, each once and not more than a hundred."""

    def __init__(self) -> None:
        self.list: list[str] = []

    def add(self, text: str) -> None:
        """One more thing that does not hold."""
        if len(self.list) < MOST_PROBLEMS and text not in self.list:
            self.list.append(text)
            if len(self.list) == MOST_PROBLEMS:
                self.list.append("and more of them, which are not listed")


class Section(NamedTuple):
    """One section: its kind, the byte of the segment where its descriptor begins, and where the next section does."""

    kind: str
    at: int
    end: int

    @property
    def data(self) -> int:
        """The byte where its data begins."""
        return self.at + DESCRIPTOR.size


class Segment:
    """One file of the set, read by position alone."""

    def __init__(self, descriptor: int, number: int, problems: Problems) -> None:
        self.descriptor = descriptor
        self.number = number
        self.size = os.fstat(descriptor).st_size
        self.starts = array("Q")  # of its sections: media data ends where the next section begins
        self._problems = problems

    def read(self, at: int, length: int) -> bytes:
        """Up to `length` bytes; fewer where the file ends or its medium fails (EIO), which becomes a problem.

        Raises OSError where the file is gone altogether.
        """
        parts: list[bytes] = []
        while length > 0 and at < self.size:
            try:
                part = os.pread(self.descriptor, length, at)
            except OSError as error:
                if error.errno != errno.EIO:
                    raise
                self._problems.add(f"segment {self.number}: read error at byte {at:,}")
                part = b""
            if not part:
                break
            parts.append(part)
            at, length = at + len(part), length - len(part)
        return b"".join(parts)

    def section_after(self, at: int) -> int:
        """The byte where the first section behind `at` begins, or the end of the file."""
        number = bisect_right(self.starts, at)
        return self.starts[number] if number < len(self.starts) else self.size


def in_order(descriptors: list[int], problems: Problems) -> list[Segment]:
    """The segments by the number in their file headers. Raises Absent where one is no E01 or is there twice."""
    segments = [_segment(descriptor, problems) for descriptor in descriptors]
    segments.sort(key=lambda segment: segment.number)
    for one, other in pairwise(segments):
        if one.number == other.number:
            raise absent(Reason.UNPARSABLE, f"segment {one.number} is there twice: give the files of one image alone")
    if not segments:
        raise absent(Reason.UNREADABLE, "no segment was given")
    return segments


def _segment(descriptor: int, problems: Problems) -> Segment:
    segment = Segment(descriptor, 0, problems)
    head = segment.read(0, FILE_HEADER.size)
    for magic, (reason, why) in _OTHERS.items():
        if head.startswith(magic):
            raise absent(reason, why)
    if not head.startswith(_EWF) or len(head) < FILE_HEADER.size:
        raise absent(Reason.UNPARSABLE, "a file of the set does not begin as a segment of an E01 image")
    segment.number = FILE_HEADER.unpack(head)[2]
    if segment.number == 0:
        raise absent(Reason.UNPARSABLE, "a segment has the number 0")
    return segment


def sections(segment: Segment, problems: Problems) -> Iterator[Section]:
    """The chain of one segment, each descriptor's Adler-32 checked.

    Where one does not hold, a LOST section comes in its place, and the chain goes on at the next one that does.
    """
    at, damaged, name = FILE_HEADER.size, 0, f"segment {segment.number}"
    while True:
        section = _section(segment, at, problems)
        if section is None:
            damaged += 1
            yield Section(LOST, at, segment.size)
            if at + DESCRIPTOR.size > segment.size:
                problems.add(f"{name} ends at byte {segment.size:,} before its last section: the file is cut")
                return
            found = _way_on(segment, at) if damaged <= MOST_DAMAGED else None
            if found is None:
                problems.add(f"{name}: the section at byte {at:,} is damaged, and so is all that follows it")
                return
            problems.add(f"{name}: the section at byte {at:,} is damaged; reading went on at byte {found:,}")
            at = found
            continue
        segment.starts.append(section.at)
        yield section
        if section.kind in LAST:
            return
        at = section.end


def _section(segment: Segment, at: int, problems: Problems) -> Section | None:
    """The section at that byte; None where its descriptor does not hold or leads backwards."""
    head = segment.read(at, DESCRIPTOR.size)
    if len(head) < DESCRIPTOR.size:
        return None
    name, end, size, checksum = DESCRIPTOR.unpack(head)
    if adler32(head[: DESCRIPTOR.size - 4]) != checksum:
        return None
    kind = name.partition(b"\x00")[0].decode("latin-1")
    if kind in LAST:
        return Section(kind, at, at + DESCRIPTOR.size)
    if end < at + DESCRIPTOR.size:
        return None
    if size and at + size != end:  # Expert Witness 1.35 states no size; two chains in one file are an attack
        problems.add(f"segment {segment.number}: the size of the section at byte {at:,} does not lead to the next one")
    return Section(kind, at, end)


def _way_on(segment: Segment, at: int) -> int | None:
    """Where the chain goes on behind a damaged descriptor: where its own fields lead, or at the next sound one."""
    _, end, size, _ = DESCRIPTOR.unpack(segment.read(at, DESCRIPTOR.size).ljust(DESCRIPTOR.size, b"\x00"))
    for place in (end, at + size):
        if at < place < segment.size and _sound(segment, place):
            return int(place)
    start, stop = at + 1, min(segment.size, at + MOST_SEARCHED)
    while start < stop:
        block = segment.read(start, _BLOCK + DESCRIPTOR.size)
        for found in _NAMES.finditer(block):
            if found.start() < _BLOCK and _sound(segment, start + found.start()):
                return start + found.start()
        start += _BLOCK
    return None


def _sound(segment: Segment, at: int) -> bool:
    """Whether a descriptor stands there that was written for that very place: one inside a chunk, of an image within
    the image, leads elsewhere.
    """
    head = segment.read(at, DESCRIPTOR.size)
    if len(head) < DESCRIPTOR.size:
        return False
    name, end, size, checksum = DESCRIPTOR.unpack(head)
    if not _NAMES.match(name + b"\x00\x00") or adler32(head[: DESCRIPTOR.size - 4]) != checksum:
        return False
    return bool(end == at if name.partition(b"\x00")[0].decode() in LAST else at + size == end > at)
