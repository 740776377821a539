"""What the tests of intake ask of a case."""

import hashlib
import shutil
from pathlib import Path
from typing import Any

from clew.core import shards
from clew.core.case import Case


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


def copied(case: Path, to: Path) -> Case:
    """A case of its own for a test, from one that is closed and that several begin with."""
    shutil.copytree(case, to)
    return Case.open(to, actor="wren")


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def traits(case: Case, content: bytes) -> dict[tuple[str, str], dict[str, Any]]:
    """The Traits of one Content by (name, mode)."""
    rows = shards.query(case, "SELECT * FROM traits WHERE content=?", (content,)).to_pylist()
    return {(row["name"], row["mode"]): row for row in rows}
