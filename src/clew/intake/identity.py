"""By what an Exhibit's image is known again when a run goes on: size, times and both ends of each of its files.

Not a digest of the whole, which would be another read of it. A folder has no such identity: there each file's change
shows when it is read.
"""

import hashlib
import os
import stat
from collections.abc import Sequence
from typing import Any

ENDS = 64 << 10  # bytes of each end that are hashed


def of(descriptors: Sequence[int]) -> list[dict[str, Any]]:
    """What each file is known by. Raises OSError."""
    return [_file(descriptor) for descriptor in descriptors]


def differences(recorded: list[dict[str, Any]], found: list[dict[str, Any]], *, moved: bool) -> list[str]:
    """What is not as it was, in words. Where the image was `moved`, times and inodes are those of a copy."""
    if len(recorded) != len(found):
        return [f"it lies in {len(found)} files, where it lay in {len(recorded)}"]
    names = {"size": "its size", "head": "its first bytes", "tail": "its last bytes"}
    if not moved:
        names |= {"modified_ns": "the time it was last written to", "inode": "the file itself (it was replaced)"}
    said = []
    for number, (before, now) in enumerate(zip(recorded, found, strict=True), 1):
        said += [f"file {number}: {what}" for name, what in names.items() if before[name] != now[name]]
    return said


def _file(descriptor: int) -> dict[str, Any]:
    status = os.fstat(descriptor)
    size = os.lseek(descriptor, 0, os.SEEK_END)
    regular = stat.S_ISREG(status.st_mode)
    return {
        "size": size,
        "head": hashlib.sha256(os.pread(descriptor, ENDS, 0)).hexdigest(),
        "tail": hashlib.sha256(os.pread(descriptor, ENDS, max(0, size - ENDS))).hexdigest(),
        "modified_ns": status.st_mtime_ns if regular else 0,  # of a device they are its node's, not its content's
        "inode": status.st_ino if regular else 0,
    }
