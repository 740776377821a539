"""How a v1 torrent lays its files one behind the other: which of its pieces lie in several of them, and which files no
piece lies wholly inside. From what intake kept of the .torrent, so that none is read to know it.
"""

import json
from collections.abc import Container, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from clew.core import shards
from clew.core.case import Case
from clew.core.unheld import SAID, number
from clew.intake.across_check import PAD
from clew.intake.artefacts._metainfo import File, Info
from clew.intake.piece_check import inner_pieces
from clew.intake.piece_plan import LEAST_LENGTH, MOST_LENGTH, SENSELESS
from clew.intake.piece_traits import Held
from clew.intake.said import WRONG

MOST_FILES = 48  # that one piece may lie in: a descriptor of each goes to a worker
MOST_ZEROS = 64 << 20  # bytes of pads in one piece, which are hashed for each combination
MOST_ACROSS = 200_000  # pieces that lie in several files, at a time
LAYOUTS = f"""
SELECT DISTINCT content, name, text FROM {SAID} WHERE name IN ('p2p.entry', 'p2p.entry.files') AND text IS NOT NULL
AND content IN (SELECT content FROM traits WHERE name='p2p.artefact' AND text='torrent metainfo') ORDER BY content
"""  # noqa: S608 - ours


@dataclass(frozen=True, slots=True)
class Span:
    """A piece that lies in several files, or in one and pads that are not right behind it: [number of the file or PAD,
    first byte in it, bytes] in their order.
    """

    number: int
    parts: tuple[tuple[int, int, int], ...]

    @property
    def files(self) -> list[int]:
        """The numbers of its files, without pads."""
        return [index for index, _, _ in self.parts if index != PAD]

    @property
    def zeros(self) -> int:
        """Bytes of its pads."""
        return sum(count for index, _, count in self.parts if index == PAD)

    @property
    def crowded(self) -> bool:
        """Whether it lies in more files, or more of pads, than a worker is given."""
        return len(self.files) > MOST_FILES or len(self.parts) > 2 * MOST_FILES or self.zeros > MOST_ZEROS


@dataclass(frozen=True, slots=True)
class Layout:
    """One torrent: its files by number, which of them can be checked alone (a piece lies wholly inside, or there is a
    root), and the pieces that lie in several. `crowded`: how many of these lie in too many files or pads, and are left.
    """

    torrent: bytes
    files: dict[int, File]
    alone: frozenset[int]
    spans: list[Span]
    crowded: int

    def needed(self) -> "Layout":
        """Without the files that no such piece lies in: a torrent may have any number of them."""
        files = {index: self.files[index] for span in self.spans for index in span.files}
        return replace(self, files=files, alone=frozenset())


def layouts(case: Case, sizes: Container[int], done: Held) -> Iterator[Layout]:
    """Of every torrent of the case, one after the other. Pieces count only where each of their files has one of these
    sizes.
    """

    def rows() -> Iterator[dict[str, Any]]:
        for batch in shards.query(case, LAYOUTS).to_batches(max_chunksize=1_000):
            yield from batch.to_pylist()

    for torrent, said in groupby(rows(), lambda row: row["content"]):
        try:
            length, files = _read(said)
        except WRONG:
            done.never(torrent, SENSELESS)
            continue
        yield _layout(torrent, length, files, sizes)


def lots(case: Case, sizes: Container[int], done: Held) -> Iterator[list[Layout]]:
    """Those that have such pieces, as many at a time as there is room for. A torrent with more pieces than that comes
    in parts, always the same: what was tried of one stays so.
    """
    lot, room = list[Layout](), MOST_ACROSS
    for each in layouts(case, sizes, done):
        for at in range(0, len(each.spans), MOST_ACROSS):
            part = replace(each, spans=each.spans[at : at + MOST_ACROSS]).needed()
            if lot and len(part.spans) > room:
                yield lot
                lot, room = [], MOST_ACROSS
            lot.append(part)
            room -= len(part.spans)
    if lot:
        yield lot


def _read(rows: Iterator[dict[str, Any]]) -> tuple[int, list[File]]:
    """The length of a piece, 0 where there are no piece hashes of v1; and the files. Raises one of WRONG."""
    length, files = 0, list[File]()
    for row in rows:
        said = json.loads(row["text"])
        if row["name"] == "p2p.entry":
            length = number(said.get("piece_length", 0)) if said.get("pieces") else 0
        for each in said["files"] if row["name"] == "p2p.entry.files" else ():
            offset = None if each.get("offset") is None else number(each["offset"])
            root = bytes.fromhex(each["root"]) if each.get("root") else None
            place = (number(each["index"]), str(each["path"]), number(each["size"]), offset)
            files.append(File(*place, bool(each.get("pad")), root))
    return length, sorted(files, key=lambda file: file.index)


def _layout(torrent: bytes, length: int, files: list[File], sizes: Container[int]) -> Layout:
    info = Info(slice(0, 0), piece_length=length, pieces=b"\0" if length else b"", files=files)
    whole = [file.index for file in files] == list(range(len(files)))  # else some of the list is not known
    inner = {file.index: inner_pieces(info, file)[0] if whole else range(0) for file in files}
    alone = frozenset(file.index for file in files if file.root or inner[file.index] or not whole)
    mixed = any(file.root or file.offset is None for file in files)  # v2 tells of each file alone
    if mixed or not whole or not LEAST_LENGTH <= length <= MOST_LENGTH:
        return Layout(torrent, {file.index: file for file in files}, alone, [], 0)
    spans, crowded = list[Span](), 0
    for span in _spans(files, length):
        real = span.files
        if len(real) == 1 and span.number in inner[real[0]]:
            continue
        if not real or not all(files[index].size in sizes for index in real):
            continue
        crowded += span.crowded
        spans += [] if span.crowded else [span]
    return Layout(torrent, {file.index: file for file in files}, alone, spans, crowded)


def _spans(files: list[File], length: int) -> Iterator[Span]:
    """The first and the last piece of every file, in the order of the torrent; of those between nothing is shared."""
    parts: dict[int, list[tuple[int, int, int]]] = {}
    for file in files:
        start, end = file.offset or 0, (file.offset or 0) + file.size
        for piece in sorted({start // length, (end - 1) // length}) if file.size else ():
            here = max(start, piece * length)
            count = min(end, (piece + 1) * length) - here
            parts.setdefault(piece, []).append((PAD if file.pad else file.index, here - start, count))
    return (Span(piece, tuple(parts[piece])) for piece in sorted(parts))
