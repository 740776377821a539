"""What may be claimed of the bytes behind a name: the name's state and the content's state are separate claims."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import pytsk3

from clew.intake.api import Range
from clew.intake.disk import foreign, packed, reparse
from clew.intake.disk.direct import room
from clew.intake.disk.direct import written as initialised
from clew.intake.disk.image import FileSystem
from clew.intake.disk.mft_rows import Plain
from clew.intake.refs import quote
from clew.model import ContentState, ItemState, Missing, NameState, Reason

NTFS_DATA, NTFS_NAME = int(pytsk3.TSK_FS_ATTR_TYPE_NTFS_DATA), int(pytsk3.TSK_FS_ATTR_TYPE_NTFS_FNAME)
_SPARSE, _FILLER = int(pytsk3.TSK_FS_ATTR_RUN_FLAG_SPARSE), int(pytsk3.TSK_FS_ATTR_RUN_FLAG_FILLER)
_NOT_ITS_OWN = _SPARSE | _FILLER
_NON_RESIDENT, _ENCRYPTED = int(pytsk3.TSK_FS_ATTR_NONRES), int(pytsk3.TSK_FS_ATTR_ENC)
_ALLOCATED, _USED = int(pytsk3.TSK_FS_META_FLAG_ALLOC), int(pytsk3.TSK_FS_META_FLAG_USED)
REGULAR, DIRECTORY = int(pytsk3.TSK_FS_META_TYPE_REG), int(pytsk3.TSK_FS_META_TYPE_DIR)
_KINDS = {
    int(pytsk3.TSK_FS_META_TYPE_LNK): "a symbolic link, which is not followed",
    int(pytsk3.TSK_FS_META_TYPE_FIFO): "a named pipe, which holds no content",
    int(pytsk3.TSK_FS_META_TYPE_SOCK): "a socket, which holds no content",
    int(pytsk3.TSK_FS_META_TYPE_CHR): "a character device, which is not opened",
    int(pytsk3.TSK_FS_META_TYPE_BLK): "a block device, which is not opened",
}

_HFS_DATA = int(pytsk3.TSK_FS_ATTR_TYPE_HFS_DATA)
_HFS_FORK = int(pytsk3.TSK_FS_ATTR_TYPE_HFS_RSRC)
_HFS = (_HFS_DATA, _HFS_FORK, pytsk3.TSK_FS_ATTR_TYPE_HFS_EXT_ATTR)
# Where a file has more than one content: the attribute types that are such.
NAMED_STREAMS = {"NTFS": frozenset({NTFS_DATA}), "HFS+": frozenset(map(int, _HFS))}
# Where a deleted name and its content stand in one entry, or a sequence number binds them (NTFS). Elsewhere a name has
# the number of an inode alone, which may have been another file's since.
NAMED_BY_ENTRY = frozenset({"NTFS", "FAT", "exFAT"})
_SECOND = 1_000_000_000  # in nanoseconds
WITH_KEY = "copy it out where its user's key is at hand, and take in the copy"
MOST_RUNS = 1_000  # stretches of one Item that are told; a file in more pieces than that is told by its first ones
TIMES = {
    "NTFS": "$STANDARD_INFORMATION, UTC",
    "FAT": "directory entry, local time without a zone, taken as UTC",
    "exFAT": "directory entry, local time, of which no zone is stated, taken as UTC",
    "ext": "inode, UTC",
    "HFS+": "catalog record, UTC",
    "UFS": "inode, UTC",
}
EXFAT_ZONED = "directory entry, UTC by the zone that it states"
_NTFS_TIMES = TIMES["NTFS"]
_OPEN, _UNREADABLE, _LOST = ItemState.OPEN.value, ItemState.UNREADABLE.value, ContentState.UNREADABLE.value
_LIVE, _COMPLETE = NameState.LIVE.value, ContentState.COMPLETE.value
_WHOLE = ContentState.COMPLETE  # asked for of each file, and looking it up in its class takes its time
_DOUBTFUL = ContentState.OVERWRITTEN_POSSIBLE.value
GIVEN_AWAY = "its file record belongs to another file now"
EARLIER = "an earlier name of a file that was renamed or moved since: it is listed by the name in its file record"
OVERWRITTEN = "deleted, and all of its clusters belong to other files now"
NO_POINTERS = "deleted; the file system kept no pointer to its content"
IN_USE_NO_POINTERS = "its file record is in use, and has no pointer to its content"
NOT_WRITTEN = "files of exFAT that were never written to their end: read as zeros there, whatever their clusters hold"
BROKEN_OFF = "entries of 0 bytes that name a cluster all the same, as recordings leave them that broke off: partial"
BEYOND = "files of NTFS that say to be longer than their attribute in the file record: partial, with what follows there"
NAME_ONLY = "deleted; only its name was found, not its file record"
UNLINKED = "deleted; its file record is in use without a name: its own still, or that of another deleted while open"


def allocated(meta: Any) -> bool:
    """Whether the file record is in use."""
    return bool(int(meta.flags) & _ALLOCATED)


def unlinked(opened: FileSystem, meta: Any) -> bool:
    """Whether an inode of ext that is in use has no name by its own count: its file was deleted while it was open."""
    return opened.family == "ext" and allocated(meta) and not int(meta.nlink)


def ever_used(meta: Any) -> bool:
    """Whether the file record was ever in use."""
    return bool(int(meta.flags) & _USED)


def name_only(opened: FileSystem, path: bytes, address: int, state: NameState, detail: str) -> dict[str, Any]:
    """An Item of which nothing but the name is left."""
    return {
        "ref": f"{opened.name}/{address}/name/{quote(path)}",
        "path": path.hex(),
        "size": 0,
        "state": str(ItemState.UNREADABLE),
        "reason": str(Reason.UNREADABLE),
        "detail": detail,
        "name_state": str(state),
        "content_state": str(ContentState.UNREADABLE),
        "parent": None,
        "times": [None] * 4,
        "times_source": "",
        "runs": None,
    }


def contents(
    opened: FileSystem, file: Any, path: bytes, state: NameState, own: frozenset[bytes] | None = None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The Items behind one file record, as (number, item): its content, and each alternate data stream on NTFS. "note"
    is what is to be counted of one besides. Of one of NTFS's own files, empty streams and those named `own` are none.
    """
    meta = file.info.meta
    kind = _KINDS.get(int(meta.type))
    if kind is not None:
        item = name_only(opened, path, int(meta.addr), state, kind)
        yield (
            0,
            item
            | {
                "state": str(ItemState.SKIPPED),
                "reason": str(Reason.NOT_APPLICABLE),
                "content_state": str(ContentState.COMPLETE),
                **_timed(opened, meta),
            },
        )
        return
    found = streams(opened, file)
    main: str | None = None
    if opened.family == "HFS+" and int(meta.type) == REGULAR and not any(map(_of_data, found)):
        content = packed.content(opened, int(meta.addr))
        if content is not None:
            item = _unpacked(opened, meta, content.size, path, state)
            main = item["ref"]
            yield 1 << 16, item
            found = [each for each in found if not (content.in_fork and int(each.info.type) == _HFS_FORK)]
    tag = reparse.tag_of(file) if opened.family == "NTFS" else None
    for number, attribute in enumerate(found):
        stream = attribute.info.name if opened.family in NAMED_STREAMS else None
        if own is not None and (not int(attribute.info.size) or bytes(stream or b"") in own):
            continue
        name = path + b":" + bytes(stream) if stream else path
        item = _content(opened, meta, attribute, name, state)
        if tag is not None and not stream:
            item |= _pointed(opened, file, attribute, tag)
        item["parent"] = main if stream else None
        main = main or (None if stream else item["ref"])
        yield number, item
    if main is None and own is None and int(meta.type) == REGULAR:
        why = IN_USE_NO_POINTERS if allocated(meta) else NO_POINTERS
        lost = name_only(opened, path, int(meta.addr), state, why)
        yield 1 << 16, lost | _timed(opened, meta)


def _of_data(attribute: Any) -> bool:
    """Whether it is the data of a file of HFS+, which The Sleuth Kit names where macOS packed it."""
    return int(attribute.info.type) == _HFS_DATA


def _unpacked(opened: FileSystem, meta: Any, size: int, path: bytes, state: NameState) -> dict[str, Any]:
    """The Item of a file that macOS packed, of `size` bytes when it is not."""
    record = int(meta.addr)
    return name_only(opened, path, record, state, "") | {
        "ref": f"{opened.name}/{record}/{packed.KIND}-0/{quote(path)}",
        "size": size,
        "state": _OPEN,
        "reason": None,
        "detail": None,
        "content_state": _DOUBTFUL if opened.striped or opened.foreign else _COMPLETE,
        **_timed(opened, meta),
        "runs": [],
    }


def plain(opened: FileSystem, record: int, file: Plain, path: bytes) -> dict[str, Any]:
    """The Item of a live NTFS file with a plain record: what `contents` says of it."""
    blocks = first(file.runs, -(-file.size // opened.block))
    return {
        "ref": f"{opened.name}/{record}/{NTFS_DATA}-{file.number}/{quote(path)}",
        "path": path.hex(),
        "size": file.size,
        "state": _OPEN,
        "reason": None,
        "detail": None,
        "name_state": _LIVE,
        "content_state": _DOUBTFUL if _foreign(opened, record, blocks) else _COMPLETE,
        "times": file.times,
        "times_source": _NTFS_TIMES,
        "runs": opened.on_image(places(opened, blocks[:MOST_RUNS])),
        "parent": None,
    }


def first(blocks: list[tuple[int, int]], left: int) -> list[tuple[int, int]]:
    """The first `left` blocks of these runs."""
    if len(blocks) == 1:
        return [(blocks[0][0], min(blocks[0][1], left))]
    found: list[tuple[int, int]] = []
    for address, length in blocks:
        if left <= 0:
            break
        found.append((address, min(length, left)))
        left -= length
    return found


def streams(opened: FileSystem, file: Any) -> list[Any]:
    """The attributes that hold content: the unnamed one first. On HFS+ the resource fork and the extended attributes
    are streams too, but for the packed form of a file that is given unpacked.
    """
    wanted = NAMED_STREAMS.get(opened.family)
    if wanted is None:
        return list(islice(attributes(opened, file), 1))
    found = [each for each in file if int(each.info.type) in wanted and not (_of_data(each) and each.info.name)]
    found.sort(key=lambda attribute: (bool(attribute.info.name), int(attribute.info.id)))
    return found


def attributes(opened: FileSystem, file: Any) -> Iterable[Any]:
    """The Sleuth Kit's, but where it would misread them. Raises OSError."""
    own = None
    if opened.inodes is not None:
        own = opened.inodes.attribute(int(file.info.meta.addr), int(file.info.meta.size))
    if own is None and opened.thinned is not None:
        own = opened.thinned.attribute(int(file.info.meta.addr))
    return [own] if own is not None else file


def own_bytes(opened: FileSystem, record: int, size: int) -> int:
    """How many of the `size` bytes of that record's attribute lie in its runs, as far as they are its own: all, but on
    exFAT. Raises OSError.
    """
    return size if opened.entries is None else opened.entries.written(record, size)


def runs(opened: FileSystem, attribute: Any, size: int) -> list[tuple[int, int]]:
    """The block runs that hold the attribute's `size` own bytes: (address, blocks), sparse ones left out, slack too."""
    left = -(-size // opened.block)
    found: list[tuple[int, int]] = []
    for run in attribute if left > 0 else ():
        length = int(run.len)
        if length and not int(run.flags) & _NOT_ITS_OWN:
            found.append((int(run.addr), length if length < left else left))
        left -= length
        if left <= 0:
            break
    return found


def extents(opened: FileSystem, attribute: Any, size: int) -> list[Range]:
    """The byte ranges of the disk, as the file system sees it, that hold the attribute's `size` own bytes; the last one
    ends with its block.
    """
    return places(opened, runs(opened, attribute, size))


def places(opened: FileSystem, blocks: list[tuple[int, int]]) -> list[Range]:
    """Block runs as byte ranges of the disk."""
    size, offset = opened.block, opened.offset
    if len(blocks) == 1:
        return [(offset + blocks[0][0] * size, blocks[0][1] * size)]
    return [(offset + address * size, length * size) for address, length in blocks]


def _timed(opened: FileSystem, meta: Any) -> dict[str, Any]:
    """Modified, accessed, changed, born in nanoseconds, and what they are worth. FAT keeps local time without a zone:
    taken as if it were UTC. So is that of exFAT, unless a zone stands beside each.
    """
    m, a, c, b = meta.mtime, meta.atime, meta.ctime, meta.crtime
    found = [
        m * _SECOND + meta.mtime_nano if m else None,
        a * _SECOND + meta.atime_nano if a else None,
        c * _SECOND + meta.ctime_nano if c else None,
        b * _SECOND + meta.crtime_nano if b else None,
    ]
    source = TIMES.get(opened.family, opened.family)
    if opened.entries is not None:
        zones = opened.entries.zones(int(meta.addr))
        if all(east is not None for east in zones):
            written, accessed, born = (east or 0 for east in zones)
            moved = zip(found, (written, accessed, 0, born), strict=True)
            found = [None if when is None else when - east * _SECOND for when, east in moved]
            source = EXFAT_ZONED
    return {"times": found, "times_source": source}


def _content(opened: FileSystem, meta: Any, attribute: Any, path: bytes, state: NameState) -> dict[str, Any]:
    info, record = attribute.info, int(meta.addr)
    size = int(info.size)
    written = own_bytes(opened, record, size)
    blocks = runs(opened, attribute, written)
    claim = _claim(opened, meta, attribute, written, blocks) if written or not size else _WHOLE
    note = NOT_WRITTEN if written < size and allocated(meta) else None
    if not size and _begins(opened, record):
        claim, note = ContentState.PARTIAL, BROKEN_OFF
    if claim is _WHOLE and opened.family == "NTFS" and _beyond(opened, record, attribute):
        claim, note = ContentState.PARTIAL, BEYOND
    if claim is _WHOLE and _foreign(opened, record, blocks):
        claim = ContentState.OVERWRITTEN_POSSIBLE
    missing = claim if isinstance(claim, Missing) else None
    item = {
        "ref": f"{opened.name}/{record}/{int(info.type)}-{int(info.id)}/{quote(path)}",
        "path": path.hex(),
        "size": size,
        "state": _UNREADABLE if missing else _OPEN,
        "reason": str(missing.reason) if missing else None,
        "detail": missing.detail if missing else None,
        "name_state": str(state),
        "content_state": _LOST if isinstance(claim, Missing) else str(claim),
        **_timed(opened, meta),
        "runs": opened.on_image(places(opened, blocks[:MOST_RUNS])),
    }
    if note:
        item["note"] = note
    return item


def _beyond(opened: FileSystem, record: int, attribute: Any) -> bool:
    """Whether a stream of NTFS that lies in its file record says that it is longer than there is room for."""
    if int(attribute.info.flags) & _NON_RESIDENT:
        return False
    there = room(opened, record, attribute)
    return there is not None and int(attribute.info.size) > there


def _foreign(opened: FileSystem, record: int, blocks: list[tuple[int, int]]) -> bool:
    """Whether others may have written where the file record, or some of these blocks, lie; or whether other disks have
    part of it.
    """
    if opened.striped or not opened.foreign:
        return opened.striped
    return foreign.lies(opened, places(opened, blocks)) or foreign.record(opened, record)


def doubt(item: dict[str, Any]) -> None:
    """Takes back that an Item is complete, since what names it may be another file system's."""
    if item["content_state"] == _COMPLETE and item["state"] == _OPEN:
        item["content_state"] = _DOUBTFUL


def _begins(opened: FileSystem, address: int) -> int:
    """The first cluster that an entry of FAT or exFAT names, 0 where it names none."""
    if opened.entries is not None:
        return opened.entries.begins(address)
    return opened.tree.begins(address) if opened.tree is not None else 0


def _pointed(opened: FileSystem, file: Any, attribute: Any, tag: int) -> dict[str, Any]:
    """What a reparse point changes of the Item of a file's own content."""
    kind = reparse.link(tag)
    if kind is not None and not int(attribute.info.size):
        why = _KINDS.get(kind, reparse.STANDS_FOR_ANOTHER)
        return {"state": ItemState.SKIPPED.value, "reason": Reason.NOT_APPLICABLE.value, "detail": why}
    lacks = reparse.lacks(opened, file, attribute)
    if lacks is None:
        return {"note": reparse.here_all_the_same(file, tag)}
    if lacks.here:
        return {"content_state": ContentState.PARTIAL.value}
    why = lacks.missing.detail
    return {"state": _UNREADABLE, "reason": str(lacks.missing.reason), "detail": why, "content_state": _LOST}


def _claim(
    opened: FileSystem, meta: Any, attribute: Any, own: int, blocks: list[tuple[int, int]]
) -> ContentState | Missing:
    """The strongest claim that the file system's own books allow of an attribute with `own` bytes in `blocks`."""
    flags, size = int(attribute.info.flags), int(attribute.info.size)
    if flags & _ENCRYPTED:
        return Missing(Reason.ENCRYPTED, f"encrypted by the file system (EFS); {WITH_KEY}")
    if size and encrypted(opened, int(meta.addr)):
        return Missing(Reason.ENCRYPTED, f"encrypted by the file system (fscrypt of ext4); {WITH_KEY}")
    emptied = not size and unlinked(opened, meta)  # as of any that was deleted, see below
    if (allocated(meta) and not emptied) or (opened.family == "NTFS" and not flags & _NON_RESIDENT):
        return _WHOLE
    if size == 0 and opened.family != "ext":  # ext zeroes it on deletion: no telling it from an empty file
        return ContentState.COMPLETE
    if not blocks:
        return Missing(Reason.UNREADABLE, NO_POINTERS)
    return _deleted(opened, meta, attribute, own, blocks)


def _deleted(
    opened: FileSystem, meta: Any, attribute: Any, own: int, blocks: list[tuple[int, int]]
) -> ContentState | Missing:
    """In doubt also where all clusters are free: another file may have had them since, and have lost its record too."""
    if _lost(opened, blocks) >= sum(length for _, length in blocks):
        return Missing(Reason.UNREADABLE, OVERWRITTEN)
    if opened.taken is not None and not freed(opened, meta, attribute, own):
        return ContentState.COMPLETE
    return ContentState.OVERWRITTEN_POSSIBLE


def encrypted(opened: FileSystem, record: int) -> bool:
    """Whether ext encrypts that file, or the names in that directory. Raises OSError."""
    return opened.table is not None and opened.table.encrypted(record)


def freed(opened: FileSystem, meta: Any, attribute: Any, own: int) -> bool:
    """Whether some of its `own` bytes are read from clusters that its file record gave back: not where they lie in the
    record, or were never written. Raises OSError.
    """
    return not allocated(meta) and bool(runs(opened, attribute, begun(opened, int(meta.addr), attribute, own)))


def begun(opened: FileSystem, record: int, attribute: Any, own: int) -> int:
    """How many of its `own` bytes were ever written: NTFS tells, and what lies behind them is no more its own."""
    known = initialised(opened, record, attribute) if opened.family == "NTFS" else None
    return own if known is None else min(known, own)


def all_free(opened: FileSystem, attribute: Any, own: int) -> bool:
    """Whether the clusters of these bytes are known to be nobody's now."""
    return opened.taken is not None and not _lost(opened, runs(opened, attribute, own))


def _lost(opened: FileSystem, blocks: list[tuple[int, int]]) -> int:
    """How many of these blocks belong to others now."""
    taken = opened.taken
    return sum(taken.count(address, length) for address, length in blocks) if taken is not None else 0
