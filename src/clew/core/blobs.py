"""Blobs: thumbnails, content-addressed. CASE/blobs/ab/cdef... is the file whose SHA-256 is abcdef...

The observer cannot reach this module, not even through `core.case` (DESIGN section 2).
"""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from clew.core.errors import Damaged
from clew.core.files import write_durably

NAME = re.compile("[0-9a-f]{64}")
RESTORE = "restore the case from its archive; see: clew verify CASE"


def path_of(folder: Path, sha256: bytes) -> Path:
    """Where the blob of that SHA-256 lies in the case folder."""
    name = sha256.hex()
    return folder / "blobs" / name[:2] / name[2:]


def put(folder: Path, data: bytes) -> bytes:
    """Stores `data` in the case folder and returns its SHA-256. Storing it again changes nothing."""
    sha256 = hashlib.sha256(data).digest()
    path = path_of(folder, sha256)
    if not path.exists():
        write_durably(path, data, "blobs.write")
    return sha256


def all_of(folder: Path) -> Iterator[bytes]:
    """The SHA-256 of every blob, in order. Raises Damaged for a file that no blob can be called."""
    for path in sorted((folder / "blobs").glob("*/*")):
        if path.name.startswith(".tmp-"):
            continue  # what a power cut left behind; nothing names it
        name = path.parent.name + path.name
        if not NAME.fullmatch(name) or len(path.parent.name) != 2 or not path.is_file():
            raise Damaged(f"{path.relative_to(folder)} is no blob", RESTORE)
        yield bytes.fromhex(name)


def get(folder: Path, sha256: bytes) -> bytes:
    """The blob's bytes. Raises Damaged where it is gone, or does not hash to its name."""
    path = path_of(folder, sha256)
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise Damaged(f"the blob {sha256.hex()[:12]} is gone", RESTORE) from error
    if hashlib.sha256(data).digest() != sha256:
        raise Damaged(f"the blob {sha256.hex()[:12]} was altered", RESTORE)
    return data
