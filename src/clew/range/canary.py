"""Looks for the run's canary in every file of a case: raw, and in what compresses (Parquet columns, zlib) or encodes.

Every fake pushed it unasked, in the payloads that an observer must not keep. One kept fragment of 8 bytes is found.
"""

import base64
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq

FRAGMENT = 8


def canary_bytes(folder: Path, canary: bytes) -> int:
    """How many bytes of the canary lie below `folder`, by fragments of 8, counted once for each way of looking."""
    needles = _needles(canary)
    found = 0
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        found += _count(path.read_bytes(), needles)
        for value in _values(path):
            found += _count(value, needles)
            if value[:1] == b"\x78":
                found += _count(_inflated(value), needles)
    return found


def _needles(canary: bytes) -> list[bytes]:
    parts = [canary[at : at + FRAGMENT] for at in range(0, len(canary), FRAGMENT)]
    texts = [part.hex().encode() for part in parts]
    # base64 of the canary at each of the three positions within a longer text; its ends depend on the neighbours
    shifted = [base64.b64encode(bytes(n) + canary * 2)[8:-8] for n in range(3)]
    return [*parts, *texts, *(t.upper() for t in texts), *(s[:24] for s in shifted)]


def _count(data: bytes, needles: list[bytes]) -> int:
    return FRAGMENT * sum(data.count(needle) for needle in needles)


def _values(path: Path) -> Iterator[bytes]:
    """What a file of a case holds once it is decoded."""
    if path.suffix == ".parquet":
        for batch in pq.ParquetFile(path).iter_batches():
            for column in batch.columns:
                yield from (_bytes(v) for v in column.to_pylist() if isinstance(v, bytes | str))
    elif path.suffix == ".db":
        yield from _rows(path)


def _rows(path: Path) -> Iterator[bytes]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as conn:
        names = [row[0] for row in conn.execute("SELECT name FROM sqlite_master WHERE type='table'")]
        for name in names:
            for row in conn.execute(f'SELECT * FROM "{name}"'):  # noqa: S608 — names out of the file itself
                yield from (_bytes(v) for v in row if isinstance(v, bytes | str))


def _bytes(value: bytes | str) -> bytes:
    return value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")


def _inflated(value: bytes) -> bytes:
    try:
        return zlib.decompress(value)
    except zlib.error:
        return b""
