"""The media type of bytes, as libmagic says it; and of what clew can decode and libmagic calls "octet stream": two
camera raws, films of brands that it does not know, and streams of films without a container. An archive stays one,
whatever libmagic makes of its members.
"""

import ctypes
from functools import cache
from pathlib import Path
from typing import Any

from clew.intake import boxes
from clew.intake.archives.kinds import THUMBCACHE, archive_type

TYPED_BYTES = 1 << 20  # what is looked at
SECOND = "type.second"  # the trait of another opinion
# The trait of a content that had another type when it was read again, as by a later version: that one
RETYPED = {"name": "type.again", "extractor": "type", "version": "1"}
UNKNOWN = "application/octet-stream"
COMPRESS = "application/x-compress"
COMPRESS_BITS, COMPRESS_RESERVED = range(9, 17), 0x60  # of its third byte, as compress(1) writes it and libarchive asks
BOOT_AT, BOOT, DOS = 510, b"\x55\xaa", "application/x-dosexec"
H264, H265, DV = "video/h264", "video/h265", "video/x-dv"
# Offset, bytes, type
SIGNATURES = (
    (4, b"ftypcrx ", "image/x-canon-cr3"),  # ISO BMFF of that brand (https://exiftool.org/TagNames/Canon.html#CR3)
    (0, b"IIU\x00", "image/x-panasonic-rw2"),  # Panasonic's TIFF
    # As recorders write them (ITU-T H.264, H.265, annex B): a start code, and the unit that comes first
    *(
        (0, b"\x00\x00\x00\x01" + unit, H264)
        for unit in (b"\x67", b"\x27", b"\x47", b"\x09\x10", b"\x09\x30", b"\x09\xf0")
    ),
    *((0, b"\x00\x00\x00\x01" + unit, H265) for unit in (b"\x40\x01", b"\x46\x01")),
    (0, b"\x1f\x07\x00\x3f", DV),  # the header section of a DIF block (IEC 61834-2)
    (0, b"\x1f\x07\x00\xbf", DV),
    (0, b"DKIF\x00\x00\x20\x00", "video/x-ivf"),
    (0, b"nut/multimedia container\x00", "video/x-nut"),
    # Of the versions of Windows Vista, 7, 8, 8.1, and 10 and 11
    *((0, b"CMMM" + bytes([version, 0, 0, 0]), THUMBCACHE) for version in (20, 21, 30, 31, 32)),
    (0, b"\xb7\xd8\x00\x20\x37\x49\xda\x11\xa6\x4e\x00\x07\xe9\x5e\xad\x8d", "video/x-wtv"),
)


@cache
def typer() -> Any:
    """The libmagic with the database that pylibmagic brings, so that the same bytes have the same type everywhere."""
    import pylibmagic

    bundled = Path(pylibmagic.__file__).parent
    ctypes.CDLL(str(bundled / "libmagic.so.1"))  # before `magic` looks for another version on the system
    import magic

    return magic.Magic(mime=True, magic_file=str(bundled / "magic.mgc"))


def of(first: bytes) -> str:
    """The type of a content that begins with these bytes."""
    said = archive_type(first, _noise(first, _said(first)))
    if said == UNKNOWN:
        known = next((kind for at, mark, kind in SIGNATURES if first.startswith(mark, at)), None)
        return known or boxes.media_type(first) or said
    return said


def _said(first: bytes) -> str:
    """What libmagic says. Of any content with the mark of a boot sector in its place it says that alone, and one in
    65,536 has it by chance: it is asked again without. That the rest is a program for DOS it says of boot sectors too.
    """
    said = str(typer().from_buffer(first))
    if said == UNKNOWN and first.startswith(BOOT, BOOT_AT):
        without = str(typer().from_buffer(first[:BOOT_AT] + bytes(len(BOOT)) + first[BOOT_AT + len(BOOT) :]))
        return said if without == DOS and not first.startswith(b"MZ") else without
    return said


def _noise(first: bytes, said: str) -> str:
    """That type, but for noise that begins with the two bytes of compress(1): libarchive hands it back as its own
    member.
    """
    third = first[2] if len(first) > 2 else 0
    return UNKNOWN if said == COMPRESS and (third & COMPRESS_RESERVED or third & 0x1F not in COMPRESS_BITS) else said
