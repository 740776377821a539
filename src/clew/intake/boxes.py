"""Boxes at the top of an ISO base media file (ISO/IEC 14496-12, 4.2) or of an older QuickTime film, and the media type
of a content that begins with them: libmagic knows some of the brands alone, cameras have their own (Sony's "XAVC").

A box is a big-endian length and a type of four bytes.
"""

import struct

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


def media_type(first: bytes) -> str | None:
    """The type of a content that begins with these bytes; None where they are no such boxes. A brand that nobody has
    heard of is a film's.
    """
    at = 0
    for _ in range(MOST):
        if at + 8 > len(first):
            return None
        size, kind = struct.unpack_from(">I4s", first, at)
        if size == 1 and at + 16 <= len(first):
            (size,) = struct.unpack_from(">Q", first, at + 8)
        if kind not in TOP or 0 < size < 8:
            return None
        if kind == b"ftyp":
            return _PICTURES.get(first[at + 8 : at + 12], MP4)
        if kind in _DECIDES:
            return _DECIDES[kind]
        if size == 0:
            return None
        at += size
    return None
