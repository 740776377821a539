"""Files of a seized torrent in a case, what `clew pieces` told of them, and by hand what each piece is."""

import hashlib
import json
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import libtorrent as lt
from cases import sha256

from case_made import new_case
from clew.core import shards
from clew.core.case import Case
from clew.intake.options import Options
from clew.intake.piece_traits import Held
from clew.intake.pieces import held_against
from clew.intake.report import report
from clew.intake.run import intake

OPTIONS = Options(workers=1)
PIECE = 1 << 14
V1_ONLY, V2_ONLY, HYBRID = 64, 32, 0
TORRENT = ("clew.intake.artefacts.torrent:PLUGIN",)
Files = dict[str, bytes]


def bytes_of(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)


def torrent(folder: Path, files: Files, flags: int = V1_ONLY) -> bytes:
    lay(folder / "set", files)
    storage = lt.file_storage()
    for name, data in files.items():
        storage.add_file(f"set/{name}", len(data))
    creator = lt.create_torrent(storage, PIECE, flags)
    creator.set_creation_date(0)
    lt.set_piece_hashes(creator, str(folder))
    return lt.bencode(creator.generate())


def lay(root: Path, files: Files) -> None:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)


def photos(count: int = 40) -> Files:
    """Each smaller than a piece, most of them in two pieces or three files a piece."""
    return {f"DCIM/IMG_{n:04}.jpg": bytes_of(5_000 + 61 * n, n) for n in range(count)}


@dataclass
class Seized:
    """A case with one exhibit and what `clew pieces` then did."""

    folder: Path
    case: Case = field(init=False)

    def __post_init__(self) -> None:
        self.case = new_case(self.folder / "case")

    def take(self, files: Files, label: str = "A") -> Path:
        lay(self.folder / label, files)
        intake(self.case, path=self.folder / label, label=label, options=Options(workers=1, extractors=TORRENT))
        return self.folder / label

    def hold(self) -> Held:
        return held_against(self.case, options=OPTIONS)

    def told(self, content: bytes, name: str = "pieces.across") -> list[dict[str, Any]]:
        sql = "SELECT text FROM traits WHERE content=? AND name=? AND text IS NOT NULL ORDER BY text"
        rows = shards.query(self.case, sql, (sha256(content), name)).to_pylist()
        return [json.loads(row["text"]) for row in rows]

    def shown(self, content: bytes) -> dict[int, tuple[int, int, int]]:
        """Number of a piece that fitted -> first byte in the content, bytes, how many files it lies in."""
        every = [piece for each in self.told(content) for piece in each["pieces"]]
        return {number: (first, count, files) for number, first, count, files, fitted in every if fitted}


def by_hand(data: bytes, files: Iterable[bytes]) -> dict[tuple[int, int], tuple[int, int, int]]:
    """(file, piece) -> first byte in the file, bytes, files of the piece: cut out of all files joined, and its hash
    compared with libtorrent's; only pieces of several files.
    """
    info = lt.torrent_info(lt.bdecode(data))
    joined, owner = b"".join(files), [(n, at) for n, each in enumerate(files) for at in range(len(each))]
    found = {}
    for number in range(info.num_pieces()):
        stretch = slice(number * PIECE, (number + 1) * PIECE)
        assert hashlib.sha1(joined[stretch]).digest() == info.hash_for_piece(number)
        here = owner[stretch]
        several = sorted({n for n, _ in here})
        for file in several if len(several) > 1 else ():
            places = [at for n, at in here if n == file]
            found[file, number] = (places[0], len(places), len(several))
    return found


def said(case: Case) -> tuple[int, list[str]]:
    """What the end report of exhibit A says of what was not held against pieces: as JSON, and in words."""
    (row,) = case.read().execute("SELECT id FROM exhibits WHERE label='A'").fetchall()
    found = report(case, row["id"])
    return found.as_dict()["not_held"], [line for line in found.words().splitlines() if "clew pieces CASE" in line]
