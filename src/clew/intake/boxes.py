"""Boxes at the top of an ISO base media file (ISO/IEC 14496-12, 4.2) or of an older QuickTime film, and the media type
of a content that begins with them: libmagic knows some of the brands alone, cameras have their own (Sony's "XAVC").

A box is a big-endian length and a type of four bytes.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

TOP = frozenset(
    b"ftyp moov mdat free skip wide uuid meta moof mfra sidx ssix styp pnot PICT pict udta pdin emsg prft meco".split()
)
MP4, QUICKTIME, HEIF, HEIC, AVIF = "video/mp4", "video/quicktime", "image/heif", "image/heic", "image/avif"
# What makes a film of boxes that do not begin with "ftyp" (QuickTime File Format; ISO/IEC 14496-12, 8.16 for segments)
_DECIDES = {b"moov": QUICKTIME, b"mdat": QUICKTIME, b"ftyp": MP4, b"moof": MP4, b"styp": MP4, b"sidx": MP4}
# Brands of still pictures (ISO/IEC 23008-12, 10; ISO/IEC 23000-22, 10; AV1 Image File Format, 8)
_PICTURES = {
    b"mif1": HEIF, b"mif2": HEIF, b"miaf": HEIF, b"1pic": HEIF, b"heic": HEIC, b"heix": HEIC, b"MiHB": HEIC,
    b"MiHE": HEIC, b"MiHA": HEIC, b"avif": AVIF, b"MA1A": AVIF, b"MA1B": AVIF,
}  # fmt: skip
MOST = 64  # boxes before the one that decides


@dataclass(frozen=True, slots=True)
class Span:
    """Where one box lies: its first byte, the first of its content, and the one behind it, which may not be there."""

    kind: bytes
    begin: int
    content: int
    end: int


def spans(data: bytes | memoryview, at: int = 0) -> Iterator[Span]:
    """The boxes that lie side by side from byte `at` on, of any kind; a length of 0 runs to the end of `data`. What is
    no box ends them.
    """
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        content, end = at + 8, at + size if size else len(data)
        if size == 1 and at + 16 <= len(data):
            content, end = at + 16, at + struct.unpack_from(">Q", data, at + 8)[0]
        if end < content:
            return
        yield Span(kind, at, content, end)
        at = end


def media_type(first: bytes) -> str | None:
    """The type of a content that begins with these bytes; None where they are no such boxes. A brand that nobody has
    heard of is a film's.
    """
    for span in islice(spans(first), MOST):
        if span.kind not in TOP:
            return None
        if span.kind == b"ftyp":
            return _PICTURES.get(first[span.content : span.content + 4], MP4)
        if span.kind in _DECIDES:
            return _DECIDES[span.kind]
    return None
