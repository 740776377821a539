"""What lies in a stretch of a disk that no file system here reads, by its magic; and what has none, by its entropy."""

import struct
from dataclasses import dataclass

from clew.core.absent import Absent
from clew.intake import entropy
from clew.intake.api import ByteSource
from clew.intake.disk import ext_layout
from clew.model import Missing, Reason

SECTOR = 512
LOOK = 1 << 17  # bytes of a stretch's beginning
LEAST = 1 << 20  # bytes of a stretch whose entropy says anything
UNLOCK = "unlock it with its own tool and take in the opened volume"


@dataclass(frozen=True, slots=True)
class Signature:
    """A magic at a byte of the stretch, what it stands for, and what the operator can do where it is encrypted."""

    at: int
    magic: bytes
    name: str
    unlock: str = ""


# Byte, magic, name: of containers that no Source opens
_FOREIGN = (
    (0, b"EVF2\x0d\x0a\x81\x00", "Ex01"),
    (0, b"LVF\x09\x0d\x0a\xff\x00", "L01"),
    (0, b"LEF2\x0d\x0a\x81\x00", "Lx01"),
    (0, b"AFF10\r\n\x00", "AFF"),
    (0, b"ADSEGMENTEDFILE\x00", "AD1"),
    (0, b"WithoutFreeSpace", "Parallels"),
    (0, b"WithouFreSpacExt", "Parallels"),
    (64, b"\x7f\x10\xda\xbe", "VDI"),
)
FOREIGN_HEAD = 68  # bytes that tell all of them
LVM, APFS = "LVM2", "APFS"
# Windows encrypts used space alone where it is told so, as it is by default on a new computer.
_BITLOCKER = (
    f"with the recovery key: `dislocker`, or Windows with a write blocker; {UNLOCK}. Nothing here is carved: where "
    "used space alone was encrypted, what was deleted before may lie readable in the rest, to be carved once it is open"
)
SIGNATURES: tuple[Signature, ...] = (
    Signature(0, b"LUKS\xba\xbe\x00\x01", "LUKS1", f"`cryptsetup open --readonly`; {UNLOCK}"),
    Signature(0, b"LUKS\xba\xbe\x00\x02", "LUKS2", f"`cryptsetup open --readonly`; {UNLOCK}"),
    Signature(0, b"SKUL\xba\xbe\x00\x02", "LUKS2 (second header)", UNLOCK),
    Signature(3, b"-FVE-FS-", "BitLocker", _BITLOCKER),
    Signature(424, b"\x3b\xd6\x67\x49\x29\x2e\xd8\x4a", "BitLocker To Go", _BITLOCKER),
    Signature(32, b"NXSB", APFS),
    *(Signature(at, b"LABELONE", LVM) for at in (512, 0, 1024, 1536)),
    Signature(0, b"XFSB", "XFS"),
    Signature(65600, b"_BHRfS_M", "btrfs"),
    Signature(1024, b"\x10\x20\xf5\xf2", "F2FS"),
    Signature(1024, b"\xe2\xe1\xf5\xe0", "EROFS"),
    Signature(3, b"ReFS\x00\x00\x00\x00", "ReFS"),
    Signature(32768, b"JFS1", "JFS"),
    Signature(65588, b"ReIsEr", "ReiserFS"),
    Signature(4120, b"\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81", "bcachefs"),
    Signature(0, b"hsqs", "SquashFS"),
    Signature(4086, b"SWAPSPACE2", "Linux swap space"),
    Signature(4086, b"SWAP-SPACE", "Linux swap space"),
    *(Signature(at, b"\xfc\x4e\x2b\xa9", "Linux RAID") for at in (4096, 0)),
    Signature(3072, b"PRIVHEAD", "a Windows dynamic disk"),
)
# Byte, magic: of what may begin with whole sectors of zeros, so that nothing but this tells where it begins
_LATE = (
    (1080, b"\x53\xef"),
    (1024, b"H+"),
    (1024, b"HX"),
    (32769, b"CD001"),
    *((each.at, each.magic) for each in SIGNATURES if each.at >= SECTOR),
)
_SHARED_BLOCKS, _BIGALLOC = 0x4000, 0x200  # optional features of ext
_OPEN_EXT = (
    ": mount it read-only and take in its files as a folder, or copy them out of it with `debugfs -R 'rdump / FOLDER'`"
)
_NTFS = b"NTFS    "
_MOST_SECTORS = b"\x80"  # of its cluster; a byte beyond is a power of two, negative (Windows 10, 1709 and later)
_RECOVER = 4  # another: its journal is to be gone through before it is mounted
_HFS_STATE, _JOURNALED = 0x2000 | 0x100, 0x2000  # attributes of HFS+: it has a journal, and was unmounted (TN1150)
AHEAD = "what its journal alone has: it was not unmounted, and what was made, renamed or deleted last may not show"
# libvshadow, Volume Shadow Snapshot format: the volume header, whose byte 48 says where the catalogue lies
_VSS_AT, _VSS = 0x1E00, bytes.fromhex("6b87083876c1484eb7ae04046e6cc752")


def refuse_known(head: bytes) -> None:
    """Raises Absent where a beginning is that of something that is not read."""
    found = named(head)
    if found is not None:
        raise Absent(found)
    if not any(head):
        raise Absent(Missing(Reason.UNKNOWN, f"no file system: its first {len(head)} bytes are all zero"))


def named(head: bytes) -> Missing | None:
    """What a beginning is that of, where its magic says that it is something that is not read."""
    if head[8:12] == b"\x01\x00\x10\x00" and head[88:90] == b"CS":  # libfvde, FileVault Drive Encryption
        way = "with the passphrase or recovery key on a Mac, or by `fvdemount`"
        return Missing(Reason.ENCRYPTED, f"CoreStorage (FileVault); {way}; {UNLOCK}")
    found = signature(head)
    if found is not None and found.name not in {LVM, APFS}:
        if found.unlock:
            return Missing(Reason.ENCRYPTED, f"{found.name}; {found.unlock}")
        return Missing(Reason.UNKNOWN, f"{found.name}, which this version does not read")
    kind = _without_signature(head)
    way = _OPEN_EXT if kind.startswith("ext") else ""
    return Missing(Reason.UNKNOWN, f"{kind}, which this version does not read{way}") if kind else None


def _without_signature(head: bytes) -> str:
    """What has no magic of its own, or one that other kinds of it have too, which are read; "" for none of these."""
    kinds = (
        ("HFS (the old one, not HFS+)", _plain_hfs(head)),
        ("UDF", udf(head) and not iso9660(head)),
        ("NTFS with clusters of more than 64 KiB", head[3:11] == _NTFS and head[13:14] > _MOST_SECTORS),
        ("ext4 with bigalloc", _ext(head) and bool(_optional(head) & _BIGALLOC)),
        (
            "ext4 with meta_bg and more groups than one block describes",
            _ext(head) and ext_layout.scattered(head[1024:]),
        ),
    )
    return next((name for name, there in kinds if there), "")


def foreign(head: bytes) -> str:
    """The container with that beginning, of a kind that no Source opens; "" for none of them."""
    return next((name for at, magic, name in _FOREIGN if head.startswith(magic, at)), "")


def signature(head: bytes) -> Signature | None:
    """The first one that a beginning carries."""
    return next((each for each in SIGNATURES if head[each.at : each.at + len(each.magic)] == each.magic), None)


def udf(head: bytes) -> bool:
    """Whether its volume recognition sequence names UDF (ECMA-167, part 2, section 9)."""
    return any(head[at + 1 : at + 5] == b"NSR0" for at in range(32768, 65536, 2048))


def iso9660(head: bytes) -> bool:
    """Whether a volume descriptor of a disc stands where the first one does (ECMA-119, section 8)."""
    return head[32769:32774] == b"CD001"


def beside(family: str, head: bytes) -> str:
    """What else lies in a volume that is read, and is not read itself; "" where nothing is known to."""
    return "; ".join(each for each in (_beside(family, head), _journal(family, head)) if each)


def _journal(family: str, head: bytes) -> str:
    """Of a journal that was not written back when the volume was last in use; of NTFS's see `logfile`."""
    if family == "ext" and _features(head) & _RECOVER:
        return f"{AHEAD}; run `e2fsck -y -E journal_only` on a copy and take in that"
    if family == "HFS+" and int.from_bytes(head[1028:1032], "big") & _HFS_STATE == _JOURNALED:
        return f"{AHEAD}; mount a copy on a Mac once and take in that"
    return ""


def _beside(family: str, head: bytes) -> str:
    if family == "ISO 9660" and udf(head):
        return "a UDF file system on the same disc, which this version does not read"
    if family != "ISO 9660" and iso9660(head):
        return "the descriptor of a disc (ISO 9660) in the same place, which is not read beside another file system"
    if family == "NTFS" and head[_VSS_AT : _VSS_AT + 16] == _VSS and any(head[_VSS_AT + 48 : _VSS_AT + 56]):
        way = "mount them with `vshadowmount` and take in each"
        return f"volume shadow copies (earlier states of the volume), which this version does not read; {way}"
    return ext_layout.unknown(head[1024:]) if family == "ext" else ""


def begins_late(data: bytes, most: int) -> int | None:
    """At which sector of `data`, no further than byte `most`, something begins whose first sectors are zeros."""
    found = []
    for at, magic in _LATE:
        place = data.find(magic, at, most + at + len(magic))
        while place >= 0 and (place - at) % SECTOR:
            place = data.find(magic, place + 1, most + at + len(magic))
        found += [place - at] if place >= 0 else []
    return min(found, default=None)


def same_hfs(one: bytes, other: bytes) -> bool:
    """Whether headers of HFS+ stand in both beginnings and are of one volume, by when it was made (TN1150)."""
    made = {each[1024 + 16 : 1024 + 20] for each in (one, other) if each[1024:1026] in {b"H+", b"HX"}}
    return len(made) == 1 and one[1024:1026] == other[1024:1026]


def shares_blocks(head: bytes) -> bool:
    """Whether files of ext may have blocks in common, as those of a system image of Android do that was made smaller
    (s_feature_ro_compat, shared_blocks).
    """
    return bool(_optional(head) & _SHARED_BLOCKS)


def unexplained(source: ByteSource, offset: int, length: int) -> bool:
    """Whether a stretch of the disk cannot be told from noise; never where it is too short to tell."""
    length = min(length, source.size - offset)
    return length >= LEAST and entropy.measure(source.read, offset, length).unexplained


def _ext(head: bytes) -> bool:
    """Whether the magic of ext stands where its superblock would have it."""
    return head[1080:1082] == b"\x53\xef" and len(head) >= 2048


def _features(head: bytes) -> int:
    """Those of ext without which it cannot be read (s_feature_incompat)."""
    return int.from_bytes(head[1024 + 96 : 1024 + 100], "little")


def _optional(head: bytes) -> int:
    """Those without which it can be read, and not written to (s_feature_ro_compat)."""
    return int.from_bytes(head[1024 + 100 : 1024 + 104], "little")


def _plain_hfs(head: bytes) -> bool:
    """Its master directory block, without an HFS+ volume inside (Inside Macintosh: Files, 2-60)."""
    if head[1024:1026] != b"BD" or len(head) < 1536:
        return False
    block = struct.unpack_from(">I", head, 1024 + 20)[0]
    return block > 0 and block % 512 == 0 and head[1024 + 124 : 1024 + 126] != b"H+"
