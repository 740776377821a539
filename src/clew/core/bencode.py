"""Bencoding (BEP 3), read from strangers: bounded in depth and in number of values, strict about everything else.

Keys out of order are accepted, since clients in use write them; a key that stands twice, a leading zero, a length that
runs past the end and bytes after the end are not. Nothing here recurses, so no nesting can exhaust the stack.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MAX_DIGITS = 20
END = ord("e")


@dataclass(frozen=True, slots=True)
class Limits:
    """`depth`: containers open at once, the outermost included. `values`: of one member of the outermost one."""

    depth: int = 8
    values: int = 20_000


WIRE = Limits()


class Malformed(ValueError):
    """These bytes are not bencoding within our limits; the text says what is wrong, `at` is the byte where."""

    def __init__(self, what: str, at: int) -> None:
        super().__init__(what)
        self.at = at


@dataclass(slots=True)
class _Reader:
    data: bytes
    at: int
    limits: Limits
    values: int = 0

    def value(self) -> Any:
        """The value that begins here. `open_` are the containers around the place in hand, `keys` what waits in each
        of them for its value.
        """
        open_: list[Any] = []
        keys: list[bytes | None] = []
        while True:
            if open_ and keys[-1] is None and self._ends():
                self.at += 1
                done = open_.pop()
                keys.pop()
            elif open_ and keys[-1] is None and isinstance(open_[-1], dict):
                keys[-1] = self.key(open_[-1])
                continue
            else:
                done = self._next()
                if isinstance(done, list | dict):
                    open_.append(done)
                    keys.append(None)
                    if len(open_) >= self.limits.depth:
                        raise Malformed(f"nested deeper than {self.limits.depth}", self.at)
                    continue
            if not open_:
                return done
            if isinstance(open_[-1], dict):
                open_[-1][keys[-1]] = done
                keys[-1] = None
            else:
                open_[-1].append(done)

    def key(self, known: Any) -> bytes:
        """The key that begins here. Raises Malformed where `known` holds it."""
        start, key = self.at, self.string()
        if key in known:
            raise Malformed("a key stands twice", start)
        return key

    def string(self) -> bytes:
        colon = self.data.find(b":", self.at, self.at + 1 + MAX_DIGITS)
        digits = self.data[self.at : colon] if colon > 0 else b""
        if not digits.isdigit() or (digits[:1] == b"0" and digits != b"0"):
            raise Malformed("not a string", self.at)
        start, end = colon + 1, colon + 1 + int(digits)
        if end > len(self.data):
            raise Malformed("a string runs past the end", self.at)
        self.at = end
        return self.data[start:end]

    def _ends(self) -> bool:
        return self.at < len(self.data) and self.data[self.at] == END

    def _next(self) -> Any:
        """A whole integer or string, or a container that has only begun."""
        self.values += 1
        if self.values > self.limits.values:
            raise Malformed(f"more than {self.limits.values} values", self.at)
        first = self.data[self.at : self.at + 1]
        if first == b"i":
            return self._integer()
        if first in (b"l", b"d"):
            self.at += 1
            return [] if first == b"l" else {}
        return self.string()

    def _integer(self) -> int:
        end = self.data.find(b"e", self.at + 1, self.at + 3 + MAX_DIGITS)
        text = self.data[self.at + 1 : end] if end > 0 else b""
        digits = text.removeprefix(b"-")
        if not digits.isdigit() or (digits[:1] == b"0" and text != b"0"):
            raise Malformed("not an integer", self.at)
        self.at = end + 1
        return int(text)


def members(data: bytes, start: int = 0, limits: Limits = WIRE) -> Iterator[tuple[bytes, Any, slice]]:
    """The members of the dictionary that begins at `start`: key, value, and the place where the value's bytes stand.

    Raises Malformed where the bytes break off or break the rules; what stands before that has been yielded.
    """
    reader = _Reader(data, start + 1, limits)
    if data[start : start + 1] != b"d":
        raise Malformed("not a dictionary", start)
    known: set[bytes] = set()
    while not reader._ends():
        key, began = reader.key(known), reader.at
        reader.values = 0
        value = reader.value()
        known.add(key)
        yield key, value, slice(began, reader.at)


def dictionary(data: bytes, limits: Limits = WIRE) -> dict[bytes, tuple[Any, slice]]:
    """The one dictionary that `data` is: each value with the place where its bytes stand. Raises Malformed."""
    found = {key: (value, place) for key, value, place in members(data, 0, limits)}
    end = max((place.stop for _, place in found.values()), default=1) + 1
    if end != len(data):
        raise Malformed("bytes after the end", end)
    return found
