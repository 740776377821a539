"""Bencoding (BEP 3), read from strangers: bounded in depth and in number of values, strict about everything else.

Keys out of order are accepted, since clients in use send them; a key that stands twice, a leading zero, a length that
runs past the end and bytes after the end are not.
"""

from dataclasses import dataclass
from typing import Any

MAX_DEPTH = 8
MAX_VALUES = 20_000
MAX_DIGITS = 20


class Malformed(ValueError):
    """These bytes are not bencoding within our limits; the text says what is wrong."""


@dataclass(slots=True)
class _Reader:
    data: bytes
    at: int = 0
    values: int = 0

    def value(self, depth: int) -> Any:
        self.values += 1
        if depth > MAX_DEPTH:
            raise Malformed(f"nested deeper than {MAX_DEPTH}")
        if self.values > MAX_VALUES:
            raise Malformed(f"more than {MAX_VALUES} values")
        first = self.data[self.at : self.at + 1]
        if first == b"i":
            return self.integer()
        if first == b"l":
            return self.list(depth)
        if first == b"d":
            return {key: value for key, (value, _) in self.dictionary(depth).items()}
        return self.string()

    def integer(self) -> int:
        end = self.data.find(b"e", self.at + 1, self.at + 3 + MAX_DIGITS)
        text = self.data[self.at + 1 : end] if end > 0 else b""
        digits = text.removeprefix(b"-")
        if not digits.isdigit() or (digits[:1] == b"0" and text != b"0"):
            raise Malformed("not an integer")
        self.at = end + 1
        return int(text)

    def string(self) -> bytes:
        colon = self.data.find(b":", self.at, self.at + 1 + MAX_DIGITS)
        digits = self.data[self.at : colon] if colon > 0 else b""
        if not digits.isdigit() or (digits[:1] == b"0" and digits != b"0"):
            raise Malformed("not a string")
        start, self.at = colon + 1, colon + 1 + int(digits)
        if self.at > len(self.data):
            raise Malformed("a string runs past the end")
        return self.data[start : self.at]

    def list(self, depth: int) -> list[Any]:
        self.at, found = self.at + 1, []
        while self.data[self.at : self.at + 1] != b"e":
            found.append(self.value(depth + 1))
        self.at += 1
        return found

    def dictionary(self, depth: int) -> dict[bytes, tuple[Any, slice]]:
        self.at, found = self.at + 1, {}
        while self.data[self.at : self.at + 1] != b"e":
            key, start = self.string(), self.at
            if key in found:
                raise Malformed("a key stands twice")
            found[key] = (self.value(depth + 1), slice(start, self.at))
        self.at += 1
        return found


def dictionary(data: bytes) -> dict[bytes, tuple[Any, slice]]:
    """The one dictionary that `data` is: each value with the place where its bytes stand. Raises Malformed."""
    reader = _Reader(data)
    if data[:1] != b"d":
        raise Malformed("not a dictionary")
    found = reader.dictionary(0)
    if reader.at != len(data):
        raise Malformed("bytes after the end")
    return found
