"""Where a file of a known kind may begin: the first bytes of every sector, tested with numpy.

Files begin at a cluster of their file system, and every cluster at a sector: what begins elsewhere (inside another
file, say) is not looked for.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

SECTOR = 512

# The first four bytes, read as one number, and what they may begin; the next eight decide (see `_kind`).
_FIRST = {
    b"\x89PNG": "png",
    b"GIF8": "gif",
    b"RIFF": "riff",
    b"\x1aE\xdf\xa3": "mkv",
    b"PK\x03\x04": "zip",
    b"7z\xbc\xaf": "7z",
    b"SQLi": "sqlite",
}
_JPEG = b"\xff\xd8\xff"  # three bytes; the fourth is the first marker
_BOXES = (b"ftyp", b"moov", b"wide", b"mdat")  # at byte 4; QuickTime's older files have no `ftyp`
_WORDS = np.array([int.from_bytes(word, "little") for word in _FIRST], np.uint32)
_BOX_WORDS = np.array([int.from_bytes(word, "little") for word in _BOXES], np.uint32)
_JPEG_WORD = np.uint32(int.from_bytes(_JPEG, "little"))
_JPEG_MASK = np.uint32(0xFFFFFF)


def candidates(data: bytes | memoryview) -> Iterator[tuple[int, str]]:
    """(offset, kind) of every sector of `data` that begins like a file, in order. `data` begins at a sector."""
    sectors = len(data) // SECTOR
    words: NDArray[np.uint32] = np.frombuffer(data, np.uint32, sectors * SECTOR // 4).reshape(sectors, SECTOR // 4)
    first, second = np.ascontiguousarray(words[:, 0]), np.ascontiguousarray(words[:, 1])
    hit = (first & _JPEG_MASK) == _JPEG_WORD
    for word in _WORDS:
        hit |= first == word
    for word in _BOX_WORDS:
        hit |= second == word
    for sector in np.flatnonzero(hit).tolist():
        kind = _kind(bytes(data[sector * SECTOR : sector * SECTOR + 16]))
        if kind is not None:
            yield sector * SECTOR, kind


def _kind(head: bytes) -> str | None:
    """The kind of file that these sixteen bytes begin, if any."""
    if head[:3] == _JPEG:
        return "jpeg" if 0xC0 <= head[3] <= 0xFE else None
    if head[4:8] in _BOXES:
        return "bmff"
    kind = _FIRST.get(head[:4])
    if kind == "riff":
        return {b"WEBP": "webp", b"AVI ": "avi"}.get(head[8:12])
    wanted = {"png": b"\r\n\x1a\n", "gif": b"a", "7z": b"\x27\x1c", "sqlite": b"te format 3\x00"}.get(kind or "", b"")
    start = 5 if kind == "gif" else 4
    return kind if head[start : start + len(wanted)] == wanted else None
