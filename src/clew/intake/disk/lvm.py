"""LVM2: the logical volumes of one physical volume, each a disk of its own (lvm2, lib/format_text/layout.h; its text
is described in `man vgcfgbackup` and doc/lvm2-raid.txt).

Read are linear segments on the one physical volume at hand. Whatever else a volume consists of (other physical
volumes, stripes over several, mirrors, RAID, thin pools, snapshots, caches) is said and not read. libvslvm was tried
first: it refuses a volume of two segments (20260901).
"""

import re
import struct
import zlib
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, NamedTuple

from clew.core.absent import Absent, absent
from clew.intake.api import ByteSource, Range
from clew.model import Missing, Reason

SECTOR = 512
LABEL, TYPE, MAGIC = b"LABELONE", b"LVM2 001", b" LVM2 x[5A%r0N*>"
MOST_TEXT = 16 << 20
MOST_VOLUMES = 4096
MOST_DEPTH = 16
MOST_LEFT = 1000  # stretches of a physical volume that are told apart
_IGNORED = 1  # a flag of the place of a text
_CRC_START = 0xF597A6CF
_TOKEN = re.compile(r'\s+|#[^\n]*|(?P<text>"(?:[^"\\]|\\.)*")|(?P<word>[\w.+-]+)|(?P<mark>[={}\[\],])')

_NO_TEXT = Missing(Reason.UNPARSABLE, "LVM2: it holds no text that describes its volumes, or a damaged one")


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a logical volume: so many bytes, at a byte of the image; `at` is None where they are not here."""

    length: int
    at: int | None


@dataclass(slots=True)
class Logical:
    """One logical volume. `missing` says why it cannot be read."""

    name: str
    segments: list[Segment] = field(default_factory=list)
    missing: Missing | None = None

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(each.length for each in self.segments)


class Volume:
    """The bytes of a logical volume, as a ByteSource over the image's."""

    def __init__(self, source: ByteSource, segments: list[Segment]) -> None:
        self._source, self._segments = source, segments
        self._ends = list(accumulate(each.length for each in segments))
        self.size = self._ends[-1] if self._ends else 0

    @property
    def bad(self) -> list[Range]:
        """In bytes of the volume, in order."""
        found = []
        for start, length in self._source.bad:
            begin = 0
            for each in self._segments:
                at = each.at or 0
                first, end = max(start, at), min(start + length, at + each.length)
                if first < end:
                    found.append((begin + first - at, end - first))
                begin += each.length
        return sorted(found)

    def read(self, offset: int, length: int) -> bytes:
        """Raises OSError where the image does."""
        return b"".join(self._source.read(at, size) for at, size in self.where(offset, length))

    def where(self, offset: int, length: int) -> Iterator[Range]:
        """The ranges of the image that hold a range of the volume."""
        end = min(offset + length, self.size)
        while offset < end:
            number = bisect_right(self._ends, offset)
            segment = self._segments[number]
            inside = offset - (self._ends[number] - segment.length)
            size = min(end - offset, segment.length - inside)
            yield (segment.at or 0) + inside, size
            offset += size


@dataclass(frozen=True, slots=True)
class Described:
    """The newest description on a physical volume: of which state of which group, its volumes in the order of their
    names, and what is to be said of other descriptions beside it. None where LVM `ignored` all of them.
    """

    group: str = ""
    state: int = 0
    volumes: list[Logical] = field(default_factory=list)
    remark: str = ""
    ignored: bool = False


def list_volumes(source: ByteSource, offset: int) -> list[Logical]:
    """The logical volumes that the physical volume at byte `offset` knows; see `_described`. Raises Absent."""
    return _described(source, offset).volumes


def _described(source: ByteSource, offset: int) -> Described:
    """Raises Absent where its label or text is damaged. A text that LVM ignores may be long out of date."""
    identifier, areas, first_data = _label(source, offset)
    texts = [_text(source, offset + at, length) for at, length in areas]
    kept = [each for each in texts if each is not None and not each.ignored]
    if not kept and any(texts):
        return Described(ignored=True)
    if not kept:
        raise Absent(_NO_TEXT)
    groups = sorted((_group(_parse(each.text)) for each in kept), key=lambda each: each[1], reverse=True)
    name, state, group = groups[0]
    remark = ""
    if any(each[:2] != (name, state) for each in groups):
        states = " and ".join(f"{each[1]:,}" for each in groups)
        remark = f"its {len(groups)} descriptions are of the states {states} of the group: the latest is believed"
    elif None in texts:
        remark = f"{texts.count(None)} of its {len(texts)} descriptions is damaged or empty: another one is believed"
    volumes = sorted(_volumes(group, identifier, offset, first_data), key=lambda each: each.name)
    return Described(name, state, volumes, remark)


def volume(source: ByteSource, offset: int, number: int) -> Volume:
    """One logical volume by its place in `list_volumes`. Raises Absent where it cannot be read."""
    found = list_volumes(source, offset)
    if not 0 <= number < len(found):
        raise absent(Reason.UNREADABLE, "the logical volume is not there any more")
    chosen = found[number]
    if chosen.missing is not None:
        raise Absent(chosen.missing)
    return Volume(source, chosen.segments)


def said(source: ByteSource, offset: int, length: int) -> dict[str, Any]:
    """For the supervisor: name, bytes and why it cannot be read, of each logical volume; the ranges of the physical
    volume's `length` bytes that none of those that can be read holds; the last byte of any that does; of what state of
    what group that is told, a remark on its descriptions, and whether LVM ignores all of them.
    """
    described = _described(source, offset)
    found = described.volumes
    told = [
        {"name": each.name, "size": each.size, "missing": each.missing.detail if each.missing else None}
        for each in found
    ]
    held = [each for volume in found if volume.missing is None for each in volume.segments]
    end = max((each.at + each.length for each in held if each.at is not None), default=offset)
    of = {"group": described.group, "state": described.state, "remark": described.remark}
    of |= {"ignored": described.ignored}
    return {"logical_volumes": told, "left": _left(held, offset, length), "end": end, **of}


def _left(held: list[Segment], offset: int, length: int) -> list[Range]:
    """What no segment holds. Where there is too much to be told apart, the last stretch goes on to the end."""
    found: list[Range] = []
    at, end = offset, offset + length
    for start, stop in sorted((each.at, each.at + each.length) for each in held if each.at is not None):
        if len(found) == MOST_LEFT:
            break
        if at < min(start, end):
            found.append((at, min(start, end) - at))
        at = max(at, stop)
    return [*found, (at, end - at)] if at < end else found


def _label(source: ByteSource, offset: int) -> tuple[str, list[Range], int]:
    """The physical volume's id, its metadata areas, and where its data begin; places count from `offset`."""
    head = source.read(offset, 4 * SECTOR)
    for at in range(0, len(head) - SECTOR + 1, SECTOR):
        label = head[at : at + SECTOR]
        if label[:8] == LABEL and label[24:32] == TYPE:
            break
    else:
        raise absent(Reason.UNPARSABLE, "LVM2: no label in its first four sectors")
    if _crc(label[20:]) != struct.unpack_from("<I", label, 16)[0]:
        raise absent(Reason.UNPARSABLE, "LVM2: its label is damaged")
    body = label[struct.unpack_from("<I", label, 20)[0] :]
    identifier = body[:32].decode("latin-1")
    data, body = _areas(body[40:])
    metadata, _ = _areas(body)
    return identifier, metadata, data[0][0] if data else 0


def _areas(body: bytes) -> tuple[list[Range], bytes]:
    """A list of areas (byte, bytes) that ends in zeros, and what follows it."""
    found: list[Range] = []
    while len(body) >= 16:
        at, length = struct.unpack_from("<QQ", body)
        body = body[16:]
        if not at:
            break
        found.append((at, length))
    return found, body


class _Text(NamedTuple):
    text: str
    ignored: bool


def _text(source: ByteSource, area: int, length: int) -> _Text | None:
    """The newest description in a metadata area, which is written round and round; None where it is not whole. It is
    `ignored` where LVM writes no more of them there (`pvchange --metadataignore y`), and leaves the last one standing.
    """
    head = source.read(area, SECTOR)
    if len(head) < SECTOR or head[4:20] != MAGIC or _crc(head[4:]) != struct.unpack_from("<I", head)[0]:
        return None
    at, size, check, flags = struct.unpack_from("<QQII", head, 40)
    if not SECTOR <= at < length or size > min(MOST_TEXT, length):
        return None
    straight = min(size, length - at)
    raw = source.read(area + at, straight) + source.read(area + SECTOR, size - straight)
    if _crc(raw) != check:
        return None
    return _Text(raw.rstrip(b"\0").decode("utf-8", "replace"), bool(flags & _IGNORED))


def _crc(data: bytes) -> int:
    """CRC-32 of IEEE 802.3 without its inversions, from a start of LVM's own."""
    return zlib.crc32(data, _CRC_START ^ 0xFFFFFFFF) ^ 0xFFFFFFFF


def _parse(text: str) -> dict[str, Any]:
    """Sections { } become dicts, lists [ ] become lists, numbers and strings what they are. Raises Absent."""
    tokens: list[str] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise absent(Reason.UNPARSABLE, f"LVM2: its text makes no sense at character {at}")
        at = match.end()
        if match.lastgroup:
            tokens.append(match[match.lastgroup])
    try:
        return _section(iter([*tokens, "}"]), 0)
    except (StopIteration, ValueError, TypeError) as error:
        raise absent(Reason.UNPARSABLE, f"LVM2: its text makes no sense ({type(error).__name__})") from error


def _section(tokens: Iterator[str], depth: int) -> dict[str, Any]:
    if depth > MOST_DEPTH:
        raise ValueError("too deep")
    found: dict[str, Any] = {}
    while (name := next(tokens)) != "}":
        mark = next(tokens)
        found[name] = _section(tokens, depth + 1) if mark == "{" else _value(tokens)
    return found


def _value(tokens: Iterator[str]) -> Any:
    first = next(tokens)
    if first != "[":
        return first[1:-1] if first.startswith('"') else int(first) if re.fullmatch(r"-?\d{1,20}", first) else first
    found: list[Any] = []
    while (each := next(tokens)) != "]":
        if each != ",":
            found.append(each[1:-1] if each.startswith('"') else int(each))
    return found


def _group(text: dict[str, Any]) -> tuple[str, int, dict[str, Any]]:
    """The group that a text describes: its id, which of its states, and all that is said of it. Raises Absent."""
    try:
        group = next(each for each in text.values() if isinstance(each, dict))
        return str(group["id"]), int(group["seqno"]), group
    except (StopIteration, KeyError, TypeError, ValueError) as error:
        raise absent(Reason.UNPARSABLE, f"LVM2: its text lacks something ({type(error).__name__})") from error


def _volumes(group: dict[str, Any], identifier: str, offset: int, first_data: int) -> Iterator[Logical]:
    """The volumes of the group. Raises Absent."""
    try:
        extent = int(group["extent_size"]) * SECTOR
        starts = {
            name: offset + int(each.get("pe_start", first_data // SECTOR)) * SECTOR
            for name, each in group["physical_volumes"].items()
            if each["id"].replace("-", "") == identifier
        }
        volumes = list(group.get("logical_volumes", {}).items())
        if len(volumes) > MOST_VOLUMES or extent <= 0:
            raise absent(Reason.LIMIT_REACHED, f"LVM2: {len(volumes)} logical volumes with extents of {extent} bytes")
        for name, each in volumes:
            yield _logical(name, each, extent, starts)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise absent(Reason.UNPARSABLE, f"LVM2: its text lacks something ({type(error).__name__})") from error


def _logical(name: str, said: dict[str, Any], extent: int, starts: dict[str, int]) -> Logical:
    found = Logical(name)
    parts = [each for key, each in said.items() if key.startswith("segment") and isinstance(each, dict)]
    for part in sorted(parts, key=lambda each: int(each["start_extent"])):
        length = int(part["extent_count"]) * extent
        stripes = part.get("stripes", [])
        at: int | None = None
        if part["type"] != "striped" or len(stripes) != 2:
            how = f"{part['type']} over {len(stripes) // 2}" if stripes else part["type"]
            found.missing = _not_read(name, f"is laid out as {how}")
        elif stripes[0] not in starts:
            found.missing = _not_read(name, "lies in part on another physical volume")
        else:
            at = starts[stripes[0]] + int(stripes[1]) * extent
        if length <= 0 or (at is not None and at < 0) or int(part["start_extent"]) * extent != found.size:
            raise ValueError("segments that do not follow each other")
        found.segments.append(Segment(length, at))
    return found


def _not_read(name: str, why: str) -> Missing:
    way = "activate the group with all its disks and take in the opened volume"
    return Missing(Reason.UNKNOWN, f"the logical volume {name} {why}, which this version does not read; {way}")
