"""What a disk image consists of: its partition table, and what lies in each partition, said also where it cannot be
read.
"""

from time import monotonic
from typing import Any

import pytsk3

from clew.core.absent import Absent, absent
from clew.core.channel import Reply
from clew.intake.disk.image import FileSystem, file_system, image
from clew.model import Missing, Reason

ALLOCATED, UNALLOCATED = 1, 2  # TSK_VS_PART_FLAG_ENUM
MOST_PARTITIONS = 1024
COUNTED = 1 << 22  # blocks counted between two looks at the clock
COUNTING_SECONDS = 5.0  # after which the free space stays uncounted
LOOK = 1 << 17

# (offset, bytes, what it is, whether it is encrypted)
SIGNATURES: tuple[tuple[int, bytes, str, bool], ...] = (
    (0, b"LUKS\xba\xbe\x00\x01", "LUKS1", True),
    (0, b"LUKS\xba\xbe\x00\x02", "LUKS2", True),
    (3, b"-FVE-FS-", "BitLocker", True),
    (424, b"\x3b\xd6\x67\x49\x29\x2e\xd8\x4a", "BitLocker To Go", True),
    (32, b"NXSB", "APFS", False),
    (0, b"XFSB", "XFS", False),
    (65600, b"_BHRfS_M", "btrfs", False),
    (512, b"LABELONE", "LVM2", False),
    (0, b"LABELONE", "LVM2", False),
    (1024, b"\x10\x20\xf5\xf2", "F2FS", False),
    (3, b"ReFS\x00\x00\x00\x00", "ReFS", False),
    (4086, b"SWAPSPACE2", "Linux swap space", False),
    (4086, b"SWAP-SPACE", "Linux swap space", False),
    (4096, b"\xfc\x4e\x2b\xa9", "Linux RAID", False),
)


def size(payload: dict[str, Any], _descriptors: list[int]) -> Reply:
    """Worker entry: bytes of the image behind its container."""
    return Reply(image(payload).get_size())


def table(payload: dict[str, Any], _descriptors: list[int]) -> Reply:
    """Worker entry: the stretches of the partition table, or none. Offsets and lengths are bytes."""
    disk = image(payload)
    try:
        volume = pytsk3.Volume_Info(disk)
    except OSError as error:
        if _names_partitions(disk.read(0, 1024)):
            raise absent(Reason.UNPARSABLE, "The Sleuth Kit refuses it, as it does where the image is cut") from error
        return Reply({"scheme": None, "parts": []})
    unit = int(volume.info.block_size)
    parts: list[dict[str, Any]] = []
    for part in volume:
        flags = int(part.flags)
        if flags in {ALLOCATED, UNALLOCATED}:
            if len(parts) == MOST_PARTITIONS:
                raise absent(Reason.LIMIT_REACHED, f"it names more than {MOST_PARTITIONS} stretches")
            parts.append(
                {
                    "offset": int(part.start) * unit,
                    "length": int(part.len) * unit,
                    "allocated": flags == ALLOCATED,
                    "table": bytes(part.desc or b"").decode("utf-8", "replace")[:100],
                }
            )
    return Reply({"scheme": _scheme(int(volume.info.vstype)), "parts": parts})


def _names_partitions(head: bytes) -> bool:
    """Whether the first two sectors look like an MBR with entries, or a GPT; The Sleuth Kit says only "failed"."""
    if head[512:520] == b"EFI PART":
        return True
    entries = [head[at : at + 16] for at in range(446, 510, 16)]
    return head[510:512] == b"\x55\xaa" and any(map(any, entries)) and all(e[0] in {0, 0x80} for e in entries)


def describe(payload: dict[str, Any], _descriptors: list[int]) -> Reply:
    """Worker entry: the file system at "offset", or why there is none to read (Absent)."""
    head = image(payload).read(payload["offset"], LOOK)
    _refuse_known(head)
    opened = file_system(payload)
    if opened.family == "other":
        raise Absent(Missing(Reason.UNKNOWN, "a file system that this version does not read"))
    info = opened.fs.info
    blocks, each = int(info.last_block) - int(info.first_block) + 1, int(info.block_size)
    found: dict[str, Any] = {
        "file_system": opened.family,
        "first_inode": int(info.first_inum),
        "last_inode": int(info.last_inum),
        "block_bytes": each,
        "free_known": opened.taken is not None,
    }
    free = _free(opened, int(info.first_block), blocks)
    if free is not None:
        found["free_bytes"] = free * each
    return Reply(found)


def _free(opened: FileSystem, first: int, blocks: int) -> int | None:
    """Free blocks; None where clew cannot tell, or not soon."""
    if opened.taken is None:
        return None
    taken, end = 0, monotonic() + COUNTING_SECONDS
    for at in range(first, first + blocks, COUNTED):
        taken += opened.taken.count(at, min(COUNTED, first + blocks - at))
        if monotonic() > end:
            return None
    return blocks - taken


def _refuse_known(head: bytes) -> None:
    for at, magic, name, encrypted in SIGNATURES:
        if head[at : at + len(magic)] == magic:
            if encrypted:
                raise Absent(
                    Missing(Reason.ENCRYPTED, f"{name}; unlock it with its own tool and take in the opened volume")
                )
            raise Absent(Missing(Reason.UNKNOWN, f"{name}, which this version does not read"))
    if not any(head):
        raise Absent(Missing(Reason.UNKNOWN, f"no file system: its first {len(head)} bytes are all zero"))


def _scheme(number: int) -> str:
    names = {
        int(pytsk3.TSK_VS_TYPE_DOS): "MBR",
        int(pytsk3.TSK_VS_TYPE_GPT): "GPT",
        int(pytsk3.TSK_VS_TYPE_MAC): "Apple",
        int(pytsk3.TSK_VS_TYPE_BSD): "BSD",
        int(pytsk3.TSK_VS_TYPE_SUN): "Sun",
    }
    return names.get(number, f"type {number}")
