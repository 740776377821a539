"""ZIP: local headers one after the other, the central directory, and its end (PKWARE APPNOTE, sections 4.3 and 4.4).

What is deflated or stored is checked against its CRC-32 while it fits the budget, so that every byte may be proved.
"""

import struct
import zlib
from dataclasses import dataclass, field

from clew.intake.carving.view import BLOCK, Verdict, View

MOST_MEMBERS = 200_000
MOST_EXPANDED = 2 << 30  # bytes unpacked for their checksums; the rest is stepped over by its length
_LOCAL, _CENTRAL, _END, _END64, _LOCATOR = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_DESCRIPTOR, _ARCHIVE_EXTRA = b"PK\x07\x08", b"PK\x06\x08"
_ENCRYPTED, _LATER = 1, 8
_STORED, _DEFLATED = 0, 8
_KNOWN_METHODS = {0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 12, 14, 16, 18, 19, 20, 93, 94, 95, 96, 97, 98, 99}


@dataclass(slots=True)
class _Walk:
    at: int = 0
    members: int = 0
    expanded: int = 0
    proved: bool = True
    checksums: list[int] = field(default_factory=list)
    unread: list[tuple[int, int]] = field(default_factory=list)
    why: str = ""
    broken: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class _Member:
    start: int
    flags: int
    method: int
    crc: int
    packed: int
    unpacked: int


def check(view: View) -> Verdict | None:
    """None where the first local header is none."""
    walk = _Walk()
    while view.read(walk.at, 4) == _LOCAL and walk.members < MOST_MEMBERS:
        member = _member(view, walk.at)
        if member is None:
            walk.why = "its members break off"
            break
        if not _pass(view, walk, member):
            break
        walk.members += 1
    if not walk.members and walk.broken is None and not walk.unread:
        return None
    if walk.why:
        return _verdict(view, walk)
    return _directory(view, walk)


def member_is_right(view: View, at: int) -> bool:
    """Whether a whole member, its checksum right, begins at that place."""
    member, walk = _member(view, at), _Walk(at)
    return member is not None and _pass(view, walk, member) and walk.proved


def _verdict(view: View, walk: _Walk) -> Verdict:
    length = min(walk.broken[1] if walk.broken else walk.at, view.size)
    return Verdict(length, "zip", walk.why, walk.proved, walk.at, tuple(walk.unread), broken=walk.broken)


def _member(view: View, at: int) -> _Member | None:
    head = view.read(at, 30)
    if len(head) < 30:
        return None
    fields: tuple[int, ...] = struct.unpack_from("<HHHHHIIIHH", head, 4)
    _, flags, method, _, _, crc, packed, unpacked, name, extra = fields
    if method not in _KNOWN_METHODS or not name:
        return None
    if 0xFFFFFFFF in {packed, unpacked}:
        packed, unpacked = _wide(view.read(at + 30 + name, extra), packed, unpacked)
    return _Member(at + 30 + name + extra, flags, method, crc, packed, unpacked)


def _wide(extra: bytes, packed: int, unpacked: int) -> tuple[int, int]:
    """Sizes of 64 bits: extra field 1, the unpacked one first."""
    at = 0
    while at + 4 <= len(extra):
        name, length = struct.unpack_from("<HH", extra, at)
        if name == 1 and length >= 16 and at + 20 <= len(extra):
            unpacked, packed = struct.unpack_from("<QQ", extra, at + 4)
        at += 4 + length
    return packed, unpacked


def _pass(view: View, walk: _Walk, member: _Member) -> bool:
    """Steps over one member, its bytes checked where that is possible; False where it is not whole."""
    later = bool(member.flags & _LATER)
    checkable = not member.flags & _ENCRYPTED and member.method in {_STORED, _DEFLATED}
    if checkable and walk.expanded < MOST_EXPANDED and not (later and member.method == _STORED):
        end, crc, unpacked = _unpack(view, walk, member, later)
        following, said = _described(view, end) if later else (end, member.crc)
        if unpacked and crc == said:
            walk.at = following
            walk.checksums.append(crc)
            return True
        fault = end if later else member.start + member.packed
        walk.broken = (member.start, min(fault, view.size))
        walk.why = "cut off" if fault > view.size else "the data of a member does not fit its checksum"
        return False
    walk.proved = False
    stop = _search(view, member.start) if later and not member.packed else member.start + member.packed
    if stop is None or stop > view.size:
        walk.unread.append((member.start, view.size))
        walk.at, walk.why = view.size, "cut off"
        return False
    walk.unread.append((member.start, stop))
    walk.at, crc = _described(view, stop) if later else (stop, member.crc)
    walk.checksums.append(crc)
    return True


def _unpack(view: View, walk: _Walk, member: _Member, later: bool) -> tuple[int, int, bool]:
    """(where the packed data ends, CRC-32 of what it holds, whether it is whole); `later`: its length is not told."""
    length = view.size - member.start if later else member.packed
    crc, at = 0, member.start
    inflater = zlib.decompressobj(-15) if member.method == _DEFLATED else None
    for chunk in view.chunks(member.start, length, BLOCK // 4):
        at += len(chunk)
        if inflater is None:
            crc, walk.expanded = zlib.crc32(chunk, crc), walk.expanded + len(chunk)
            continue
        data = chunk
        try:
            while data and not inflater.eof and walk.expanded <= MOST_EXPANDED:
                out = inflater.decompress(data, BLOCK)
                crc, walk.expanded = zlib.crc32(out, crc), walk.expanded + len(out)
                data = inflater.unconsumed_tail
        except zlib.error:
            return at, 0, False
        if inflater.eof or walk.expanded > MOST_EXPANDED:
            break
    end = at - len(inflater.unused_data) if inflater is not None else at
    whole = later or end == member.start + member.packed
    return end, crc, whole and (inflater is None or inflater.eof)


def _described(view: View, at: int) -> tuple[int, int]:
    """(where a data descriptor ends, the CRC-32 it tells): with or without signature, sizes of 32 or 64 bits."""
    head = view.read(at, 28)
    signed = 4 if head[:4] == _DESCRIPTOR else 0
    crc = int.from_bytes(head[signed : signed + 4], "little")
    for length in (signed + 12, signed + 20):
        if head[length : length + 2] == b"PK":
            return at + length, crc
    return at + signed + 12, crc


def _search(view: View, at: int) -> int | None:
    """Where a member of unwritten length ends: at the next signed data descriptor."""
    carry = b""
    for chunk in view.chunks(at, view.size - at):
        data = carry + chunk
        place = data.find(_DESCRIPTOR)
        if place >= 0:
            return at + place
        carry = data[-3:]
        at += len(data) - len(carry)
    return None


def _directory(view: View, walk: _Walk) -> Verdict:
    """The central directory, entry by entry, and the records that end the file."""
    start, entries = walk.at, 0
    checksums: list[int] = []
    while (head := view.read(walk.at, 46))[:4] == _CENTRAL and len(head) == 46 and entries <= MOST_MEMBERS:
        crc, _, _, name, extra, comment = struct.unpack_from("<IIIHHH", head, 16)
        checksums.append(crc)
        walk.at += 46 + name + extra + comment
        entries += 1
    size = walk.at - start
    head = view.read(walk.at, 56)
    if head[:4] == _END64 and len(head) == 56:
        walk.at += 12 + int.from_bytes(head[4:12], "little")
    if view.read(walk.at, 4) == _LOCATOR:
        walk.at += 20
    end = view.read(walk.at, 22)
    if len(end) < 22 or end[:4] != _END:
        walk.why = "cut off" if walk.at + 22 > view.size else "its central directory breaks off"
        return _verdict(view, walk)
    said, said_size, said_start, comment = struct.unpack_from("<HIIH", end, 10)
    fits = said in {entries & 0xFFFF, 0xFFFF} and said_size in {size, 0xFFFFFFFF}
    if not fits or sorted(checksums) != sorted(walk.checksums) or said_start not in {start, 0xFFFFFFFF}:
        walk.why = "its central directory tells of other members"
        return _verdict(view, walk)
    walk.at += 22 + comment
    if walk.at > view.size:
        walk.at, walk.why = view.size, "cut off"
        return _verdict(view, walk)
    return Verdict(walk.at, "zip", "", walk.proved, walk.at, tuple(walk.unread))
