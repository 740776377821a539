"""Source: a folder on this machine. Nothing in it is followed out of it, and nothing is written.

Directories are opened one component at a time with O_NOFOLLOW, so that a link planted while clew reads leads nowhere.
Links, devices, pipes and sockets become Items that were skipped, each with its reason.
"""

import os
import stat
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from clew.core.absent import Absent
from clew.intake import plugged
from clew.intake.api import Ask, Claimed, Deleted, Found, Job, Note, Part, Range, Seen, Session, Source, Unavailable
from clew.intake.refs import quote, unquote
from clew.intake.sources._mounted import times
from clew.intake.walk import NO_FILE, Event, Key, Listing, preorder
from clew.model import ContentState, ItemState, Missing, Reason

MOST_LEVELS = 1000
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
BEYOND = 1 << 16  # bytes asked for at a time behind the end that the file had
KINDS = {
    stat.S_IFLNK: "a symbolic link, which is not followed",
    stat.S_IFIFO: "a named pipe, which holds no content",
    stat.S_IFSOCK: "a socket, which holds no content",
    stat.S_IFCHR: "a character device, which is not opened",
    stat.S_IFBLK: "a block device, which is not opened",
}

Entry = tuple[bytes, os.stat_result | Missing]


class Tree:
    """One opened folder."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.detail: dict[str, Any] = {"opened": "read-only", "access_times_touched": 0}
        self._root = self._open(os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, os.fsencode(path))
        self._device = os.fstat(self._root).st_dev
        self._times_of = cache(times)  # by device; there are few
        self._last: tuple[bytes, int] | None = None
        self.held: tuple[int, ...] = ()
        self.acquisition: Job | None = None
        self.itself: str | None = None

    def parts(self, _ask: Ask) -> Iterator[Part]:
        """A folder is one part."""
        yield Part("tree", {"kind": "folder"})

    def items(self, _part: Part, cursor: str, seen: Seen, _ask: Ask) -> Iterator[Found | Note]:
        """Every entry but directories, in preorder; a directory only where it could not be listed. Notes where there is
        no entry at all.
        """
        devices: dict[tuple[Key, ...], int] = {}
        at: tuple[Key, ...] = ()
        path, none, source = b"", True, self._times_of(self._device)
        for event in preorder(lambda at: self._list(at, devices), cursor):
            if event.at is not at:
                at, path = event.at, b"/".join([key[0] for key in event.at])
                source = self._times_of(devices.get(at, self._device))
            if event.file is not None:
                none = False
                yield _found(path, event.file, event.cursor, source)
                continue
            cursor = event.cursor
            if isinstance(event.entered, Missing):
                none = False
                yield _lost(path, event.entered, event.cursor, b"/")
            elif self._crossed(event, devices):
                yield Note({"mount points crossed": 1}, event.cursor)
        if none and not seen("file/", any):
            yield Note({NO_FILE: 1}, cursor)

    def job(self, ref: str) -> Job:
        """Opens the file where it was listed. Raises Unavailable where it is gone or is no regular file any more."""
        folder, _, name = unquote(ref.removeprefix("file/")).rpartition(b"/")
        try:
            descriptor = self._open(READ, name, self._folder(folder))
        except OSError as error:
            raise Unavailable(Missing(Reason.UNREADABLE, f"could not be opened: {error.strerror}")) from error
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            os.close(descriptor)
            raise Unavailable(Missing(Reason.UNREADABLE, "is no regular file any more"))
        return Job("clew.intake.sources.folder:file", {}, (descriptor,))

    def claims(self, _deleted: Mapping[str, Deleted], _ask: Ask) -> dict[str, Claimed]:
        """A folder shows no deleted files."""
        return {}

    def check(self) -> None:
        """Raises ClewError where the folder is not there any more, or cannot be listed."""
        plugged.folder(self._path, self._root)

    def close(self) -> None:
        """Closes the folder."""
        os.close(self._root)
        if self._last is not None:
            os.close(self._last[1])

    def _list(self, at: tuple[Key, ...], devices: dict[tuple[Key, ...], int]) -> Listing[Entry] | Missing:
        if len(at) > MOST_LEVELS:
            return Missing(Reason.LIMIT_REACHED, f"lies deeper than {MOST_LEVELS} levels and was not entered")
        listing: Listing[Entry] = Listing()
        try:
            folder = self._folder(b"/".join(key[0] for key in at))
            for other in [other for other in devices if other != at[: len(other)]]:
                del devices[other]  # only the way down to here is kept
            devices[at] = os.fstat(folder).st_dev
            with os.scandir(folder) as entries:
                for entry in entries:
                    name = os.fsencode(entry.name)
                    if entry.is_dir(follow_symlinks=False):
                        listing.folders.append((name, 0, 0))
                    else:
                        listing.files.append(((name, 0, 0), (name, _stat(entry))))
        except OSError as error:
            return Missing(Reason.UNREADABLE, f"the directory could not be listed: {error.strerror}")
        return listing

    def _crossed(self, event: Event[Entry], devices: dict[tuple[Key, ...], int]) -> bool:
        """Whether another file system begins with this directory: it is entered, and counted."""
        return bool(event.at) and devices[event.at] != devices.get(event.at[:-1], self._device)

    def _folder(self, path: bytes) -> int:
        """A descriptor of a directory below the root; ours, kept until the next one is asked for."""
        if self._last is not None and self._last[0] == path:
            return self._last[1]
        here = os.dup(self._root)
        for name in path.split(b"/") if path else ():
            above = here
            try:
                here = self._open(READ | os.O_DIRECTORY, name, above)
            finally:
                os.close(above)
        if self._last is not None:
            os.close(self._last[1])
        self._last = (path, here)
        return here

    def _open(self, flags: int, name: bytes, folder: int | None = None) -> int:
        """Without touching the access time where we may ask for that; otherwise the touch is counted and told."""
        try:
            return os.open(name, flags | os.O_NOATIME, dir_fd=folder)
        except PermissionError:
            descriptor = os.open(name, flags, dir_fd=folder)
            self.detail["access_times_touched"] += 1
            return descriptor


class File:
    """A file behind a descriptor. Where somebody wrote to it meanwhile its hash would be one of bytes that never were:
    its last read says so.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._before = self._state()
        self.size = self._before[0]
        self.bad: list[Range] = []

    def read(self, offset: int, length: int) -> bytes:
        """Raises Absent at a read error, and at the end where the file has changed."""
        left = self.size - offset
        try:  # room for more than there is costs time; behind the end lies something only where the file grew
            data = os.pread(self._descriptor, min(length, left if left > 0 else BEYOND), offset)
        except OSError as error:
            raise Absent(Missing(Reason.UNREADABLE, f"read error at byte {offset}: {error.strerror}")) from error
        if not data and self._state() != self._before:
            raise Absent(Missing(Reason.UNREADABLE, "was written to while it was read; read it again with --retry"))
        return data

    def _state(self) -> tuple[int, int]:
        status = os.fstat(self._descriptor)
        return status.st_size, status.st_mtime_ns


def file(_payload: dict[str, Any], descriptors: list[int]) -> File:
    """Opener: the file behind the descriptor that the parent opened."""
    return File(descriptors[0])


def _stat(entry: os.DirEntry[str]) -> os.stat_result | Missing:
    try:
        return entry.stat(follow_symlinks=False)
    except OSError as error:
        return Missing(Reason.UNREADABLE, f"could not be examined: {error.strerror}")


def _ref(path: bytes) -> str:
    return "file/" + quote(path)


def _lost(path: bytes, missing: Missing, cursor: str, mark: bytes = b"") -> Found:
    """What stands for what could not be listed, or examined. Its ref is no file's, as that may be listed later."""
    return Found(
        _ref(path) + "/", path + mark, 0, cursor, "folder", ItemState.UNREADABLE, missing,
        content_state=ContentState.UNREADABLE,
    )  # fmt: skip


def _found(folder: bytes, entry: Entry, cursor: str, times_source: str) -> Found:
    name, status = entry
    path = folder + b"/" + name if folder else name
    if isinstance(status, Missing):
        return _lost(path, status, cursor)
    state, missing = ItemState.OPEN, None
    if not stat.S_ISREG(status.st_mode):
        kind = KINDS.get(stat.S_IFMT(status.st_mode), "of a kind that holds no content")
        state, missing = ItemState.SKIPPED, Missing(Reason.NOT_APPLICABLE, kind)
    return Found(
        ref=_ref(path),
        path=path,
        size=status.st_size if state is ItemState.OPEN else 0,
        cursor=cursor,
        found_by="folder",
        state=state,
        missing=missing,
        modified_ns=status.st_mtime_ns,
        accessed_ns=status.st_atime_ns,
        changed_ns=status.st_ctime_ns,
        times_source=times_source,
    )


class Folder:
    """A directory of the running system."""

    name = "folder"
    version = "1"
    general = False
    preload: tuple[str, ...] = ("clew.intake.sources.folder",)

    def wants(self, path: Path) -> bool:
        """Any directory."""
        return path.is_dir()

    def open(self, path: Path) -> Session:
        """Opens the directory itself; what a link at `path` points to is what the operator named."""
        return Tree(path)

    def examples(self) -> Iterator[tuple[str, Mapping[bytes, bytes]]]:
        """A small tree, with a name that is no UTF-8."""
        yield "folder", {b"a.txt": b"one\n", b"b/c.txt": b"two\n", b"b/\xff\xfe name": b"three\n", b"b/empty": b""}


PLUGIN: Source = Folder()
