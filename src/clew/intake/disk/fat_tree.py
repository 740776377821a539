"""Which directory of a FAT or exFAT volume holds which clusters, so that each is listed once.

Nothing but the first cluster of a directory says which it is, and every entry has a number of its own: directories
that refer to each other have more paths than can be walked. So all are looked through once, breadth first, live ones
before deleted ones. Whoever names a directory first has it, and whoever comes first to a cluster has the entries in it;
but where a deleted one begins, no other deleted one goes on: behind its beginning, a freed chain is a guess.
"""

import struct
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from typing import Any, NamedTuple

import pytsk3

from clew.intake.api import ByteSource
from clew.intake.disk import fat_entries, fat_names
from clew.intake.disk.allocation import Taken
from clew.intake.disk.boot_sector import boot_sector
from clew.intake.disk.exfat import IN_USE, LABEL
from clew.model import Missing, Reason

MOST_ENTRIES = 5_000_000  # of a volume that are looked through; directories that are named behind them are not entered
CUT = Missing(
    Reason.LIMIT_REACHED,
    f"not entered: {MOST_ENTRIES:,} entries of this volume are looked through for directories that refer to each other",
)
_ENTRY, _FIRST_ADDRESS = fat_names.ENTRY, fat_names.FIRST_ADDRESS
_UNALLOCATED = int(pytsk3.TSK_FS_NAME_FLAG_UNALLOC)
_ATTRIBUTES = {"FAT": 11, "exFAT": 4}  # the byte of an entry that says whether it names a directory
_UPPER = 20  # the byte of a FAT entry at which the upper half of the first cluster stands
_LOWER = 26  # and the lower half
_LONG_NAME = 0x0F  # of FAT's attributes
_DIRECTORY, _ALLOCATED = int(pytsk3.TSK_FS_META_TYPE_DIR), int(pytsk3.TSK_FS_META_FLAG_ALLOC)
_DOTS = frozenset({b".", b".."})


class _Named(NamedTuple):
    """A directory as an entry in another one, `directory`, names it."""

    address: int
    directory: int
    clusters: Iterable[int]


class Tree:
    """The directories of one volume. Addresses are The Sleuth Kit's, clusters are named by their first sector."""

    def __init__(self, fs: pytsk3.FS_Info, family: str, taken: Taken, source: ByteSource, offset: int) -> None:
        self._fs, self._taken, self._offset = fs, taken, offset
        self._family, self._source = family, source
        boot = boot_sector(lambda at, length: source.read(offset + at, length))
        self._first = _first_sector(family, boot)
        fat32 = family == "FAT" and boot[22:24] == bytes(2)  # no size of a table in 16 bits
        self._fat32 = fat32
        self._attributes = _ATTRIBUTES[family]
        self._sector = int(fs.info.block_size)
        self._owner: dict[int, int] = {}  # cluster: the directory that has it
        self._again: dict[int, int] = {}  # a directory's entry: the one that named the same directory before
        self._known: set[int] = set()
        self._lost: set[int] = set()  # directories of lost entries, which lie nowhere
        self._begun: set[int] = set()  # clusters in which deleted directories begin
        self._left = MOST_ENTRIES
        self.cut = False  # there were more
        root = int(fs.info.root_inum)
        for cluster in self._clusters(fs.open_meta(inode=root)):
            self._owner.setdefault(cluster, root)
        self._look(fs, root)

    def extend(self, fs: pytsk3.FS_Info, root: int) -> None:
        """Adds what lies below the directory of lost entries, `root`, as listed by `fs`."""
        if root not in self._lost:
            self._lost.add(root)
            self._look(fs, root)

    def not_entered(self, address: int) -> Missing | None:
        """Why the directory that an entry names is not listed under it; None where it is."""
        before = self._again.get(address)
        if before is not None:
            why = f"its clusters are those of the directory with record {before}, where they are listed"
            return Missing(Reason.UNREADABLE, why)
        return CUT if self.cut and address not in self._known else None

    def elsewhere(self, address: int, directory: int) -> bool:
        """Whether the entry at `address` lies in a cluster that another directory than that one has."""
        if directory in self._lost:
            return False
        sector, _ = self._place(address)
        return self._owner.get(self._taken.boundary(sector), directory) != directory

    def named_again(self) -> list[int]:
        """Where in the image the attributes of each such further entry lie, in order."""
        places = sorted(map(self._place, self._again))
        return [self._offset + sector * self._sector + at + self._attributes for sector, at in places]

    def label(self, address: int) -> bool:
        """Whether the entry at `address` is the volume's label, by its attributes (FAT) or its type (exFAT)."""
        sector, at = self._place(address)
        raw = self._source.read(self._offset + sector * self._sector + at, _ENTRY)
        if len(raw) < _ENTRY:
            return False
        if self._family == "exFAT":
            return raw[0] & ~IN_USE == LABEL
        return bool(raw[11] & fat_names.VOLUME) and raw[11] & _LONG_NAME != _LONG_NAME

    def begins(self, address: int) -> int:
        """The first cluster that the entry at `address` names; 0 where it names none."""
        sector, at = self._place(address)
        raw = self._source.read(self._offset + sector * self._sector + at, _ENTRY)
        upper = raw[_UPPER : _UPPER + 2] if self._fat32 else b""
        return int.from_bytes(raw[_LOWER : _LOWER + 2] + upper, "little")

    def directory(self, address: int) -> fat_names.Directory | None:
        """One of FAT, as it lies on the disk. Raises OSError."""
        return fat_names.Directory(self._fs, address, self._first) if self._family == "FAT" else None

    def pointless(self, here: fat_names.Directory, directory: int) -> Iterator[tuple[int, bytes, int]]:
        """(address, name, size) of the live entries of a directory of FAT that The Sleuth Kit passes over: they have a
        size, and name no cluster.
        """
        for entry in fat_entries.pointless(here.data, fat32=self._fat32):
            address = here.address(entry.number)
            if not self.elsewhere(address, directory):
                yield address, entry.name, entry.size

    def _place(self, address: int) -> tuple[int, int]:
        """The sector of an entry, and its byte there."""
        sector, number = divmod(address - _FIRST_ADDRESS, self._sector // _ENTRY)
        return self._first + sector, number * _ENTRY

    def _look(self, fs: pytsk3.FS_Info, root: int) -> None:
        """All directories from `root` on, which `fs` lists."""
        live, deleted = deque([root]), deque[_Named]()
        while (live or deleted) and self._left > 0:
            if live:
                here = live.popleft()
            elif self._claim(deleted[0], self._begun):
                here = deleted.popleft().address
            else:
                deleted.popleft()
                continue
            try:
                for file in (fs if here == root else self._fs).open_dir(inode=here):
                    self._left -= 1
                    self._entry(file, here, live, deleted)
            except OSError:
                continue  # the walk itself says so
        self.cut = self.cut or bool(live or deleted)

    def _entry(self, file: Any, here: int, live: deque[int], deleted: deque[_Named]) -> None:
        name, meta = file.info.name, file.info.meta
        if meta is None or int(meta.type) != _DIRECTORY or bytes(name.name) in _DOTS:
            return
        if not int(name.flags) & _UNALLOCATED:
            found = _Named(int(name.meta_addr), here, self._clusters(file))
            if self._claim(found):
                live.append(found.address)
        elif not int(meta.flags) & _ALLOCATED:
            clusters = list(self._clusters(file))
            self._begun.update(clusters[:1])
            deleted.append(_Named(int(name.meta_addr), here, clusters))

    def _claim(self, found: _Named, begun: Collection[int] = ()) -> bool:
        """Whether that is the first entry to name its directory, which then has those clusters that are nobody's, and
        in which none of those begins that have `begun`.
        """
        address = found.address
        if address in self._known or self.elsewhere(address, found.directory):
            return False
        self._known.add(address)
        for number, cluster in enumerate(found.clusters):
            if number and cluster in begun:
                continue
            owner = self._owner.setdefault(cluster, address)
            if number == 0 and owner != address:
                self._again[address] = owner
                return False
        return True

    def _clusters(self, file: Any) -> Iterator[int]:
        """Those of a directory."""
        for attribute in file:
            for run in attribute:
                first = int(run.addr)
                yield from range(first, first + int(run.len), self._taken.cluster)
            return


def _first_sector(family: str, boot: bytes) -> int:
    """The sector from which The Sleuth Kit numbers entries: behind the tables, or exFAT's cluster heap."""
    if family == "exFAT":
        (heap,) = struct.unpack_from("<I", boot, 88)
        return int(heap)
    reserved, tables, size = struct.unpack_from("<HB5xH", boot, 14)
    return int(reserved + tables * (size or struct.unpack_from("<I", boot, 36)[0]))
