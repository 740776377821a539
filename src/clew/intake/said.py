"""What a worker said of one Item, checked before it becomes a row: it may belong to an attacker once it has parsed
his bytes.
"""

import math
from collections.abc import Callable
from typing import Any

from clew.model import ContentState, Missing, Reason

MOST_TEXT = 8192
MOST_TRAITS = 2_000
MOST_RANGES = 10_000
MOST_FACTS = 200
WRONG = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError)
_DIGESTS = {"md5": 16, "sha1": 20, "sha256": 32}
_EMPTY = {"text": None, "number": None, "integer": None, "data": None, "missing": None, "detail": None}


def content(value: dict[str, Any]) -> dict[str, Any]:
    """The hashes of a content as a row of `contents`. Raises one of WRONG."""
    return {
        "sha256": _hash(value["sha256"], 32),
        "sha1": _hash(value["sha1"], 20),
        "md5": _hash(value["md5"], 16),
        "size": _integer(value["size"]),
        "content_state": str(ContentState(value["state"])),
    }


def beginning(value: Any) -> bytes | None:
    """The SHA-256 of a content's beginning, where it was asked for. Raises one of WRONG."""
    return None if value is None else _hash(value, 32)


def acquisition(value: dict[str, Any]) -> tuple[dict[str, bytes], int, dict[str, Any]]:
    """Of a whole image: its digests, its size, and what else its one read taught (JSON). Raises one of WRONG.

    Whether the digests that the image itself stores agree is not believed but compared.
    """
    digests = {name: _hash(value[name], length) for name, length in _DIGESTS.items()}
    stored = {name: _hash(text, _DIGESTS[name]) for name, text in value.get("stored", {}).items()}
    learnt = {
        "bad": _ranges(value["bad"]),
        "acquisition_errors": _ranges(value.get("acquisition_errors", [])),
        "stored": {name: digest.hex() for name, digest in stored.items()},
        "agree": {name: digest == digests[name] for name, digest in stored.items()},
        "facts": {_text(name, 100): _fact(fact) for name, fact in list(value.get("facts", {}).items())[:MOST_FACTS]},
        "problems": [_text(problem, MOST_TEXT) for problem in value.get("problems", [])[:MOST_FACTS]],
    }
    return digests, _integer(value["size"]), learnt


def media_type(value: Any) -> str:
    """A media type. Raises ValueError."""
    return _text(value, 200)


def traits(value: dict[str, Any], blobs: tuple[bytes, ...], store: Callable[[bytes], bytes]) -> list[dict[str, Any]]:
    """Rows of `traits` without `content` and `mode`; a Blob is stored and stands by its SHA-256. Raises one of
    WRONG.
    """
    rows = value["traits"]
    if len(rows) > MOST_TRAITS:
        raise ValueError("too many traits")
    by = {"extractor": _text(value["extractor"], 100), "version": _text(value["version"], 100)}
    return [{"name": _text(row["name"], 100), **_EMPTY, **by, **_value(row, blobs, store)} for row in rows]


def _value(row: dict[str, Any], blobs: tuple[bytes, ...], store: Callable[[bytes], bytes]) -> dict[str, Any]:
    match row:
        case {"missing": reason, "detail": detail}:
            missing = Missing(Reason(reason), _text(detail, MOST_TEXT))
            columns: dict[str, Any] = {"missing": str(missing.reason), "detail": missing.detail}
        case {"blob": int(number)}:
            columns = {"data": store(blobs[number])}
        case {"frame": frame, "seconds": seconds, "quality": quality}:
            columns = {"data": _hash(frame, 32), "number": _real(seconds), "integer": _integer(quality)}
        case {"data": str(data)}:
            columns = {"data": bytes.fromhex(_text(data, 2 * MOST_TEXT))}
        case {"text": text}:
            columns = {"text": _text(text, MOST_TEXT)}
        case {"integer": number}:
            columns = {"integer": _integer(number, negative=True)}
        case {"number": number}:
            columns = {"number": _real(number)}
        case _:
            raise ValueError("a trait without a value")
    return columns


def _hash(value: Any, length: int) -> bytes:
    raw = bytes.fromhex(_text(value, 2 * length))
    if len(raw) != length:
        raise ValueError("a hash of the wrong length")
    return raw


def _ranges(value: Any) -> list[tuple[int, int]]:
    if len(value) > MOST_RANGES:
        raise ValueError("too many ranges")
    return [(_integer(offset), _integer(length)) for offset, length in value]


def _fact(value: Any) -> str | int | list[str]:
    if isinstance(value, list):
        return [_text(each, MOST_TEXT) for each in value[:MOST_FACTS]]
    return _text(value, MOST_TEXT) if isinstance(value, str) else _integer(value)


def _integer(value: Any, *, negative: bool = False) -> int:
    if type(value) is not int or not (-(1 << 63) if negative else 0) <= value < 1 << 63:
        raise ValueError("no integer of 64 bits")
    return value


def _real(value: Any) -> float:
    """JSON can say 1e999, which Python takes for infinity."""
    if type(value) not in {int, float} or not math.isfinite(value):
        raise ValueError("no finite number")
    return float(value)


def _text(value: Any, most: int) -> str:
    if not isinstance(value, str) or len(value) > most:
        raise ValueError(f"no text of up to {most} characters")
    return value
