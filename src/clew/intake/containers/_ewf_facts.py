"""What an EWF image says of itself: its geometry, who acquired it when and with what, its digests, its read errors.

Format: "Expert Witness Compression Format specification" (J. Metz), sections "Header section", "Header2 section",
"Volume section", "Data section", "Session section", "Error2 section", "Digest section" and "Hash section".
"""

import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from isal.isal_zlib import adler32, decompressobj

from clew.intake.containers._ewf_segments import NotPacked, Problems, Section, Segment
from clew.intake.containers._ranges import Ranges

MOST_HEADER = 1 << 20  # bytes of a header section, packed or not
MOST_HEADERS = 8  # sections of that kind that are read; EnCase writes three
MOST_VALUE = 3000  # characters of one value: EnCase's own limit
MOST_ERRORS = 1 << 20  # entries of error2
MOST_TRACKS = 100

_VALUES = {
    "a": "description",
    "c": "case number",
    "n": "evidence number",
    "e": "examiner",
    "t": "notes",
    "md": "model",
    "sn": "serial number",
    "l": "device label",
    "av": "acquired with",
    "ov": "acquired on",
    "m": "acquired at",
    "u": "system time",
}
_KINDS = {"header", "header2", "hash", "digest", "error2", "session"}
_TIMES = {"acquired at", "system time"}
_MEDIA = {0: "removable", 1: "fixed", 3: "optical", 14: "logical files", 16: "memory"}
_FLAGS = {2: "physical device", 4: "Fastbloc write blocker", 8: "Tableau write blocker"}
_VOLUME = struct.Struct("<B3xIIIQ12xB15xB3xI4x16s")
_SMART_VOLUME = struct.Struct("<4xIIII")


@dataclass(frozen=True, slots=True)
class Geometry:
    """How large the image is and how it is cut: a `volume`, `disk` or `data` section. `set` is empty where unknown."""

    chunks: int
    sectors_per_chunk: int
    bytes_per_sector: int
    sectors: int
    media: str = ""
    flags: int = 0
    compression: int = 0
    error_granularity: int = 0
    set: bytes = b""


@dataclass(slots=True)
class Facts:
    """What the sections other than media data say. `errors` are byte ranges that could not be read at acquisition."""

    values: dict[str, str] = field(default_factory=dict)
    digests: dict[str, bytes] = field(default_factory=dict)
    errors: Ranges = field(default_factory=Ranges)
    tracks: list[tuple[int, str]] = field(default_factory=list)
    _headers: int = 0

    def take(self, segment: Segment, section: Section, bytes_per_sector: int, problems: Problems) -> None:
        """Takes one section of a kind known here; one that does not hold becomes a problem."""
        if section.kind not in _KINDS:
            return
        data = segment.read(section.data, min(section.end - section.data, MOST_ERRORS * 8 + 524))
        match section.kind:
            case "hash":
                why = self._hash(data, problems)
            case "digest":
                why = self._digest(data, problems)
            case "error2":
                why = self._errors(data, bytes_per_sector)
            case "session":
                why = self._session(data)
            case _:
                why = self._header(data)
        if why:
            problems.add(f"segment {segment.number}: the {section.kind} section at byte {section.at:,} {why}")

    def _header(self, data: bytes) -> str | None:
        self._headers += 1
        if self._headers > MOST_HEADERS:
            return "is one too many, and is not read"
        inflater = decompressobj()
        try:
            text = inflater.decompress(data, MOST_HEADER)
        except NotPacked:
            return "is damaged: what it says of the acquisition is not known"
        wide = text[:2] in {b"\xff\xfe", b"\xfe\xff"}
        lines = text.decode("utf-16" if wide else "latin-1", "replace").splitlines()
        if "main" not in lines[:-2]:
            return "has an unknown form: what it says of the acquisition is not known"
        at = lines.index("main")
        for name, value in zip(lines[at + 1].split("\t"), lines[at + 2].split("\t"), strict=False):
            key = _VALUES.get(name)
            if key and value and (wide or key not in self.values):  # header2 knows the zone of its times
                self.values[key] = (_time(value) if key in _TIMES else value)[:MOST_VALUE]
        return None

    def _hash(self, data: bytes, problems: Problems) -> str | None:
        if len(data) < 36 or not _holds(data[:36]):
            return "is damaged: the MD5 it stores is not known"
        self._stored("md5", data[:16], problems)
        return None

    def _digest(self, data: bytes, problems: Problems) -> str | None:
        if len(data) < 80 or not _holds(data[:80]):
            return "is damaged: the digests it stores are not known"
        self._stored("md5", data[:16], problems)
        self._stored("sha1", data[16:36], problems)
        return None

    def _stored(self, name: str, value: bytes, problems: Problems) -> None:
        if any(value):
            if self.digests.setdefault(name, value) != value:
                problems.add(
                    f"two different stored {name}: {self.digests[name].hex()} and {value.hex()}; the last counts"
                )
            self.digests[name] = value

    def _errors(self, data: bytes, bytes_per_sector: int) -> str | None:
        if len(data) < 524 or not _holds(data[:520]):
            return "is damaged: which sectors the acquisition could not read is not known"
        count = int.from_bytes(data[:4], "little")
        if count > MOST_ERRORS or not _holds(data[520 : 524 + 8 * count]) or len(data) < 524 + 8 * count:
            return "is damaged: which sectors the acquisition could not read is not known"
        for first, sectors in struct.iter_unpack("<II", data[520 : 520 + 8 * count]):
            self.errors.add(first * bytes_per_sector, sectors * bytes_per_sector)
        return None

    def _session(self, data: bytes) -> str | None:
        count = int.from_bytes(data[:4], "little")
        if len(data) < 40 + 32 * count or not _holds(data[:36]) or not _holds(data[36 : 40 + 32 * count]):
            return "is damaged: the sessions of the disc are not known"
        for flags, first in struct.iter_unpack("<II24x", data[36 : 36 + 32 * min(count, MOST_TRACKS)]):
            self.tracks.append((first, "audio (its bytes are not in the image)" if flags & 1 else "data"))
        return None


def geometry(segment: Segment, section: Section) -> Geometry | None:
    """A `volume`, `disk` or `data` section; None where its checksum does not hold."""
    size = 94 if section.end - section.data < 1052 else 1052
    data = segment.read(section.data, size)
    if len(data) < size or not _holds(data):
        return None
    if size == 94:
        return Geometry(*_SMART_VOLUME.unpack_from(data))
    media, chunks, per_chunk, per_sector, sectors, flags, level, granularity, identity = _VOLUME.unpack_from(data)
    name, known = _MEDIA.get(media, f"type {media}"), identity if any(identity) else b""
    return Geometry(chunks, per_chunk, per_sector, sectors, name, flags, level, granularity, known)


def told(facts: Facts, shape: Geometry, segments: int) -> dict[str, Any]:
    """All of it as JSON can say it, for the custody of the Exhibit."""
    about: dict[str, Any] = {**facts.values, "segments": segments, "bytes per sector": shape.bytes_per_sector}
    about["chunk bytes"] = shape.sectors_per_chunk * shape.bytes_per_sector
    if shape.media:
        about["media"] = ", ".join([shape.media, *(name for bit, name in _FLAGS.items() if shape.flags & bit)])
    if shape.error_granularity:
        about["error granularity in sectors"] = shape.error_granularity
    if shape.set:
        about["set"] = shape.set.hex()
    if facts.tracks:
        about["tracks"] = [f"sector {first}: {kind}" for first, kind in facts.tracks]
    return about


def _holds(data: bytes) -> bool:
    """Whether the last four bytes are the Adler-32 of those before them."""
    return bool(adler32(data[:-4]) == int.from_bytes(data[-4:], "little"))


def _time(value: str) -> str:
    """A time of a header: seconds since 1970 in UTC, or the examiner's local time as six numbers."""
    if value.isascii() and value.isdigit() and len(value) <= 11:
        return datetime.fromtimestamp(int(value), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    parts = value.split(" ")
    if len(parts) == 6 and all(part.isascii() and part.isdigit() and len(part) <= 4 for part in parts):
        return "{:0>4}-{:0>2}-{:0>2} {:0>2}:{:0>2}:{:0>2} (zone not stated)".format(*parts)
    return value
