"""What a disk image consists of: its partition table, and what lies in each partition, said also where it cannot be
read.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import Any

from clew.core.absent import Absent, absent
from clew.core.channel import Reply
from clew.intake.api import ByteSource
from clew.intake.containers._mapped import Mapped
from clew.intake.disk import (
    allocation,
    apfs,
    fat_tables,
    gpt,
    iso_disc,
    logfile,
    lvm,
    ntfs,
    ntfs_mirror,
    owned,
    raid,
    recount,
    signatures,
    tables,
)
from clew.intake.disk.image import EITHER, file_system, image
from clew.intake.entropy import UNEXPLAINED
from clew.model import Missing, Reason

ISO = "ISO 9660"
_DISC_TOO = Missing(Reason.UNKNOWN, "a disc (ISO 9660), whose files are not listed beside it")
MOST_PARTITIONS = 1024
SECTOR = 512
ROUNDING = 2  # clusters: a file system is rounded to its clusters, and so may be the partition that it was made in
HEADER = 1024  # byte of a volume of HFS+ at which its header stands
COUNTED = 1 << 22  # blocks counted between two looks at the clock
COUNTING_SECONDS = 5.0  # after which free space, or what is marked as bad, stays uncounted


def size(payload: dict[str, Any], _descriptors: list[int]) -> Reply:
    """Worker entry: bytes of the image behind its container, and what the container has to say of itself."""
    source = image(payload).source
    said = source.said if isinstance(source, Mapped) else []
    return Reply({"size": source.size, "said": [[str(each.reason), each.detail] for each in said]})


def table(payload: dict[str, Any], _descriptors: list[int]) -> Reply:
    """Worker entry: the stretches of the partition table, or none. Offsets and lengths are bytes."""
    disk = image(payload)
    remarks = gpt.remarks(disk.source)
    try:
        volume = tables.opened(disk)
    except OSError as error:
        if remarks or tables.names_partitions(disk.read(0, 1024)):
            why = tables.cut(disk) or "as it does where the image is cut"
            raise absent(Reason.UNPARSABLE, f"The Sleuth Kit refuses it: {why}") from error
        return Reply({"scheme": None, "parts": [], "said": []})
    unit = int(volume.info.block_size)
    parts: list[dict[str, Any]] = []
    for part in volume:
        flags = int(part.flags)
        if flags in {tables.ALLOCATED, tables.UNALLOCATED}:
            if len(parts) == MOST_PARTITIONS:
                raise absent(Reason.LIMIT_REACHED, f"it names more than {MOST_PARTITIONS} stretches")
            parts.append(
                {
                    "offset": int(part.start) * unit,
                    "length": int(part.len) * unit,
                    "allocated": flags == tables.ALLOCATED and not tables.guards(part),
                    "table": bytes(part.desc or b"").decode("utf-8", "replace")[:100],
                }
            )
    parts += tables.beside(disk, volume)
    number = int(volume.info.vstype)
    said = remarks + tables.remarks(disk, volume)
    return Reply({"scheme": tables.SCHEMES.get(number, f"type {number}"), "parts": parts, "said": said})


def describe(payload: dict[str, Any], _descriptors: list[int]) -> Reply:
    """Worker entry: the file system at "offset", or the volumes that lie there, or why there is nothing to read
    (Absent). "length" is the stretch's. Of a disc only that it is one. "striped" says of what RAID it holds a part.
    """
    found = _described(payload)
    said = raid.striped(image(payload).source, payload["offset"], payload["length"])
    return Reply(found | ({"striped": said} if said else {}))


def _described(payload: dict[str, Any]) -> dict[str, Any]:
    """The file system is tried first, since a magic proves little: each of them stands where others leave room. Where
    both are there, "magic" says of what it is, and volumes are told of besides.
    """
    source = image(payload).source
    head = source.read(payload["offset"], min(signatures.LOOK, payload["length"]))
    try:
        found = _file_system(payload, head)
    except Absent as refused:
        found = _disc(payload, head, refused.missing.detail.partition(EITHER)[2])
        try:
            signatures.refuse_known(head)
            found |= _volumes(source, payload, head)
        except Absent as other:
            if not found:
                raise
            found["magic"] = [str(other.missing.reason), other.missing.detail]
        if found:
            return found
        if signatures.unexplained(source, payload["offset"], payload["length"]):
            raise Absent(Missing(Reason.UNKNOWN, UNEXPLAINED)) from None
        raise
    try:
        signatures.refuse_known(head)
        found = _volumes(source, payload, head) | found
        if "disc" not in found and iso_disc.disc(image(payload), payload["offset"]) is not None:
            raise Absent(_DISC_TOO)
    except Absent as other:
        found["magic"] = [str(other.missing.reason), other.missing.detail]
    return found


def _volumes(source: ByteSource, payload: dict[str, Any], head: bytes) -> dict[str, Any]:
    """What lies there by the magic of LVM or APFS; nothing without. Raises Absent where that cannot be read."""
    known, offset = signatures.signature(head), payload["offset"]
    if known is not None and known.name == signatures.LVM:
        said = lvm.said(source, offset, payload["length"])
        return said | _beyond(source, payload, said["end"] - offset)
    if known is not None and known.name == signatures.APFS:
        held = {"held_bytes": _held(source, payload, apfs.size(head), apfs.BLOCK)}
        return {"apfs_volumes": apfs.said(source, offset)} | held | _beyond(source, payload, apfs.size(head))
    return {}


def _file_system(payload: dict[str, Any], head: bytes) -> dict[str, Any]:
    """The one that The Sleuth Kit opens there. Raises Absent."""
    opened = file_system(payload)
    if opened.family == ISO:
        return _disc(payload, head)
    info, length = opened.fs.info, payload["length"]
    first, end, each = int(info.first_block), int(info.last_block) + 1, int(info.block_size)
    blocks = max(min(end, length // each) - first, 0)  # those that are there: an image may be cut
    found: dict[str, Any] = {
        "file_system": opened.family,
        "first_inode": int(info.first_inum),
        "last_inode": int(info.last_inum),
        "block_bytes": each,
        "free_known": opened.taken is not None,
        "owned_known": owned.known(opened),
    }
    if opened.family == "FAT":
        found |= fat_tables.compared(opened.image.source, opened.offset)
    if opened.family == "ext" and signatures.shares_blocks(head):
        found["shares"] = True
    own = ntfs.size(head) if opened.family == "NTFS" else 0  # The Sleuth Kit counts whole clusters alone
    found |= _beyond(opened.image, payload, max(end * each, own))
    cluster = 1
    if opened.taken is not None:
        end, cluster = max(min(end, opened.taken.end), 0), opened.taken.cluster
    found["held_bytes"] = _held(opened.image.source, payload, end * each, cluster * each)
    if opened.taken is not None:
        taken = _counted(opened.taken.count, first, blocks)
        bad = _counted(partial(allocation.count_bad, opened.taken), first, blocks)
        found |= {"free_bytes": (blocks - taken) * each} if taken is not None else {}
        found |= {"bad_bytes": bad * each} if bad is not None else {}
    journal = logfile.unwritten(opened.fs) if opened.family == "NTFS" else ""
    by_copy = ntfs_mirror.BY_COPY if opened.by_copy else ""
    beside = [each for each in (by_copy, signatures.beside(opened.family, head), journal) if each]
    if beside:
        found["beside"] = "; ".join(beside)
    second = recount.reader(opened.family, head)
    if second:
        found["second"] = second
    return found


def _disc(payload: dict[str, Any], head: bytes, shared: str = "") -> dict[str, Any]:
    """That a disc begins there, and how far it reaches by its own word; nothing where none does. `shared`: what else
    opens at the same place.
    """
    here = iso_disc.disc(image(payload), payload["offset"])
    if here is None:
        return {}
    beside = f"a disc of several file systems ({shared}), of which ISO 9660 is read" if shared else ""
    found = {"disc": True, "beside": beside or signatures.beside(ISO, head)}
    return found | _beyond(image(payload).source, payload, here.stated)


def gap(payload: dict[str, Any], _descriptors: list[int]) -> Reply:
    """Worker entry: what begins at one of the "places" in a stretch that no table and no file system names: what
    `describe` says of the first that opens, and "at" which byte; or "magic": what it is that is not read. "noise":
    whether the stretch cannot be told from noise.
    """
    source, end = image(payload).source, payload["offset"] + payload["length"]
    found: dict[str, Any] = {"noise": signatures.unexplained(source, payload["offset"], payload["length"])}
    for at in payload["places"]:
        place = payload | {"offset": at, "length": end - at}
        with suppress(Absent):
            return Reply(describe(place, []).value | {"at": at})
        magic = signatures.named(source.read(at, min(signatures.LOOK, end - at)))
        found |= {"magic": [str(magic.reason), magic.detail]} if magic else {}
    return Reply(found)


def _beyond(source: ByteSource, payload: dict[str, Any], size: int) -> dict[str, int]:
    """How many of so many bytes lie "beyond" the stretch that they begin in; and beyond the image, which is "cut"."""
    beyond = size - payload["length"]
    return {"beyond": beyond, "cut": max(payload["offset"] + size - source.size, 0)} if beyond > 0 else {}


def _held(source: ByteSource, payload: dict[str, Any], held: int, cluster: int) -> int:
    """Bytes of a stretch that its file system holds, whose books tell of `held`: with what rounding leaves behind them,
    sectors of zeros and the second boot sector of NTFS. What is hidden behind those is noise from its beginning; what
    else begins with zeros, as ext and HFS+ do, is told by its magic.
    """
    offset: int = payload["offset"]
    length: int = payload["length"]
    first = source.read(offset, SECTOR)
    room = max(length - held, 0)
    left = source.read(offset + held, min(room, ROUNDING * cluster))
    zeros = 0
    for at in range(0, len(left), SECTOR):
        sector = left[at : at + SECTOR]
        if any(sector) and sector != first:
            break
        zeros += len(sector)
    begun = _begun(source, offset, held, min(room, zeros + signatures.LOOK), zeros)
    return min(held + (zeros if begun is None else begun), length)


def _begun(source: ByteSource, offset: int, held: int, room: int, zeros: int) -> int | None:
    """How far behind a file system's end, in the `zeros` there or at their end, something else begins. Its own second
    header, which HFS+ has behind its last whole block, is nothing else.
    """
    data = source.read(offset + held, room)
    begun = signatures.begins_late(data, zeros)
    if begun is not None and signatures.same_hfs(data[begun:], source.read(offset, 2 * HEADER)):
        return None
    return begun


def _counted(count: Callable[[int, int], int], first: int, blocks: int) -> int | None:
    """What `count` (address, blocks) says of all blocks; None where that cannot be told soon."""
    found, end = 0, monotonic() + COUNTING_SECONDS
    for at in range(first, first + blocks, COUNTED):
        found += count(at, min(COUNTED, first + blocks - at))
        if monotonic() > end:
            return None
    return found
