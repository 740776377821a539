"""Zeros where the coded pixels of a still picture should be: AVIF and lossy WebP. Their decoders complain of nothing.

Measured on pictures of one colour, lines and dots, up to 12 megapixels: AV1 held no run of over 10 zeros; VP8 (libwebp,
quality 100, the fastest methods) one of 0.72 bytes for each macroblock of 16 x 16: two bytes for each are no picture.
Lossless WebP held runs of 57,000, and its alpha planes may be zeros alone: of both nothing is said. HEVC is `_heif`'s
own.
"""

import struct

from clew.intake.extractors import _bmff
from clew.intake.extractors._zeros import SIGN

MACROBLOCK, EACH = 16, 2  # pixels a side; bytes of zeros for each of them
_AV1, _VP8 = b"av01", b"VP8 "
_SIZE = 6  # where a key frame says its size: RFC 6386, 9.1
MOST_CHUNKS = 64


def zeroed(data: memoryview) -> bool:
    """Whether the main picture of these bytes holds a run of zeros that no encoder makes."""
    try:
        if bytes(data[4:8]) == b"ftyp":
            return _avif(data)
        return bytes(data[:4]) == b"RIFF" and bytes(data[8:12]) == b"WEBP" and _webp(data)
    except (ValueError, struct.error):  # what is not there the decoder says
        return False


def _avif(data: memoryview) -> bool:
    items = _bmff.Items(data)
    main = items.by_id.get(items.primary)
    if main is None:
        return False
    parts = [items.primary, *(target for kind, target in main.refers if kind == b"dimg")]  # or the tiles of a grid
    coded = (part for part in parts if part in items.by_id and items.by_id[part].kind == _AV1)
    return any(SIGN in items.content(part) for part in coded)


def _webp(data: memoryview) -> bool:
    at = 12
    for _ in range(MOST_CHUNKS):
        if at + 8 > len(data):
            break
        kind, size = struct.unpack_from("<4sI", data, at)
        if kind == _VP8:
            return _vp8(bytes(data[at + 8 : at + 8 + size]))
        at += 8 + size + size % 2
    return False


def _vp8(coded: bytes) -> bool:
    wide, high = (-(-(side & 0x3FFF) // MACROBLOCK) for side in struct.unpack_from("<HH", coded, _SIZE))
    return bytes(max(len(SIGN), wide * high * EACH)) in coded
