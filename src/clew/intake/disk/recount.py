"""A second count: how many contents the live entries of a file system have, by libyal's readers, which share no code
with The Sleuth Kit. Of APFS, which libfsapfs itself lists, the volume's own books are asked.

Counted is what the walk lists: every name that is no directory, and beside it named streams (NTFS), resource forks and
extended attributes (HFS+).
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
from clew.intake.disk import apfs_books
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
    return "" if family == "NTFS" and _small_blocks(boot) else READERS.get(family, "")


def _small_blocks(boot: bytes) -> bool:
    """Whether an index block is smaller than a cluster: then places in an index count sectors, by which libfsntfs finds
    none of its blocks, and lists such directories as empty (Carrier, 2005, chapter 13).
    """
    (sector, clusters), (index,) = struct.unpack_from("<HB", boot, 11), struct.unpack_from("<b", boot, 68)
    return bool(index < 0 and 1 << -index < sector * clusters)


class Entry(NamedTuple):
    """One name in a directory: what it is reopened by, whether it is a directory, how many contents it has, and how
    many extended attributes that the walk does not list.
    """

    identifier: int
    directory: bool
    contents: int
    attributes: int = 0


class Reader(Protocol):
    """One file system as libyal sees it."""

    root: int

    def entries(self, identifier: int) -> Iterator[Entry]:
        """The live names in a directory. Raises OSError."""
        ...


def count(payload: dict[str, Any], _descriptors: list[int]) -> Reply:
    """Worker entry: a stretch of the count of "file_system" at "offset". "pending" are the directories still to be
    counted (None at the beginning), "modulus" that of the numbers of file records.

    Answers {"contents", "attributes", "unreadable" directories, "pending"}, and of NUMBERED ones the sums "numbers" and
    "squares".
    """
    source, offset = image(payload).source, payload["offset"]
    family = payload["file_system"]
    if family == "APFS":
        return _books(source, offset, payload["apfs"])
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
            return _Ntfs(behind)
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
            own = self._own(name, record, bool(in_extend))
            if own is None:
                streams = int(each.get_number_of_alternate_data_streams())
                contents = streams + int(not is_directory or each.has_default_data_stream())
            else:
                sizes = {str(stream.get_name()): int(stream.get_size()) for stream in each.alternate_data_streams}
                if each.has_default_data_stream():
                    sizes[""] = int(each.get_size())
                contents = sum(1 for name, size in sizes.items() if size and name not in own)
            yield Entry(record, is_directory, contents)

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
