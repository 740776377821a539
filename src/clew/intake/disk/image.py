"""A disk image as The Sleuth Kit sees it: the bytes that its container gives, and the file systems opened on it.

An opened file system is kept between tasks, since opening one costs more than most directories do.
"""

import os
import struct
from bisect import bisect_right
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import pytsk3

from clew.core import held
from clew.core.absent import Absent
from clew.intake.api import ByteSource, Range
from clew.intake.carving.view import without
from clew.intake.disk import allocation, exfat, ext_far, ext_layout, ext_thin, fat_tree, lvm, mft, ntfs_mirror, sift
from clew.intake.disk.bitmap import Marks
from clew.intake.reading import find
from clew.intake.refs import volume
from clew.model import Missing, Reason

MOST_OPEN = 4
MOST_IMAGES = 8
EITHER = "it may be "
_VIRTUAL = int(pytsk3.TSK_FS_NAME_TYPE_VIRT)  # what The Sleuth Kit calls a table of FAT, as if it were a file
# The container's opener, which files it lies in, and the logical volume where it is one: [offset, number].
Key = tuple[str, tuple[tuple[int, int], ...], tuple[int, int] | None]

FAMILIES = {
    "NTFS": (pytsk3.TSK_FS_TYPE_NTFS,),
    "FAT": (pytsk3.TSK_FS_TYPE_FAT12, pytsk3.TSK_FS_TYPE_FAT16, pytsk3.TSK_FS_TYPE_FAT32),
    "exFAT": (pytsk3.TSK_FS_TYPE_EXFAT,),
    "ext": (pytsk3.TSK_FS_TYPE_EXT2, pytsk3.TSK_FS_TYPE_EXT3, pytsk3.TSK_FS_TYPE_EXT4),
    "ISO 9660": (pytsk3.TSK_FS_TYPE_ISO9660,),
    "HFS+": (pytsk3.TSK_FS_TYPE_HFS,),
    "UFS": (pytsk3.TSK_FS_TYPE_FFS1, pytsk3.TSK_FS_TYPE_FFS1B, pytsk3.TSK_FS_TYPE_FFS2),
}


# How The Sleuth Kit is asked for each of them, in its own order. Left to itself it also tries YAFFS2, and for that it
# reads half of every volume, whatever it holds.
_ASKED = (
    pytsk3.TSK_FS_TYPE_NTFS_DETECT,
    pytsk3.TSK_FS_TYPE_FAT_DETECT,
    pytsk3.TSK_FS_TYPE_EXT_DETECT,
    pytsk3.TSK_FS_TYPE_FFS_DETECT,
    pytsk3.TSK_FS_TYPE_HFS_DETECT,
    pytsk3.TSK_FS_TYPE_ISO9660_DETECT,
)


# With which a disc shares its files: where one of these opens too, the disc is what is read.
_DISCS = (*FAMILIES["ISO 9660"], *FAMILIES["HFS+"])


class Image(pytsk3.Img_Info):  # type: ignore[misc]
    """pytsk3's way to hand it bytes: a subclass with `read` and `get_size`."""

    def __init__(self, source: ByteSource) -> None:
        self.source, self._lost = source, 0
        super().__init__(url="")

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of the image; what its container cannot read comes as zeros, and is named in `source.bad`."""
        data = self.source.read(offset, length)
        self._lost += lost_in(self.source.bad, offset, len(data))
        return data

    def newly_lost(self) -> int:
        """Bytes that were asked for and given as zeros, since it was asked last. The Sleuth Kit keeps what it read: who
        looks at a place first may not be who needs it.
        """
        lost, self._lost = self._lost, 0
        return lost

    def get_size(self) -> int:
        """Bytes."""
        return self.source.size

    @property
    def size(self) -> int:
        """Bytes, as a ByteSource says them."""
        return self.source.size

    @property
    def bad(self) -> list[Range]:
        """What could not be read of it so far."""
        return self.source.bad


@dataclass(slots=True, eq=False)
class FileSystem:
    """One opened file system. `taken` tells which blocks are allocated, where clew can read that."""

    fs: pytsk3.FS_Info
    family: str
    offset: int
    taken: allocation.Taken | None
    image: Image
    name: str  # how refs of it begin
    records: mft.Table | None = None  # of NTFS, where clew reads them itself
    entries: exfat.Entries | None = None
    search: pytsk3.FS_Info | None = None  # of FAT and exFAT, see `searched`
    tree: fat_tree.Tree | None = None  # see `tree`
    inodes: ext_far.Inodes | None = None  # of ext, where The Sleuth Kit misreads its extents
    owned: Marks | None = None  # clusters that belong to files, see `owned`
    foreign: list[Range] = field(default_factory=list)  # of the disk, where others may have written, see `foreign`
    striped: bool = False  # whether other disks have part of its bytes, see `raid`
    table: ext_far.Inodes | None = None  # of ext, as its inodes lie on the disk, where clew reads that
    by_copy: bool = False  # whether it is NTFS, opened by the copy of its damaged $MFT's record
    thinned: ext_thin.Thinned | None = None  # of ext, where `table` is known
    block: int = field(init=False)  # bytes

    def __post_init__(self) -> None:
        self.block = int(self.fs.info.block_size)

    def on_image(self, ranges: list[Range]) -> list[Range]:
        """The same bytes as ranges of the exhibit's image, see `where`."""
        if not isinstance(self.image.source, lvm.Volume):
            return ranges
        return [each for at, length in ranges for each in self.where(at, length)]

    def where(self, offset: int, length: int) -> list[Range]:
        """The ranges of the exhibit's image that hold bytes of the disk on which the file system lies."""
        source = self.image.source
        return list(source.where(offset, length)) if isinstance(source, lvm.Volume) else [(offset, length)]

    @property
    def root(self) -> int:
        """The root directory's address."""
        return int(self.fs.info.root_inum)


_images: OrderedDict[Key, Image] = OrderedDict()
_opened: OrderedDict[tuple[Key, int], FileSystem] = OrderedDict()
_born: dict[str, Any] = {"held": None, "files": ()}  # the descriptors that were looked at last, and what they are


def image(payload: dict[str, Any]) -> Image:
    """The exhibit's image, opened once in this worker: "container" ("module:function") reads the held descriptors;
    where "lv" names one, a logical volume in it.
    """
    return _image(key(payload))


def file_system(payload: dict[str, Any]) -> FileSystem:
    """The file system at byte "offset" of the image; "foreign" are ranges of the disk where others may have written; of
    one that is "striped" other disks have some bytes.

    Raises Absent where there is none that can be read.
    """
    opened = _file_system(payload)
    opened.foreign = [(at, length) for at, length in payload.get("foreign", ())]
    opened.striped = "striped" in payload
    return opened


def _file_system(payload: dict[str, Any]) -> FileSystem:
    offset = payload["offset"]
    place = key(payload), offset
    if place in _opened:
        _opened.move_to_end(place)
        return _opened[place]
    source = _image(place[0])
    fs, by_copy = _opened_by(source, offset)
    family = next(name for name, types in FAMILIES.items() if int(fs.info.ftype) in map(int, types))
    if family == "ext" and ext_layout.scattered(source.source.read(offset + 1024, 1024)):
        raise Absent(Missing(Reason.UNKNOWN, "ext with meta_bg, of which inodes would be read elsewhere than they lie"))
    opened = FileSystem(fs, family, offset, allocation.of(family, fs, source, offset), source, volume(payload))
    opened.by_copy = by_copy
    if family == "exFAT":
        opened.entries = exfat.Entries(source.source, offset)
    elif family == "NTFS":
        opened.records = mft.table(fs, source.source, offset)
    elif family == "ext":
        with suppress(OSError, struct.error):
            opened.table = ext_far.Inodes(source.source, offset)
            opened.thinned = ext_thin.Thinned(source, opened.table, offset)
            opened.fs = pytsk3.FS_Info(Image(opened.thinned), offset=offset, type=fs.info.ftype)
        if int(fs.info.block_count) > ext_far.FAR:
            opened.inodes = _far(source, offset)
    _opened[place] = opened
    if len(_opened) > MOST_OPEN:
        _opened.popitem(last=False)
    return opened


def _far(source: Image, offset: int) -> ext_far.Inodes:
    """The inodes of an ext of more than 2^32 blocks. Raises Absent where they are not read."""
    try:
        return ext_far.Inodes(source.source, offset)
    except (OSError, struct.error) as error:
        raise Absent(Missing(Reason.UNPARSABLE, f"ext of more than 2^32 blocks: {error}")) from error


def _opened_by(source: Image, offset: int) -> tuple[pytsk3.FS_Info, bool]:
    """The one that begins there, and whether a copy of what is damaged had to do. Raises Absent."""
    try:
        return _detected(source, offset), False
    except Absent:
        mended = ntfs_mirror.damaged(source, offset)
        if not mended:
            raise
    if isinstance(mended, ntfs_mirror.Mended):
        with suppress(Absent):
            return _detected(Image(mended), offset), True
    raise Absent(Missing(Reason.UNPARSABLE, f"no file system could be opened: {ntfs_mirror.DAMAGED}"))


def _detected(source: Image, offset: int) -> pytsk3.FS_Info:
    """The one file system that begins there. Raises Absent where there is none, or where it may be one of two."""
    found: list[pytsk3.FS_Info] = []
    for kind in _ASKED:
        with suppress(OSError):
            found.append(pytsk3.FS_Info(source, offset=offset, type=kind))
    if len(found) > 1:  # a disc's descriptors stand where others leave room; clew reads discs itself, and says so
        others = [fs for fs in found if int(fs.info.ftype) not in map(int, _DISCS)]
        found = others if len(others) == 1 else found
    if len(found) != 1:
        names = [name for name, types in FAMILIES.items() for fs in found if int(fs.info.ftype) in map(int, types)]
        why = f"{EITHER}{' or '.join(names)}" if found else "its beginning is that of none that is read"
        raise Absent(Missing(Reason.UNPARSABLE, f"no file system could be opened: {why}"))
    return found[0]


def tree(opened: FileSystem) -> fat_tree.Tree | None:
    """Which directory has which clusters, on FAT and exFAT."""
    if opened.tree is None and opened.taken is not None and opened.family in {"FAT", "exFAT"}:
        opened.tree = fat_tree.Tree(opened.fs, opened.family, opened.taken, opened.image, opened.offset)
    return opened.tree


def searched(opened: FileSystem, payload: dict[str, Any]) -> pytsk3.FS_Info:
    """The same file system for a search for lost entries: without the free clusters of which "sifted" says that there
    are none in them, without what others may have written, whose entries are not its own, and without the ways between
    directories that make no tree, which The Sleuth Kit would all go. It is for that search alone: as The Sleuth Kit
    keeps what it read, the contents of files are not in it.
    """
    again = opened.tree.named_again() if opened.tree is not None else []
    if opened.taken is None or not (again or opened.foreign or "sifted" in payload):
        return opened.fs
    if opened.search is None:
        said = payload.get("sifted", {"passed": [], "found": []})
        passed, found = ([(at, length) for at, length in said[name]] for name in ("passed", "found"))
        source = sift.Sifted(opened.image, opened, opened.taken, passed, found, again, _blanked(opened))
        opened.search = pytsk3.FS_Info(Image(source), offset=opened.offset, type=opened.fs.info.ftype)
    return opened.search


def _blanked(opened: FileSystem) -> list[Range]:
    """Where others may have written, without what the file system cannot be opened without: its root directory, its
    tables and the like. Raises OSError.
    """
    own: list[Range] = []
    root = opened.fs.open_meta(inode=opened.root)
    for file in chain([root], opened.fs.open_dir(inode=opened.root)) if opened.foreign else ():
        name = file.info.name
        virtual = name is not None and int(name.type) == _VIRTUAL
        kept = opened.entries is not None and name is not None and opened.entries.own(int(name.meta_addr))
        for attribute in file if name is None or virtual or kept else ():
            own += [(opened.offset + int(run.addr) * opened.block, int(run.len) * opened.block) for run in attribute]
    return [each for foreign in opened.foreign for each in without(foreign, own)]


def key(payload: dict[str, Any]) -> Key:
    """What tells one image from another."""
    lv = payload.get("lv")
    return payload["container"], _files(), (lv[0], lv[1]) if lv else None


def _files() -> tuple[tuple[int, int], ...]:
    """What tells the files that are held from others. An image may lie in thousands, and each Item asks; they are the
    same as long as the tuple of them is, since a worker is born with them. With another one nothing is opened yet.
    """
    if _born["held"] is not held.descriptors:
        _images.clear()
        _opened.clear()
        _born["files"] = tuple([(status.st_dev, status.st_ino) for status in map(os.fstat, held.descriptors)])
        _born["held"] = held.descriptors
    files: tuple[tuple[int, int], ...] = _born["files"]
    return files


def _image(which: Key) -> Image:
    if which in _images:
        _images.move_to_end(which)
        return _images[which]
    container, files, logical = which
    source: ByteSource
    if logical is None:
        source = find(container)(list(held.descriptors))
    else:
        source = lvm.volume(_image((container, files, None)).source, *logical)
    _images[which] = Image(source)
    if len(_images) > MOST_IMAGES:
        _images.popitem(last=False)
    return _images[which]


def lost_in(bad: list[Range], offset: int, length: int) -> int:
    """How many of these bytes lie in `bad`, which is in order."""
    lost, end = 0, offset + length
    for at in range(max(bisect_right(bad, (offset, 1 << 63)) - 1, 0), len(bad)):
        start, size = bad[at]
        if start >= end:
            break
        lost += max(min(start + size, end) - max(start, offset), 0)
    return lost


def reason(error: OSError) -> str:
    """What The Sleuth Kit says, without the place in its source."""
    return str(error).rpartition(") ")[2][:300]
