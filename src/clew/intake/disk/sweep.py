"""Every file record in turn, for those that no directory names, or none that could be listed: NTFS and ext keep deleted
files there, and one in use may have lost its directory, or been deleted while it was open.
"""

from base64 import b64decode
from time import monotonic
from typing import Any

from clew.core.channel import Reply
from clew.intake.disk import claims, foreign, ntfs
from clew.intake.disk.image import FileSystem, file_system, reason
from clew.intake.disk.stretch import SECONDS
from clew.intake.walk import OWN_FILES
from clew.model import NameState

EXT_FIRST = 11  # inodes before it are the file system's own, and some behind it, see `_own`
NOTED = 1 << 17  # the "sub" of what is to be counted of a record, behind its Items


def sweep(payload: dict[str, Any], _descriptors: list[int]) -> Reply:
    """Worker entry: the records from "first" up to "end" (exclusive), without those whose bit is set in "seen".

    Skips the Items of record "first" up to number "sub". Ends early after "most" Items; "cursor" is where to go on.
    """
    opened = file_system(payload)
    first, end, began = payload["first"], payload["end"], monotonic()
    seen = b64decode(payload["seen"])
    items: list[dict[str, Any]] = []
    address, passed = first, 0
    while address < end and len(items) < payload["most"] and monotonic() - began < SECONDS:
        index = address - payload["seen_from"]
        if opened.foreign and foreign.record(opened, address):
            passed += address > first or payload["sub"] < 0
        elif not seen[index // 8] >> (index % 8) & 1:
            after = payload["sub"] if address == first else -1
            items += [item for item in _record(opened, address) if item["sub"] > after]
        address += 1
    if passed:
        items.append({"notes": {foreign.RECORDS: passed}, "sub": NOTED + 1, "record": address - 1})
    return Reply({"items": items, "next": address})


def _has_content(opened: FileSystem, file: Any) -> bool:
    """Whether there is anything to list of a record: of a directory there are streams alone, on NTFS."""
    kind = int(file.info.meta.type)
    if kind == claims.DIRECTORY and opened.family == "NTFS":
        return bool(claims.streams(opened, file))
    return kind == claims.REGULAR


def _own(opened: FileSystem, address: int, file: Any) -> bool:
    """Whether an inode of ext is one of the file system's own by its superblock and by its content. Raises OSError."""
    at, magic = opened.table.own.get(address, (0, b"")) if opened.table is not None else (0, b"")
    return bool(magic) and bytes(file.read_random(at, len(magic))) == magic


def _record(opened: FileSystem, address: int) -> list[dict[str, Any]]:
    if opened.family != "NTFS" and address < EXT_FIRST:
        return []
    try:
        file = opened.fs.open_meta(inode=address)
        meta = file.info.meta
        if not claims.ever_used(meta) or not _has_content(opened, file):
            return []
        if _own(opened, address, file):
            return [{"notes": {OWN_FILES: 1}, "sub": NOTED, "record": address}]
        if opened.family == "NTFS":
            if not any(int(attribute.info.type) == 16 for attribute in file):
                return []  # an extension record: its base record tells the file
            path, state, own = ntfs.path(opened, file)
        else:
            path, state, own = ntfs.ORPHANS + b"/inode-%d" % address, NameState.ORPHAN, None
        if claims.allocated(meta) and state is not NameState.LIVE and not claims.unlinked(opened, meta):
            state = NameState.UNATTACHED
        found = claims.contents(opened, file, path, state, own)
        items = [item | {"sub": sub, "record": address} for sub, item in found]
        notes = [item.pop("note") for item in items if "note" in item]
        if own is not None and address >= ntfs.RESERVED and not claims.allocated(meta):  # the walk counts those in use
            notes.append(OWN_FILES)
        return items + ([{"notes": dict.fromkeys(notes, 1), "sub": NOTED, "record": address}] if notes else [])
    except OSError as error:
        path = ntfs.ORPHANS + b"/record-%d" % address
        lost = claims.name_only(opened, path, address, NameState.ORPHAN, f"its file record is damaged: {reason(error)}")
        return [lost | {"sub": 0, "record": address}]
