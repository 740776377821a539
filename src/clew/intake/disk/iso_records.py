"""What a volume of ISO 9660 says of itself and of each file: descriptors and directory records (ECMA-119, sections 8
and 9), Joliet (Microsoft, Joliet Specification, 1995), Rock Ridge (IEEE P1282, RRIP 1.12) on the System Use Sharing
Protocol (IEEE P1281, SUSP 1.12). Bytes in, rows out; whoever reads them bounds how many.

Numbers stand there twice, the little-endian copy first: that one is taken, as systems take it.
"""

import re
import struct
from calendar import timegm
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

SECTOR = 2048  # bytes of a logical sector (ECMA-119, 6.1.2, on every disc there is)
FIRST = 16  # the sector of the first descriptor (ECMA-119, 6.2.1)
MAGIC = b"CD001"
PRIMARY, SUPPLEMENTARY, TERMINATOR = 1, 2, 255  # kinds of descriptors (ECMA-119, 8.1.1)
ENHANCED = 2  # the version of a supplementary one with longer names (ISO 9660:1999, 8.5)
UCS2 = (b"%/@", b"%/C", b"%/E")  # escape sequences of Joliet's three levels
DIRECTORY, ASSOCIATED, MORE = 2, 4, 0x80  # flags of a record (ECMA-119, 9.1.6); MORE: its file goes on in the next one
HEAD = 33  # bytes of a record before its name
NONSENSE = "a record of it makes no sense; what follows in its sector is not read"
REST = "sectors of directories with bytes behind the last record, which are not read"
NAMELESS = b"(no name)"  # of a record whose name has no bytes
MOST_NAME = 1024  # bytes of a name put together by Rock Ridge; systems take 255
MOST_HOPS = 32  # continuations of the fields of one record
MOST_CONTINUED = 4096  # bytes of one of them
_RECORD = struct.Struct("<BBI4xI4x7sBBBH2xB")
_VERSION = re.compile(rb";[0-9]{1,5}\Z")
_SECOND = 1_000_000_000
_TIMES = ("born", "modified", "accessed", "changed")  # bits 0 to 3 of TF (RRIP, 4.1.6)
_LONG_TIMES = 0x80
_XA_FORM_2, _XA_INTERLEAVED, _XA_AUDIO = 0x1000, 0x2000, 0x4000  # CD-ROM XA, attributes of a file
_FIRST_YEAR = 1970


class Descriptor(NamedTuple):
    """A volume descriptor that names a tree: the sector it lies in, bytes of a logical block, its path tables, and the
    record of its root directory.
    """

    sector: int
    kind: int
    version: int
    joliet: bool
    label: str
    block: int
    tables: tuple[int, int, int]  # bytes of a path table, and the blocks of both
    volumes: int  # discs of its set
    number: int  # of this disc among them
    made_ns: int | None  # when the volume was
    root: "Record"


class Record(NamedTuple):
    """A directory record: the byte at which it lies, the block of its extent's first byte (behind an extended attribute
    record) and its bytes. `interleaved`: its extent is not in one piece; `volume`: the disc of the set that has it.
    """

    at: int
    block: int
    size: int
    recorded: bytes
    flags: int
    interleaved: bool
    volume: int
    name: bytes
    use: bytes


@dataclass(slots=True)
class Rock:
    """What the system use field of a record says: the name, the file's mode, the block of a directory that was moved
    away from here, whether this one was moved here, times in nanoseconds by their name, and why the bytes are not the
    file as it is shown.
    """

    name: bytes | None = None
    mode: int = 0
    child: int | None = None
    moved: bool = False
    times: dict[str, int | None] = field(default_factory=dict)
    altered: str = ""


def descriptor(data: bytes, sector: int) -> Descriptor | None:
    """Of the sector that holds it, where it is one that names a tree."""
    kind, version = (data[0], data[6]) if len(data) == SECTOR and data[1:6] == MAGIC else (TERMINATOR, 0)
    if kind not in {PRIMARY, SUPPLEMENTARY}:
        return None
    (block,) = struct.unpack_from("<H", data, 128)
    root = record(data[156:190], sector * SECTOR + 156)
    if root is None or block not in {512, 1024, 2048}:
        return None
    joliet = kind == SUPPLEMENTARY and data[88:91] in UCS2
    label = data[40:72].decode("utf-16-be" if joliet else "latin-1", "replace").rstrip(" \0")
    volumes, number = struct.unpack_from("<H2xH", data, 120)
    (size, little), (big,) = struct.unpack_from("<I4xI", data, 132), struct.unpack_from(">I", data, 148)
    tables, made_ns = (size, little, big), recorded_ns(data[813:830])
    return Descriptor(sector, kind, version, joliet, label, block, tables, volumes, number, made_ns, root)


def record(data: bytes, at: int) -> Record | None:
    """The one that these bytes begin with; None where they are none."""
    if len(data) <= HEAD:
        return None
    length, before, block, size, recorded, flags, unit, gap, volume, name = _RECORD.unpack_from(data)
    if not HEAD + name <= length <= len(data):
        return None
    use = data[HEAD + name + (name % 2 == 0) : length]
    own = data[HEAD : HEAD + name]
    return Record(at, block + before, size, recorded, flags, bool(unit or gap), volume, own, use)


def records(data: bytes, at: int) -> Iterator[Record | str]:
    """Those of a directory's sector, which lies at byte `at`; NONSENSE or REST, and no more, in place of what makes no
    sense.
    """
    inside = 0
    while inside < len(data) and data[inside]:
        found = record(data[inside:], at + inside)
        if found is None:
            yield NONSENSE
            return
        yield found
        inside += data[inside]
    if any(data[inside:]):
        yield REST


def table(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The block and the name of each directory in a path table, the little-endian one (ECMA-119, 9.4)."""
    at = 0
    while at + 8 < len(data) and data[at]:
        name, before, block = struct.unpack_from("<BBI", data, at)
        yield block + before, data[at + 8 : at + 8 + name]
        at += 8 + name + name % 2


def plain_name(name: bytes, *, joliet: bool) -> bytes:
    """A name as systems show it: without its version, and the dot before no extension. Joliet's as UTF-8."""
    if joliet:
        name = name.decode("utf-16-be", "surrogatepass" if len(name) % 2 == 0 else "replace").encode(
            "utf-8", "surrogatepass"
        )
    shown = _VERSION.sub(b"", name)
    return (shown if joliet else shown.removesuffix(b".")) or name or NAMELESS


def recorded_ns(data: bytes) -> int | None:
    """Nanoseconds since 1970 of a time of 7 bytes (ECMA-119, 9.1.5), or of 17 digits (8.4.26.1): local, with its
    distance to UTC in quarters of an hour. None where nothing is recorded, or nothing that can be.
    """
    if len(data) == 7:
        fields, hundredths = [1900 + data[0], *data[1:6]], 0
    else:
        digits = data[:16]
        if len(data) != 17 or not digits.isdigit():
            return None
        fields = [int(digits[:4]), *(int(digits[at : at + 2]) for at in range(4, 14, 2))]
        hundredths = int(digits[14:])
    offset = struct.unpack("b", data[-1:])[0]
    try:
        year, month, day, hour, minute, second = fields
        local = timegm(datetime(year, month, day, hour, minute, second, tzinfo=UTC).timetuple())
    except ValueError:
        return None
    seconds = local - offset * 900
    known = fields[0] >= _FIRST_YEAR and seconds >= 0
    return seconds * _SECOND + hundredths * (_SECOND // 100) if known else None


def xa(use: bytes) -> str:
    """Why a file of CD-ROM XA is not what the 2,048 bytes of each of its sectors hold; "" where it is."""
    if len(use) < 14 or use[6:8] != b"XA":
        return ""
    (attributes,) = struct.unpack_from(">H", use, 4)
    if attributes & (_XA_FORM_2 | _XA_INTERLEAVED | _XA_AUDIO):
        return "it has sectors of form 2 or of sound (CD-ROM XA), of which no more than 2,048 bytes each are read"
    return ""


def skipped(use: bytes) -> int | None:
    """Of the root's own record: how many bytes before the fields of SUSP each record has; None without SUSP (5.3)."""
    at = 14 if use[6:8] == b"XA" else 0
    sp = use[at : at + 7]
    return sp[6] if sp[:3] == b"SP\x07" and sp[4:6] == b"\xbe\xef" else None


def rock(use: bytes, skip: int, read: Callable[[int, int, int], bytes]) -> Rock:
    """The fields of a record; `read` (block, offset, bytes) gives those that are continued elsewhere."""
    found, area = Rock(), use[skip:]
    for _ in range(MOST_HOPS):
        following = _fields(area, found)
        if following is None:
            break
        block, offset, length = following
        area = read(block, offset, min(length, MOST_CONTINUED))
    return found


def _fields(area: bytes, found: Rock) -> tuple[int, int, int] | None:
    """Adds one area's fields; the answer is where they go on."""
    following, at = None, 0
    while at + 4 <= len(area):
        kind, length = area[at : at + 2], area[at + 2]
        data = area[at + 4 : at + length]
        if length < 4 or at + length > len(area) or kind == b"ST":
            break
        if kind == b"CE" and len(data) >= 24:
            following = struct.unpack_from("<I4xI4xI", data)
        elif kind == b"NM" and data and not data[0] & 6:  # 6: it means "." or ".."
            found.name = ((found.name or b"") + data[1:])[:MOST_NAME]
        elif kind == b"PX" and len(data) >= 4:
            (found.mode,) = struct.unpack_from("<I", data)
        elif kind == b"CL" and len(data) >= 4:
            (found.child,) = struct.unpack_from("<I", data)
        elif kind == b"RE":
            found.moved = True
        elif kind == b"TF" and data:
            found.times |= _times(data)
        elif kind == b"ZF":
            found.altered = "it is packed (zisofs), and is not unpacked"
        elif kind == b"SF":
            found.altered = "it has holes (a sparse file of Rock Ridge), which are not read"
        at += length
    return following


def _times(data: bytes) -> dict[str, int | None]:
    each = 17 if data[0] & _LONG_TIMES else 7
    present = [name for bit, name in enumerate(_TIMES) if data[0] >> bit & 1]
    return {name: recorded_ns(data[1 + at * each :][:each]) for at, name in enumerate(present)}
