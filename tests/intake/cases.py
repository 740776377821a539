"""A case with a Mandate for everything, and what the tests ask of it."""

import hashlib
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from clew.core import mandate, shards
from clew.core.case import Case
from clew.core.keys import public_hex

WIDE = {"not_before": "2020-01-01T00:00:00Z", "not_after": "2060-01-01T00:00:00Z"}
EMPTY: dict[str, list[str]] = {
    name: [] for name in ("networks", "addresses", "countries", "trackers", "exhibits", "permits")
}


def new_case(folder: Path, **scope: Any) -> Case:
    """A new case; `scope` narrows its one Mandate."""
    key = Ed25519PrivateKey.generate()
    case = Case.create(folder, operation="Test", force="AT", authority=public_hex(key), actor="wren")
    body = {"id": "M-1", "operation": "Test", "authority": "court", **EMPTY, **WIDE}
    body |= {"purposes": ["intake"], "exhibits": ["*"]} | scope
    mandate.add(case, mandate.sign_document("mandate", body, key))
    return case


def items(case: Case) -> dict[bytes, dict[str, Any]]:
    """Every Item by its raw path: listing, state and content in one."""
    sql = """SELECT l.item, l.path, l.size, l.ref, l.name_state, l.content_state, l.parent, c.sha256, c.media_type,
             c.content_state AS as_read FROM listings l LEFT JOIN contents c USING (item)"""
    rows = shards.query(case, sql).to_pylist()
    states = {row["id"]: dict(row) for row in case.read().execute("SELECT * FROM items")}
    assert {row["item"] for row in rows} == set(states)
    assert len(rows) == len(states)
    found: dict[bytes, dict[str, Any]] = {}
    for row in rows:
        assert row["path"] not in found, row
        known = states[row["item"]]
        found[row["path"]] = row | {name: known[name] for name in ("state", "reason", "detail", "attempts")}
    return found


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def traits(case: Case, content: bytes) -> dict[tuple[str, str], dict[str, Any]]:
    """The Traits of one Content by (name, mode)."""
    rows = shards.query(case, "SELECT * FROM traits WHERE content=?", (content,)).to_pylist()
    return {(row["name"], row["mode"]): row for row in rows}
