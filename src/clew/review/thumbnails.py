"""Which Contents have a stored picture: 64 bytes of memory for each, read anew when shards were added."""

import threading
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from clew.core import shards
from clew.core.case import Case

DIGEST = 32

_PICTURES = (
    "SELECT content, min(data) AS blob FROM traits WHERE name = 'thumbnail' AND octet_length(data) = 32"
    " AND octet_length(content) = 32 GROUP BY content ORDER BY content"
)
_CONTENTS = "SELECT count(DISTINCT sha256) AS contents FROM contents"


@dataclass(frozen=True, slots=True)
class _Index:
    newest: int
    contents: "np.ndarray[tuple[int], np.dtype[np.void]]"
    blobs: "np.ndarray[tuple[int], np.dtype[np.void]]"
    without: int


class Thumbnails:
    """Content -> blob of its thumbnail. Safe to share between threads."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._lock = threading.Lock()
        self._index: _Index | None = None

    def blob(self, content: bytes) -> bytes | None:
        """The SHA-256 of the stored picture; None where there is none."""
        index = self._fresh()
        at = _place(index, content)
        return bytes(index.blobs[at]) if at < len(index.contents) and bytes(index.contents[at]) == content else None

    def after(self, content: bytes, count: int) -> list[bytes]:
        """The next Contents with a picture, in order of their SHA-256, after `content` (b"" for the first)."""
        index = self._fresh()
        at = _place(index, content) if content else 0
        if content and at < len(index.contents) and bytes(index.contents[at]) == content:
            at += 1
        return [bytes(each) for each in index.contents[at : at + count]]

    def counts(self) -> tuple[int, int]:
        """(Contents with a picture, Contents without one)."""
        index = self._fresh()
        return len(index.contents), index.without

    def _fresh(self) -> _Index:
        newest = self._case.read().execute("SELECT max(id) FROM shards").fetchone()[0] or 0
        with self._lock:
            if self._index is None or self._index.newest != newest:
                self._index = _read(self._case, newest)
            return self._index


def _place(index: _Index, content: bytes) -> int:
    """Where `content` is or would be. Bisection by hand: numpy does not order raw bytes that end in zeros."""
    low, high = 0, len(index.contents)
    while low < high:
        middle = (low + high) // 2
        if bytes(index.contents[middle]) < content:
            low = middle + 1
        else:
            high = middle
    return low


def _read(case: Case, newest: int) -> _Index:
    table = shards.query(case, _PICTURES)
    total = shards.query(case, _CONTENTS).column("contents")[0].as_py()
    contents, blobs = _digests(table.column("content")), _digests(table.column("blob"))
    return _Index(newest, contents, blobs, max(0, total - len(contents)))


def _digests(column: pa.ChunkedArray) -> "np.ndarray[tuple[int], np.dtype[np.void]]":
    fixed = column.cast(pa.binary(DIGEST)).combine_chunks()
    joined = fixed if isinstance(fixed, pa.Array) else pa.concat_arrays(fixed.chunks)
    start = joined.offset * DIGEST
    data = joined.buffers()[1]
    raw = b"" if data is None else memoryview(data)[start : start + len(joined) * DIGEST]
    return np.frombuffer(raw, dtype=np.dtype((np.void, DIGEST)))
