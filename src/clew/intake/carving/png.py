"""PNG: chunks, each with its CRC (W3C PNG specification, third edition, section 5); every byte is proved."""

import struct
import zlib

from clew.intake.carving.view import Verdict, View

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MOST_CHUNK = 256 << 20  # bytes
MOST_CHUNKS = 200_000


def check(view: View) -> Verdict | None:
    """None where the header chunk is not right."""
    if not _right(view, 8, b"IHDR", 13):
        return None
    at = 8
    for _ in range(MOST_CHUNKS):
        length, kind = header(view, at)
        if length is None:
            return _broken(at, "cut off" if at + 8 > view.size else "its chunks break off", (at, at))
        end = at + 12 + length
        if not _right(view, at, kind, length):
            why = "cut off" if end > view.size else "the checksum of a chunk is wrong"
            return _broken(at, why, (at, min(end, view.size)))
        at = end
        if kind == b"IEND":
            return Verdict(at, "png", proved=True, sure=at)
    return _broken(at, f"more than {MOST_CHUNKS} chunks", None)


def header(view: View, at: int) -> tuple[int | None, bytes]:
    """(length, type) of the chunk at that place; a length of None where no chunk begins there."""
    head = view.read(at, 8)
    if len(head) < 8 or not head[4:].isalpha():
        return None, b""
    length = int.from_bytes(head[:4], "big")
    return (length, head[4:]) if length <= MOST_CHUNK else (None, b"")


def _right(view: View, at: int, kind: bytes, length: int) -> bool:
    if view.read(at, 8) != struct.pack(">I", length) + kind or at + 12 + length > view.size:
        return False
    crc = zlib.crc32(kind)
    for chunk in view.chunks(at + 8, length):
        crc = zlib.crc32(chunk, crc)
    return view.read(at + 8 + length, 4) == struct.pack(">I", crc)


def _broken(at: int, why: str, span: tuple[int, int] | None) -> Verdict:
    end = span[1] if span else at
    return Verdict(end, "png", why, proved=True, sure=at, broken=span)
