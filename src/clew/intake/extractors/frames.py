"""How many pictures follow one another in a file of pictures: what moves is looked at again as video is.

Counted from the structure, nothing is decoded: GIF89a (sections 20 to 26), PNG (third edition, 11.3.6.1 acTL), WebP
(RFC 9649, 2.7.1.2 ANMF), AVIF and HEIC sequences (ISO/IEC 14496-12, 8.7.3 stsz), pages of TIFF (TIFF 6.0, section 2).
"""

import io
import struct
from collections.abc import Iterator

from PIL import Image

from clew.core.absent import Absent, absent
from clew.intake.api import Example, Extractor, Probe, Value
from clew.intake.extractors import _bmff, _picture, _raw
from clew.intake.extractors._tiff import Tiff
from clew.model import Missing, Reason

TRAIT = "image.frames"
MOST_BLOCKS = 4_000_000  # sub-blocks of a GIF that are stepped over: a gigabyte of them
MOST_CHUNKS = 1_000_000


class Frames:
    """Trait "image.frames": how many, where there are more than one."""

    name = "frames"
    version = "1"

    def wants(self, media_type: str) -> bool:
        """Pictures."""
        return _picture.wants(media_type)

    def traits(self, probe: Probe) -> Iterator[tuple[str, Value]]:
        """The count. Raises Absent where it could not be counted to the end."""
        if probe.data is None:
            yield TRAIT, Missing(Reason.TOO_LARGE, "not held in memory")
            return
        count = counted(probe.data)
        if count > 1:
            yield TRAIT, count

    def examples(self) -> Iterator[Example]:
        """Four grey cards, one lighter than the other, as GIF, APNG, WebP and TIFF."""
        cards = [Image.new("L", (32, 24), shade) for shade in (10, 80, 150, 220)]
        for kind, media_type in (
            ("GIF", "image/gif"),
            ("PNG", "image/png"),
            ("WEBP", "image/webp"),
            ("TIFF", "image/tiff"),
        ):
            out = io.BytesIO()
            cards[0].save(out, kind, save_all=True, append_images=cards[1:])
            yield Example(f"cards.{kind.lower()}", out.getvalue(), media_type, {TRAIT: 4})


def counted(data: memoryview) -> int:
    """The pictures in these bytes; 0 where the container knows no such thing. A file that breaks off has those that
    begin before.
    """
    head = bytes(data[:12])
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return _gif(data)
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        return _png(data)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return sum(1 for kind, _ in _riff(data) if kind == b"ANMF")
    if head[4:8] == b"ftyp" and head[8:12] != b"crx ":
        return _sequence(data)
    if head[:4] in (b"II*\x00", b"MM\x00*"):
        return _pages(data)
    return 0


def _pages(data: memoryview) -> int:
    """The directories of a TIFF that are no smaller versions of another; the parts of a camera raw are no pages."""
    try:
        if _raw.preview(data) is not None:
            return 0
    except Absent:
        return 0
    tiff = Tiff(data)
    return sum(1 for page in tiff.chain(tiff.first) if not (tiff.number(page.entries.get(_raw.SUBFILE)) or 0) & 1)


def _gif(data: memoryview) -> int:
    if len(data) < 13:
        return 0
    at = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    frames = blocks = 0
    while at + 1 < len(data):
        match data[at]:
            case 0x21:  # an extension: its label, then sub-blocks
                at += 2
            case 0x2C if at + 10 < len(data):  # a picture: its table of colours, code size, then sub-blocks
                frames += 1
                flags = data[at + 9]
                at += 11 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
            case _:  # the trailer, or what is no GIF any more
                return frames
        while at < len(data) and data[at]:
            at += data[at] + 1
            blocks += 1
            if blocks > MOST_BLOCKS:
                raise absent(Reason.LIMIT_REACHED, f"{frames} pictures within {MOST_BLOCKS:,} blocks, and more follow")
        at += 1
    return frames


def _png(data: memoryview) -> int:
    """What acTL says; it must come before the first IDAT."""
    at = 8
    while at + 12 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"acTL" and at + 12 + 8 <= len(data):
            return int.from_bytes(data[at + 8 : at + 12])
        if kind == b"IDAT":
            return 0
        at += 12 + size
    return 0


def _riff(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    at, count = 12, 0
    while at + 8 <= len(data) and count < MOST_CHUNKS:
        kind, size = struct.unpack_from("<4sI", data, at)
        yield kind, data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
        count += 1


def _sequence(data: memoryview) -> int:
    """Samples of the longest track of pictures."""
    most = 0
    for box in _bmff.boxes(_bmff.first(data, b"moov") or memoryview(b"")):
        media = _bmff.first(box.body, b"mdia") if box.kind == b"trak" else None
        handler = _bmff.first(media, b"hdlr") if media is not None else None
        sizes = _bmff.first(media, b"minf", b"stbl", b"stsz") if media is not None else None
        if handler is not None and bytes(handler[8:12]) == b"pict" and sizes is not None and len(sizes) >= 12:
            most = max(most, int.from_bytes(sizes[8:12]))
    return most


PLUGIN: Extractor = Frames()
