"""A stream of JSON that is held to a depth and a length of strings while it is read, before any parser sees it.

A parser that keeps the path to where it is spends time in the square of the depth: fifty thousand opening brackets,
50 KB, cost it half a minute.
"""

import re
from typing import BinaryIO

import numpy as np

from clew.core.errors import Damaged

MAX_DEPTH = 100
MAX_STRING = 16 << 20
HINT = "this is no list of known files; ask the sender for it again"
_ESCAPED = re.compile(rb"\\.", re.DOTALL)
_OPENING, _CLOSING, _QUOTE = np.frombuffer(b"[{", "u1"), np.frombuffer(b"]}", "u1"), ord('"')


class Bounded:
    """Reads on from `stream`. Raises Damaged where it nests deeper, or holds a longer string, than the limits."""

    def __init__(self, stream: BinaryIO, *, depth: int = MAX_DEPTH, string: int = MAX_STRING) -> None:
        self._stream, self._max_depth, self._max_string = stream, depth, string
        self._depth = self._run = 0
        self._inside = False
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        """As a file's `read`."""
        data = self._stream.read(size)
        if data:
            self._look(data)
        return data

    def _look(self, data: bytes) -> None:
        text = self._rest + data
        # an odd number of backslashes at the end escapes a byte that is not here yet
        odd = (len(text) - len(text.rstrip(b"\\"))) % 2
        self._rest, text = text[len(text) - odd :], text[: len(text) - odd]
        plain = np.frombuffer(_ESCAPED.sub(b"..", text), "u1")
        quotes = plain == _QUOTE
        inside = (np.cumsum(quotes) + self._inside) % 2 == 1
        self._strings(np.flatnonzero(quotes), len(plain))
        steps = (np.isin(plain, _OPENING) & ~inside).astype(np.int64) - (np.isin(plain, _CLOSING) & ~inside)
        depths = np.cumsum(steps) + self._depth
        if len(depths):
            if depths.max() > self._max_depth:
                raise Damaged(f"the JSON nests deeper than {self._max_depth}", HINT)
            self._depth, self._inside = int(depths[-1]), bool(inside[-1])

    def _strings(self, quotes: "np.ndarray[tuple[int], np.dtype[np.int64]]", size: int) -> None:
        """Lengths of the strings, the one that goes on from before and into what comes after included."""
        edges = np.concatenate(([0] if self._inside else [], quotes, [size])).astype(np.int64)
        lengths = np.diff(edges)[::2]
        if len(lengths) and self._inside:
            lengths[0] += self._run
        if len(lengths) and lengths.max() > self._max_string:
            raise Damaged(f"the JSON holds a string of more than {self._max_string:,} bytes", HINT)
        open_at_end = (len(quotes) + self._inside) % 2 == 1
        self._run = int(lengths[-1]) if open_at_end and len(lengths) else 0
