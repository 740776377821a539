"""Stores of small pictures that systems keep of what was once there, told from other contents by their structure."""

import re
import struct

from clew.intake.api import ByteSource

OLE = "application/cdfv2"  # libmagic's own name for a compound file of no kind that it knows, in small letters
_CACHE = b"CMMM"  # of the file and of each entry in it (libwtcdb, Windows Explorer Thumbnail Cache format, 2 and 3)
_BLOBS = b"\x10\x85\x24\xbd"  # Android, com.android.gallery3d.common.BlobCache: MAGIC_DATA_FILE
# MS-CFB 2.6.1: a directory entry has its name in 64 bytes, its length with the zero, and 2 for a stream
_CATALOG = "Catalog".encode("utf-16-le").ljust(64, b"\0") + b"\x10\x00\x02"
_SIZED = re.compile(rb"(?:[0-9]\0){2,4}_\0(?:[0-9a-f]\0){8,16}\0\0")  # "256_0123456789abcdef", since Windows Vista
SLOT, SLOTS = 10_000, 20_000  # bytes of one picture in Android's MiniThumbFile; how many are looked for the first used
_SLOT_HEAD = struct.Struct(">BQI3s")  # in use, magic, length, and how a JPEG begins


def store(source: ByteSource, head: bytes, media_type: str, searched: int) -> str:
    """Whose store the content with that beginning is, "" for none that holds a picture."""
    if media_type.lower().startswith(OLE):
        return "Thumbs.db of Windows" if _is_thumbs(source, head, searched) else ""
    if head.startswith(_CACHE):
        return "thumbcache of Windows" if _CACHE in head[4:] else ""
    if head.startswith(_BLOBS):
        return "imgcache of Android" if source.size > len(_BLOBS) else ""
    return ".thumbdata of Android" if source.size and source.size % SLOT == 0 and _has_slot(source) else ""


def _is_thumbs(source: ByteSource, head: bytes, searched: int) -> bool:
    """Its catalog, or names of streams that say their pictures' size in the first sector of the directory."""
    if len(head) < 512:
        return False
    shift, first = int.from_bytes(head[30:32], "little"), int.from_bytes(head[48:52], "little")
    if shift in {9, 12} and _SIZED.search(source.read((first + 1) << shift, 1 << shift)):
        return True
    return _CATALOG in source.read(0, searched)


def _has_slot(source: ByteSource) -> bool:
    """Whether a slot is in use and holds a JPEG."""
    for at in range(0, min(source.size, SLOT * SLOTS), SLOT):
        used, _, length, begin = _SLOT_HEAD.unpack(source.read(at, _SLOT_HEAD.size))
        if used == 1 and length <= SLOT - 13 and begin == b"\xff\xd8\xff":
            return True
        if used > 1:
            return False
    return False
