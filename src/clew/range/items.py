"""The account of the disk: every file of the manifest is in the case with its SHA-256 or a named reason; no other.

A deleted file may stand there twice, by its name and carved: a find is no other file where its bytes are known already.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from clew.core import shards
from clew.core.case import Case

SQL = """
SELECT DISTINCT l.item, l.path, l.name_state, l.size, l.parent, c.sha256
FROM listings l LEFT JOIN contents c USING (item)
"""


@dataclass(slots=True)
class Account:
    """discovered = done + unreadable + skipped; `missing` and `extra`: where manifest and case disagree."""

    discovered: int = 0
    done: int = 0
    unreadable: int = 0
    skipped: int = 0
    open: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def account(case: Case, manifest: Sequence[Mapping[str, Any]]) -> Account:
    """Compares the case's Items with the manifest of the one generated disk that was taken in."""
    states = {row["id"]: row for row in case.read().execute("SELECT id, state, reason, size FROM items")}
    found = Account(discovered=len(states))
    tally = Counter(row["state"] for row in states.values())
    found.done, found.unreadable = tally["done"], tally["unreadable"]
    found.skipped, found.open = tally["skipped"], tally["open"]
    found.reasons = dict(Counter(row["reason"] for row in states.values() if row["reason"]))
    wanted: dict[str, Mapping[str, Any]] = {each["path"]: each for each in manifest}
    rows = shards.query(case, SQL).to_pylist()
    known = {each["sha256"] for each in manifest}
    known |= {row["sha256"].hex() for row in rows if row["sha256"] and row["name_state"] != "carved"}
    met: set[str] = set()
    for row in rows:
        state = states.get(row["item"])
        if state is None:
            found.extra.append(f"an item without an account: {row['item']}")
            continue
        path = _known(row["path"], wanted)
        sha256 = row["sha256"].hex() if row["sha256"] else None
        if path is not None and (sha256 == wanted[path]["sha256"] or (sha256 is None and state["reason"])):
            met.add(path)
        elif state["state"] == "done" and not (row["name_state"] == "carved" and sha256 in known):
            found.extra.append(f"{row['path'].decode('utf-8', 'replace')}: {sha256}")
    found.missing = sorted(set(wanted) - met)
    return found


def _known(path: bytes, wanted: Mapping[str, Any]) -> str | None:
    """The manifest's path that an Item's path ends with; the Source says what stands before it (partition, volume)."""
    parts = path.decode("utf-8", "replace").strip("/").split("/")
    for begin in range(len(parts)):
        tail = "/".join(parts[begin:])
        if tail in wanted:
            return tail
    return None
