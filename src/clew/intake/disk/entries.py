"""The directories of a file system, live and deleted, in preorder: one task lists a stretch and returns its cursor."""

from collections.abc import Container
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytsk3

from clew.core.channel import Reply
from clew.intake.disk import claims, fat_names, foreign, ntfs, reparse
from clew.intake.disk.ext_far import directory as far_directory
from clew.intake.disk.ext_index import Index
from clew.intake.disk.fat_tree import CUT
from clew.intake.disk.fat_tree import Tree as Clusters
from clew.intake.disk.image import FileSystem, file_system, reason, searched, tree
from clew.intake.disk.stretch import At, Item, Tree, stretch
from clew.intake.disk.unsound import unsound
from clew.intake.walk import OWN_FILES, Listing
from clew.model import ItemState, Missing, NameState, Reason

FIRST_CNID = 16  # of HFS+: those before it are the file system's own (Apple, Technical Note TN1150)
LABELS = "volume labels, left out"
LINKED_TWICE = "further names of directories that are listed at their own place"
ELSEWHERE = "entries in clusters that belong to another directory too, listed there"
FAR = "directories of ext behind block 2^32, of which deleted names are not looked for"
CIPHERED = "names that the file system encrypts (fscrypt of ext4), told in hexadecimal as far as they are read"
NOT_ITS_OWN = (
    "long names of FAT before an entry whose own they are not, by their checksum or order: the entry is told by its "
    "short name, and the long one as a deleted name without a file"
)
UNSOUND = "entries of exFAT whose checksum is wrong: name, size or place may not be what was written, and is in doubt"
UNSOUND_DELETED = "deleted entries of exFAT whose checksum is wrong: name, size or place may be those of others"
STALE = "deleted names of directories whose record was given away, not entered"

_UNALLOCATED = int(pytsk3.TSK_FS_NAME_FLAG_UNALLOC)
_NAME_DIRECTORY, _NAME_VIRTUAL = int(pytsk3.TSK_FS_NAME_TYPE_DIR), int(pytsk3.TSK_FS_NAME_TYPE_VIRT)
_NAME_VIRTUAL_DIR = int(pytsk3.TSK_FS_NAME_TYPE_VIRT_DIR)
_DOTS = frozenset({b".", b".."})
_VOLUME_LABEL = b" (Volume Label Entry)"  # what The Sleuth Kit adds to its name; anybody may call a file so


def walk(payload: dict[str, Any], _descriptors: list[int]) -> Reply:
    """Worker entry: a stretch of the directories below "root" ([name, address] or None); see `stretch`."""
    opened, root = file_system(payload), payload["root"]

    def lost(at: At, missing: Missing) -> Item:
        address = at[-1][1] if at else 0
        item = claims.name_only(opened, _path(root, at) + b"/", address, NameState.LIVE, missing.detail)
        return item | {"reason": str(missing.reason)}

    key = (opened, str(root))
    tree = Tree(key, opened.image, lambda at: _list(opened, payload, at), lambda at: _path(root, at), lost)
    return stretch(tree, payload)


def _path(root: Any, at: At) -> bytes:
    names = [key[0] for key in at]
    return b"/".join([bytes.fromhex(root[0]), *names] if root else names)


def _list(opened: FileSystem, payload: dict[str, Any], at: At) -> Listing[Item] | Missing:
    root, clusters = payload["root"], tree(opened)
    address = at[-1][1] if at else (root[1] if root else opened.root)
    if root and clusters is not None and clusters.cut:  # The Sleuth Kit would go all ways that are left
        return Missing(CUT.reason, f"lost entries were not searched for: {CUT.detail}")
    doubted = foreign.directory(opened, address)
    if isinstance(doubted, Missing):
        return doubted
    try:
        lost = searched(opened, payload) if root else opened.fs
        fs = opened.fs if at else lost
        far = opened.inodes is not None and opened.inodes.far(address)
        directory = far_directory(fs, opened.inodes, address) if far and opened.inodes else fs.open_dir(inode=address)
        ciphered = not root and claims.encrypted(opened, address)
        given_up = ntfs.given_up(opened, address) if opened.family == "NTFS" and not root else ()
        if root and clusters is not None:
            clusters.extend(lost, root[1])
    except OSError as error:
        return Missing(Reason.UNREADABLE, f"the directory could not be listed: {reason(error)}")
    above = {key[1] for key in at} | {opened.root, address}
    parent = None if at and at[-1][2] else at[-2][1] if len(at) > 1 else opened.root
    in_extend = (
        b"/".join(key[0] for key in at[1:]) if opened.family == "NTFS" and at and at[0][1] == ntfs.EXTEND else None
    )
    whole = None if root or any(key[2] for key in at) else clusters  # what a deleted directory holds is not live
    reader = _Reader(opened, Listing(), address, _path(root, at), above, parent, in_extend, ciphered, whole, given_up)
    if at or not root:  # the lost entries of a volume lie in no directory
        reader.look()
    reader.read(directory)
    if not root and not any(key[2] for key in at):
        reader.sound()
    if far:
        reader.listing.notes[FAR] += 1
    if opened.family == "NTFS" and not at:
        reader.of_root()
    for _, item in reader.listing.files if doubted else ():
        claims.doubt(item)
    return reader.listing


class _Entry(NamedTuple):
    """One directory entry, each of its fields asked for once: that costs more than what is done with them."""

    number: int
    file: Any
    name: bytes
    address: int
    sequence: int
    kind: int
    meta: Any  # None where its file record could not be read

    @property
    def is_directory(self) -> bool:
        return int(self.meta.type) == claims.DIRECTORY if self.meta is not None else self.kind == _NAME_DIRECTORY


@dataclass(slots=True)
class _Reader:
    """One directory being read. `above` are the records of the directories on the way to it, against circles."""

    opened: FileSystem
    listing: Listing[Item]
    address: int
    path: bytes
    above: set[int]
    parent: int | None  # the record of the directory in which it was found; None for a deleted one: it may have moved
    in_extend: bytes | None  # its path in $Extend of NTFS, where it lies there
    ciphered: bool  # whether the names in it are
    whole: Clusters | None  # of FAT, to look for entries that The Sleuth Kit passes over
    given_up: Container[int]  # of NTFS: the records that blocks of its index may name which it does not use any more
    names: fat_names.Directory | None = None  # of FAT, where The Sleuth Kit's are not taken unseen
    entered: set[int] = field(default_factory=set)
    unsound: set[int] = field(default_factory=set)  # addresses of entries of exFAT whose checksum is wrong

    def read(self, directory: Any) -> None:
        """Live entries first: an equal deleted one is an old copy of an entry that lives on."""
        own_parent, tree = self.parent, self.opened.tree
        live: set[tuple[bytes, int]] = set()
        deleted: list[_Entry] = []
        try:
            for number, file in enumerate(directory):
                info = file.info
                said = info.name
                address = int(said.meta_addr)
                name = self.called(bytes(said.name), address)
                if name == b".." and self.opened.family == "ext":
                    own_parent = address
                if name in _DOTS or (len(name) == ntfs.CUT and self.cut(address, name)):
                    continue
                name = self.readable(name)
                entry = _Entry(number, file, name, address, int(said.meta_seq), int(said.type), info.meta)
                gone = bool(int(said.flags) & _UNALLOCATED) or (address in self.given_up and self.left_behind(entry))
                if self.own(entry, gone):
                    continue
                if tree is not None and tree.elsewhere(address, self.address):
                    self.listing.notes[ELSEWHERE] += 1
                    continue
                self.check(address, gone)
                if gone:
                    deleted.append(entry)
                else:
                    live.add((name, address))
                    self.entry(entry)
            self.pointless()
        except OSError as error:
            self.in_part(error)
        index = self.index() if deleted else None
        for entry in deleted:
            if (entry.name, entry.address) not in live and not (index and index.holds(entry.name, entry.address)):
                self.deleted(entry)
        if self.parent is not None and own_parent != self.parent and self.listing.folders:
            self.listing.notes[LINKED_TWICE] += len(self.listing.folders)
            self.listing.folders.clear()

    def look(self) -> None:
        """At the bytes of a directory of FAT."""
        try:
            self.names = self.opened.tree.directory(self.address) if self.opened.tree is not None else None
        except OSError as error:
            self.in_part(error)

    def in_part(self, error: OSError) -> None:
        """A directory that may have held more than could be read."""
        why = f"read only in part: {reason(error)}"
        lost = claims.name_only(self.opened, self.path + b"/", self.address, NameState.LIVE, why)
        self.listing.files.append(((b"\xff" * 256, self.address, 0), lost))

    def check(self, address: int, gone: bool) -> None:
        """The checksum of an entry of exFAT."""
        if self.opened.entries is not None and not self.opened.entries.intact(address):
            self.unsound.add(address)
            self.listing.notes[UNSOUND_DELETED if gone else UNSOUND] += 1

    def readable(self, name: bytes) -> bytes:
        """The name of an entry, or what is told instead where the file system encrypts it."""
        if not self.ciphered:
            return name
        self.listing.notes[CIPHERED] += 1
        return b"encrypted-name-" + name.hex().encode()

    def called(self, name: bytes, address: int) -> bytes:
        """What The Sleuth Kit calls an entry, or on FAT its name. A long name before it may be a deleted file's."""
        found = self.names.named(address) if self.names is not None else None
        if found is None:
            return name
        said, before = found
        if said.before:
            why = f"a long name before the entry with record {address}, not its own: of which file it was is not known"
            left = claims.name_only(self.opened, self.full(said.before), before, NameState.DELETED, why)
            self.listing.files.append(((said.before, before, 0), left))
            self.listing.notes[NOT_ITS_OWN] += 1
        return name if said.odd else said.name

    def index(self) -> Index | None:
        """That of a directory of ext, of which The Sleuth Kit reads entries that are none; None where it has none that
        can be read.
        """
        with suppress(OSError):
            return Index(self.opened, self.address) if self.opened.family == "ext" else None
        return None

    def sound(self) -> None:
        """A directory that is not what was written as one may have held more than can be seen."""
        try:
            why = unsound(self.opened, self.address)
        except OSError as error:
            why = f"whether it is whole is not known: {reason(error)}"
        if why:
            lost = claims.name_only(self.opened, self.path + b"/", self.address, NameState.LIVE, why)
            self.listing.files.append(((b"\xff" * 256, self.address, 1), lost))

    def of_root(self) -> None:
        """The streams of NTFS's root directory, which no other directory names."""
        file = self.opened.fs.open_meta(inode=self.address)
        self.add(_Entry(0, file, b"", self.address, 0, _NAME_DIRECTORY, file.info.meta), NameState.LIVE)

    def pointless(self) -> None:
        """Live entries of FAT with a size and without a cluster, which The Sleuth Kit passes over. Raises OSError."""
        if self.whole is None or self.names is None:
            return
        known = {key[1] for key, _ in self.listing.files}
        for address, name, size in self.whole.pointless(self.names, self.address):
            if address not in known:
                called = self.called(name, address)
                why = f"its directory entry says {size:,} bytes, and names no cluster"
                item = claims.name_only(self.opened, self.full(called), address, NameState.LIVE, why)
                self.listing.files.append(((called, address, 0), item))

    def own(self, entry: _Entry, gone: bool) -> bool:
        """Entries that are no files of the user: The Sleuth Kit's virtual ones, NTFS's $-files, FAT's label."""
        kind, family, address = entry.kind, self.opened.family, entry.address
        if kind == _NAME_VIRTUAL_DIR:
            return True
        reserved = family == "HFS+" and address < FIRST_CNID
        if self.opened.entries is not None:
            reserved = self.opened.entries.own(address)
        named = family == "NTFS" and (entry.name.startswith(b"$") or not gone)  # a deleted name may point anywhere
        streams = ntfs.own_streams(address, self.below_extend(entry.name)) if named else None
        if kind == _NAME_VIRTUAL or reserved or streams is not None:
            if streams is None or not gone:  # the sweep counts NTFS's deleted ones
                self.listing.notes[OWN_FILES] += 1
            if streams is not None and not gone:
                self.beside(entry, streams)
            return True
        if entry.name.endswith(_VOLUME_LABEL) and self.label(entry):
            self.listing.notes[LABELS] += 1
            return True
        return False

    def cut(self, address: int, name: bytes) -> bool:
        """Whether a name is the beginning of another one of the same file, which is listed too."""
        return self.opened.family == "NTFS" and ntfs.is_cut(self.opened, self.address, address, name)

    def left_behind(self, entry: _Entry) -> bool:
        """Whether what The Sleuth Kit calls a live entry of NTFS is what a block holds that the index gave up."""
        return ntfs.left_behind(self.opened, self.address, (entry.address, entry.sequence, entry.name))

    def below_extend(self, name: bytes) -> bytes | None:
        """The path in $Extend of an entry, where this directory lies there."""
        return self.in_extend + b"/" + name if self.in_extend else name if self.in_extend is not None else None

    def beside(self, entry: _Entry, own: ntfs.Streams) -> None:
        """What a user may have put beside the streams of one of NTFS's own files, or below $Extend."""
        if entry.meta is None:
            self.name_only(entry, NameState.LIVE, "its file record could not be read")
            return
        if entry.is_directory:
            self.folder(entry)
        self.add(entry, NameState.LIVE, own)

    def label(self, entry: _Entry) -> bool:
        """Whether that is FAT's volume label, and no more: an entry that is marked as one may still hold a content."""
        tree, meta = self.opened.tree, entry.meta
        return tree is not None and tree.label(entry.address) and (meta is None or not int(meta.size))

    def entry(self, entry: _Entry) -> None:
        """A live one. A directory has content of its own only as an NTFS stream."""
        if entry.meta is not None and self.opened.records is not None:
            plain = self.opened.records.plain(entry.address)
            if plain is not None and plain.sequence == entry.sequence:
                item = claims.plain(self.opened, entry.address, plain, self.full(entry.name))
                self.listing.files.append(((entry.name, entry.address, entry.number << 20), item))
                return
        is_directory = entry.is_directory
        if is_directory:
            self.folder(entry)
        if entry.meta is None:
            self.name_only(entry, NameState.LIVE, "its file record could not be read")
        elif not is_directory or self.opened.family == "NTFS":
            self.add(entry, NameState.LIVE)

    def folder(self, entry: _Entry) -> None:
        """A live sub-directory, once, and on NTFS only where its own record names this directory: directories that are
        linked twice on each level would else be listed without end. What is not entered is found by the sweep.
        """
        elsewhere = entry.address in self.entered or entry.address in self.above
        if self.not_entered(entry, NameState.LIVE):
            return
        if self.opened.family == "NTFS" and entry.meta is not None:
            elsewhere |= all(parent != self.address for parent, _, _ in ntfs.names(entry.file))
            tag = reparse.tag_of(entry.file)
            if tag is not None:
                self.listing.notes[reparse.directory(tag)] += 1
        if elsewhere:
            self.listing.notes[LINKED_TWICE] += 1
        else:
            self.entered.add(entry.address)
            self.listing.folders.append((entry.name, entry.address, 0))

    def not_entered(self, entry: _Entry, state: NameState) -> bool:
        """Whether the directory of an entry is listed under another one or not at all (FAT, exFAT): that is said in its
        place.
        """
        tree = self.opened.tree
        missing = tree.not_entered(entry.address) if tree is not None else None
        if missing is not None:
            self.name_only(entry, state, missing.detail, missing.reason)
        return missing is not None

    def deleted(self, entry: _Entry) -> None:
        """A deleted one, whose record may be its own still, gone, or another file's."""
        meta = entry.meta
        reused = meta is not None and claims.allocated(meta)
        if self.opened.family == "NTFS":
            said = ntfs.of_deleted_name(self.opened, entry.file, entry.address)
            if said is not None:
                self.name_only(entry, *said)
        elif entry.is_directory:
            if not reused and self.not_entered(entry, NameState.DELETED):
                return
            if meta is not None and not reused and entry.address not in self.above:
                self.listing.folders.append((entry.name, entry.address, 1))
            else:
                self.listing.notes[STALE] += 1
        elif reused and claims.unlinked(self.opened, meta):
            self.name_only(entry, NameState.DELETED, claims.UNLINKED)  # whose content it is, no name says
        elif reused:
            self.name_only(entry, NameState.REALLOCATED, claims.GIVEN_AWAY)
        elif meta is None:
            self.name_only(entry, NameState.DELETED, claims.NAME_ONLY)
        else:
            self.add(entry, NameState.DELETED)

    def add(self, entry: _Entry, state: NameState, own: ntfs.Streams | None = None) -> None:
        """The contents behind one entry; a record that cannot be read costs that entry alone."""
        name, address, files = entry.name, entry.address, self.listing.files
        first = entry.number << 20
        try:
            for sub, item in claims.contents(self.opened, entry.file, self.full(name), state, own):
                if note := item.pop("note", None):
                    self.listing.notes[note] += 1
                if address in self.unsound:
                    claims.doubt(item)
                files.append(((name, address, first + sub), item))
        except OSError as error:
            self.name_only(entry, state, f"its file record could not be read: {reason(error)}")

    def name_only(self, entry: _Entry, state: NameState, why: str, reason: Reason = Reason.UNREADABLE) -> None:
        """An entry of which nothing but the name is left."""
        item = claims.name_only(self.opened, self.full(entry.name), entry.address, state, why)
        item["reason"] = str(reason)
        item |= {"state": ItemState.SKIPPED.value} if reason is Reason.NOT_APPLICABLE else {}
        self.listing.files.append(((entry.name, entry.address, entry.number << 20), item))

    def full(self, name: bytes) -> bytes:
        """The path of an entry."""
        return self.path + b"/" + name if self.path else name
