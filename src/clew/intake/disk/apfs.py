"""APFS through libfsapfs: The Sleuth Kit's binding for Python knows no pools.

Live entries alone: what was deleted, and what only a snapshot still holds, is not searched.
"""

import stat
import struct
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import pyfsapfs

from clew.core.absent import Absent
from clew.core.channel import Reply
from clew.intake.api import ByteSource, Range
from clew.intake.carving.view import overlap
from clew.intake.containers.fileobject import FileObject
from clew.intake.disk import apfs_books, claims, packed
from clew.intake.disk.image import Image, image
from clew.intake.disk.stretch import At, Item, Tree, name_only, stretch
from clew.intake.refs import quote, volume
from clew.intake.walk import Listing
from clew.model import ContentState, ItemState, Missing, NameState, Reason

MOST_OPEN = 4
MOST_VOLUMES = 100  # NX_MAX_FILE_SYSTEMS (Apple File System Reference)
ROOT = 2
BLOCK = 4096  # bytes, at least (NX_MINIMUM_BLOCK_SIZE)
DATA, ATTRIBUTE = 0, 1  # streams of an entry, as refs number them
OWN_ATTRIBUTES = {packed.NAME, "com.apple.fs.symlink"}  # given as the file's content, or what a link points at
OWN_NOTE = "attributes that say how a file is packed or where a link points, left out"
TIMES = "inode, UTC"
UNLOCK = "with the passphrase or recovery key: on a Mac, or by `fsapfsmount`; take in the opened volume"
_SPARSE = 1
KINDS = {
    stat.S_IFLNK: "a symbolic link, which is not followed",
    stat.S_IFIFO: "a named pipe, which holds no content",
    stat.S_IFSOCK: "a socket, which holds no content",
    stat.S_IFCHR: "a character device, which is not opened",
    stat.S_IFBLK: "a block device, which is not opened",
}


@dataclass(slots=True, eq=False)
class Volume:
    """One opened volume of a container."""

    container: Any
    volume: Any
    behind: FileObject
    image: Image
    offset: int
    name: str  # how refs of it begin
    foreign: list[Range] = field(default_factory=list)  # of the disk, where others may have written
    striped: bool = False  # whether other disks have part of its bytes


_opened: OrderedDict[tuple[int, str], Volume] = OrderedDict()


def said(source: ByteSource, offset: int) -> list[dict[str, Any]]:
    """For the supervisor: name of each volume, whether it is locked, how many snapshots it has (None: not known)."""
    container = _container(FileObject(source, offset))
    books = apfs_books.of(source, offset)
    found = []
    for number in range(min(container.get_number_of_volumes(), MOST_VOLUMES)):
        each = container.get_volume(number)
        known = books[number] if number < len(books) else None
        snapshots = known.snapshots if known else None
        found.append({"name": each.get_name() or "", "locked": bool(each.is_locked()), "snapshots": snapshots})
    return found


def size(head: bytes) -> int:
    """Bytes of the container whose beginning that is: nx_block_size and nx_block_count of its superblock."""
    block, blocks = struct.unpack_from("<IQ", head, 36)
    return int(block * blocks)


def walk(payload: dict[str, Any], _descriptors: list[int]) -> Reply:
    """Worker entry: a stretch of the directories of volume "apfs"; see `stretch`."""
    opened = open_volume(payload)
    opened.foreign = [(at, length) for at, length in payload.get("foreign", ())]
    opened.striped = "striped" in payload

    def lost(at: At, missing: Missing) -> Item:
        record = at[-1][1] if at else ROOT
        return name_only(opened.name, record, _path(at) + b"/", missing)

    return stretch(Tree(opened, opened.image, lambda at: _list(opened, at), _path, lost), payload)


def stream(payload: dict[str, Any], _descriptors: list[int]) -> "Stream":
    """Opener: an entry's content or one of its attributes, by "record", "type" and "id"."""
    return Stream(open_volume(payload), payload["record"], payload["type"], payload["id"])


def open_volume(payload: dict[str, Any]) -> Volume:
    """The volume "apfs" of the container at "offset". Raises Absent where it cannot be opened or is locked."""
    source = image(payload)
    key = (id(source), volume(payload))
    if key in _opened:
        _opened.move_to_end(key)
        return _opened[key]
    behind = FileObject(source, payload["offset"])
    container = _container(behind)
    try:
        found = container.get_volume(payload["apfs"])
        if found.is_locked():
            raise Absent(Missing(Reason.ENCRYPTED, f"an encrypted APFS volume (FileVault); {UNLOCK}"))
    except OSError as error:
        raise _damaged("the volume cannot be opened", error) from error
    _opened[key] = Volume(container, found, behind, source, payload["offset"], key[1])
    if len(_opened) > MOST_OPEN:
        _opened.popitem(last=False)
    return _opened[key]


class Stream:
    """One content as a ByteSource."""

    def __init__(self, opened: Volume, record: int, kind: int, number: int) -> None:
        self._opened = opened
        try:
            entry = opened.volume.get_file_entry_by_identifier(record)
            if entry is None:
                raise Absent(Missing(Reason.UNREADABLE, "the entry is not there any more"))
            self._stream = entry if kind == DATA else entry.get_extended_attribute(number)
            self.size = int(self._stream.get_size())
            self._extents = _extents(opened, self._stream)
            head = entry.get_extended_attribute_by_name(packed.NAME) if kind == DATA and not self._extents else None
            missing = packed.elsewhere(bytes(head.read_buffer(packed.HEAD))) if head is not None else None
        except OSError as error:
            raise _damaged("its entry cannot be read", error) from error
        if missing is not None:
            raise Absent(missing)

    @property
    def bad(self) -> list[Range]:
        """Ranges of the image that hold part of it and could not be read."""
        return overlap(self._extents, self._opened.image.source.bad)

    def read(self, offset: int, length: int) -> bytes:
        """Raises Absent at a read error, and where less comes than there should be."""
        length = min(length, self.size - offset)
        if length <= 0:
            return b""
        self._opened.behind.failed = False
        try:
            data = bytes(self._stream.read_buffer_at_offset(length, offset))
        except OSError as error:
            raise _damaged(f"read error at byte {offset}", error) from error
        if not data or self._opened.behind.failed:
            raise Absent(Missing(Reason.UNREADABLE, f"it ends at byte {offset + len(data)}: the image is cut there"))
        return data


def _container(behind: FileObject) -> Any:
    container = pyfsapfs.container()
    try:
        container.open_file_object(behind)
    except OSError as error:
        raise _damaged("APFS: the container cannot be opened", error) from error
    return container


def _damaged(what: str, error: OSError) -> Absent:
    return Absent(Missing(Reason.UNREADABLE, f"{what} ({str(error)[:200]})"))


def _path(at: At) -> bytes:
    return b"/".join(key[0] for key in at)


def _list(opened: Volume, at: At) -> Listing[Item] | Missing:
    record = at[-1][1] if at else ROOT
    listing: Listing[Item] = Listing()
    opened.behind.failed = False
    try:
        directory = opened.volume.get_file_entry_by_identifier(record)
        if directory is None:
            return Missing(Reason.UNREADABLE, "the directory is not there any more")
        for number in range(directory.get_number_of_sub_file_entries()):
            _entry(opened, directory.get_sub_file_entry(number), at, listing)
    except OSError as error:
        why = Missing(Reason.UNREADABLE, f"the directory could not be listed: {str(error)[:200]}")
        if not listing.files and not listing.folders:
            return why
        lost = name_only(opened.name, record, _path(at) + b"/", why)
        listing.files.append(((b"\xff" * 256, record, 0), lost))
    return listing


def _entry(opened: Volume, entry: Any, at: At, listing: Listing[Item]) -> None:
    name = (entry.get_name() or "").encode("utf-8", "surrogatepass")
    record, kind = int(entry.get_identifier()), stat.S_IFMT(int(entry.get_file_mode() or 0))
    path = b"/".join([_path(at), name]) if at else name
    main = None
    if kind == stat.S_IFDIR:
        if record not in {key[1] for key in at} | {ROOT}:
            listing.folders.append((name, record, 0))
    elif kind == stat.S_IFREG:
        main = _content(opened, entry, entry, (DATA, 0), path)
        listing.files.append(((name, record, 0), main))
    else:
        why = Missing(Reason.NOT_APPLICABLE, KINDS.get(kind, "an entry of a kind that holds no content"))
        item = name_only(opened.name, record, path, why)
        done = {"state": str(ItemState.SKIPPED), "content_state": str(ContentState.COMPLETE), "times": _times(entry)}
        listing.files.append(((name, record, 0), item | done | {"times_source": TIMES}))
    for number in range(entry.get_number_of_extended_attributes()):
        attribute = entry.get_extended_attribute(number)
        label = attribute.get_name() or ""
        if label in OWN_ATTRIBUTES:
            listing.notes[OWN_NOTE] += 1
            continue
        stream = path + b":" + label.encode("utf-8", "surrogatepass")
        item = _content(opened, entry, attribute, (ATTRIBUTE, number), stream)
        listing.files.append(((name, record, number + 1), item | {"parent": main["ref"] if main else None}))


def _content(opened: Volume, entry: Any, stream: Any, which: tuple[int, int], path: bytes) -> Item:
    extents = _extents(opened, stream)
    doubted = opened.striped or overlap(extents, opened.foreign)
    state = ContentState.OVERWRITTEN_POSSIBLE if doubted else ContentState.COMPLETE
    return {
        "ref": f"{opened.name}/{int(entry.get_identifier())}/{which[0]}-{which[1]}/{quote(path)}",
        "path": path.hex(),
        "size": int(stream.get_size()),
        "state": str(ItemState.OPEN),
        "reason": None,
        "detail": None,
        "name_state": str(NameState.LIVE),
        "content_state": str(state),
        "parent": None,
        "times": _times(entry),
        "times_source": TIMES,
        "runs": extents[: claims.MOST_RUNS],
    }


def _extents(opened: Volume, stream: Any) -> list[Range]:
    """The ranges of the disk that hold it; none where it lies in the tree itself."""
    found = (stream.get_extent(number) for number in range(stream.get_number_of_extents()))
    return [(opened.offset + at, length) for at, length, flags in found if not flags & _SPARSE]


def _times(entry: Any) -> list[int | None]:
    """Modified, accessed, changed, born in nanoseconds."""
    found = (
        entry.get_modification_time_as_integer(),
        entry.get_access_time_as_integer(),
        entry.get_inode_change_time_as_integer(),
        entry.get_creation_time_as_integer(),
    )
    return [int(each) if each and 0 < each < 1 << 63 else None for each in found]
