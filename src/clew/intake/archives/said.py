"""What a worker said of an archive's members, checked: it may belong to an attacker once it has opened his archive."""

from dataclasses import dataclass
from typing import Any

from clew.intake.archives.members import Header, What
from clew.model import Missing, Reason

MOST_PATH = 1 << 18  # bytes
_I64 = 1 << 63
_WRONG = (KeyError, TypeError, ValueError, AttributeError, IndexError)


@dataclass(frozen=True, slots=True)
class Stretch:
    """One checked answer of `opening.listing`. `missing` says why nothing follows, where that is not the end."""

    members: list[Header]
    done: bool
    missing: Missing | None
    notes: dict[str, int]


def stretch(said: Any, first: int, most: int) -> Stretch | Missing:
    """The members from number `first` on, `most` of them at most; a Missing where the answer makes no sense."""
    try:
        members = [_header(row) for row in said["members"]]
        if [member.number for member in members] != list(range(first, first + len(members))) or len(members) > most:
            raise ValueError("members out of order")
        if not members and not said["done"]:
            raise ValueError("neither members nor an end")
        missing = said["missing"]
        return Stretch(
            members,
            bool(said["done"]),
            Missing(Reason(missing["reason"]), _text(missing["detail"], 1000)) if missing else None,
            {_text(what, 200): _number(count) for what, count in said["notes"].items()},
        )
    except _WRONG:
        return Missing(Reason.UNPARSABLE, "the worker's answer about an archive made no sense")


def _header(row: dict[str, Any]) -> Header:
    times = [None if at is None else _number(at) for at in row["times"]]
    reason = row["reason"]
    return Header(
        number=_number(row["number"]),
        path=bytes.fromhex(_text(row["path"], 2 * MOST_PATH)),
        what=What(row["what"]),
        size=_number(row["size"]),
        start=None if row["start"] is None else _number(row["start"]),
        missing=Missing(Reason(reason), _text(row["detail"], 1000)) if reason else None,
        modified_ns=times[0],
        accessed_ns=times[1],
        changed_ns=times[2],
        born_ns=times[3],
        times_source=_text(row["times_source"], 200),
        named=_flag(row["named"]),
    )


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("neither true nor false")
    return value


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value < _I64:
        raise ValueError("no number of 63 bits")
    return value


def _text(value: Any, most: int) -> str:
    if not isinstance(value, str) or len(value) > most:
        raise ValueError(f"no text of up to {most} characters")
    return value
