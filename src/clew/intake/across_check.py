"""In a worker: the piece hashes of a .torrent by their numbers, and whether seized files put one behind the other, as
a torrent lays them out, have those of the pieces that lie in several of them.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clew.core.absent import Absent, absent
from clew.core.channel import Reply
from clew.intake.api import ByteSource
from clew.intake.artefacts._metainfo import V1
from clew.intake.hashing import CHUNK
from clew.intake.piece_check import CHANGED, metainfo
from clew.intake.piecewise import BLOCK
from clew.intake.reading import find
from clew.model import Reason

PAD = -1  # stands for a pad file (BEP 47): zeros, whatever lies there
ZEROS = bytes(BLOCK)
Combination = tuple[str, ...]  # SHA-256 of contents, one for each file


@dataclass(frozen=True, slots=True)
class Check:
    """What a receipt says of how it was checked."""

    name: str = "pieces across files"
    version: str = "2"


CHECK = Check()


class Piece:
    """A piece in the making: the SHA-1 so far of every combination of contents, one a file, from its beginning on.

    `parts` are [number of the file, or PAD; first byte in it; bytes].
    """

    def __init__(self, digest: bytes, parts: list[tuple[int, int, int]]) -> None:
        self._digest, self._parts, self._at = digest, parts, 0
        self._made: dict[Combination, Any] = {(): hashlib.sha1(usedforsecurity=False)}
        self._next: dict[Combination, Any] = {}
        self._pads()

    def part(self, file: int) -> tuple[int, int] | None:
        """First byte and length of what comes next, where it is of that file."""
        which, first, count = self._parts[self._at] if self._at < len(self._parts) else (PAD, 0, 0)
        return (first, count) if which == file else None

    def with_one(self, content: str) -> dict[Combination, Any]:
        """Every combination so far, going on with that content: to be fed with its bytes, and kept by `keep`."""
        return {(*before, content): made.copy() for before, made in self._made.items()}

    def keep(self, made: dict[Combination, Any]) -> None:
        """Of a content that was read whole, and is the one that it should be."""
        self._next |= made

    def go_on(self) -> None:
        """With the next file."""
        self._made, self._next = self._next, {}
        self._at += 1
        self._pads()

    def end(self) -> dict[str, Any]:
        """How many combinations were tried, and which of them have the hash of the torrent."""
        right = [list(each) for each, made in self._made.items() if made.digest() == self._digest]
        return {"tried": len(self._made), "right": right}

    def _pads(self) -> None:
        while self._at < len(self._parts) and self._parts[self._at][0] == PAD:
            left = self._parts[self._at][2]
            while left:
                for made in self._made.values():
                    made.update(ZEROS[:left])
                left -= min(left, len(ZEROS))
            self._at += 1


def hashes(payload: dict[str, Any], descriptors: list[int]) -> Reply:
    """Entry: of the .torrent behind "opener", the length of a piece and, as a blob, the hashes of those that "numbers"
    names; a piece that it has no hash of is left out from there on. Raises Absent where its SHA-256 is not "sha256".
    """
    info = metainfo(find(payload["opener"])(payload, descriptors), payload["sha256"])
    return Reply(
        {"length": info.piece_length}, (b"".join(info.pieces[n * V1 : (n + 1) * V1] for n in payload["numbers"]),)
    )


def across(payload: dict[str, Any], descriptors: list[int]) -> Reply:
    """Entry: "pieces" ([hash, parts], see Piece) of one torrent, in its order, made of "contents": SHA-256 -> its
    "opener", its payload, how many descriptors are its "fds", and its "size". "files": [number of the file, SHA-256 of
    the contents that may be it], in the order of the torrent.

    Each content is read once, and whole, so that it is sure which one it is. The answer: "pieces", what each came to;
    "lost": what could not be read, or is another content now, and is in none of them.
    """
    pieces = [Piece(bytes.fromhex(digest), [tuple(part) for part in parts]) for digest, parts in payload["pieces"]]
    behind = _openers(payload["contents"], descriptors)
    lost: dict[str, str] = {}
    for file, contents in payload["files"]:
        here = [(piece, part) for piece in pieces if (part := piece.part(file)) is not None]
        for content in contents:
            growing = [(piece, part, piece.with_one(content)) for piece, part in here]
            try:
                _read(content, *behind[content], [(*part, list(made.values())) for _, part, made in growing])
            except (Absent, OSError) as error:
                lost[content] = str(error.missing) if isinstance(error, Absent) else f"unreadable: {error}"
                continue
            for piece, _, made in growing:
                piece.keep(made)
        for piece, _ in here:
            piece.go_on()
    return Reply({"pieces": [piece.end() for piece in pieces], "lost": lost})


def _openers(
    contents: Mapping[str, dict[str, Any]], descriptors: list[int]
) -> dict[str, tuple[dict[str, Any], list[int]]]:
    """Each content with the descriptors that were sent for it."""
    found, at = dict[str, tuple[dict[str, Any], list[int]]](), 0
    for content, about in contents.items():
        found[content] = about, descriptors[at : at + about["fds"]]
        at += about["fds"]
    return found


def _read(
    sha256: str, about: dict[str, Any], descriptors: list[int], stretches: list[tuple[int, int, list[Any]]]
) -> None:
    """Feeds each stretch (first byte, bytes) of a content to its hashes. Raises Absent where the content is not whole,
    or is another one; OSError where it cannot be read.
    """
    source: ByteSource = find(about["opener"])(about, descriptors)
    whole, size = hashlib.sha256(), 0
    while chunk := source.read(size, CHUNK):
        whole.update(chunk)
        view = memoryview(chunk)
        for first, count, made in stretches:
            here = view[max(0, first - size) : max(0, first + count - size)]
            for each in made if here else ():
                each.update(here)
        size += len(chunk)
    if source.bad:
        raise absent(Reason.UNREADABLE, f"{len(source.bad)} stretches of it cannot be read")
    if whole.hexdigest() != sha256:
        raise absent(Reason.UNREADABLE, CHANGED)
