"""A disk image as The Sleuth Kit sees it: a read-only descriptor, and the file systems opened on it.

An opened file system is kept between tasks, since opening one costs more than most directories do.
"""

import os
from collections import OrderedDict
from dataclasses import dataclass

import pytsk3

from clew.core.absent import Absent
from clew.intake.disk import allocation
from clew.model import Missing, Reason

MOST_OPEN = 4

FAMILIES = {
    "NTFS": (pytsk3.TSK_FS_TYPE_NTFS,),
    "FAT": (pytsk3.TSK_FS_TYPE_FAT12, pytsk3.TSK_FS_TYPE_FAT16, pytsk3.TSK_FS_TYPE_FAT32),
    "exFAT": (pytsk3.TSK_FS_TYPE_EXFAT,),
    "ext": (pytsk3.TSK_FS_TYPE_EXT2, pytsk3.TSK_FS_TYPE_EXT3, pytsk3.TSK_FS_TYPE_EXT4),
    "ISO 9660": (pytsk3.TSK_FS_TYPE_ISO9660,),
    "HFS+": (pytsk3.TSK_FS_TYPE_HFS,),
    "UFS": (pytsk3.TSK_FS_TYPE_FFS1, pytsk3.TSK_FS_TYPE_FFS1B, pytsk3.TSK_FS_TYPE_FFS2),
}


class Image(pytsk3.Img_Info):  # type: ignore[misc]
    """pytsk3's way to hand it bytes: a subclass with `read` and `get_size`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._size = os.lseek(descriptor, 0, os.SEEK_END)
        super().__init__(url="")

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of the image; never moves the descriptor's own offset."""
        return os.pread(self._descriptor, length, offset)

    def get_size(self) -> int:
        """Bytes."""
        return self._size


@dataclass(slots=True)
class FileSystem:
    """One opened file system. `taken` tells which blocks are allocated, where clew can read that."""

    fs: pytsk3.FS_Info
    family: str
    offset: int
    taken: allocation.Taken | None

    @property
    def root(self) -> int:
        """The root directory's address."""
        return int(self.fs.info.root_inum)


_opened: OrderedDict[tuple[int, int, int], tuple[FileSystem, int]] = OrderedDict()


def file_system(descriptor: int, offset: int) -> FileSystem:
    """The file system at that byte of the image. Raises Absent where there is none that can be read."""
    status = os.fstat(descriptor)
    key = (status.st_dev, status.st_ino, offset)
    if key in _opened:
        _opened.move_to_end(key)
        return _opened[key][0]
    mine = os.dup(descriptor)
    image = Image(mine)
    try:
        fs = pytsk3.FS_Info(image, offset=offset)
    except OSError as error:
        os.close(mine)
        raise Absent(Missing(Reason.UNPARSABLE, f"no file system could be opened: {reason(error)}")) from error
    family = next((name for name, types in FAMILIES.items() if int(fs.info.ftype) in map(int, types)), "other")
    opened = FileSystem(fs, family, offset, allocation.of(family, fs, image, offset))
    _opened[key] = (opened, mine)
    if len(_opened) > MOST_OPEN:
        os.close(_opened.popitem(last=False)[1][1])
    return opened


def reason(error: OSError) -> str:
    """What The Sleuth Kit says, without the place in its source."""
    return str(error).rpartition(") ")[2][:300]
