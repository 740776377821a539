"""One member of a zip, as an entry of the directory (APPNOTE.TXT 4.3.12) or its local header (4.3.7) describes it."""

import struct
from dataclasses import dataclass, replace

from clew.intake.api import ByteSource
from clew.intake.archives import zipstamps
from clew.intake.archives.members import exactly, lost

ENTRY, LOCAL = b"PK\x01\x02", b"PK\x03\x04"
ENTRY_FORM = struct.Struct("<4s6H3I5H2I")
LOCAL_FORM = struct.Struct("<4s5H3I2H")
STORED, DEFLATED, BZIP2, LZMA, XZ, AES_METHOD = 0, 8, 12, 14, 95, 99
UNREAD = {1: "shrink", 6: "implode", 9: "deflate64", 93: "zstd", 96: "jpeg", 97: "wavpack", 98: "ppmd"}
_METHODS = {STORED, DEFLATED, BZIP2, LZMA, XZ, AES_METHOD, *UNREAD}
_NEWEST = 63  # the version of the format that is needed at most (4.4.3)
ENCRYPTED, BEHIND = 0x0001, 0x0008  # flags: it is encrypted; its sizes stand behind its content (4.4.4)
_U32 = 0xFFFFFFFF
_UNIX = 3
ZIP64 = 0x0001


@dataclass(frozen=True, slots=True)
class Entry:
    """One member. `named`: by the directory."""

    path: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    local: int  # where its local header lies in the source
    unix_mode: int
    stamps: zipstamps.Stamps
    length: int  # of the entry or of the local header itself, in bytes
    named: bool = True

    @property
    def closed(self) -> bool:
        """Whether it wants a password: bit 0 (4.4.4), or the AES method (APPNOTE.TXT appendix E)."""
        return bool(self.flags & ENCRYPTED) or self.method == AES_METHOD

    @property
    def unsized(self) -> bool:
        """Whether a local header leaves its sizes to what follows the content."""
        return bool(self.flags & BEHIND) and not self.packed


def of_directory(source: ByteSource, place: int, shift: int) -> Entry:
    """The entry at `place`; `shift` is added to where it says that its local header lies. Raises Absent."""
    fields = ENTRY_FORM.unpack(exactly(source, place, ENTRY_FORM.size))
    magic, made, _, flags, method, time, date, crc, packed, size, name, extra, comment, _, _, mode, local = fields
    if magic != ENTRY:
        raise lost(f"its directory makes no sense at byte {place}")
    rest = exactly(source, place + ENTRY_FORM.size, name + extra)
    extras = zipstamps.extras(rest[name:])
    size, packed, local = widened([size, packed, local], extras.get(ZIP64, b""))
    return Entry(
        path=rest[:name],
        flags=flags,
        method=method,
        crc=crc,
        packed=packed,
        size=size,
        local=local + shift,
        unix_mode=mode >> 16 if made >> 8 == _UNIX else 0,
        stamps=zipstamps.stamps(date, time, extras),
        length=ENTRY_FORM.size + name + extra + comment,
    )


def of_local_header(source: ByteSource, place: int, stop: int) -> Entry | None:
    """The member whose local header lies at `place`, with all of it before `stop`; None where these bytes cannot be
    one: they may have its magic by chance.
    """
    head = source.read(place, LOCAL_FORM.size)
    if len(head) < LOCAL_FORM.size:
        return None
    magic, needed, flags, method, time, date, crc, packed, size, name, extra = LOCAL_FORM.unpack(head)
    length = LOCAL_FORM.size + name + extra
    sane = magic == LOCAL and needed & 0xFF <= _NEWEST and method in _METHODS and name
    if not sane or place + length > stop:
        return None
    rest = source.read(place + LOCAL_FORM.size, name + extra)
    if len(rest) < name + extra or b"\0" in rest[:name]:
        return None
    extras = zipstamps.extras(rest[name:])
    size, packed = widened([size, packed], extras.get(ZIP64, b""))
    times = zipstamps.stamps(date, time, extras)
    times = replace(times, source=times.source.replace("zip directory", "zip local header"))
    entry = Entry(rest[:name], flags, method, crc, packed, size, place, 0, times, length, named=False)
    if method == STORED and not (entry.closed or entry.unsized) and packed != size:
        return None
    return entry


def widened(narrow: list[int], wide: bytes) -> list[int]:
    """Size, packed size and place, each from the Zip64 field where it says 0xFFFFFFFF (4.5.3)."""
    values, at = [], 0
    for value in narrow:
        if value == _U32 and at + 8 <= len(wide):
            value = int.from_bytes(wide[at : at + 8], "little")  # noqa: PLW2901
            at += 8
        values.append(value)
    return values
