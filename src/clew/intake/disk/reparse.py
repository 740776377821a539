"""NTFS reparse points: what a file is that does not keep its bytes in $DATA, and where they are.

Windows asks the driver that set the point for them. What is left in $DATA is a hole as long as the file, which by the
books of NTFS alone would read as zeros. Tags: [MS-FSCC] 2.1.2.1. Layout of the attribute: a tag of 32 bits, then what
its owner keeps there ([MS-FSCC] 2.1.2.2).
"""

from typing import Any, NamedTuple

import pytsk3

from clew.intake.disk.direct import written
from clew.intake.disk.image import FileSystem
from clew.intake.disk.mft_rows import DATA, STANDARD_INFORMATION
from clew.model import Missing, Reason

REPARSE_POINT = 0xC0  # the attribute's type
WOF_STREAM = b"WofCompressedData"
_ATTRIBUTES, _POINTED = 32, 0x400  # where $STANDARD_INFORMATION has the file attributes; that there is a reparse point
UNIT = 16  # clusters that NTFS packs together (Carrier, File System Forensic Analysis, 2005, chapter 11)
_NON_RESIDENT, _PACKED = int(pytsk3.TSK_FS_ATTR_NONRES), int(pytsk3.TSK_FS_ATTR_COMP)
_NOT_ITS_OWN = int(pytsk3.TSK_FS_ATTR_RUN_FLAG_SPARSE) | int(pytsk3.TSK_FS_ATTR_RUN_FLAG_FILLER)

_SURROGATE = 0x20000000  # the bit of a tag whose file or directory stands for another named one
_CLOUD, _CLOUD_BITS = 0x9000001A, 0xFFFF0FFF  # the other four bits tell the providers apart
_LINKS = {
    0xA000000C: int(pytsk3.TSK_FS_META_TYPE_LNK),
    0xA000001D: int(pytsk3.TSK_FS_META_TYPE_LNK),  # those from here on are of the Windows Subsystem for Linux
    0x80000023: int(pytsk3.TSK_FS_META_TYPE_SOCK),
    0x80000024: int(pytsk3.TSK_FS_META_TYPE_FIFO),
    0x80000025: int(pytsk3.TSK_FS_META_TYPE_CHR),
    0x80000026: int(pytsk3.TSK_FS_META_TYPE_BLK),
}
_IN_CLOUD = ("cloud files", "its bytes were in the cloud, not on this disk")
_IN_WIM = ("WIM", "its bytes lie in a Windows image file (WIM)")
_MOVED = ("HSM", "its bytes were moved to other storage (hierarchical storage management), not on this disk")
_BELOW = ("WCI", "its bytes lie in a layer below that of a Windows container")
_ELSEWHERE = {
    _CLOUD: _IN_CLOUD,
    0x80000015: _IN_CLOUD,  # OneDrive of Windows 8.1
    0x80000021: _IN_CLOUD,  # OneDrive of Windows 10, at first
    0x8000001E: _IN_CLOUD,  # Azure File Sync
    0x90000027: _IN_CLOUD,
    0x80000013: ("deduplication", "deduplicated by Windows: its bytes lie in the chunk store of the volume"),
    0x80000007: ("SIS", "its bytes lie in the common store of the volume (single instance storage)"),
    0x80000008: _IN_WIM,
    0xC0000004: _MOVED,
    0x80000006: _MOVED,
    0x80000005: ("Drive Extender", "its bytes lie on another disk of a Windows Home Server (Drive Extender)"),
    0x80000018: _BELOW,
    0x90001018: _BELOW,
    0x9000001C: ("ProjFS", "its bytes were given by another program (ProjFS) and are not on this disk"),
}
_WOF = 0x80000017
_PACKED_BESIDE = ("WOF", "packed by Windows (WOF), not unpacked; its packed bytes are the stream WofCompressedData")
STANDS_FOR_ANOTHER = "a link to another file or directory, which is not followed"
LINKED_DIRECTORIES = "directories that are links (junctions, mount points), which are not followed"
POINTED_DIRECTORIES = "directories with a reparse point: what is in them may not all be on this disk"


class Lacks(NamedTuple):
    """Why the bytes of a file are not all in its $DATA, and how many are `here`."""

    here: int
    missing: Missing


def tag_of(file: Any) -> int | None:
    """The tag of a file's reparse point, 0 of one that cannot be read; None where there is none."""
    attributes = 0
    for attribute in file:
        kind = int(attribute.info.type)
        if kind == REPARSE_POINT:
            return _number(file, attribute, 0)
        if kind == STANDARD_INFORMATION:
            attributes = _number(file, attribute, _ATTRIBUTES)
    return 0 if attributes & _POINTED else None  # it may have lain in another record that is lost


def link(tag: int) -> int | None:
    """The Sleuth Kit's type of what has that tag and no bytes of its own; 0 where it only stands for something else,
    None where it is a file like others.
    """
    return _LINKS.get(tag, 0 if tag & _SURROGATE else None)


def here_all_the_same(file: Any, tag: int) -> str:
    """What to note of a file whose bytes are in $DATA."""
    return f"files with a reparse point ({_known(file, tag)[0]}) that hold their bytes themselves, read as they stand"


def directory(tag: int) -> str:
    """What to note of a directory."""
    return LINKED_DIRECTORIES if tag & _SURROGATE else POINTED_DIRECTORIES


def lacks(opened: FileSystem, file: Any, attribute: Any) -> Lacks | None:
    """What of a file's content is not in `attribute`; None where all is, or where that is a stream of another name.

    Raises OSError.
    """
    if opened.family != "NTFS":
        return None
    info = attribute.info
    size = int(info.size)
    if int(info.type) != DATA or info.name or not size:
        return None
    tag = tag_of(file)
    here = size if tag is None else _here(opened, file, attribute)
    if tag is None or here >= size:
        return None
    where = _known(file, tag)[1]
    if here:
        where = f"only {here:,} of its {size:,} bytes are in the file itself, and zeros stand for the others: {where}"
    return Lacks(here, Missing(Reason.UNREADABLE, where))


def _here(opened: FileSystem, file: Any, attribute: Any) -> int:
    """Bytes of it that lie in clusters of its own; of a packed one, whole units in which there is any. None of a stream
    that was never written, or that lies in the record and is all zeros, as Windows makes a short one.
    """
    info = attribute.info
    size, flags = int(info.size), int(info.flags)
    if not flags & _NON_RESIDENT:
        return size if any(file.read_random(0, size, DATA, int(info.id))) else 0
    if written(opened, int(file.info.meta.addr), attribute) == 0:
        return 0
    unit = UNIT if flags & _PACKED else 1
    here = counted = 0
    for run in attribute:
        if int(run.flags) & _NOT_ITS_OWN:
            continue
        first = max(int(run.offset) // unit, counted)
        counted = max(-(-(int(run.offset) + int(run.len)) // unit), counted)
        here += max(0, min(counted * unit * opened.block, size) - first * unit * opened.block)
    return here


def _number(file: Any, attribute: Any, at: int) -> int:
    """32 bits of an attribute, 0 where they cannot be read."""
    try:
        raw = bytes(file.read_random(at, 4, int(attribute.info.type), int(attribute.info.id)))
    except OSError:
        return 0
    return int.from_bytes(raw, "little") if len(raw) == 4 else 0


def _known(file: Any, tag: int) -> tuple[str, str]:
    """What a tag is called, and where the bytes are."""
    if tag == _WOF:
        beside = any(bytes(attribute.info.name or b"") == WOF_STREAM for attribute in file)
        return _PACKED_BESIDE if beside else _IN_WIM
    if link(tag) is not None:
        return "a link", f"its reparse point (0x{tag:08X}) makes it a link: its bytes are not in the file itself"
    if not tag:
        return "that cannot be read", "its reparse point cannot be read: its bytes are not in the file itself"
    known = _ELSEWHERE.get(_CLOUD if tag & _CLOUD_BITS == _CLOUD else tag)
    why = f"its reparse point has a tag that clew does not know (0x{tag:08X}): its bytes are not in the file itself"
    return known or ("of a tag that clew does not know", why)
