"""The local header of a member of a zip (APPNOTE.TXT 4.3.7), held against what the directory says of it.

Tools believe one of the two or the other. Where they differ, what one tool shows is not what the next one shows, and
what the directory calls less than there is would be lost without a word.
"""

import struct
from dataclasses import dataclass

from clew.intake.api import ByteSource
from clew.intake.archives import zipstamps
from clew.intake.archives.members import exactly, lost
from clew.intake.archives.zipentry import BEHIND, ENCRYPTED, LOCAL, LOCAL_FORM, ZIP64, Entry, widened

_MASKED = 0x2000  # flag: the directory is encrypted, and what stands here is not the member's (4.4.4)
_U32 = 0xFFFFFFFF
_DESCRIPTOR = b"PK\x07\x08"  # may stand before CRC-32 and sizes behind a content (4.3.9)
_NARROW, _WIDE = struct.Struct("<3I"), struct.Struct("<I2Q")
_LONGEST = len(_DESCRIPTOR) + _WIDE.size


@dataclass(frozen=True, slots=True)
class Local:
    """What one states. `content`: where the compressed bytes begin."""

    content: int
    flags: int
    method: int
    crc: int
    packed: int
    size: int


def of(source: ByteSource, entry: Entry) -> Local:
    """The local header of an entry, whose lengths may be others than the entry's. Raises Absent where none is there."""
    if entry.local < 0:
        raise lost("its directory says that it lies before the archive")
    head = LOCAL_FORM.unpack(exactly(source, entry.local, LOCAL_FORM.size))
    magic, _, flags, method, _, _, crc, packed, size, name, extra = head
    if magic != LOCAL:
        raise lost(f"there is no local header at byte {entry.local}, where its directory says so")
    behind = entry.local + LOCAL_FORM.size + name
    if _U32 in {packed, size}:
        wide = zipstamps.extras(exactly(source, behind, extra)).get(ZIP64, b"")
        size, packed = widened([size, packed], wide)
    return Local(behind + extra, flags, method, crc, packed, size)


def differs(local: Local, entry: Entry) -> str:
    """Both values of all in which they differ; "" where they say the same, or where sizes stand behind the content."""
    if not entry.named or local.flags & _MASKED:
        return ""
    pairs = [
        ("method", str(local.method), str(entry.method)),
        ("encrypted", _yes(local.flags & ENCRYPTED), _yes(entry.flags & ENCRYPTED)),
    ]
    later = local.flags & BEHIND or (entry.flags & BEHIND and not (local.crc or local.packed or local.size))
    if not later:
        pairs += [
            ("CRC-32", f"{local.crc:08x}", f"{entry.crc:08x}"),
            ("compressed size", f"{local.packed:,}", f"{entry.packed:,}"),
            ("size", f"{local.size:,}", f"{entry.size:,}"),
        ]
    said = [pair for pair in pairs if pair[1] != pair[2]]
    if not said:
        return ""
    here, there = (", ".join(f"{pair[0]} {pair[side]}" for pair in said) for side in (1, 2))
    return f"its local header states {here}, where its directory states {there}: which of them is right is not known"


def descriptor(source: ByteSource, entry: Entry, local: Local | None, place: int, stop: int) -> int:
    """How many bytes before `stop` the sizes take that stand behind a content which ends at `place`."""
    if not (entry.flags | (local.flags if local else 0)) & BEHIND or place >= stop:
        return 0
    data = source.read(place, min(_LONGEST, stop - place))
    begin = len(_DESCRIPTOR) if data.startswith(_DESCRIPTOR) else 0
    for form in (_WIDE, _NARROW):
        if len(data) >= begin + form.size:
            _, packed, size = form.unpack_from(data, begin)
            if (packed, size) == (entry.packed, entry.size):
                return begin + form.size
    return len(data) if stop - place <= _LONGEST else 0  # of a writer that counts otherwise


def _yes(flag: int) -> str:
    return "yes" if flag else "no"
