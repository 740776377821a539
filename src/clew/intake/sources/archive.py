"""Source: an archive file that is the exhibit itself: one Item, which is then expanded as any other archive is."""

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from clew.core import held
from clew.intake import plugged
from clew.intake.api import Ask, Claimed, Deleted, Found, Job, Note, Part, Seen, Session, Source
from clew.intake.archives.kinds import begins_archive
from clew.intake.containers.raw import Raw, open_raw
from clew.intake.sources._disk import ACQUIRE, open_read_only
from clew.intake.sources._mounted import times

REF = "file"
HEAD = 512
CONTAINER = "clew.intake.containers.raw:open_raw"
DMG_TRAILER, DMG_MAGIC = 512, b"koly"  # an Apple disk image may begin like a compressed stream


class Whole:
    """One opened archive file."""

    def __init__(self, path: Path) -> None:
        self.held: tuple[int, ...] = (open_read_only(path),)
        self._path, self._name = path, os.fsencode(path.name)
        self._status = os.fstat(self.held[0])
        self.detail: dict[str, Any] = {"opened": "read-only"}
        payload = {"container": CONTAINER, "size": self._status.st_size}
        self.acquisition: Job | None = Job(ACQUIRE, payload)
        self.itself: str | None = REF

    def parts(self, _ask: Ask) -> Iterator[Part]:
        """The file is one part; what lies in it comes as parts of its own, once it is read."""
        yield Part("file", {"kind": "file"})

    def items(self, _part: Part, cursor: str, _seen: Seen, _ask: Ask) -> Iterator[Found | Note]:
        """The file itself."""
        if not cursor:
            yield Found(
                ref=REF,
                path=self._name,
                size=self._status.st_size,
                cursor="end",
                found_by="file",
                modified_ns=self._status.st_mtime_ns,
                accessed_ns=self._status.st_atime_ns,
                changed_ns=self._status.st_ctime_ns,
                times_source=times(self._status.st_dev),
            )

    def job(self, _ref: str) -> Job:
        """The file, from the descriptor that every worker holds."""
        return Job("clew.intake.sources.archive:whole", {})

    def claims(self, _deleted: Mapping[str, Deleted], _ask: Ask) -> dict[str, Claimed]:
        """A file shows no deleted Items."""
        return {}

    def check(self) -> None:
        """Raises ClewError where the file is not there any more."""
        plugged.file(self._path, self.held[0])

    def close(self) -> None:
        """Closes the file."""
        os.close(self.held[0])


def whole(_payload: dict[str, Any], _descriptors: list[int]) -> Raw:
    """Opener: the exhibit's bytes."""
    return open_raw(list(held.descriptors))


class ArchiveFile:
    """A file that begins as an archive does."""

    name = "archive"
    version = "2"
    general = False
    preload: tuple[str, ...] = (
        "clew.intake.containers.acquisition",
        "clew.intake.containers.raw",
        "clew.intake.sources.archive",
    )

    def wants(self, path: Path) -> bool:
        """A regular file with the magic of an archive or of a compressed stream, and no Apple disk image."""
        if not stat.S_ISREG(path.stat().st_mode):
            return False
        descriptor = open_read_only(path)
        try:
            end = os.lseek(descriptor, 0, os.SEEK_END)
            head, tail = os.pread(descriptor, HEAD, 0), os.pread(descriptor, HEAD, max(0, end - DMG_TRAILER))
        finally:
            os.close(descriptor)
        return begins_archive(head) and not tail.startswith(DMG_MAGIC)

    def open(self, path: Path) -> Session:
        """Opens the file, read-only."""
        return Whole(path)

    def examples(self) -> Iterator[tuple[str, Mapping[bytes, bytes]]]:
        """A zip with a folder in it."""
        yield "zip", {b"a.txt": b"one\n", b"b/c.txt": b"two\n"}


PLUGIN: Source = ArchiveFile()
