"""Clusters that are in use and hold no content of a file: a recording that broke off, a chain that no entry names any
more, bits that somebody set by hand, and what lies behind the written end of a file. They are neither free nor read
with any file, so that nothing else would look at them.

What the files in use have is read once from their own records, one bit a cluster: directories too, and on NTFS all that
lies outside of a record, with the file system's own files. What cannot be read owns nothing: its clusters are searched.
"""

import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytsk3

from clew.core.absent import Absent
from clew.core.channel import Reply
from clew.intake.carving.view import without
from clew.intake.disk import claims, ext_owned
from clew.intake.disk.allocation import Taken
from clew.intake.disk.bitmap import Marks, Used, bits, by_cluster, stretches
from clew.intake.disk.fat_tree import MOST_ENTRIES
from clew.intake.disk.image import FileSystem, file_system
from clew.intake.disk.mft_rows import DATA, END, LEAST_HEADER, OUTSIDE_HEADER
from clew.intake.disk.ntfs import RESERVED
from clew.model import Missing, Reason

MOST = 1 << 31  # clusters of a file system: one bit each
MOST_TIMES = 4  # that all clusters may be named: what names them more often takes time and tells nothing
_UNALLOCATED = int(pytsk3.TSK_FS_NAME_FLAG_UNALLOC)
_VIRTUAL_DIR = int(pytsk3.TSK_FS_NAME_TYPE_VIRT_DIR)
_DOTS = frozenset({b".", b".."})
_RECORD = struct.Struct("<20xH22xI")  # where its attributes begin; its number, of which Windows before XP wrote none
_HEADER = struct.Struct("<IIB")  # of an attribute: type, bytes, whether it lies outside the record
_SIZES = struct.Struct("<16xQ8xHH20xQ")  # of one outside: first cluster in it, place of its runs, unit; bytes written
_CUT = Missing(
    Reason.LIMIT_REACHED, f"which clusters its files have is told by more than {MOST_ENTRIES:,} directory entries"
)
_TOO_OFTEN = Missing(Reason.LIMIT_REACHED, f"its files name all of its clusters more than {MOST_TIMES} times over")


def known(opened: FileSystem) -> bool:
    """Whether clew reads which clusters the files of such a file system have."""
    taken = opened.taken
    if taken is None or opened.family not in _READERS or (opened.family == "NTFS" and opened.records is None):
        return False
    return (taken.end - taken.begin) // taken.cluster <= MOST


def count(payload: dict[str, Any], _descriptors: list[int]) -> Reply:
    """Worker entry: bytes of the clusters in use, at "offset", that belong to no file, and lie in nothing that others
    have ("held"). Raises Absent where that cannot be told.
    """
    opened = file_system(payload)
    if opened.taken is None or not known(opened):
        raise Absent(Missing(Reason.UNKNOWN, f"clew does not read which clusters the files of {opened.family} have"))
    end = min(opened.taken.end, int(opened.fs.info.last_block) + 1, payload["length"] // opened.block)
    found = claims.places(opened, list(nobodys(opened, opened.taken, 0, end)))
    held = payload.get("held", ())
    return Reply(sum(length for each in found for _, length in without(each, held)))


def nobodys(opened: FileSystem, taken: Taken, first: int, end: int) -> Iterator[tuple[int, int]]:
    """The stretches of blocks in use that belong to no file, from `first` to `end` (exclusive), as (address, blocks),
    without those that are marked as bad. Raises Absent.
    """
    owned = _owned(opened, taken)
    heap = taken.begin, owned.count, taken.cluster

    def look(address: int, blocks: int) -> Used:
        found = ~by_cluster(address, blocks, heap, lambda at, many: bits(owned.window, at, many), otherwise=True)
        if found.any():
            found &= taken.used(address, blocks)
        return found & ~taken.marked(address, blocks) if found.any() else found

    return stretches(look, max(first, taken.begin), end)


def _owned(opened: FileSystem, taken: Taken) -> Marks:
    """What its files have; read once in this worker."""
    if opened.owned is None:
        marks = Marks((taken.end - taken.begin) // taken.cluster)
        left = MOST_TIMES * (taken.end - taken.begin)
        for address, blocks in _READERS[opened.family](opened):
            left -= min(blocks, taken.end - taken.begin)
            if left < 0:
                raise Absent(_TOO_OFTEN)
            first = address - taken.begin
            last = -(-(first + blocks) // taken.cluster)
            marks.add(first // taken.cluster, last - first // taken.cluster)
        opened.owned = marks
    return opened.owned


def _fat(opened: FileSystem) -> Iterator[tuple[int, int]]:
    """The runs of FAT's and exFAT's live files. A directory is looked through once, whoever names it."""
    pending, begun, left = [opened.root], set[int](), MOST_ENTRIES
    yield from _runs(opened, opened.fs.open_meta(inode=opened.root), whole=True)
    while pending:
        here = pending.pop()
        with suppress(OSError):  # the walk says so
            for file in opened.fs.open_dir(inode=here):
                left -= 1
                if left < 0:
                    raise Absent(_CUT)
                name, meta = file.info.name, file.info.meta
                if meta is None or int(name.flags) & _UNALLOCATED or bytes(name.name) in _DOTS:
                    continue
                directory = int(meta.type) == claims.DIRECTORY and int(name.type) != _VIRTUAL_DIR
                runs = _runs(opened, file, whole=directory)
                yield from runs
                if directory and runs and runs[0][0] not in begun:
                    begun.add(runs[0][0])
                    pending.append(int(name.meta_addr))


def _runs(opened: FileSystem, file: Any, *, whole: bool) -> list[tuple[int, int]]:
    """Those of a file's content, or of a directory, which are all of it."""
    for attribute in file:
        size = int(attribute.info.size)
        if not whole and not (opened.entries is not None and opened.entries.own(int(file.info.meta.addr))):
            with suppress(OSError):
                size = claims.own_bytes(opened, int(file.info.meta.addr), size)
        return claims.runs(opened, attribute, size)
    return []


def _ext(opened: FileSystem) -> Iterator[tuple[int, int]]:
    """What the inodes in use and the file system itself have."""
    try:
        yield from ext_owned.owned(opened.image.source, opened.offset)
    except (OSError, struct.error) as error:
        raise Absent(Missing(Reason.UNPARSABLE, f"which blocks its inodes have: {error}")) from error


def _ntfs(opened: FileSystem) -> Iterator[tuple[int, int]]:
    """The runs of all attributes outside the records in use."""
    for raw in opened.records.used() if opened.records is not None else ():
        at, number = _RECORD.unpack_from(raw)
        while at <= len(raw) - LEAST_HEADER:
            kind, size, outside = _HEADER.unpack_from(raw, at)
            if kind == END or size < LEAST_HEADER or at + size > len(raw):
                break
            if outside and size >= OUTSIDE_HEADER:
                whole = kind != DATA or number < RESERVED
                yield from _outside(raw[at : at + size], opened.block, whole=whole)
            at += size


def _outside(attribute: bytes, cluster: int, *, whole: bool) -> Iterator[tuple[int, int]]:
    """The runs of one attribute, up to what was written of it; all of them where `whole`, or where it is packed or goes
    on from another record (Carrier, File System Forensic Analysis, 2005, chapter 13, tables 13.3 and 13.4).
    """
    first, at, unit, written = _SIZES.unpack_from(attribute)
    left = 1 << 62 if whole or first or unit else -(-written // cluster)
    place = 0
    while left > 0 and at < len(attribute) and attribute[at]:
        wide, far = attribute[at] & 15, attribute[at] >> 4
        at += 1 + wide + far
        if at > len(attribute):
            return
        place += int.from_bytes(attribute[at - far : at], "little", signed=True)
        length = int.from_bytes(attribute[at - far - wide : at - far], "little")
        if far:
            yield place, min(length, left)
        left -= length


_READERS: dict[str, Callable[[FileSystem], Iterator[tuple[int, int]]]] = {
    "FAT": _fat,
    "exFAT": _fat,
    "NTFS": _ntfs,
    "ext": _ext,
}
