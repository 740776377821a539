"""Watches: known files, lawfully supplied and signed like a Mandate (`core.mandate` describes the document)."""

from typing import Any

from clew.core import clock, mandate
from clew.core.case import Case
from clew.core.errors import Refused, Usage
from clew.model import Watch

V1_BYTES = 20  # SHA-1, BEP 3
V2_BYTES = 32  # SHA-256, BEP 52
NUMBERS = ("piece_length", "pieces", "file_offset", "file_length")


def add(case: Case, document: bytes) -> Watch:
    """Takes a signed Watch into the case. Refused where its Mandate is not here, or its label or id is taken."""
    watch = from_body(mandate.open_document("watch", document, case.settings.authority))
    if watch.mandate not in {m.id for m in mandate.all_of(case)}:
        raise Refused(
            f"{watch.label} stands under a Mandate that is not in this case",
            "add that first: clew mandate add CASE FILE",
        )
    with case.write("core") as tx, tx.gate.core():
        known = tx.execute("SELECT id, document FROM watches WHERE id=? OR label=?", (watch.id, watch.label)).fetchone()
        if known is not None and bytes(known["document"]) != document:
            raise Refused(f"another Watch is called {watch.label}, or has its id", "ask for a label of its own")
        if known is None:
            row = (watch.id, watch.label, document, watch.mandate, clock.now().utc_ns)
            tx.execute("INSERT INTO watches VALUES (?,?,?,?,?)", row)
            tx.record("watch.added", subject={"watch": watch.id, "label": watch.label}, mandate=watch.mandate)
    return watch


def all_of(case: Case) -> list[Watch]:
    """Every Watch of the case in label order, each signature checked now. Raises Damaged where one does not hold."""
    rows = case.read().execute("SELECT document FROM watches ORDER BY label")
    return [from_body(mandate.stored("watch", row[0], case)) for row in rows]


def get(case: Case, id_or_label: str) -> Watch:
    """The Watch of that id or label. Raises Usage where there is none."""
    row = (
        case.read().execute("SELECT document FROM watches WHERE id=? OR label=?", (id_or_label, id_or_label)).fetchone()
    )
    if row is None:
        raise Usage(f"there is no Watch {id_or_label!r} in this case", "see: clew watch list CASE")
    return from_body(mandate.stored("watch", row[0], case))


def to_body(watch: Watch) -> dict[str, Any]:
    """What an authority signs: infohashes as hexadecimal, times as ISO 8601."""
    return {
        "id": watch.id,
        "label": watch.label,
        "infohash_v1": watch.infohash_v1.hex() if watch.infohash_v1 else None,
        "infohash_v2": watch.infohash_v2.hex() if watch.infohash_v2 else None,
        **{name: getattr(watch, name) for name in NUMBERS},
        "scheme": watch.scheme,
        "category": watch.category,
        "graded_by": watch.graded_by,
        "graded": clock.iso(watch.graded_ns),
        "mandate": watch.mandate,
    }


def from_body(body: dict[str, Any]) -> Watch:
    """The Watch of a body. Raises Usage, naming the field that is wrong."""
    try:
        numbers = {name: _number(name, body[name]) for name in NUMBERS}
        watch = Watch(
            id=str(body["id"]),
            label=str(body["label"]),
            infohash_v1=_hash(body["infohash_v1"], V1_BYTES),
            infohash_v2=_hash(body["infohash_v2"], V2_BYTES),
            **numbers,
            scheme=str(body["scheme"]),
            category=str(body["category"]),
            graded_by=str(body["graded_by"]),
            graded_ns=mandate.parse_time(body["graded"]),
            mandate=str(body["mandate"]),
        )
    except KeyError as error:
        raise Usage(f"a Watch needs the field {error.args[0]!r}", "draft one with: clew watch draft") from error
    except ValueError as error:
        raise Usage(f"a Watch's field cannot be read: {error}", "draft one with: clew watch draft") from error
    if watch.infohash_v1 is None and watch.infohash_v2 is None:
        raise Usage(f"{watch.label} names no infohash", "a Watch needs infohash_v1, infohash_v2, or both")
    return watch


def _hash(text: str | None, length: int) -> bytes | None:
    if text is None:
        return None
    raw = bytes.fromhex(text)
    if len(raw) != length:
        raise ValueError(f"an infohash of {len(raw)} bytes where {length} are needed")
    return raw


def _number(name: str, value: Any) -> int | None:
    least = 1 if name in ("piece_length", "pieces") else 0
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and least <= value < 2**63):
        return value
    raise ValueError(f"{name} is {value!r}")
