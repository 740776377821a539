"""Whether an NTFS volume was unmounted in order when it was last in use.

The journal, $LogFile, begins with two restart pages of which the newer counts: "RSTR", at byte 16 its length, at byte
24 where its restart area begins; in that at byte 0 a sequence number, at 12 the first client that has the journal open
(0xFFFF: none), at 14 flags (layout.h and logfile.h of ntfs-3g). Windows leaves a client there and sets a flag where all
is written. A journal that ntfs-3g emptied is all 0xFF, one that chkdsk looked at begins with "CHKD": both say nothing.
"""

import struct
from typing import Any

import pytsk3

from clew.intake.disk import signatures

_LOGFILE, _VOLUME, _ROOT = 2, 3, 5  # file records
_INDEX, _MOST_INDEX = 0xA0, 1 << 20  # $INDEX_ALLOCATION, and bytes of it: some 8,000 names
_PAGES = 4096  # bytes of a restart page, where the first one does not say that
_NOBODY, _CLEAN = 0xFFFF, 2
_VOLUME_INFORMATION, _FLAGS_AT, _DIRTY = 0x70, 10, 1
_HIBERNATED = {b"hibr", b"HIBR"}  # how hiberfil.sys begins until Windows has woken up
_ASLEEP = (
    "what Windows had in memory alone: it was hibernated, as its fast startup does at each shutdown, so that what was "
    "made, renamed or deleted last may not show; hiberfil.sys holds that memory, for tools that read one"
)
_JOURNAL = f"{signatures.AHEAD}; run `ntfsrecover` on a copy and take in that"
_DAMAGED = (
    "what a check of it would find: it is marked as damaged, or as not unmounted by Linux; run `chkdsk /f` on a copy "
    "and compare"
)


def unwritten(fs: pytsk3.FS_Info) -> str:
    """What may be missing of the volume for want of an orderly end, in words; "" where it was unmounted."""
    if _small_root(fs) and _beginning(fs, "/hiberfil.sys", 4) in _HIBERNATED:
        return _ASLEEP
    if _in_use(_beginning(fs, _LOGFILE, 1 << 17)):
        return _JOURNAL
    return _DAMAGED if _dirty(fs) else ""


def _small_root(fs: pytsk3.FS_Info) -> bool:
    """Whether the root directory is one that The Sleuth Kit lists soon, as that of every Windows is."""
    try:
        sizes = [int(each.info.size) for each in fs.open_meta(inode=_ROOT) if int(each.info.type) == _INDEX]
    except OSError:
        return False
    return sum(sizes) <= _MOST_INDEX


def _beginning(fs: pytsk3.FS_Info, which: str | int, length: int) -> bytes:
    """Up to so many bytes of a file; none where it is not there, or cannot be read."""
    try:
        file = fs.open(which) if isinstance(which, str) else fs.open_meta(inode=which)
        length = min(length, int(file.info.meta.size))
        return bytes(file.read_random(0, length)) if length else b""
    except OSError:
        return b""


def _in_use(journal: bytes) -> bool:
    """Whether it was open, with changes that may not be written, by the newer of its restart pages."""
    length = int.from_bytes(journal[16:20], "little") if journal.startswith(b"RSTR") else 0
    second = journal[length or _PAGES :]
    areas = [area for area in (_restart_area(journal), _restart_area(second)) if area]
    if not areas:
        return False
    _, _, _, client, flags = max(areas)
    return client != _NOBODY and not flags & _CLEAN


def _restart_area(page: bytes) -> tuple[Any, ...]:
    """Its sequence number, how many clients there are, the first free one, the first in use, and flags."""
    at = int.from_bytes(page[24:26], "little")
    return struct.unpack_from("<QHHHH", page, at) if page.startswith(b"RSTR") and len(page) >= at + 16 else ()


def _dirty(fs: pytsk3.FS_Info) -> bool:
    """Whether $Volume marks it as to be checked."""
    try:
        file = fs.open_meta(inode=_VOLUME)
        found = [each.info for each in file if int(each.info.type) == _VOLUME_INFORMATION]
        raw = bytes(file.read_random(0, _FLAGS_AT + 2, _VOLUME_INFORMATION, int(found[0].id))) if found else b""
    except OSError:
        return False
    return bool(int.from_bytes(raw[_FLAGS_AT:], "little") & _DIRTY)
