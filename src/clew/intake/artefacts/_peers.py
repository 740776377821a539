"""Endpoints as clients write them into their files."""

from typing import Any, Literal, TypeAlias

from clew.intake.artefacts._entry import Entry
from clew.model import Reason

Order: TypeAlias = Literal["big", "little"]
Found = dict[bytes, tuple[Any, slice]]
PORT = 2
TRANSMISSION = 24  # bytes of one of its endpoints: family (4), address (16), port (2), flags (1), nothing (1)
FAMILIES = {0: 4, 1: 16}  # its family -> bytes of the address that count


def compact(entry: Entry, found: Found, key: bytes, length: int) -> None:
    """Address of `length` bytes and port, one after the other (BEP 23, BEP 7)."""
    said = _raw(entry, found, key)
    if said is None:
        return
    raw, start = said
    step = length + PORT
    for at in range(0, len(raw) - step + 1, step):
        port = int.from_bytes(raw[at + length : at + step], "big")
        entry.endpoint(raw[at : at + length], port, slice(start + at, start + at + step))
    if len(raw) % step:
        entry.lack("endpoints", Reason.UNPARSABLE, f"{len(raw) % step} bytes of {key.decode()} are no endpoint")


def transmission(entry: Entry, found: Found, key: bytes, order: Order | None) -> None:
    """Transmission's `peers2`, as versions up to 4.0 write it: 24 bytes each, the port in that order of bytes."""
    said = _raw(entry, found, key)
    if said is None or not said[0]:
        return
    raw, start = said
    if order is None:
        why = f"{len(raw)} bytes of {key.decode()}, in an order of bytes that nothing tells"
        entry.lack("endpoints", Reason.UNKNOWN, why)
        return
    known = [raw[at : at + TRANSMISSION] for at in range(0, len(raw), TRANSMISSION)]
    lengths = [FAMILIES.get(int.from_bytes(each[:4], "little")) for each in known]
    if len(raw) % TRANSMISSION or not all(
        length and not any(each[4 + length : 20]) for each, length in zip(known, lengths, strict=True)
    ):
        entry.lack("endpoints", Reason.UNPARSABLE, f"{len(raw)} bytes of {key.decode()} in a layout that is not known")
        return
    for number, (each, length) in enumerate(zip(known, lengths, strict=True)):
        at = start + number * TRANSMISSION
        place = slice(at, at + TRANSMISSION)
        entry.endpoint(each[4 : 4 + (length or 0)], int.from_bytes(each[20:22], order), place)


def _raw(entry: Entry, found: Found, key: bytes) -> tuple[bytes, int] | None:
    """The string and the byte where it begins, behind its length."""
    raw, place = found.get(key, (b"", slice(0, 0)))
    if not isinstance(raw, bytes):
        entry.lack("endpoints", Reason.UNPARSABLE, f"{key.decode()} is no string")
        return None
    return raw, place.stop - len(raw)
