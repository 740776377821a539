"""Partition tables beside each other: The Sleuth Kit takes one, and what others on the same disk name is listed too.

A GPT that it takes hides the entries of a hybrid MBR, an MBR those of a GPT without a guard, the label of a BSD those
of an MBR, and the first copy of a GPT those of the second (UEFI 2.10, section 5.2).
"""

import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytsk3

from clew.intake.api import ByteSource
from clew.intake.disk import extended, gpt
from clew.intake.disk.image import Image

ALLOCATED, UNALLOCATED = 1, 2  # TSK_VS_PART_FLAG_ENUM
SECTOR = 512  # bytes of a sector that an MBR counts (UEFI 2.10, section 5.2.1), where the disk says nothing else
LARGE = 8  # how many sectors of an MBR are one of a disk whose sectors have 4,096 bytes
GUARDED = "its MBR stands guard for a GPT of which no copy is whole: file systems are looked for where one may begin"
DYNAMIC = "a Windows dynamic disk: where its volumes lie stands in a database which this version does not read"
ENLARGED = "its entries lead to volumes if they count sectors of 4,096 bytes, as on a 4Kn disk: both ways are listed"
MOST_BESIDE = 256
SCHEMES = {
    int(pytsk3.TSK_VS_TYPE_DOS): "MBR",
    int(pytsk3.TSK_VS_TYPE_GPT): "GPT",
    int(pytsk3.TSK_VS_TYPE_MAC): "Apple",
    int(pytsk3.TSK_VS_TYPE_BSD): "BSD",
    int(pytsk3.TSK_VS_TYPE_SUN): "Sun",
}
_LDM = b"(0x42)"  # how The Sleuth Kit's description of an MBR entry of that type ends
_GUARD, _GUARDS = b"(0xee)", 0xEE

Entry = tuple[int, int, str]  # byte, bytes, what it is called


def opened(disk: Image) -> pytsk3.Volume_Info:
    """The table that The Sleuth Kit takes; where the MBR only stands guard for a GPT whose first copy is lost, the
    second; where it takes none, since a boot sector of FAT or NTFS names partitions, those. Raises OSError.
    """
    try:
        volume = pytsk3.Volume_Info(disk)
    except OSError:
        if not names_partitions(disk.read(0, 1024)):
            raise
        return pytsk3.Volume_Info(disk, type=pytsk3.TSK_VS_TYPE_DOS)
    if _is(volume, pytsk3.TSK_VS_TYPE_DOS) and any(map(guards, volume)):
        with suppress(OSError):
            return pytsk3.Volume_Info(disk, type=pytsk3.TSK_VS_TYPE_GPT)
    return volume


def names_partitions(head: bytes) -> bool:
    """Whether the first two sectors look like an MBR with entries, or a GPT; The Sleuth Kit says only "failed"."""
    if head[512:520] == gpt.SIGNATURE:
        return True
    entries = [head[at : at + 16] for at in range(446, 510, 16)]
    return head[510:512] == b"\x55\xaa" and any(map(any, entries)) and all(e[0] in {0, 0x80} for e in entries)


def cut(disk: Image) -> str:
    """That its MBR, or a copy of its GPT, names partitions that go on beyond the image's end; "" where none does.

    The Sleuth Kit refuses the whole of an MBR of which one begins there.
    """
    head = disk.read(0, 512)
    entries = struct.iter_unpack("<4xB3xII", head[446:510] if names_partitions(head) else b"")
    ends = [(first + sectors) * SECTOR for kind, first, sectors in entries if kind not in {0, _GUARDS}]
    ends += [at + length for named in gpt.partitions(disk.source) for at, length in named]
    end = max(ends, default=0)
    if end <= disk.size:
        return ""
    return f"it names a partition that goes on to byte {end:,}, beyond the image's end: the image is cut"


def beside(disk: Image, volume: pytsk3.Volume_Info) -> list[dict[str, Any]]:
    """Partitions that other tables of the disk name, and `volume` does not."""
    known = {(at, length) for at, length, _ in _entries(volume)}
    found: list[dict[str, Any]] = []
    for at, length, label in _others(disk, volume):
        if length > 0 and at < disk.size and (at, length) not in known and len(found) < MOST_BESIDE:
            known.add((at, length))
            found.append({"offset": at, "length": length, "allocated": True, "table": label, "beside": True})
    return found


def remarks(disk: Image, volume: pytsk3.Volume_Info) -> list[str]:
    """What a table says of its disk that is not read."""
    dos = _is(volume, pytsk3.TSK_VS_TYPE_DOS)
    dynamic = dos and any(_ends(part, _LDM) for part in volume)
    found = extended.remarks(disk.source) if dos else []
    found += [DYNAMIC] if dynamic or gpt.dynamic(disk.source) else []
    found += [ENLARGED] if any(_enlarged(disk, volume)) else []
    alone = dos and any(map(guards, volume)) and not any(gpt.partitions(disk.source))
    return [*found, GUARDED] if alone else found


def guards(part: Any) -> bool:
    """Whether an entry of an MBR only keeps others off a GPT: it says nothing of what lies there."""
    return _ends(part, _GUARD)


def _others(disk: Image, volume: pytsk3.Volume_Info) -> Iterator[Entry]:
    for which, entries in zip(("first", "second"), gpt.partitions(disk.source), strict=True):
        for at, length in entries:
            yield at, length, f"named by the {which} GPT"
    head = disk.read(0, 512)
    if not _is(volume, pytsk3.TSK_VS_TYPE_DOS) and names_partitions(head):
        with suppress(OSError):
            mbr = pytsk3.Volume_Info(disk, type=pytsk3.TSK_VS_TYPE_DOS)
            yield from ((at, length, f"named by the MBR: {name}") for at, length, name in _entries(mbr))
    yield from _enlarged(disk, volume)


def _enlarged(disk: Image, volume: pytsk3.Volume_Info) -> Iterator[Entry]:
    """Entries of an MBR that lead nowhere, unless they count sectors of 4,096 bytes."""
    for at, length, name in _entries(volume) if _is(volume, pytsk3.TSK_VS_TYPE_DOS) else ():
        if _begins(disk.source, at * LARGE) and not _begins(disk.source, at):
            yield at * LARGE, length * LARGE, f"{name}, in sectors of 4,096 bytes"


def _entries(volume: pytsk3.Volume_Info) -> Iterator[Entry]:
    unit = int(volume.info.block_size)
    for part in volume:
        if int(part.flags) == ALLOCATED and not guards(part):
            name = bytes(part.desc or b"").decode("utf-8", "replace")[:100]
            yield int(part.start) * unit, int(part.len) * unit, name


def _begins(source: ByteSource, at: int) -> bool:
    """Whether a volume begins there: the signature of a boot sector, of ext's superblock or of HFS+'s header."""
    head = source.read(at, 2048) if at < source.size else b""
    return head[510:512] == b"\x55\xaa" or head[1080:1082] == b"\x53\xef" or head[1024:1026] in {b"H+", b"HX"}


def _is(volume: pytsk3.Volume_Info, scheme: Any) -> bool:
    return int(volume.info.vstype) == int(scheme)


def _ends(part: Any, kind: bytes) -> bool:
    return int(part.flags) == ALLOCATED and bytes(part.desc or b"").endswith(kind)
