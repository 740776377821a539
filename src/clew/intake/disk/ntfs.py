"""NTFS: the names that a file record carries itself, what a deleted index entry still says, and which streams are the
file system's own.

A $FILE_NAME attribute begins with a reference to the parent (48 bits of record number, 16 of sequence); at byte 64
stand the name's length and namespace, then the name in UTF-16 (Carrier, File System Forensic Analysis, 2005, chapter
13).
"""

import re
import struct
from collections.abc import Container
from typing import Any

import numpy as np

from clew.intake.disk.claims import EARLIER, GIVEN_AWAY, NAME_ONLY, NTFS_NAME, allocated
from clew.intake.disk.image import FileSystem
from clew.intake.disk.mft_rows import ATTRIBUTE_LIST
from clew.model import NameState, Reason

ROOT, EXTEND = 5, 11
RESERVED = 24  # the records before it are for the file system's own files
MOST_LEVELS = 256
MOST_BITMAP = 1 << 16  # bytes of a directory's: 2^19 blocks of its index
MOST_GIVEN_UP = 1 << 22  # bytes of blocks that it does not use, in which it is looked for what they name
_ENTRY = 8  # bytes: how the entries of an index are aligned, which begin with the reference to their record
_NONE = frozenset[int]()
CUT = 256  # bytes that The Sleuth Kit keeps of a name which it has from the file record (ntfs_dir_open_meta)
ORPHANS = b"$OrphanFiles"
_DOS = 2  # the namespace of the short twin of a long name
_INDEX_ROOT, _INDEX, _INDEX_BITMAP, _OF_NAMES = 0x90, 0xA0, 0xB0, b"$I30"  # attributes of a directory, and their name

# The streams that Windows gives its own files (b"": the content), by record and, in $Extend, by path, as `fls` lists
# them on volumes of Windows 7 and 10. Whatever else is there a user may have hidden; and $Deleted and $RmMetadata/$Txf
# hold files that were deleted while they were open, or in a transaction.
Streams = frozenset[bytes]
_CONTENT, _NOTHING = frozenset({b""}), frozenset[bytes]()
_RECORDS: dict[int, Streams] = {
    **dict.fromkeys((0, 1, 2, 4, 7), _CONTENT),  # $MFT, $MFTMirr, $LogFile, $AttrDef, $Boot
    6: frozenset({b"", b"$SRAT"}),  # $Bitmap
    8: frozenset({b"$Bad"}),  # $BadClus
    9: frozenset({b"$SDS"}),  # $Secure
    10: frozenset({b"", b"$Info"}),  # $UpCase
}
_IN_EXTEND: dict[bytes, Streams] = {
    b"$ObjId": _NOTHING,
    b"$Quota": _NOTHING,
    b"$Reparse": _NOTHING,
    b"$UsnJrnl": frozenset({b"$J", b"$Max"}),
    b"$RmMetadata/$Repair": frozenset({b"", b"$Config", b"$Corrupt", b"$Verify"}),
    b"$RmMetadata/$TxfLog/$Tops": frozenset({b"", b"$T"}),
}
# The log of transactions and its containers, by their whole names: what else lies there is a user's.
_TXF_LOG = re.compile(rb"\$RmMetadata/\$TxfLog/\$TxfLog(\.blf|Container[0-9A-Fa-f]{20})")


def size(boot: bytes) -> int:
    """Bytes of a volume by its boot sector, without the second one behind them (Carrier, chapter 13, table 13.18)."""
    return int.from_bytes(boot[40:48], "little") * int.from_bytes(boot[11:13], "little")


def own_streams(record: int, in_extend: bytes | None) -> Streams | None:
    """Which streams of a file are the file system's own, as are its empty ones; None where it is a user's file.
    `in_extend` is its path below $Extend, where it lies there.
    """
    if record < RESERVED and record != ROOT:
        return _RECORDS.get(record, _NOTHING)
    if in_extend is None:
        return None
    return _IN_EXTEND.get(in_extend, _CONTENT if _TXF_LOG.fullmatch(in_extend) else None)


def names(file: Any) -> list[tuple[int, int, bytes]]:
    """(parent record, parent sequence, name in UTF-8) of each $FILE_NAME, long names before their short twins."""
    found: list[tuple[bool, int, int, bytes]] = []
    for attribute in file:
        if int(attribute.info.type) != NTFS_NAME:
            continue
        raw = bytes(file.read_random(0, int(attribute.info.size), NTFS_NAME, int(attribute.info.id)))
        if len(raw) < 66:
            continue
        (parent,) = struct.unpack_from("<Q", raw)
        text = raw[66 : 66 + 2 * raw[64]].decode("utf-16-le", "surrogatepass").encode("utf-8", "surrogatepass")
        found.append((raw[65] == _DOS, parent & 0xFFFFFFFFFFFF, parent >> 48, text))
    found.sort(key=lambda each: each[0])
    return [each[1:] for each in found]


def given_up(opened: FileSystem, directory: int) -> Container[int]:
    """The file records that entries may name in blocks which its index does not use any more, as of one that shrank:
    what stood in them The Sleuth Kit, which does not look at the index's bitmap, lists as live (Carrier, 2005, chapter
    13). Others among them cost time alone.
    """
    try:
        file = opened.fs.open_meta(inode=directory)
        found = {int(each.info.type): each.info for each in file if bytes(each.info.name or b"") == _OF_NAMES}
        if not found.keys() >= {_INDEX_ROOT, _INDEX, _INDEX_BITMAP}:
            return _NONE
        head, used = (
            bytes(file.read_random(0, min(int(found[kind].size), most), kind, int(found[kind].id)))
            for kind, most in ((_INDEX_ROOT, 16), (_INDEX_BITMAP, MOST_BITMAP))
        )
        block, index = int.from_bytes(head[8:12], "little"), found[_INDEX]
        count = min(int(index.size) // block, 8 * MOST_BITMAP) if block else 0
        if int.from_bytes(used, "little") & (every := (1 << count) - 1) == every:
            return _NONE
        bits = np.unpackbits(np.frombuffer(used.ljust(-(-count // 8), b"\0"), np.uint8), count=count, bitorder="little")
        unused = np.flatnonzero(bits == 0).tolist()
        if block % _ENTRY or len(unused) * block > MOST_GIVEN_UP:
            return range(1 << 48)
        read = [bytes(file.read_random(at * block, block, _INDEX, int(index.id))) for at in unused]
    except OSError:
        return _NONE
    words = np.frombuffer(b"".join(each[: len(each) // _ENTRY * _ENTRY] for each in read), "<u8")
    records = words & np.uint64(0xFFFFFFFFFFFF)
    return frozenset(records[records <= np.uint64(opened.fs.info.last_inum)].tolist())


def left_behind(opened: FileSystem, directory: int, entry: tuple[int, int, bytes]) -> bool:
    """Whether the file record that an index entry (record, sequence, name) names is another file's by now, or says
    that the file stands elsewhere, or under another name. Of a file whose names do not fit its record The Sleuth Kit
    does not tell all.
    """
    record, sequence, name = entry
    try:
        file = opened.fs.open_meta(inode=record)
        if int(file.info.meta.seq) != sequence:
            return True
        if any(int(each.info.type) == ATTRIBUTE_LIST for each in file):
            return False
        known = [each for above, _, each in names(file) if above == directory]
    except OSError:
        return False
    return name not in known and all(map(_is_text, known))


def _is_text(name: bytes) -> bool:
    """Whether a name is whole UTF-8: one of half surrogates The Sleuth Kit spells otherwise."""
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True


def is_cut(opened: FileSystem, directory: int, record: int, name: bytes) -> bool:
    """Whether this is the beginning of a longer name that the file has in this directory, which The Sleuth Kit takes
    for a further one: an entry tells the name of a live file whole, and the sweep that of a deleted one.
    """
    try:
        known = names(opened.fs.open_meta(inode=record))
    except OSError:
        return False
    return any(above == directory and len(each) > CUT and each.startswith(name) for above, _, each in known)


def path(opened: FileSystem, file: Any) -> tuple[bytes, NameState, Streams | None]:
    """(path, whether its directories are still there, its streams that belong to the file system itself) of a record
    as of a deleted one.
    """
    known = names(file)
    address = int(file.info.meta.addr)
    if address == ROOT:
        return b"", NameState.LIVE, None
    own = own_streams(address, None)
    if not known:
        return ORPHANS + b"/record-%d" % address, NameState.ORPHAN, own
    parent, sequence, name = known[0]
    parts = [name]
    for _ in range(MOST_LEVELS):
        if parent == ROOT:
            return b"/".join(reversed(parts)), NameState.DELETED, own
        if parent == EXTEND:
            below = b"/".join(reversed(parts))
            return b"$Extend/" + below, NameState.DELETED, own_streams(address, below)
        above = _directory(opened, parent, sequence)
        if above is None:
            break
        parent, sequence, name = above
        parts.append(name)
    parts.append(ORPHANS + b"/in-record-%d" % parent)
    return b"/".join(reversed(parts)), NameState.ORPHAN, own


def of_deleted_name(opened: FileSystem, file: Any, address: int) -> tuple[NameState, str, Reason] | None:
    """What to say of a deleted index entry; None where the sweep over file records tells the same file better. It is
    that file's still while its sequence number is the same, which deleting the record raises by one.
    """
    name, sequence = bytes(file.info.name.name), int(file.info.name.meta_seq)
    try:
        record = opened.fs.open_meta(inode=address)
        known = [each[2] for each in names(record)]
        used = allocated(record.info.meta)
    except OSError:
        return NameState.DELETED, NAME_ONLY, Reason.UNREADABLE
    if name in known:
        return None  # deleted: the sweep has it; in use: an old copy of an entry that lives on
    if known and int(record.info.meta.seq) == sequence + (not used):
        return NameState.DELETED, EARLIER, Reason.NOT_APPLICABLE
    state, why = (NameState.REALLOCATED, GIVEN_AWAY) if used or known else (NameState.DELETED, NAME_ONLY)
    return state, why, Reason.UNREADABLE


def _directory(opened: FileSystem, record: int, sequence: int) -> tuple[int, int, bytes] | None:
    """Parent, its sequence and name of a directory record, if it is still the one that was meant.

    Deleting a record raises its sequence number by one.
    """
    try:
        file = opened.fs.open_meta(inode=record)
        known = names(file)
    except OSError:
        return None
    now = int(file.info.meta.seq)
    if not known or now not in {sequence, sequence + 1} or (now != sequence and allocated(file.info.meta)):
        return None
    return known[0]
