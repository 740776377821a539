"""Bencoding read (BEP 3), for what callers of the range send: small and shallow."""

DEEPEST = 8
LONGEST_NUMBER = 20  # digits

Value = int | bytes | list["Value"] | dict[bytes, "Value"]


class Malformed(ValueError):
    """No bencoding, or deeper than any caller needs."""


def dictionary(data: bytes) -> dict[bytes, Value]:
    """The one dictionary that `data` is. Raises Malformed."""
    value, end = _value(data, 0, 0)
    if not isinstance(value, dict) or end != len(data):
        raise Malformed("not one dictionary")
    return value


def _value(data: bytes, at: int, depth: int) -> tuple[Value, int]:
    mark = data[at : at + 1]
    if depth > DEEPEST:
        raise Malformed("too deep")
    if mark == b"i":
        return _number(data, at + 1, b"e")
    if mark == b"l":
        return _list(data, at + 1, depth)
    if mark == b"d":
        return _dictionary(data, at + 1, depth)
    return _string(data, at)


def _number(data: bytes, at: int, end: bytes) -> tuple[int, int]:
    stop = data.find(end, at, at + LONGEST_NUMBER)
    digits = data[at:stop] if stop > 0 else b""
    if not digits.removeprefix(b"-").isdigit():
        raise Malformed(f"no number at byte {at}")
    return int(digits), stop + 1


def _string(data: bytes, at: int) -> tuple[bytes, int]:
    length, start = _number(data, at, b":")
    if length < 0 or start + length > len(data):
        raise Malformed(f"a string at byte {at} that does not end")
    return data[start : start + length], start + length


def _list(data: bytes, at: int, depth: int) -> tuple[Value, int]:
    found: list[Value] = []
    while data[at : at + 1] != b"e":
        value, at = _value(data, at, depth + 1)
        found.append(value)
    return found, at + 1


def _dictionary(data: bytes, at: int, depth: int) -> tuple[Value, int]:
    found: dict[bytes, Value] = {}
    while data[at : at + 1] != b"e":
        key, at = _string(data, at)
        found[key], at = _value(data, at, depth + 1)
    return found, at + 1
