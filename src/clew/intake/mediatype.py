"""The media type of bytes, as libmagic says it; and of two camera raws that libmagic calls "octet stream"."""

import ctypes
from functools import cache
from pathlib import Path
from typing import Any

TYPED_BYTES = 1 << 20  # what is looked at
SECOND = "type.second"  # the trait of another opinion
UNKNOWN = "application/octet-stream"
# Offset, bytes, type: ISO BMFF of brand "crx " (https://exiftool.org/TagNames/Canon.html#CR3), and Panasonic's TIFF
SIGNATURES = ((4, b"ftypcrx ", "image/x-canon-cr3"), (0, b"IIU\x00", "image/x-panasonic-rw2"))


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
    said = str(typer().from_buffer(first))
    if said == UNKNOWN:
        return next((kind for at, mark, kind in SIGNATURES if first.startswith(mark, at)), said)
    return said
