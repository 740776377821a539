"""Bytes of a zip that no member explains: where they begin, past zeros and what tools leave between members.

Such are the directory and the end record of an older zip before this one (APPNOTE.TXT 4.3.12 to 4.3.16), Android's
signatures before the directory (APK Signature Scheme v2), and the local headers without a name with which its build
tools fill the place of a member that they took out (zipflinger, LocalFileHeader.java).
"""

import struct

from clew.intake.api import ByteSource
from clew.intake.archives.members import CHUNK
from clew.intake.archives.zipentry import ENTRY, ENTRY_FORM, LOCAL, LOCAL_FORM

_SIGNED = b"APK Sig Block 42"  # how the signatures end, behind their own length
_FEW = 64  # bytes that are looked at first
_END, _END64, _LOCATOR = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_LENGTHS = {_END: 22, _END64: 56, _LOCATOR: 20}
_ALIGNING = b"\x35\xd9"  # the extra field that aligns what comes behind it
_BEFORE_ZEROS = LOCAL_FORM.size + len(_ALIGNING) + 2  # bytes of a filling header, with the length of that field


def first(source: ByteSource, start: int, stop: int) -> int | None:
    """The first byte of such a stretch that nothing explains; None where all is explained."""
    stop = _signatures(source, start, stop)
    while (at := _no_zero(source, start, stop)) is not None:
        length = _record(source.read(at, ENTRY_FORM.size))
        if not length:
            return at
        start = at + length
    return None


def _no_zero(source: ByteSource, start: int, stop: int) -> int | None:
    """The next byte that is no zero."""
    step = _FEW
    while start < stop:
        piece = source.read(start, min(step, stop - start))
        if rest := piece.lstrip(b"\0"):
            return start + len(piece) - len(rest)
        if not piece:
            return None
        start, step = start + len(piece), min(CHUNK, 2 * step)
    return None


def _record(head: bytes) -> int:
    """How long a record of an older directory is, which begins so; 0 where it is none."""
    if head.startswith(ENTRY) and len(head) == ENTRY_FORM.size:
        return ENTRY_FORM.size + int(sum(struct.unpack_from("<3H", head, 28)))
    if head.startswith(LOCAL) and len(head) >= _BEFORE_ZEROS and head[LOCAL_FORM.size :].startswith(_ALIGNING):
        _, _, flags, method, _, _, crc, packed, size, name, _ = LOCAL_FORM.unpack_from(head)
        return 0 if flags or method or crc or packed or size or name else _BEFORE_ZEROS
    return _LENGTHS.get(head[:4], 0)


def _signatures(source: ByteSource, start: int, stop: int) -> int:
    """Where Android's signatures begin, where they end at `stop`; else that."""
    tail = source.read(stop - 24, 24) if stop - start >= 32 else b""
    if not tail.endswith(_SIGNED):
        return stop
    begin = stop - 8 - int.from_bytes(tail[:8], "little")
    return begin if begin >= start and source.read(begin, 8) == tail[:8] else stop
