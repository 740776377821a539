"""Extractor: what holds other files and is not opened where it lies: a disk image inside an Exhibit, an archive of a
kind that nothing here unpacks, a program that unpacks itself, a store of small pictures, a telephone's backup. Known by
type or magic alone, a backup of an iPhone by its Manifest.plist; nothing in it is looked at.
"""

import plistlib
import struct
import zlib
from collections.abc import Callable, Iterator

from clew.core.absent import Absent
from clew.intake.api import ByteSource, Example, Extractor, Probe, Value
from clew.intake.archives.members import Held
from clew.intake.archives.zipped import Zipped
from clew.intake.disk import signatures
from clew.intake.extractors._backups import ADB, XML, backup
from clew.intake.extractors._stores import OLE, store
from clew.intake.families import PROGRAMS, family
from clew.intake.mediatype import UNKNOWN
from clew.model import Missing, Reason

OWN = "take it in as an exhibit of its own"
OTHERWISE = "open it with its own tool and take in what comes out as an exhibit of its own"
SECTOR, TAIL = 512, 22 + 65_535  # the end record of a zip with its comment is no longer (APPNOTE.TXT 4.3.16)
LEAST = 64 << 10  # bytes of a disk; a copy of a boot sector alone is smaller
HEAD = 64  # bytes of an archive that tell it from its magic alone
SEARCHED = 16 << 20  # bytes of a program that is not held

ZIP, ISO, TEXT = "application/zip", "application/x-iso9660-image", "text/plain"
ARCHIVES = {
    "application/x-arj": "ARJ",
    "application/x-stuffit": "StuffIt",
    "application/x-zoo": "ZOO",
    "application/x-arc": "ARC",
    "application/x-ms-wim": "WIM",
    "application/x-xar": "XAR",
    "application/x-ace-compressed": "ACE",
    "application/x-alz-compressed": "ALZ",
}
# Byte, magic, name: of archives; of images that a Source opens, by their beginning or last sector; of disks
ARCHIVE_MAGIC = ((7, b"**ACE**", "ACE"), (0, b"ALZ\x01", "ALZ"), (0, b"EGGA", "EGG"))
IMAGE_MAGIC = (
    (0, b"EVF\x09\x0d\x0a\xff\x00", "E01, or another EWF"),
    (0, b"QFI\xfb", "QCOW2"),
    (0, b"vhdxfile", "VHDX"),
    (0, b"conectix", "VHD"),
    (0, b"KDMV", "VMDK"),
    (0, b"COWD", "VMDK"),
    (0, b"# Disk DescriptorFile", "VMDK, its descriptor"),
    (0, b"encrcdsa", "DMG, encrypted"),
)
TRAILER_MAGIC = ((0, b"koly\x00\x00\x00\x04", "DMG"), (0, b"conectix", "VHD"))
DISK_MAGIC = (
    (SECTOR, b"EFI PART", "raw, with a GPT"),
    (3, b"NTFS    ", "raw, NTFS"),
    (3, b"EXFAT   ", "raw, exFAT"),
    (54, b"FAT1", "raw, FAT"),
    (82, b"FAT32   ", "raw, FAT32"),
    (1024, b"H+\x00\x04", "raw, HFS+"),
    (1024, b"HX\x00\x05", "raw, HFSX"),
)


class Unopened:
    """Trait "unopened": what it is, and what the operator can do."""

    name = "unopened"
    version = "4"

    def wants(self, media_type: str) -> bool:
        """Types that images, archives, stores and backups have, and programs."""
        if media_type.lower().startswith(OLE):
            return True
        packed = {UNKNOWN, TEXT, XML, ZIP, ISO, ADB, "application/zlib", "application/x-bzip2", "application/x-xz"}
        return media_type in packed or media_type in ARCHIVES or family(media_type) == PROGRAMS

    def traits(self, probe: Probe) -> Iterator[tuple[str, Value]]:
        """At most one."""
        source: ByteSource | None = probe.source if probe.data is None else Held(probe.data)
        if source is None:
            yield self.name, Missing(Reason.TOO_LARGE, "not held, and nothing to read it from")
            return
        said = _what(source, probe.media_type, SEARCHED if probe.data is None else probe.size)
        if said:
            yield self.name, said

    def examples(self) -> Iterator[Example]:
        """The beginnings of an EWF and of an ARJ; a Manifest.plist with a password, and one without."""
        yield Example("ewf", IMAGE_MAGIC[0][1] + bytes(100), UNKNOWN, {"unopened": _image(IMAGE_MAGIC[0][2], OWN)})
        arj = b"\x60\xea\x2a\x00\x1e\x0b\x01\x00\x10\x00\x02" + bytes(100)
        yield Example("arj", arj, "application/x-arj", {"unopened": None})
        for locked in (True, False):
            said = plistlib.dumps({"BackupKeyBag": bytes(40), "IsEncrypted": locked}, fmt=plistlib.FMT_BINARY)
            yield Example(f"encrypted: {locked}", said, UNKNOWN, {"unopened": None} if locked else {})


def _what(source: ByteSource, media_type: str, searched: int) -> str:
    """What the content is, where that is one of these; else ""."""
    if media_type in ARCHIVES:
        return _archive(ARCHIVES[media_type])
    if family(media_type) == PROGRAMS:
        packed = _inside(source, searched)
        return f"a program with {packed} in it (self-extracting), which is not opened: {OTHERWISE}" if packed else ""
    if media_type == ISO:
        return _image("ISO 9660", OWN)
    head, tail = source.read(0, signatures.LOOK), source.read(max(0, source.size - TAIL), TAIL)
    if media_type != ZIP:
        found = backup(source, head, OTHERWISE) or _by_ends(head, tail[-SECTOR:])
        found = found or (_disk(head) if source.size >= LEAST else "")
        return found or _store(store(source, head, media_type, searched))
    at = tail.rfind(b"PK\x05\x06")
    if head.startswith(b"container.description", 30) or (at >= 0 and tail.startswith(b"aff4://", at + 22)):
        return _image("AFF4, whose stored streams are listed as the members of a zip", OTHERWISE)
    return ""


def _by_ends(head: bytes, last: bytes) -> str:
    """An image or an archive by its magic; `last` is the last sector, where some have it."""
    if name := _by(TRAILER_MAGIC, last) or _by(IMAGE_MAGIC, head):
        return _image(name, OWN)
    if foreign := signatures.foreign(head):
        return _image(foreign, OTHERWISE)
    name = _by(ARCHIVE_MAGIC, head)
    return _archive(name) if name else ""


def _disk(head: bytes) -> str:
    """A raw image, or a volume that needs to be unlocked."""
    known = signatures.signature(head)
    if known is not None and known.unlock:
        return f"an encrypted volume ({known.name}), which is not opened: {known.unlock}"
    name = _by(DISK_MAGIC, head) or (f"raw, {known.name}" if known is not None else "")
    name = name or ("raw, ext" if _is_ext(head) else "raw, with an MBR" if _is_mbr(head) else "")
    return _image(name, OWN) if name else ""


def _is_ext(head: bytes) -> bool:
    """Its superblock: magic, block size and revision (Linux, fs/ext4/ext4.h)."""
    block = head[1024 : 1024 + 80]
    if len(block) < 80 or block[56:58] != b"\x53\xef":
        return False
    return int.from_bytes(block[24:28], "little") <= 6 and int.from_bytes(block[76:80], "little") <= 1


def _is_mbr(head: bytes) -> bool:
    """A sector that ends as one, with entries of partitions that have a type, a place and a size, or are empty."""
    entries = [head[at : at + 16] for at in range(446, 510, 16)]
    used = [entry for entry in entries if any(entry)]
    sane = all(entry[0] in {0, 0x80} and entry[4] and any(entry[8:12]) and any(entry[12:]) for entry in used)
    return head[510:SECTOR] == b"\x55\xaa" and bool(used) and sane


def _inside(source: ByteSource, searched: int) -> str:
    """The archive that a program carries, "" for none."""
    try:
        Zipped(source)
    except Absent:
        data = source.read(0, searched)
        return next((name for name, magic, holds in _CARRIED if _carries(data, magic, holds)), "")
    return "a zip"


def _carries(data: bytes, magic: bytes, holds: Callable[[bytes], bool]) -> bool:
    """Whether an archive begins at one of the places with its magic: a program may hold that alone, to look for it."""
    at = data.find(magic)
    while at >= 0:
        if len(data) - at >= HEAD and holds(data[at : at + HEAD]):
            return True
        at = data.find(magic, at + 1)
    return False


def _is_7z(head: bytes) -> bool:
    """By the checksum of its start header (7zFormat.txt)."""
    return zlib.crc32(head[12:32]) == int.from_bytes(head[8:12], "little") and any(head[12:32])


def _is_rar(head: bytes) -> bool:
    """By the type and checksum of its first block (technote.txt of RAR 4.x and 5.0)."""
    if head[6:7] == b"\x00":
        size = int.from_bytes(head[12:14], "little")
        stated = int.from_bytes(head[7:9], "little")
        return head[9] == 0x73 and size <= len(head) - 7 and zlib.crc32(head[9 : 7 + size]) & 0xFFFF == stated
    size = head[12]  # of a main or encryption header: one byte says it
    return head[13] in {1, 4} and zlib.crc32(head[12 : 13 + size]) == int.from_bytes(head[8:12], "little")


def _is_cab(head: bytes) -> bool:
    """By its size, the place of its files and its version 1.3 (MS-CAB 2.1)."""
    _, size, _, files, _, minor, major, folders, count = struct.unpack_from("<4s4xI4sI4sBBHH", head)
    return 36 <= files < size and (major, minor) == (1, 3) and folders > 0 and count > 0


_CARRIED: tuple[tuple[str, bytes, Callable[[bytes], bool]], ...] = (
    ("a 7z", b"7z\xbc\xaf\x27\x1c\x00", _is_7z),
    ("a rar", b"Rar!\x1a\x07", _is_rar),
    ("a cab", b"MSCF\x00\x00\x00\x00", _is_cab),
)


def _by(known: tuple[tuple[int, bytes, str], ...], head: bytes) -> str:
    return next((name for at, magic, name in known if head.startswith(magic, at)), "")


def _image(name: str, way: str) -> str:
    return f"a disk image ({name}), which is not opened where it lies: {way}"


def _store(name: str) -> str:
    return f"a store of small pictures ({name}), which are not read: {OTHERWISE}" if name else ""


def _archive(name: str) -> str:
    return f"an archive ({name}) of a kind that is not opened: {OTHERWISE}"


PLUGIN: Extractor = Unopened()
