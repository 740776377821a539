"""The Exhibit's own row: who seized it where and when, where it lies, and what its bytes hash to."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clew.core import clock
from clew.core.case import Case, new_id
from clew.core.errors import Damaged, Usage
from clew.intake import said
from clew.intake.api import Source


@dataclass(frozen=True, slots=True)
class Seizure:
    """What the person who brings it says of it; empty where nothing was said."""

    by: str = ""
    where: str = ""
    at_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """An Exhibit of the case."""

    id: str
    label: str
    kind: str
    sha256: bytes | None


def enter(case: Case, label: str, path: Path, source: Source, seizure: Seizure, mandate: str) -> Held:
    """The Exhibit under that label, entered now if it is new. Raises Usage where the label stands for another place."""
    row = case.read().execute("SELECT * FROM exhibits WHERE label=?", (label,)).fetchone()
    location = str(path.resolve())
    if row is not None:
        if (row["location"], row["kind"]) != (location, source.name):
            raise Usage(
                f"the label {label!r} stands for the {row['kind']} {row['location']}",
                "choose another --label, or give the path that the label stands for",
            )
        return Held(row["id"], label, row["kind"], row["sha256"])
    exhibit = new_id()
    with case.write("intake") as tx:
        values = (exhibit, label, source.name, location, seizure.by, seizure.where, seizure.at_ns, None, None, mandate)
        columns = "id, label, kind, location, seized_by, seized_where, seized_ns, sha256, size, mandate, added_ns"
        sql = f"INSERT INTO exhibits ({columns}) VALUES (?,?,?,?,?,?,?,?,?,?,?)"  # noqa: S608 - our own names
        tx.execute(sql, (*values, clock.now().utc_ns))
        about = {"exhibit": exhibit, "label": label, "kind": source.name, "location": location}
        who = {"seized_by": seizure.by, "seized_where": seizure.where, "seized_at_ns": seizure.at_ns}
        tx.record("exhibit.entered", subject={**about, **who}, mandate=mandate)
    return Held(exhibit, label, source.name, None)


def acquired(case: Case, exhibit: str, answer: dict[str, Any], mandate: str) -> None:
    """Records the digests of the whole image, as a worker computed them in one sequential read. Raises Damaged."""
    try:
        digests, size, learnt = said.acquisition(answer)
    except said.WRONG as error:
        raise Damaged("the worker's answer about the image's digest made no sense", "run it again") from error
    with case.write("intake") as tx:
        values = (digests["sha256"], digests["sha1"], digests["md5"], size, json.dumps(learnt), exhibit)
        tx.execute("UPDATE exhibits SET sha256=?, sha1=?, md5=?, size=?, acquisition=? WHERE id=?", values)
        about = {"exhibit": exhibit, **{name: value.hex() for name, value in digests.items()}, "size": size, **learnt}
        counts = {"bytes": size, "bad": sum(length for _, length in learnt["bad"])}
        counts |= {"stored digests": len(learnt["agree"]), "that agree": sum(learnt["agree"].values())}
        tx.record("exhibit.acquired", subject=about, counts=counts, mandate=mandate)
