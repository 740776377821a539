"""A compiled HashSet: immutable files in CASE/hashsets/<id>/, itself hashed.

    set.json          what it is, and the SHA-256 of every other file; the id is the first 128 bits of its own SHA-256
    entries.jsonl     one entry a line, verbatim, in the order of the source
    entries.u8        where each line begins (little-endian 64 bit), and the end
    carries.u1        which algorithms each entry carries, a bit each, in the order of api.ALGORITHMS
    md5.keys ...      sorted keys, one after another without anything between; md5.rows the entry of each (64 bit)
    pdq/              the index of clew.core.hamming

Keys are spooled to disk in order of the source, cut into 256 buckets by their first byte where they are many, and
sorted bucket by bucket: memory holds one bucket, never the set.
"""

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from clew.core import hamming, ledger
from clew.core.errors import Damaged, Usage
from clew.core.files import sha256_of, sync_folder
from clew.core.sorted_keys import set_id
from clew.match.api import ALGORITHMS, EXACT, Dropped, Entry, Source
from clew.model import Category, HashSetKind

Array = npt.NDArray[Any]
BUCKETS_FROM = 4_000_000
CHUNK = 1 << 20
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Compiled:
    """A HashSet that is open. `keys` and `rows` by exact algorithm; `near` is None where it holds no PDQ."""

    id: str
    folder: Path
    name: str
    kind: HashSetKind
    reader: str
    source_sha256: bytes
    entries: int
    dropped: dict[str, int]
    keys: dict[str, Array]
    rows: dict[str, Array]
    carries: Array
    near: hamming.Index | None
    near_rows: Array
    starts: Array

    def entry(self, row: int) -> dict[str, Any]:
        """An entry as its source said it: {"category": [scheme, country, version, code] or null, "verbatim": ...}."""
        if not 0 <= row < self.entries:
            raise Usage(f"the hash set {self.name!r} has no entry {row}")
        with (self.folder / "entries.jsonl").open("rb") as file:
            file.seek(int(self.starts[row]))
            found: dict[str, Any] = json.loads(file.read(int(self.starts[row + 1] - self.starts[row])))
        return found

    def category(self, row: int) -> Category | None:
        """The category of an entry, as its source said it."""
        told = self.entry(row)["category"]
        return Category(*told) if told else None


def compile_set(entries: Iterable[Entry | Dropped], source: Source, source_sha256: bytes, hashsets: Path) -> Compiled:
    """Compiles entries into a folder below `hashsets`. The same source makes the same folder; one is kept, and made
    anew where it is damaged.

    Raises Usage where no entry remains. What goes wrong leaves nothing behind.
    """
    # of its own for each name: two runs may add one file under two names at once
    building = hashsets / f".tmp-{hashlib.sha256(source_sha256 + source.name.encode()).hexdigest()[:16]}"
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    try:
        count, dropped = _spool(entries, building)
        if not count:
            raise Usage(f"{source.path} holds no usable hash", f"dropped: {_told(dropped)}")
        for algorithm in EXACT:
            _sort(building, algorithm)
        _index(building)
        about = {
            "format": FORMAT,
            "name": source.name,
            "kind": str(source.kind),
            "reader": source.reader,
            "source_sha256": source_sha256.hex(),
            "entries": count,
            "dropped": dict(sorted(dropped.items())),
            "files": {str(p.relative_to(building)): sha256_of(p).hex() for p in _files(building)},
        }
        text = ledger.canonical(about)
        (building / "set.json").write_text(text, "utf-8")
        folder = hashsets / set_id(text.encode())
        _settle(building, folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return load(folder)


def load(folder: Path, *, check: bool = False) -> Compiled:
    """Opens a compiled set, memory-mapped. `check` reads every file and compares its SHA-256.

    Raises Damaged, naming the first file that is not as it was compiled.
    """
    try:
        text = (folder / "set.json").read_bytes()
    except OSError as error:
        raise Damaged(f"{folder} holds no compiled hash set", "add it again: clew hashset add") from error
    if set_id(text) != folder.name:
        raise Damaged(f"{folder / 'set.json'} was changed after it was compiled", "add the hash set again")
    about = json.loads(text)
    for name, sha256 in sorted(about["files"].items()) if check else ():
        if not (folder / name).is_file() or sha256_of(folder / name).hex() != sha256:
            raise Damaged(f"{folder / name} was changed after it was compiled", "add the hash set again")
    return Compiled(
        id=folder.name,
        folder=folder,
        name=about["name"],
        kind=HashSetKind(about["kind"]),
        reader=about["reader"],
        source_sha256=bytes.fromhex(about["source_sha256"]),
        entries=about["entries"],
        dropped=about["dropped"],
        keys={a: _mapped(folder / f"{a}.keys", f"S{ALGORITHMS[a]}") for a in EXACT},
        rows={a: _mapped(folder / f"{a}.rows", "<u8") for a in EXACT},
        carries=_mapped(folder / "carries.u1", "u1"),
        near=hamming.load(folder / "pdq") if (folder / "pdq").is_dir() else None,
        near_rows=_mapped(folder / "pdq.rows", "<u8"),
        starts=_mapped(folder / "entries.u8", "<u8"),
    )


def _spool(entries: Iterable[Entry | Dropped], building: Path) -> tuple[int, Counter[str]]:
    """Writes entries and their keys in the order of the source; counts what is dropped by reason."""
    count, at, dropped = 0, 0, Counter[str]()
    with ExitStack() as stack:

        def open_file(name: str) -> BinaryIO:
            return stack.enter_context((building / name).open("wb"))

        lines, starts, carries = open_file("entries.jsonl"), open_file("entries.u8"), open_file("carries.u1")
        keys = {a: (open_file(f"{a}.spool"), open_file(f"{a}.spooled")) for a in ALGORITHMS}
        for each in entries:
            if isinstance(each, Dropped):
                dropped[each.reason] += 1
                continue
            line = _line(each)
            starts.write(at.to_bytes(8, "little"))
            at += lines.write(line)
            bits = 0
            for bit, algorithm in enumerate(ALGORITHMS):
                if algorithm in each.hashes:
                    bits |= 1 << bit
                    keys[algorithm][0].write(each.hashes[algorithm])
                    keys[algorithm][1].write(count.to_bytes(8, "little"))
            carries.write(bytes((bits,)))
            count += 1
        starts.write(at.to_bytes(8, "little"))
    return count, dropped


def _line(entry: Entry) -> bytes:
    c = entry.category
    told = {"category": [c.scheme, c.country, c.version, c.code] if c else None, "verbatim": dict(entry.verbatim)}
    return json.dumps(told, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"


def _sort(building: Path, algorithm: str) -> None:
    """Turns one spool into sorted keys and their rows; equal keys stay in the order of the source."""
    width = ALGORITHMS[algorithm]
    spool, spooled = building / f"{algorithm}.spool", building / f"{algorithm}.spooled"
    count = spool.stat().st_size // width
    with (building / f"{algorithm}.keys").open("wb") as keys, (building / f"{algorithm}.rows").open("wb") as rows:
        for part_keys, part_rows in _buckets(spool, spooled, width, count):
            order = np.argsort(part_keys.view(f"S{width}").reshape(-1), kind="stable")
            keys.write(np.ascontiguousarray(part_keys[order]).tobytes())
            rows.write(np.ascontiguousarray(part_rows[order]).tobytes())
    spool.unlink()
    spooled.unlink()


def _buckets(spool: Path, spooled: Path, width: int, count: int) -> Iterator[tuple[Array, Array]]:
    """The spool in parts that fit in memory, each part's keys above those of the part before."""
    if count < BUCKETS_FROM:
        if count:
            yield np.fromfile(spool, "u1").reshape(-1, width), np.fromfile(spooled, "<u8")
        return
    folder = spool.with_suffix(".buckets")
    folder.mkdir()
    record = np.dtype([("key", "u1", (width,)), ("row", "<u8")])
    with ExitStack() as stack, spool.open("rb") as keys, spooled.open("rb") as rows:
        files = [stack.enter_context((folder / f"{b:02x}").open("wb")) for b in range(256)]
        while len(part := np.fromfile(keys, "u1", CHUNK * width)):
            records = np.empty(len(part) // width, record)
            records["key"] = part.reshape(-1, width)
            records["row"] = np.fromfile(rows, "<u8", len(records))
            first = records["key"][:, 0]
            for bucket in np.unique(first):
                records[first == bucket].tofile(files[bucket])
    for b in range(256):
        records = np.fromfile(folder / f"{b:02x}", record)
        if len(records):
            yield np.ascontiguousarray(records["key"]), np.ascontiguousarray(records["row"])
    shutil.rmtree(folder)


def _index(building: Path) -> None:
    """Turns the PDQ spool into the near index; without any PDQ there is no folder."""
    hashes = np.fromfile(building / "pdq.spool", "u1").reshape(-1, ALGORITHMS["pdq"])
    (building / "pdq.spooled").rename(building / "pdq.rows")
    (building / "pdq.spool").unlink()
    if len(hashes):
        hamming.save(hamming.build(hashes), building / "pdq")


def _settle(building: Path, folder: Path) -> None:
    """Makes the finished folder durable under its name; keeps the one that is there, unless that is damaged."""
    for path in (*_files(building), building / "set.json"):
        with path.open("rb") as file:
            os.fsync(file.fileno())
    if folder.exists():
        try:
            load(folder, check=True)
        except Damaged:
            shutil.rmtree(folder)
        else:
            return
    building.rename(folder)
    sync_folder(folder.parent)


def _files(building: Path) -> list[Path]:
    return sorted(p for p in building.rglob("*") if p.is_file() and p.name != "set.json")


def _mapped(path: Path, dtype: str) -> Array:
    try:
        if path.stat().st_size == 0:  # an empty file cannot be mapped
            return np.zeros(0, dtype)
        return np.memmap(path, dtype, "r")
    except (OSError, ValueError) as error:
        raise Damaged(f"{path} cannot be read: {error}", "add the hash set again") from error


def _told(dropped: Counter[str]) -> str:
    return ", ".join(f"{count} x {reason}" for reason, count in sorted(dropped.items())) or "nothing"
