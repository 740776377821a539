"""The Exhibit's own row: who seized it where and when, where it lies, what its bytes hash to, and whether it is still
the same.
"""

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from clew.core import clock
from clew.core.case import Case, new_id
from clew.core.errors import Refused, Usage
from clew.intake import identity
from clew.intake.api import Session, Source, Unavailable
from clew.intake.batches import refs_anywhere, some_refs
from clew.intake.seizure import Seizure, agreeing, checked
from clew.model import Missing

SAMPLE = 100  # files of a folder that must be found again where it was moved; some of them, where it was not


@dataclass(frozen=True, slots=True)
class Held:
    """An Exhibit of the case. `location` is the recorded one, `identity` what its image is known by (None: not recorded
    yet), `acquisition` what is known of reading it whole.
    """

    id: str
    label: str
    kind: str
    location: str
    sha256: bytes | None
    identity: list[dict[str, Any]] | None
    acquisition: dict[str, Any]


def enter(
    case: Case, label: str, path: Path, source: Source, seizure: Seizure, mandate: str, *, moved: bool = False
) -> Held:
    """The Exhibit under that label, entered now if it is new. Raises Usage where the label stands for another place and
    nobody said that it was `moved`, or for another seizure.
    """
    held = find(case, label)
    location = str(path.resolve())
    if held is not None:
        if held.kind != source.name or (held.location != location and not moved):
            raise Usage(
                f"the label {label!r} stands for the {held.kind} {held.location}",
                "choose another --label, or give the path that the label stands for; "
                "where that exhibit lies elsewhere now, add --moved",
            )
        agreeing(case.read().execute("SELECT * FROM exhibits WHERE id=?", (held.id,)).fetchone(), seizure)
        return held
    checked(source.name, label, seizure)
    exhibit = new_id()
    with case.write("intake") as tx:
        values = (exhibit, label, source.name, location, seizure.by, seizure.where, seizure.at_ns, seizure.what)
        columns = (
            "id, label, kind, location, seized_by, seized_where, seized_ns, seized_what, stated, mandate, added_ns"
        )
        sql = f"INSERT INTO exhibits ({columns}) VALUES (?,?,?,?,?,?,?,?,?,?,?)"  # noqa: S608 - our own names
        stated = json.dumps(dict(seizure.digests), sort_keys=True)
        tx.execute(sql, (*values, stated, mandate, clock.now().utc_ns))
        about = {"exhibit": exhibit, "label": label, "kind": source.name, "location": location}
        who: dict[str, Any] = {"seized_by": seizure.by, "seized_where": seizure.where, "seized_at_ns": seizure.at_ns}
        who |= {"seized_what": seizure.what, "stated": dict(seizure.digests)}
        tx.record("exhibit.entered", subject={**about, **who}, mandate=mandate)
    return Held(exhibit, label, source.name, location, None, None, {})


def find(case: Case, label: str) -> Held | None:
    """The Exhibit under that label."""
    row = case.read().execute("SELECT * FROM exhibits WHERE label=?", (label,)).fetchone()
    if row is None:
        return None
    known = json.loads(row["identity"]) if row["identity"] else None
    return Held(row["id"], label, row["kind"], row["location"], row["sha256"], known, json.loads(row["acquisition"]))


def recognise(case: Case, held: Held, path: Path, session: Session, mandate: str) -> Held:
    """Holds what was opened against what was recorded, and records where it lies now. Raises Refused where it is
    another one.
    """
    location = str(path.resolve())
    moved = location != held.location
    found = known(case, held, path, session)
    if not moved and held.identity is not None:
        return held
    with case.write("intake") as tx:
        values = (location, json.dumps(found), held.id)
        tx.execute("UPDATE exhibits SET location=?, identity=? WHERE id=?", values)
        if moved:
            about = {"exhibit": held.id, "from": held.location, "to": location, "known by": found or "its files"}
            tx.record("exhibit.moved", subject=about, mandate=mandate)
    return replace(held, location=location, identity=found)


def known(case: Case, held: Held, path: Path, session: Session) -> list[dict[str, Any]]:
    """By what it is known that was opened there. Raises Refused where that is another one than was recorded."""
    moved = str(path.resolve()) != held.location
    found = identity.of(session.held)
    said = identity.differences(held.identity, found, moved=moved) if held.identity is not None else []
    if not session.held:
        said += _not_there(case, held, path, session, moved=moved)
    if said:
        raise Refused(
            f"{path} is not the exhibit that was taken in as {held.label!r}: {'; '.join(said[:5])}",
            "find out who wrote to it; where it is a copy of the same bytes, put it elsewhere and add --moved; "
            "where it is another exhibit, choose another --label",
        )
    return found


def _not_there(case: Case, held: Held, path: Path, session: Session, *, moved: bool) -> list[str]:
    """Which of the first files are not to be found in a folder that was `moved`. Raises Refused where none of them, nor
    of others from all over its listing, is in one that was not: its disk may not be mounted, and what else lies there
    would be taken for all of it.
    """
    refs = some_refs(case, held.id, SAMPLE)
    if moved:
        return [f"{ref}: {why}" for ref in refs if (why := _lacks(session, ref)) is not None]
    if not refs or any(_lacks(session, ref) is None for ref in refs):
        return []
    others = [ref for ref in refs_anywhere(case, held.id, SAMPLE) if ref not in refs]
    if any(_lacks(session, ref) is None for ref in others):
        return []
    also = f", nor of {len(others):,} others from all over its listing," if others else ""
    raise Refused(
        f"{path} does not hold {held.label!r} just now: none of the first {len(refs):,} files of it{also} can be found",
        "mount or connect the disk that it lies on, and run the same command again; where these files were deleted "
        "since and others still lie there, choose another --label for those",
    )


def _lacks(session: Session, ref: str) -> Missing | None:
    """Why this file cannot be opened; None where it can."""
    try:
        for descriptor in session.job(ref).fds:
            os.close(descriptor)
    except Unavailable as gone:
        return gone.missing
    return None
