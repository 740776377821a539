"""E01 and S01 images (EWF version 1, whole or in segments) as the bytes of the disk they hold.

Every checksum is verified on the way: of section descriptors, tables, and of each chunk. What fails is never
guessed: `read` gives zeros in its place and names the range in `bad`. Ex01, L01 and encrypted images are refused.
Format: "Expert Witness Compression Format specification" (J. Metz), section "Data chunk" and what the helpers name.
"""

from collections import OrderedDict
from dataclasses import replace
from typing import Any

from isal.isal_zlib import adler32, decompressobj

from clew.core.absent import absent
from clew.intake.containers import _ewf_facts
from clew.intake.containers._ewf_facts import Facts, Geometry
from clew.intake.containers._ewf_segments import NotPacked, Problems, Segment, in_order, sections
from clew.intake.containers._ewf_tables import Stretch, Tables
from clew.intake.containers._ranges import Ranges
from clew.model import Reason

LEAST_CHUNK, MOST_CHUNK = 512, 64 << 20  # bytes; what is written has 16 to 32,768 sectors
MOST_BYTES = 1 << 60
HELD = 16 << 20  # bytes of inflated chunks that are held, for The Sleuth Kit's small reads
_SHORT = 512  # packed bytes of a chunk that may well come again: zeros, mostly
_GEOMETRY = {"volume", "disk", "data"}


class Unpacker:
    """Checks and unpacks chunks. One whose packed bytes are those of the chunk before is not unpacked again."""

    def __init__(self, chunk: int) -> None:
        self._chunk = chunk
        self._packed = self._unpacked = b""

    def __call__(self, raw: bytes | memoryview, compressed: bool, size: int) -> bytes | memoryview | None:
        """The `size` bytes of a chunk, the image's last being shorter than the others; None where they do not hold.

        `raw` may be longer than the chunk is.
        """
        if not compressed:
            if adler32(raw[:size]) == int.from_bytes(raw[size : size + 4], "little") and len(raw) >= size + 4:
                return raw[:size]
            return None if size == self._chunk else self._whole(raw, size)
        if len(raw) > _SHORT or size < self._chunk:
            return self._inflated(raw, size)
        if raw != self._packed:
            unpacked = self._inflated(raw, size)
            if unpacked is None:
                return None
            self._packed, self._unpacked = bytes(raw), unpacked
        return self._unpacked

    def _whole(self, raw: bytes | memoryview, size: int) -> bytes | memoryview | None:
        """Where the last chunk is stored as long as all others are."""
        whole = self(raw, False, self._chunk)
        return None if whole is None else whole[:size]

    def _inflated(self, raw: bytes | memoryview, size: int) -> bytes | None:
        inflater = decompressobj()
        try:
            data: bytes = inflater.decompress(raw, self._chunk + 1)  # Adler-32 included; no more: it may be a bomb
        except NotPacked:
            return None
        if not inflater.eof or not size <= len(data) <= self._chunk:
            return None
        return data if len(data) == size else data[:size]


class Ewf:
    """One opened image. `size` is the disk's, `problems` what was wrong with the container, in words."""

    def __init__(self, segments: list[Segment], tables: Tables, facts: Facts, shape: Geometry, said: Problems) -> None:
        self.chunk = shape.sectors_per_chunk * shape.bytes_per_sector
        self.size = shape.sectors * shape.bytes_per_sector
        self.segments = segments
        self.tables = tables
        self.problems: list[str] = said.list
        self.stored: dict[str, bytes] = facts.digests
        self.acquisition_errors: list[tuple[int, int]] = facts.errors.list
        self.facts: dict[str, Any] = _ewf_facts.told(facts, shape, len(segments))
        self.unpack = Unpacker(self.chunk)
        self.longest = self.chunk + self.chunk // 64 + 64  # bytes a chunk may have in the file
        self._bad = Ranges()
        for offset, length in self.acquisition_errors:  # zeros with a right checksum: what the medium did not give
            self._bad.add(offset, length)
        self._held: OrderedDict[int, bytes | memoryview] = OrderedDict()

    @property
    def bad(self) -> list[tuple[int, int]]:
        """Byte ranges that `read` gave as zeros so far: no table tells of them, or their checksum fails; and those that
        the medium did not give when it was acquired. Merged.

        A range that is there already does not come again: compare it with what was read, not with its length before.
        """
        return self._bad.list

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes, zeros where `bad` says so. Raises OSError where a segment's file is gone."""
        if offset < 0:
            raise ValueError("an offset before the image")
        end = min(offset + length, self.size)
        parts = []
        while offset < end:
            number, within = divmod(offset, self.chunk)
            part = self._one(number)[within : within + end - offset]
            parts.append(part)
            offset += len(part)
        return bytes(parts[0]) if len(parts) == 1 else b"".join(parts)

    def size_of(self, number: int) -> int:
        """Bytes of that chunk: the image's last may be shorter."""
        return min(self.chunk, self.size - number * self.chunk)

    def spoilt(self, number: int) -> None:
        """Says that this chunk cannot be read."""
        self._bad.add(number * self.chunk, self.size_of(number))

    def _one(self, number: int) -> bytes | memoryview:
        held = self._held.get(number)
        if held is not None:
            self._held.move_to_end(number)
            return held
        size = self.size_of(number)
        data = self.fetch(self.tables.at(number), number)
        if data is None:
            self.spoilt(number)
            return bytes(size)
        self._held[number] = data
        if len(self._held) > max(1, HELD // self.chunk):
            self._held.popitem(last=False)
        return data

    def fetch(self, stretch: Stretch, number: int) -> bytes | memoryview | None:
        """One chunk, read and checked by itself; None where it does not hold."""
        if stretch.table is None:
            return None
        segment = self.segments[stretch.table.segment]
        start, end, compressed = self.tables.entries(stretch.table).place(number - stretch.first)
        raw = segment.read(start, min(end - start, self.longest))
        return self.unpack(raw, compressed, self.size_of(number))


def open_ewf(descriptors: list[int]) -> Ewf:
    """The image behind its segments, given in any order. Raises Absent with why it cannot be read.

    Segments that are missing are no reason: what they held is `bad`.
    """
    problems = Problems()
    segments = in_order(descriptors, problems)
    tables, facts, shapes = Tables(segments, problems), Facts(), list[Geometry]()
    after, last = 1, False
    for number, segment in enumerate(segments):
        if last:
            problems.add(f"segment {segment.number} and what follows is not read: the image ends before it")
            break
        if segment.number != after:
            problems.add(f"segment {after} is missing" + f" (to {segment.number - 1})" * (segment.number - 1 > after))
            tables.lost()
        after = segment.number + 1
        last = _walk(number, segment, tables, facts, shapes, problems)
    if not last:
        problems.add(
            f"the image does not end with segment {after - 1}: later ones are missing, or it was never finished"
        )
        tables.lost()
    shape = _shape(shapes, tables, problems)
    if shape.sectors and not tables.count:
        raise absent(Reason.UNREADABLE, "no chunk table holds: nothing of the image can be read")
    tables.place(-(-shape.sectors // shape.sectors_per_chunk))
    return Ewf(segments, tables, facts, shape, problems)


def _walk(
    number: int, segment: Segment, tables: Tables, facts: Facts, shapes: list[Geometry], problems: Problems
) -> bool:
    """Takes all sections of one segment. Returns whether the image ends with it."""
    kind = ""
    for section in sections(segment, problems):
        kind = section.kind
        tables.add(number, section)
        if kind == "ltree":
            raise absent(Reason.UNPARSABLE, "an L01 image under another name: logical files, no disk")
        if kind in _GEOMETRY:
            shape = _ewf_facts.geometry(segment, section)
            if shape is None:
                problems.add(f"segment {segment.number}: the {kind} section at byte {section.at:,} is damaged")
            else:
                shapes.append(_of_one_set(shape, shapes, segment, problems))
        else:
            facts.take(segment, section, shapes[0].bytes_per_sector if shapes else 512, problems)
    return kind == "done"


def _of_one_set(shape: Geometry, shapes: list[Geometry], segment: Segment, problems: Problems) -> Geometry:
    """The geometry that a segment states, as it is. Raises Absent where it is another image's."""
    known = next((each.set for each in shapes if each.set), shape.set)
    if shape.set and shape.set != known:
        raise absent(Reason.UNPARSABLE, f"segment {segment.number} belongs to another image ({shape.set.hex()})")
    first = shapes[0] if shapes else shape
    if (shape.sectors_per_chunk, shape.bytes_per_sector) != (first.sectors_per_chunk, first.bytes_per_sector):
        raise absent(Reason.UNPARSABLE, f"segment {segment.number} belongs to another image, cut into other chunks")
    if shape.sectors and first.sectors and shape.sectors != first.sectors:
        problems.add(f"segment {segment.number} states {shape.sectors:,} sectors, another one {first.sectors:,}")
    return shape


def _shape(shapes: list[Geometry], tables: Tables, problems: Problems) -> Geometry:
    """The image's geometry. Raises Absent where none is known or it cannot be."""
    if not shapes:
        raise absent(Reason.UNPARSABLE, "no volume section holds: how large the image is, and its chunks, is not known")
    shape = next((each for each in shapes if each.sectors), shapes[0])
    chunk = shape.sectors_per_chunk * shape.bytes_per_sector
    if shape.media == "logical files":
        raise absent(Reason.UNPARSABLE, "an L01 image under another name: logical files, no disk")
    if not LEAST_CHUNK <= chunk <= MOST_CHUNK:
        raise absent(Reason.LIMIT_REACHED, f"chunks of {chunk:,} bytes, where {LEAST_CHUNK} to {MOST_CHUNK:,} are read")
    if not shape.sectors:
        problems.add("the acquisition was not finished: the image's size is that of the chunks found")
        shape = replace(shape, chunks=tables.count, sectors=tables.count * shape.sectors_per_chunk)
    if shape.sectors * shape.bytes_per_sector > MOST_BYTES:
        raise absent(Reason.LIMIT_REACHED, f"{shape.sectors:,} sectors are more than any disk has")
    if shape.chunks != -(-shape.sectors // shape.sectors_per_chunk):
        problems.add(f"the volume states {shape.chunks:,} chunks, which is not what its {shape.sectors:,} sectors make")
    return shape
