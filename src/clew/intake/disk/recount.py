"""A second count: how many contents the live entries of a file system have, by libyal's readers, which share no code
with The Sleuth Kit. Of APFS, which libfsapfs itself lists, the volume's own books are asked; of ISO 9660, which clew
reads itself, The Sleuth Kit.

Counted is what the walk lists: every name that is no directory, and beside it named streams (NTFS), resource forks and
extended attributes (HFS+). Of NTFS with clusters larger than a block of an index, the names that file records carry are
counted in place of those in the indexes, which libfsntfs cannot read there.
"""

import re
import stat
import struct
from collections.abc import Iterator
from contextlib import suppress
from time import monotonic
from typing import Any, NamedTuple, Protocol

import pyfsext
import pyfsfat
import pyfshfs
import pyfsntfs

from clew.core.absent import Absent
from clew.core.channel import Reply
from clew.intake.api import ByteSource
from clew.intake.containers.fileobject import FileObject
from clew.intake.disk import apfs_books, recount_iso
from clew.intake.disk.entries import FIRST_CNID
from clew.intake.disk.image import image, key
from clew.model import Missing, Reason

SECONDS = 5.0
NUMBERED = {"NTFS", "ext"}  # where both parsers number file records alike
MOST_PENDING = 200_000  # directories that wait; beyond that the count is given up
HFS_ROOT = 2
NTFS_ROOT, EXTEND = 5, 11
RESERVED = 24  # NTFS's own files have the records before it
# NTFS's own files and their own streams ("": the content): written down apart from those of the walk, which this counts
# after. Below $Extend by name, since a file has it there once.
_CONTENT = frozenset({""})
OWN = {
    **dict.fromkeys(("$MFT", "$MFTMirr", "$LogFile", "$AttrDef", "$Boot"), _CONTENT),
    "$Bitmap": frozenset({"", "$SRAT"}),
    "$BadClus": frozenset({"$Bad"}),
    "$Secure": frozenset({"$SDS"}),
    "$UpCase": frozenset({"", "$Info"}),
}
OWN_IN_EXTEND = {
    **dict.fromkeys(("$ObjId", "$Quota", "$Reparse"), frozenset[str]()),
    "$UsnJrnl": frozenset({"$J", "$Max"}),
    "$Repair": frozenset({"", "$Config", "$Corrupt", "$Verify"}),
    "$Tops": frozenset({"", "$T"}),
}
LOG = re.compile(r"\$TxfLog(\.blf|Container[0-9A-Fa-f]{20})")
FILE_NAME = 0x30  # the type of the attribute with a file's name and parent
BOOT = 512  # bytes of the boot sector that say how large a cluster and a block of an index are
DOS = 2  # the namespace of the short twin of a long name
TOGETHER = 1_000  # file records that are counted between two looks at the clock
LEVELS = 3  # from a directory with NTFS's own files up to $Extend
_RECORD = 0xFFFFFFFFFFFF  # of a file reference: its other bits are the sequence number
_OF_SYSTEM = ("security.", "system.")  # extended attributes of ext: labels and access lists, not what a user wrote
READERS = {
    "NTFS": f"libfsntfs {pyfsntfs.get_version()}",
    "FAT": f"libfsfat {pyfsfat.get_version()}",
    "exFAT": f"libfsfat {pyfsfat.get_version()}",
    "ext": f"libfsext {pyfsext.get_version()}",
    "HFS+": f"libfshfs {pyfshfs.get_version()}",
}


def reader(family: str, boot: bytes) -> str:
    """The second reader of a file system with that boot sector, and its version; "" where there is none."""
    known = READERS.get(family, "")
    return f"{known} by file records" if family == "NTFS" and _small_blocks(boot) else known


def _small_blocks(boot: bytes) -> bool:
    """Whether an index block is smaller than a cluster: then places in an index count sectors, by which libfsntfs finds
    none of its blocks, and lists such directories as empty (Carrier, 2005, chapter 13).
    """
    (sector, clusters), (index,) = struct.unpack_from("<HB", boot, 11), struct.unpack_from("<b", boot, 68)
    return bool(index < 0 and 1 << -index < sector * clusters)


class Entry(NamedTuple):
    """One name in a directory: what it is reopened by, whether it is a directory, how many contents it has, how many
    extended attributes that the walk does not list, and how many file records could not be read in its place.
    """

    identifier: int
    directory: bool
    contents: int
    attributes: int = 0
    unreadable: int = 0


class Reader(Protocol):
    """One file system as libyal sees it."""

    root: int

    def entries(self, identifier: int) -> Iterator[Entry]:
        """The live names in a directory. Raises OSError."""
        ...


def count(payload: dict[str, Any], _descriptors: list[int]) -> Reply:
    """Worker entry: a stretch of the count of "file_system" at "offset". "pending" are the directories still to be
    counted (None at the beginning), "modulus" that of the numbers of file records.

    Answers {"contents", "attributes", "unreadable" directories or file records, "pending"}, and of NUMBERED ones the
    sums "numbers" and "squares".
    """
    source, offset = image(payload).source, payload["offset"]
    family = payload["file_system"]
    if family == "APFS":
        return _books(source, offset, payload["apfs"])
    if family == "ISO 9660":
        return recount_iso.count(payload)
    behind = FileObject(source, offset, min(payload["length"], source.size - offset))
    try:
        reader = _open(family, behind)
    except OSError as error:
        raise Absent(Missing(Reason.UNPARSABLE, f"{READERS[family]} does not open it: {str(error)[:300]}")) from error
    pending = [reader.root] if payload["pending"] is None else list(payload["pending"])
    counted = _counted(payload)
    contents = attributes = unreadable = numbers = squares = 0
    end = monotonic() + SECONDS
    while pending and monotonic() < end:
        here = pending.pop()
        if here in counted:
            continue
        counted.add(here)
        try:
            for entry in reader.entries(here):
                number = entry.identifier % payload["modulus"]
                contents += entry.contents
                attributes += entry.attributes
                unreadable += entry.unreadable
                numbers += entry.contents * number
                squares += entry.contents * number * number
                if entry.directory and entry.identifier != here:
                    pending.append(entry.identifier)
        except OSError:
            unreadable += 1
        if len(pending) > MOST_PENDING:
            raise Absent(Missing(Reason.LIMIT_REACHED, f"more than {MOST_PENDING:,} directories wait to be counted"))
    sums = {"numbers": numbers, "squares": squares} if family in NUMBERED else {}
    answer = {"contents": contents, "attributes": attributes, "unreadable": unreadable, "pending": pending}
    return Reply(answer | sums)


_last: dict[str, Any] = {"volume": None, "directories": set()}


def _counted(payload: dict[str, Any]) -> set[int]:
    """The directories of that volume that this worker has counted: they may refer to each other in circles."""
    volume = key(payload), payload["offset"]
    if payload["pending"] is None or _last["volume"] != volume:
        _last.update(volume=volume, directories=set())
    directories: set[int] = _last["directories"]
    return directories


def _books(source: ByteSource, offset: int, number: int) -> Reply:
    known = apfs_books.of(source, offset)
    books = known[number] if number < len(known) else None
    if books is None:
        raise Absent(Missing(Reason.UNPARSABLE, "its superblock was not found"))
    contents = books.files + books.links + books.others
    return Reply({"contents": contents, "unreadable": 0, "pending": []})


def _open(family: str, behind: FileObject) -> Reader:
    match family:
        case "NTFS":
            return _NtfsRecords(behind) if _small_blocks(behind.read(BOOT)) else _Ntfs(behind)
        case "ext":
            return _Ext(behind)
        case "HFS+":
            return _Hfs(behind)
        case _:
            return _Fat(behind)


class _Ntfs:
    root = NTFS_ROOT

    def __init__(self, behind: FileObject) -> None:
        self._volume = pyfsntfs.volume()
        self._volume.open_file_object(behind)

    def entries(self, identifier: int) -> Iterator[Entry]:
        directory = self._volume.get_file_entry(identifier)
        if identifier == NTFS_ROOT:
            yield Entry(identifier, True, int(directory.get_number_of_alternate_data_streams()))
        in_extend: bool | None = None  # not asked yet
        for number in range(directory.get_number_of_sub_file_entries()):
            each = directory.get_sub_file_entry(number)
            record = int(each.get_file_reference()) & _RECORD
            is_directory = bool(each.has_directory_entries_index())
            name = str(each.get_name())
            if in_extend is None and name.startswith("$"):
                in_extend = self._in_extend(directory, identifier)
            yield Entry(record, is_directory, self._contents(each, self._own(name, record, bool(in_extend))))

    @staticmethod
    def _contents(each: Any, own: frozenset[str] | None) -> int:
        """How many contents a file has, of which those streams are NTFS's own; None of a user's file."""
        if own is None:
            streams = int(each.get_number_of_alternate_data_streams())
            return streams + int(not each.has_directory_entries_index() or each.has_default_data_stream())
        sizes = {str(stream.get_name()): int(stream.get_size()) for stream in each.alternate_data_streams}
        if each.has_default_data_stream():
            sizes[""] = int(each.get_size())
        return sum(1 for name, size in sizes.items() if size and name not in own)

    @staticmethod
    def _own(name: str, record: int, in_extend: bool) -> frozenset[str] | None:
        """Which streams of a file are NTFS's own; None of a user's file."""
        if record < RESERVED:
            return OWN.get(name, frozenset())
        if not in_extend:
            return None
        return OWN_IN_EXTEND.get(name, _CONTENT if LOG.fullmatch(name) else None)

    def _in_extend(self, directory: Any, identifier: int) -> bool:
        """Whether a directory lies so near below $Extend that files of NTFS may be in it."""
        with suppress(OSError):
            for _ in range(LEVELS):
                names = [each for each in directory.attributes if int(each.attribute_type) == FILE_NAME]
                if identifier in {NTFS_ROOT, EXTEND} or not names:
                    break
                identifier = int(names[0].get_parent_file_reference()) & _RECORD
                directory = self._volume.get_file_entry(identifier)
        return identifier == EXTEND


class _NtfsRecords(_Ntfs):
    """The names that the file records in use carry themselves; TOGETHER of them stand for a directory, which is known
    by the first. One counts whose directory is in use, under the same sequence number, and so on up to the root.
    """

    root = 0

    def __init__(self, behind: FileObject) -> None:
        super().__init__(behind)
        root = int(self._volume.get_file_entry(NTFS_ROOT).get_file_reference())
        self._reached = {root: True}  # by reference to a directory: whether one comes up from it to the root

    def entries(self, identifier: int) -> Iterator[Entry]:
        count = int(self._volume.get_number_of_file_entries())
        if identifier + TOGETHER < count:
            yield Entry(identifier + TOGETHER, True, 0)
        for record in range(identifier, min(identifier + TOGETHER, count)):
            try:
                yield from list(self._named(record))
            except OSError:
                yield Entry(record, False, 0, unreadable=1)

    def _named(self, record: int) -> Iterator[Entry]:
        """An entry for each name of that file, if it is in use and not a further record of another's attributes."""
        each = self._volume.get_file_entry(record)
        if each.is_empty() or not each.is_allocated() or int(each.get_base_record_file_reference()) & _RECORD:
            return
        if record == NTFS_ROOT:
            yield Entry(record, False, int(each.get_number_of_alternate_data_streams()))
            return
        for name in each.attributes:
            if int(name.attribute_type) != FILE_NAME or int(name.name_space) == DOS:
                continue
            text, parent = str(name.get_name()), int(name.get_parent_file_reference())
            if self._reaches(parent):
                above = parent & _RECORD
                in_extend = text.startswith("$") and self._in_extend(self._volume.get_file_entry(above), above)
                yield Entry(record, False, self._contents(each, self._own(text, record, in_extend)))

    def _reaches(self, reference: int) -> bool:
        """Whether that is a directory, still the one that was meant, from which one comes up to the root."""
        passed: list[int] = []
        while reference not in self._reached:
            self._reached[reference] = False  # until it is known, and where directories lie in each other
            passed.append(reference)
            reference = self._above(reference)
        found = self._reached[reference]
        self._reached.update(dict.fromkeys(passed, found))
        return found

    def _above(self, reference: int) -> int:
        """The directory that a directory lies in; itself where it is none, or not the one that was meant."""
        with suppress(OSError):
            each = self._volume.get_file_entry(reference & _RECORD)
            alive = not each.is_empty() and each.is_allocated() and int(each.get_file_reference()) == reference
            names = [name for name in each.attributes if int(name.attribute_type) == FILE_NAME]
            if alive and each.has_directory_entries_index() and names:
                return int(names[0].get_parent_file_reference())
        return reference


class _Ext:
    root = 2

    def __init__(self, behind: FileObject) -> None:
        self._volume = pyfsext.volume()
        self._volume.open_file_object(behind)

    def entries(self, identifier: int) -> Iterator[Entry]:
        directory = self._volume.get_file_entry_by_inode(identifier)
        for number in range(directory.get_number_of_sub_file_entries()):
            each = directory.get_sub_file_entry(number)
            is_directory = stat.S_ISDIR(int(each.get_file_mode()))
            attributes = 0
            with suppress(OSError):  # which costs the count of contents nothing
                attributes = sum(not str(x.get_name()).startswith(_OF_SYSTEM) for x in each.extended_attributes)
            yield Entry(int(each.get_inode_number()), is_directory, 0 if is_directory else 1, attributes)


class _Fat:
    """FAT and exFAT."""

    def __init__(self, behind: FileObject) -> None:
        self._volume = pyfsfat.volume()
        self._volume.open_file_object(behind)
        self.root = int(self._volume.get_root_directory().get_identifier())

    def entries(self, identifier: int) -> Iterator[Entry]:
        root = identifier == self.root
        directory = self._volume.get_root_directory() if root else self._volume.get_file_entry_by_identifier(identifier)
        for number in range(directory.get_number_of_sub_file_entries()):
            each = directory.get_sub_file_entry(number)
            attributes = int(each.get_file_attribute_flags())
            is_directory = bool(attributes & 0x10)
            yield Entry(int(each.get_identifier()), is_directory, 0 if is_directory else 1)


class _Hfs:
    root = HFS_ROOT

    def __init__(self, behind: FileObject) -> None:
        self._volume = pyfshfs.volume()
        self._volume.open_file_object(behind)

    def entries(self, identifier: int) -> Iterator[Entry]:
        directory = self._volume.get_file_entry_by_identifier(identifier)
        for number in range(directory.get_number_of_sub_file_entries()):
            each = directory.get_sub_file_entry(number)
            record = int(each.get_identifier())
            if record < FIRST_CNID:
                continue
            names = (x.get_name() for x in each.extended_attributes)
            streams = sum(name != "com.apple.decmpfs" for name in names)
            mode = int(each.get_file_mode() or 0)
            if stat.S_ISDIR(mode):
                yield Entry(record, True, 0, streams)
            elif stat.S_ISREG(mode):
                yield Entry(record, False, 1 + streams + int(each.has_resource_fork()))
            else:
                yield Entry(record, False, 1, streams)
