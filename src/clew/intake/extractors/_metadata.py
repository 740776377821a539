"""Where a picture file keeps its EXIF and XMP blocks: found by walking the container, no pixel decoded.

JPEG (ITU-T T.81 B.1.1.4; Exif 2.32, 4.7.2; XMP part 3, 1.1.3), PNG (third edition, 11.3.2 eXIf; iTXt), WebP (RFC 9649),
HEIC and AVIF (ISO/IEC 23008-12, annex A), TIFF and the raws that are TIFF, RAF (the JPEG inside), CR3 (Canon's boxes
CMT1 to CMT4, each a TIFF of its own).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from clew.intake.api import Probe
from clew.intake.extractors import _bmff
from clew.intake.extractors._tiff import Directory, Tiff

KEY = "clew.intake.extractors._metadata"
ORIENTATION, EXIF_IFD, GPS_IFD, MAKER_NOTE, XMP = 0x0112, 0x8769, 0x8825, 0x927C, 0x02BC
CANON_BOX = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")  # in a CR3's moov
RAF = b"FUJIFILMCCD-RAW "
RAF_JPEG = 84  # where a RAF's header says where its JPEG lies: offset and length, big-endian
SCAN, END = 0xDA, 0xD9  # markers
MOST_SEGMENTS = 65_536
MOST_XMP = 4 << 20
_EXIF_MARK, _XMP_MARK = b"Exif\x00", b"http://ns.adobe.com/xap/1.0/\x00"
_PNG, _PNG_XMP = b"\x89PNG\r\n\x1a\n", b"XML:com.adobe.xmp\x00\x00\x00\x00\x00"  # not compressed, no language


@dataclass(frozen=True, slots=True)
class Place:
    """A directory with the block that its offsets count in."""

    tiff: Tiff
    directory: Directory


@dataclass(slots=True)
class Metadata:
    """What was found. `first`, `inside` and `gps` are IFD0, the Exif IFD and the GPS IFD; `note` the maker note: its
    block, the offset of its bytes in it and their number. `xmp` holds the packets. `broken` says what could not be
    followed; `second` what further EXIF blocks there are, which are not read: a file has one (Exif 2.32, 4.7.2).
    """

    first: Place | None = None
    inside: Place | None = None
    gps: Place | None = None
    note: tuple[Tiff, int, int] | None = None
    xmp: list[bytes] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    second: list[memoryview] = field(default_factory=list)

    @property
    def orientation(self) -> int:
        """1 to 8 as EXIF has it; 1 where it says nothing that makes sense."""
        if self.first is None:
            return 1
        try:
            value = self.first.tiff.number(self.first.directory.entries.get(ORIENTATION))
        except ValueError:
            return 1
        return value if value is not None and 1 <= value <= 8 else 1


def read(probe: Probe) -> Metadata:
    """The metadata of the content, found at most once per Probe. Needs `probe.data`."""
    found: Metadata | None = probe.cache.get(KEY)
    if found is None:
        assert probe.data is not None, "whoever asks has said already that the content is not held"
        found = probe.cache[KEY] = find(probe.data)
    return found


def find(data: memoryview) -> Metadata:
    """The metadata of these bytes, whatever container they are; an empty one where it is none of those above."""
    found = Metadata()
    head = bytes(data[:16])
    try:
        if head[:2] == b"\xff\xd8":
            _jpeg(data, found)
        elif head[:8] == _PNG:
            _png(data, found)
        elif head[:4] == b"RIFF" and head[8:12] == b"WEBP":
            _webp(data, found)
        elif head[4:8] == b"ftyp":
            _boxes(data, found)
        elif head == RAF:
            start, size = struct.unpack_from(">II", data, RAF_JPEG)
            _jpeg(data[start : start + size], found)
        elif head[:2] in (b"II", b"MM"):
            _exif(data, found)
    except (ValueError, struct.error) as error:
        found.broken.append(str(error))
    return found


def segments(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Marker and content of a JPEG's segments up to its first scan, whose header is the last of them."""
    at = 2
    for _ in range(MOST_SEGMENTS):
        while at + 1 < len(data) and data[at] == 0xFF and data[at + 1] == 0xFF:
            at += 1  # fill bytes
        if at + 4 > len(data) or data[at] != 0xFF:
            return
        marker = data[at + 1]
        if 0xD0 <= marker <= 0xD7 or marker == 0x01:
            at += 2
            continue
        size = data[at + 2] << 8 | data[at + 3]
        yield marker, data[at + 4 : at + 2 + size]
        if marker in (SCAN, END):
            return
        at += 2 + max(size, 2)


def _jpeg(data: memoryview, found: Metadata) -> None:
    marker = 0
    for marker, body in segments(data):
        if marker != 0xE1:
            continue
        if body[:5] == _EXIF_MARK:
            _block(body[6:], found)
        elif body[: len(_XMP_MARK)] == _XMP_MARK:
            _packet(body[len(_XMP_MARK) :], found)
    if marker != SCAN:
        found.broken.append("the file breaks off before its first scan")


def _png(data: memoryview, found: Metadata) -> None:
    at = 8
    for _ in range(MOST_SEGMENTS):
        if at + 12 > len(data):
            break
        size, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + size]
        if kind == b"IEND":
            return
        if kind == b"eXIf":
            _block(body, found)
        elif kind == b"iTXt" and body[: len(_PNG_XMP)] == _PNG_XMP:
            _packet(body[len(_PNG_XMP) :], found)
        at += 12 + size
    found.broken.append("the file breaks off, or is of more chunks than are looked at: what comes behind is not known")


def _webp(data: memoryview, found: Metadata) -> None:
    at = 12
    for _ in range(MOST_SEGMENTS):
        if at + 8 > len(data):
            break
        kind, size = struct.unpack_from("<4sI", data, at)
        body = data[at + 8 : at + 8 + size]
        if kind == b"EXIF":
            _block(body[6:] if body[:5] == _EXIF_MARK else body, found)
        elif kind == b"XMP ":
            _packet(body, found)
        at += 8 + size + size % 2
    if at > len(data) + 1 or at + 8 <= len(data):
        found.broken.append(
            "the file breaks off, or is of more chunks than are looked at: what comes behind is not known"
        )


def _boxes(data: memoryview, found: Metadata) -> None:
    if bytes(data[8:12]) == b"crx ":
        _canon(data, found)
        return
    items = _bmff.Items(data)
    for number in items.of_kind(b"Exif"):
        block = memoryview(items.content(number))
        (skip,) = struct.unpack_from(">I", block)
        _block(block[4 + skip :], found)
    for number in items.of_kind(b"mime"):
        if items.by_id[number].content_type == b"application/rdf+xml":
            _packet(memoryview(items.content(number)), found)


def _canon(data: memoryview, found: Metadata) -> None:
    moov = _bmff.first(data, b"moov")
    inside = (box.body for box in _bmff.boxes(moov or memoryview(b"")) if box.uuid == CANON_BOX)
    for box in _bmff.boxes(next(inside, memoryview(b""))):
        if box.kind in (b"CMT1", b"CMT2", b"CMT3", b"CMT4"):
            tiff = Tiff(box.body)
            place = Place(tiff, tiff.directory(tiff.first))
            match box.kind:
                case b"CMT1":
                    found.first = place
                case b"CMT2":
                    found.inside = place
                case b"CMT3":
                    found.note = tiff, tiff.first, len(tiff.data) - tiff.first
                case b"CMT4":
                    found.gps = place


def _block(block: memoryview, found: Metadata) -> None:
    if found.first is None:
        _exif(block, found)
    elif block != found.first.tiff.data:
        found.second.append(block)


def _exif(block: memoryview, found: Metadata) -> None:
    tiff = Tiff(block)
    first = tiff.directory(tiff.first)
    found.first = Place(tiff, first)
    if first.cut:
        found.broken.append("a directory breaks off")
    found.inside, found.gps = _linked(found, EXIF_IFD), _linked(found, GPS_IFD)
    packet = first.entries.get(XMP)
    if packet is not None:
        _packet(memoryview(tiff.raw(packet, MOST_XMP)), found)
    note = found.inside.directory.entries.get(MAKER_NOTE) if found.inside else None
    if note is not None and note.kind in (1, 7):
        found.note = tiff, note.at, note.count


def _linked(found: Metadata, tag: int) -> Place | None:
    assert found.first is not None
    tiff, entry = found.first.tiff, found.first.directory.entries.get(tag)
    if entry is None:
        return None
    try:
        at = tiff.number(entry)
        directory = tiff.directory(at or 0)
    except ValueError as error:
        found.broken.append(str(error))
        return None
    if directory.cut:
        found.broken.append(f"the directory of tag {tag:#06x} breaks off")
    return Place(tiff, directory)


def _packet(body: memoryview, found: Metadata) -> None:
    if len(body) > MOST_XMP:
        found.broken.append(f"an XMP packet of {len(body):,} bytes is not read")
    else:
        found.xmp.append(bytes(body))
