"""The largest JPEG that a camera raw carries of itself: what the camera showed its owner. No raw is developed here.

CR2, NEF, ARW, DNG, ORF and RW2 are TIFF (TIFF 6.0; TIFF/EP, ISO 12234-2; DNG 1.6), RAF has a heading, CR3 is ISO BMFF
(layouts: https://exiftool.org/canon_raw.html and the tag tables there).
"""

import struct
from collections.abc import Iterator

from clew.core.absent import Absent
from clew.intake.extractors import _bmff, _metadata
from clew.intake.extractors._tiff import Directory, Tiff
from clew.model import Missing, Reason

SUBFILE, COMPRESSION, PHOTOMETRIC, STRIPS, STRIP_SIZES = 0x00FE, 0x0103, 0x0106, 0x0111, 0x0117
SUB_DIRECTORIES, JPEG_AT, JPEG_SIZE, PANASONIC_JPEG, DNG_VERSION = 0x014A, 0x0201, 0x0202, 0x002E, 0xC612
CFA, LINEAR_RAW = 32803, 34892  # photometric interpretations of a sensor's values
NIKON, SONY, PENTAX = 34713, 32767, 65535  # compressions of raw values
JPEG_COMPRESSIONS = (6, 7)
OLYMPUS, OM_SYSTEM = b"OLYMPUS\x00", b"OM SYSTEM\x00"
OLYMPUS_SETTINGS, OLYMPUS_AT, OLYMPUS_SIZE = 0x2020, 0x0101, 0x0102  # in the maker note
PREVIEW_BOX = bytes.fromhex("eaf42b5e1c984b88b9fbb7dc406e4d16")  # of a CR3
MOST_DIRECTORIES = 64


def preview(data: memoryview) -> memoryview | None:
    """The JPEG to decode instead; None where these bytes are no camera raw, or one that begins with a plain picture.

    Raises Absent for a raw that carries no picture of itself.
    """
    head = bytes(data[:16])
    if head == _metadata.RAF:
        found = list(_fuji(data))
    elif head[4:12] == b"ftypcrx ":
        found = list(_canon(data))
    elif head[:2] in (b"II", b"MM"):
        tiff = _opened(data)
        directories = list(_directories(tiff)) if tiff else []
        if tiff is None or not _is_raw(tiff, directories, head):
            return None
        found = list(_in_tiff(tiff, directories))
        if not found and directories and _value(tiff, directories[0], PHOTOMETRIC) == 2:
            return None
    else:
        return None
    sized = [(pixels, len(jpeg), jpeg) for jpeg in found if (pixels := _pixels(jpeg)) > 0]
    if not sized:
        raise Absent(Missing(Reason.NOT_APPLICABLE, "a camera raw without a preview; raw values are not developed"))
    return max(sized, key=lambda each: each[:2])[2]


def _opened(data: memoryview) -> Tiff | None:
    try:
        return Tiff(data)
    except ValueError:
        return None


def _directories(tiff: Tiff) -> Iterator[Directory]:
    """All of them: the chain, and what hangs below each."""
    waiting, seen = [tiff.first], set[int]()
    while waiting and len(seen) < MOST_DIRECTORIES:
        at = waiting.pop(0)
        if at in seen:
            continue
        seen.add(at)
        try:
            found = tiff.directory(at)
            below = tiff.numbers(found.entries.get(SUB_DIRECTORIES), MOST_DIRECTORIES)
        except ValueError:
            continue
        yield found
        waiting += [int(each) for each in below]
        if found.after:
            waiting.append(found.after)


def _is_raw(tiff: Tiff, directories: list[Directory], head: bytes) -> bool:
    if tiff.magic != 42 or head[8:10] == b"CR":
        return True
    if directories and DNG_VERSION in directories[0].entries:
        return True
    return any(
        _value(tiff, each, PHOTOMETRIC) in (CFA, LINEAR_RAW) or _value(tiff, each, COMPRESSION) in (NIKON, SONY, PENTAX)
        for each in directories
    )


def _in_tiff(tiff: Tiff, directories: list[Directory]) -> Iterator[memoryview]:
    for each in directories:
        yield from _slice(tiff.data, _value(tiff, each, JPEG_AT), _value(tiff, each, JPEG_SIZE))
        if _value(tiff, each, COMPRESSION) in JPEG_COMPRESSIONS:
            yield from _slice(tiff.data, _value(tiff, each, STRIPS), _value(tiff, each, STRIP_SIZES))
        whole = each.entries.get(PANASONIC_JPEG)
        if whole is not None and tiff.magic == 0x55:
            yield from _slice(tiff.data, whole.at, whole.count)
    note = _metadata.find(tiff.data).note
    if note is not None:
        yield from _olympus(*note)


def _olympus(tiff: Tiff, at: int, size: int) -> Iterator[memoryview]:
    note = tiff.data[at : at + size]
    head = bytes(note[:10])
    start = 12 if head.startswith(OLYMPUS) else 16 if head == OM_SYSTEM else 0
    if start:
        inside = Tiff(tiff.data[at:], tiff.order)  # offsets count from the note, and may lead beyond its length
        try:
            below = _value(inside, inside.directory(start), OLYMPUS_SETTINGS)
            settings = inside.directory(below or 0)
        except ValueError:
            return
        yield from _slice(inside.data, _value(inside, settings, OLYMPUS_AT), _value(inside, settings, OLYMPUS_SIZE))


def _fuji(data: memoryview) -> Iterator[memoryview]:
    if len(data) >= _metadata.RAF_JPEG + 8:
        yield from _slice(data, *struct.unpack_from(">II", data, _metadata.RAF_JPEG))


def _canon(data: memoryview) -> Iterator[memoryview]:
    for box in _bmff.boxes(data):
        if box.uuid == PREVIEW_BOX:
            small = _bmff.first(box.body[8:], b"PRVW")
            if small is not None and len(small) > 16:
                yield from _slice(small, 16, int.from_bytes(small[12:16]))
    for box in _bmff.boxes(_bmff.first(data, b"moov") or memoryview(b"")):
        table = _bmff.first(box.body, b"mdia", b"minf", b"stbl") if box.kind == b"trak" else None
        if table is None:
            continue
        sizes, places = _bmff.first(table, b"stsz"), _bmff.first(table, b"co64")
        if sizes is None or places is None or len(sizes) < 12 or len(places) < 16:
            continue
        size = int.from_bytes(sizes[4:8]) or int.from_bytes(sizes[12:16])
        yield from _slice(data, int.from_bytes(places[8:16]), size)


def _value(tiff: Tiff, directory: Directory, tag: int) -> int | None:
    try:
        return tiff.number(directory.entries.get(tag))
    except ValueError:
        return None


def _slice(data: memoryview, at: int | None, size: int | None) -> Iterator[memoryview]:
    """That stretch, cut where the file ends, if it begins as a JPEG does."""
    if at and size and bytes(data[at : at + 2]) == b"\xff\xd8":
        yield data[at : at + size]


def _pixels(jpeg: memoryview) -> int:
    """How many a JPEG of a kind that can be shown says it has: baseline, extended or progressive, of 8 bits. Else 0.

    Raw values are often lossless JPEG (T.81 annex H), which is another kind.
    """
    for marker, body in _metadata.segments(jpeg):
        if 0xC0 <= marker <= 0xC2 and len(body) >= 6 and body[0] == 8 and body[5] in (1, 3):
            return int.from_bytes(body[1:3]) * int.from_bytes(body[3:5])
    return 0
