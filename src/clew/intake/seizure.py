"""What a person states of a seizure: entered with the Exhibit, completed later, and never replaced."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from clew.core import clock
from clew.core.case import Case
from clew.core.errors import Usage

LENGTHS = {"md5": 32, "sha1": 40, "sha256": 64}  # hexadecimal digits
NAMES = {"md5": "MD5", "sha1": "SHA-1", "sha256": "SHA-256"}
NO_IMAGE = "folder"  # the kind of Exhibit that is no image, so that nothing can be held against a digest of it


@dataclass(frozen=True, slots=True)
class Seizure:
    """What the person who brings it says of it; empty where nothing was said. `digests` of its image, in hexadecimal by
    their names, are those of the seizure record.
    """

    by: str = ""
    where: str = ""
    at_ns: int | None = None
    what: str = ""
    digests: Mapping[str, str] = field(default_factory=dict)

    def told(self) -> dict[str, Any]:
        """What was said, by column of `exhibits`; the digests apart."""
        columns = {"seized_by": self.by, "seized_where": self.where, "seized_what": self.what, "seized_ns": self.at_ns}
        return {name: value for name, value in columns.items() if value not in ("", None)}


def digests(texts: tuple[str, ...]) -> dict[str, str]:
    """Of "sha256:HEX" and the like. Raises Usage."""
    found: dict[str, str] = {}
    for text in texts:
        name, _, value = text.partition(":")
        name, value = name.lower().replace("-", ""), value.strip().lower()
        if len(value) != LENGTHS.get(name) or set(value) - set("0123456789abcdef") or found.get(name, value) != value:
            raise Usage(f"{text!r} is no digest", "give each once, as sha256:HEX, sha1:HEX or md5:HEX")
        found[name] = value
    return found


def checked(kind: str, label: str, seizure: Seizure) -> None:
    """Raises Usage where a digest is stated of what has none."""
    if seizure.digests and kind == NO_IMAGE:
        raise Usage(f"{label!r} is a folder, which has no digest", "leave out --digest-stated, or take in its image")


def agreeing(row: sqlite3.Row, seizure: Seizure) -> None:
    """Raises Usage where something else was said of the seizure of a known Exhibit before."""
    checked(row["kind"], row["label"], seizure)
    told, stated = seizure.told(), json.loads(row["stated"])
    differ = [f"{name.replace('_', ' ')}: {_shown(name, row[name])}" for name, value in told.items()
              if row[name] not in ("", None, value)]  # fmt: skip
    differ += [f"{NAMES[name]}: {stated[name]}" for name, value in seizure.digests.items()
               if stated.get(name, value) != value]  # fmt: skip
    if differ:
        raise Usage(
            f"something else is recorded of the seizure of {row['label']!r}: {'; '.join(differ)}",
            "leave out what is recorded already; a wrong record stays, take the exhibit in under another label",
        )


def complete(case: Case, exhibit: str, seizure: Seizure, mandate: str) -> None:
    """Adds what was not said of the seizure before. Nothing ever takes it back: only once the Exhibit is recognised."""
    row = case.read().execute("SELECT * FROM exhibits WHERE id=?", (exhibit,)).fetchone()
    stated = json.loads(row["stated"])
    new = {name: value for name, value in seizure.told().items() if row[name] in ("", None)}
    more = {name: value for name, value in seizure.digests.items() if name not in stated}
    if not new and not more:
        return
    with case.write("intake") as tx:
        for name, value in {**new, "stated": json.dumps(stated | more, sort_keys=True)}.items():
            tx.execute(f"UPDATE exhibits SET {name}=? WHERE id=?", (value, exhibit))  # noqa: S608 - our own names
        compared = agreement(stated | more, {name: row[name] for name in LENGTHS})
        about = {"exhibit": exhibit, **new, "stated": more, "stated_agree": compared}
        tx.record("exhibit.completed", subject=about, mandate=mandate)


def agreement(stated: Mapping[str, str], computed: Mapping[str, bytes | None]) -> dict[str, bool]:
    """Whether each digest that was stated is that of the image; nothing before the image was read."""
    known = {name: value.hex() for name, value in computed.items() if value is not None}
    return {name: known[name] == value for name, value in sorted(stated.items()) if name in known}


def _shown(name: str, value: Any) -> str:
    return clock.iso(value) if name == "seized_ns" else str(value)
