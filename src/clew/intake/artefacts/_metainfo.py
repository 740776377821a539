"""The info dictionary of a torrent: v1 (BEP 3), v2 (BEP 52) and hybrid, with pad files (BEP 47)."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeGuard

from clew.intake.artefacts._bencoded import inside
from clew.intake.artefacts._entry import Entry, printable
from clew.model import Reason

V1, V2 = 20, 32  # bytes of a piece's SHA-1, of a SHA-256
LARGEST = 1 << 62


@dataclass(frozen=True, slots=True)
class File:
    """One file of a torrent. `offset`: where it begins in the torrent; None in v2 alone, where files are apart."""

    index: int
    path: str
    size: int
    offset: int | None
    pad: bool = False
    root: bytes | None = None


@dataclass(slots=True)
class Info:
    """What an info dictionary says. `pieces` is the string of v1's piece hashes; `wrong` says what does not fit."""

    place: slice
    infohash_v1: bytes | None = None
    infohash_v2: bytes | None = None
    name: str = ""
    piece_length: int = 0
    pieces: bytes = b""
    files: list[File] = field(default_factory=list)
    wrong: dict[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of all files, pads left out."""
        return sum(each.size for each in self.files if not each.pad)

    def tell(self, entry: Entry) -> None:
        """Puts it into the fields of an entry; what the entry says already stays as it was said."""
        for name, value in (("infohash_v1", self.infohash_v1), ("infohash_v2", self.infohash_v2)):
            if value and name not in entry.fields:
                entry.say(name, value.hex(), self.place)
        if self.name and "name" not in entry.fields:
            entry.say_text("name", self.name, self.place)
        if self.piece_length:
            entry.say("piece_length", self.piece_length, self.place)
        if self.pieces:
            entry.say("pieces", len(self.pieces) // V1, self.place)
        entry.say("size", self.size, self.place)
        for each in self.files:
            root = {"root": each.root.hex()} if each.root else {}
            pad = {"pad": True} if each.pad else {}
            offset = {} if each.offset is None else {"offset": each.offset}
            entry.file(index=each.index, size=each.size, path=each.path, **offset, **pad, **root)
        for name, why in self.wrong.items():
            entry.lack(name, Reason.UNPARSABLE, why)


def read(data: bytes, place: slice) -> Info:
    """The info dictionary at that place. Raises bencode.Malformed where it is none."""
    found = {key: value for key, (value, _) in inside(data, place).items()}
    info = Info(place)
    name = found.get(b"name")
    info.name = printable(name) if isinstance(name, bytes) else ""
    length = found.get(b"piece length")
    info.piece_length = length if _count(length) else 0
    if not info.piece_length:
        info.wrong["piece_length"] = "no piece length above 0"
    old, new = b"pieces" in found, found.get(b"meta version") == 2
    if old:
        info.infohash_v1 = hashlib.sha1(data[place], usedforsecurity=False).digest()
        _old(found, info)
    if new:
        info.infohash_v2 = hashlib.sha256(data[place]).digest()
        _new(found, info)
    if not old and not new:
        info.wrong["infohash_v1"] = "neither the pieces of v1 nor the file tree of v2"
    return info


def _old(found: Mapping[bytes, Any], info: Info) -> None:
    listed = found[b"files"] if b"files" in found else [{b"length": found.get(b"length"), b"path": [b""]}]
    offset = 0
    for index, each in enumerate(listed if isinstance(listed, list) else []):
        length = each.get(b"length") if isinstance(each, dict) else None
        if not isinstance(each, dict) or not _count(length, least=0):
            info.wrong["files"] = f"file {index} has no length, so where those after it begin is not known"
            break
        attributes = each.get(b"attr", b"")
        pad = isinstance(attributes, bytes) and b"p" in attributes
        path = _joined(each.get(b"path.utf-8") or each.get(b"path")) or info.name
        info.files.append(File(index, path, length, offset, pad))
        offset += length
    pieces = found[b"pieces"]
    wanted = -(-offset // info.piece_length) * V1 if info.piece_length else -1
    if not isinstance(pieces, bytes) or ("files" not in info.wrong and len(pieces) != wanted):
        info.wrong["pieces"] = f"the piece hashes do not fit {offset:,} bytes"
        return
    info.pieces = pieces


def _new(found: Mapping[bytes, Any], info: Info) -> None:
    tree = found.get(b"file tree")
    told = list(_walk(tree, info)) if isinstance(tree, dict) else []
    if not told:
        info.wrong["files"] = "no file in its file tree"
        return
    if not info.files:
        single = len(told) == 1 and told[0][0] == info.name
        paths = [info.name if single else path for path, _, _ in told]
        info.files = [File(n, path, told[n][1], None, root=told[n][2]) for n, path in enumerate(paths)]
        return
    real = [(each.path, each.size) for each in info.files if not each.pad]
    roots = {path: root for path, _, root in told}  # by path: two files of one size may stand in another order
    if len(roots) < len(told) or sorted(real) != sorted((path, size) for path, size, _ in told):
        info.wrong["files"] = "v1's files are not those of v2"
        return
    info.files = [each if each.pad else replace(each, root=roots[each.path]) for each in info.files]


def _walk(tree: Mapping[bytes, Any], info: Info) -> Iterator[tuple[str, int, bytes | None]]:
    """Path, size and root of every file, in the order of the tree, which is that of the torrent."""
    waiting: list[tuple[tuple[bytes, ...], Any]] = [((), tree)]
    while waiting:
        path, node = waiting.pop()
        if not isinstance(node, dict):
            info.wrong["files"] = "a file tree with something else in it"
            continue
        leaf = node.get(b"")
        if leaf is not None:
            length = leaf.get(b"length") if isinstance(leaf, dict) else None
            root = leaf.get(b"pieces root") if isinstance(leaf, dict) else None
            if not _count(length, least=0):
                info.wrong["files"] = f"{printable(b'/'.join(path))} has no length"
                continue
            yield printable(b"/".join(path)), length, root if isinstance(root, bytes) and len(root) == V2 else None
            continue
        waiting += [((*path, key), child) for key, child in reversed(node.items())]


def _joined(path: Any) -> str:
    if not isinstance(path, list) or not all(isinstance(part, bytes) for part in path):
        return ""
    return printable(b"/".join(path))


def _count(value: Any, least: int = 1) -> TypeGuard[int]:
    return type(value) is int and least <= value < LARGEST
