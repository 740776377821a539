"""NTFS volumes with what `ntfscp` does not write: reparse points, streams of directories, files below $Extend, deleted
records. By ntfs-3g's own library on the unmounted image.
"""

import ctypes
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import c_char_p, c_int, c_int64, c_uint8, c_uint32, c_uint64, c_void_p
from ctypes.util import find_library
from pathlib import Path

from recovery import tool

DATA, REPARSE_POINT = 0x80, 0xC0
_FUNCTIONS = {
    "ntfs_mount": (c_void_p, (c_char_p, c_uint64)),
    "ntfs_umount": (c_int, (c_void_p, c_int)),
    "ntfs_pathname_to_inode": (c_void_p, (c_void_p, c_void_p, c_char_p)),
    "ntfs_inode_close": (c_int, (c_void_p,)),
    "ntfs_create": (c_void_p, (c_void_p, c_uint32, c_char_p, c_uint8, c_uint32)),
    "ntfs_delete": (c_int, (c_void_p, c_char_p, c_void_p, c_void_p, c_char_p, c_uint8)),
    "ntfs_link": (c_int, (c_void_p, c_void_p, c_char_p, c_uint8)),
    "ntfs_attr_add": (c_int, (c_void_p, c_uint32, c_char_p, c_uint8, c_char_p, c_int64)),
    "ntfs_attr_open": (c_void_p, (c_void_p, c_uint32, c_char_p, c_uint32)),
    "ntfs_attr_pwrite": (c_int64, (c_void_p, c_int64, c_int64, c_char_p)),
    "ntfs_attr_truncate": (c_int, (c_void_p, c_int64)),
    "ntfs_attr_close": (None, (c_void_p,)),
}


def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(find_library("ntfs-3g"), use_errno=True)
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def _checked(found: int | None, what: str) -> int:
    if found is None or found < 0:
        raise OSError(ctypes.get_errno(), f"libntfs-3g: {what}")
    return found


class Volume:
    """An NTFS volume that is being written to. Paths begin with "/"."""

    def __init__(self, library: ctypes.CDLL, opened: int) -> None:
        self._library, self._opened = library, opened

    def create(self, path: str, data: bytes = b"", *, folder: bool = False) -> None:
        """A file with that content, or a directory."""
        above, _, name = path.rpartition("/")
        kind = stat.S_IFDIR if folder else stat.S_IFREG
        with self._file(above or "/") as directory:
            made = self._library.ntfs_create(directory, 0, name.encode("utf-16-le"), len(name), kind)
            self._library.ntfs_inode_close(_checked(made, f"create {path}"))
        if data:
            self.write(path, data)

    def write(self, path: str, data: bytes, stream: str | None = None, at: int = 0, size: int | None = None) -> None:
        """Bytes of the content, or of a new `stream`, of which "" is the content of what had none; `size` cuts it, or
        makes it longer by a hole.
        """
        name, letters = (stream or "").encode("utf-16-le") or None, len(stream or "")
        with self._file(path) as file:
            if stream is not None:
                _checked(self._library.ntfs_attr_add(file, DATA, name, letters, None, 0), f"add {path}:{stream}")
            opened = _checked(self._library.ntfs_attr_open(file, DATA, name, letters), f"open {path}")
            if size is not None:
                _checked(self._library.ntfs_attr_truncate(opened, size), f"truncate {path}")
            if data:
                _checked(self._library.ntfs_attr_pwrite(opened, at, len(data), data), f"write {path}")
            self._library.ntfs_attr_close(opened)

    def reparse(self, path: str, tag: int, data: bytes = bytes(16)) -> None:
        """A reparse point of that tag: tag, bytes of data, two reserved bytes, data ([MS-FSCC] 2.1.2.2); a GUID stands
        before the data where the tag is not Microsoft's (2.1.2.3). $Extend/$Reparse is not told of it.
        """
        guid = b"" if tag & 0x80000000 else b"clew's own GUID."
        value = tag.to_bytes(4, "little") + len(data).to_bytes(2, "little") + bytes(2) + guid + data
        with self._file(path) as file:
            added = self._library.ntfs_attr_add(file, REPARSE_POINT, None, 0, value, len(value))
            _checked(added, f"reparse {path}")

    def link(self, path: str, folder: str, name: str) -> None:
        """A further name of a file."""
        with self._file(path) as file, self._file(folder) as directory:
            wide = name.encode("utf-16-le")
            _checked(self._library.ntfs_link(file, directory, wide, len(name)), f"link {path}")

    def delete(self, path: str) -> None:
        """A file, or an empty directory."""
        above, _, name = path.rpartition("/")
        directory, file = self._open(above or "/"), self._open(path)  # both are closed by it
        wide = name.encode("utf-16-le")
        _checked(self._library.ntfs_delete(self._opened, None, file, directory, wide, len(name)), f"delete {path}")

    def _open(self, path: str) -> int:
        return _checked(self._library.ntfs_pathname_to_inode(self._opened, None, path.encode()), f"open {path}")

    @contextmanager
    def _file(self, path: str) -> Iterator[int]:
        file = self._open(path)
        yield file
        _checked(self._library.ntfs_inode_close(file), f"close {path}")


def blank(path: Path, size: int = 8 << 20) -> Path:
    """An empty volume."""
    with path.open("wb") as out:
        out.truncate(size)
    tool("mkntfs", "-q", "-F", "-Q", path)
    return path


@contextmanager
def written(path: Path) -> Iterator[Volume]:
    """The volume at `path`, to be written to."""
    library = _library()
    opened = _checked(library.ntfs_mount(str(path).encode(), 0), f"mount {path}")
    yield Volume(library, opened)
    _checked(library.ntfs_umount(opened, 0), f"umount {path}")
