"""Files of HFS+ that macOS packed (decmpfs), as it does with most of its own: given unpacked, by libfshfs, since The
Sleuth Kit as pytsk3 brings it has no zlib, and names what it can unpack as a stream beside the file. On APFS libfsapfs
unpacks them (`apfs`).

Such a file has no data of its own, but an extended attribute that says how it is packed (zlib, LZVN, LZFSE), and how
large it is; its bytes stand behind that or in the resource fork (bsd/sys/decmpfs.h of XNU).
"""

import pyfshfs
import pytsk3

from clew.core.absent import Absent
from clew.intake.api import ByteSource, Range
from clew.intake.containers.fileobject import FileObject
from clew.intake.disk.image import FileSystem, lost_in
from clew.model import Missing, Reason

KIND = int(pytsk3.TSK_FS_ATTR_TYPE_HFS_COMP_REC)  # the type of that attribute, by which its content is named
NAME = "com.apple.decmpfs"
HEAD = 16  # bytes of it before what is packed
_TYPE = slice(4, 8)  # bytes of it; its size stands behind them
# zlib, LZVN, not at all, LZFSE, each behind the attribute and in the resource fork; of others the bytes are elsewhere
_HERE = {3, 4, 7, 8, 9, 10, 11, 12}


class _Watched:
    """A source of which it is counted how many bytes were given as zeros, since they cannot be read."""

    def __init__(self, source: ByteSource) -> None:
        self.source, self.size, self.lost = source, source.size, 0

    @property
    def bad(self) -> list[Range]:
        """What could not be read of it so far."""
        return self.source.bad

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of the source."""
        data = self.source.read(offset, length)
        self.lost += lost_in(self.source.bad, offset, len(data))
        return data


class Packed:
    """The content of one such file. It has a reader of its own, so that nothing that was read for another is kept.

    Raises OSError where libfshfs does not open it.
    """

    def __init__(self, opened: FileSystem, record: int) -> None:
        self._watched = _Watched(opened.image.source)
        self._behind, self._volume = FileObject(self._watched, opened.offset), pyfshfs.volume()
        self._volume.open_file_object(self._behind)
        self._file = self._volume.get_file_entry_by_identifier(record)
        more = self._file.extended_attributes if self._file is not None else []
        heads = [bytes(each.read_buffer(HEAD)) for each in more if each.get_name() == NAME]
        self.size = int(self._file.get_size()) if heads else -1
        self._elsewhere = elsewhere(heads[0]) if heads else None
        self.in_fork = bool(heads) and not self._file.has_resource_fork()  # where there is one, it is the packed form

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes. Raises Absent where they cannot be unpacked, or a bad stretch of the image was met."""
        length = min(length, self.size - offset)
        if length <= 0:
            return b""
        if self._elsewhere is not None:
            raise Absent(self._elsewhere)
        try:
            data = bytes(self._file.read_buffer_at_offset(length, offset))
        except OSError as error:
            why = f"packed by macOS (decmpfs), and not unpacked by libfshfs: {str(error)[:300]}"
            raise Absent(Missing(Reason.UNREADABLE, why)) from error
        if self._behind.failed or self._watched.lost or len(data) != length:
            why = "packed by macOS (decmpfs), and what it was unpacked from could not all be read"
            raise Absent(Missing(Reason.UNREADABLE, why))
        return data


def elsewhere(head: bytes) -> Missing | None:
    """Why a file of which that is the attribute's head has its bytes neither in it nor in the resource fork: libyal's
    readers give zeros for some of these.
    """
    kind = int.from_bytes(head[_TYPE], "little")
    why = f"packed by macOS in a way that is not read (decmpfs, type {kind}): its bytes are elsewhere"
    return None if kind in _HERE else Missing(Reason.UNREADABLE, why)


def content(opened: FileSystem, record: int) -> Packed | None:
    """That of a file, where it is packed; None where it is not, or where libfshfs cannot tell."""
    try:
        found = Packed(opened, record)
    except OSError:
        return None
    return found if found.size >= 0 else None
