"""The Exhibit's own row: who seized it where and when, where it lies, what its bytes hash to, and whether it is still
the same.
"""

import json
import os
import sqlite3
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from clew.core import clock
from clew.core.case import Case, Transaction, new_id
from clew.core.errors import Refused, Usage
from clew.intake import identity, mounts
from clew.intake.api import InFiles, Session, Source, Unavailable
from clew.intake.batches import files_anywhere, first_files
from clew.intake.seizure import Seizure, agreeing, checked
from clew.intake.since import was_moved
from clew.model import Missing

SAMPLE = 100  # files of a folder that must be found again where it was moved; half of as many, where it was not
LIES_ON = "lies_on"  # where in exhibits.acquisition a folder's file system is kept
OTHER_BYTES = "other_bytes"  # where it is kept there that an image's own bytes became others
UNDIGESTED = "undigested"  # and how many Items were read of an earlier copy, or state of it, that has no digest


@dataclass(frozen=True, slots=True)
class Held:
    """An Exhibit of the case. `location` is the recorded one, `identity` what its image is known by (None: not recorded
    yet), `acquisition` what is known of reading it whole. `untied`: nothing ties what lies there now to its digest yet;
    `location` and `identity` are what they will be once that is read anew and agrees.
    """

    id: str
    label: str
    kind: str
    location: str
    sha256: bytes | None
    identity: list[dict[str, Any]] | None
    acquisition: dict[str, Any]
    untied: bool = False


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


def opened(held: Held, source: Source, path: Path) -> Session:
    """What lies there, by its Source; of an image that was taken in before, as what it was then."""
    if held.identity is not None and isinstance(source, InFiles):
        return source.open_known(path, len(held.identity))
    return source.open(path)


def recognise(case: Case, held: Held, path: Path, session: Session, mandate: str, *, moved: bool = False) -> Held:
    """Holds what was opened against what was recorded, and records where it lies now, unless it is `untied`: then
    `compared` does. Raises Refused where it is another one. A folder may have `moved` to another file system at the
    same path, if that is said.
    """
    location = str(path.resolve())
    elsewhere, copied = location != held.location, moved and not session.held
    found, said = _held_against(case, held, path, session, moved=moved)
    if said is not None:
        if held.sha256 is not None and not elsewhere:
            _tell_between(case, held, found, mandate)
        raise said
    if held.sha256 is not None and _untied(case, held, location, found):
        return replace(held, location=location, identity=found, untied=True)
    before = held.identity
    poorer = before is None or identity.less(before) or identity.touched(before, found)
    lay: dict[str, Any] = held.acquisition.get(LIES_ON, {})
    lies = {} if session.held else mounts.lies_on(path)
    other = mounts.another(lay, lies)  # recognised nevertheless: nothing was found on the one before
    stays = lay if lay and not (elsewhere or copied or other) else lies or ({} if elsewhere else lay)
    acquisition = {name: value for name, value in held.acquisition.items() if name != LIES_ON}
    acquisition |= {LIES_ON: stays} if stays else {}
    if before is not None and session.acquisition is not None and (elsewhere or identity.touched(before, found)):
        acquisition |= {UNDIGESTED: count} if (count := _read(case.read(), held.id)) else {}
    if not elsewhere and not poorer and stays == lay:
        return held
    with case.write("intake") as tx:
        values = (location, json.dumps(found), json.dumps(acquisition), held.id)
        tx.execute("UPDATE exhibits SET location=?, identity=?, acquisition=? WHERE id=?", values)
        if elsewhere or (copied and other):
            about: dict[str, Any] = {"exhibit": held.id, "from": held.location, "to": location}
            about |= {"known by": identity.told(found) or "its files"}
            about |= {"lay_on": lay, LIES_ON: stays} if stays else {}
            tx.record("exhibit.moved", subject=about, mandate=mandate)
        elif before is not None and identity.less(before):
            about = {"exhibit": held.id, "known by": identity.told(found)}
            tx.record("exhibit.sampled", subject=about, mandate=mandate)
    return replace(held, location=location, identity=found, acquisition=acquisition)


def compared(case: Case, held: Held, sha256: bytes, acquisition: dict[str, Any], mandate: str) -> None:
    """What an `untied` image hashes to, read whole once more: where it is what was recorded, it lies there from now on.
    Raises Refused where it is not; that its own bytes became others, and not those of a copy, stays with it.
    """
    agrees = sha256 == held.sha256
    about = {"exhibit": held.id, "location": held.location, "sha256": sha256.hex(), "agrees": agrees}
    if agrees:
        with case.write("intake") as tx:
            lay = tx.execute("SELECT location FROM exhibits WHERE id=?", (held.id,)).fetchone()["location"]
            values = (held.location, json.dumps(held.identity), json.dumps(acquisition), held.id)
            tx.execute("UPDATE exhibits SET location=?, identity=?, acquisition=? WHERE id=?", values)
            tx.record("exhibit.compared", subject=about, mandate=mandate)
            if lay != held.location:
                moved = {"exhibit": held.id, "from": lay, "to": held.location}
                moved |= {"known by": identity.told(held.identity or []), "sha256": sha256.hex()}
                tx.record("exhibit.moved", subject=moved, mandate=mandate)
        return
    _others(case, replace(held, acquisition=acquisition), "exhibit.compared", about, mandate)
    raise Refused(
        f"{held.location} does not hold the bytes of {held.label!r}: its SHA-256 is {sha256.hex()}",
        "nothing of it was taken in: find out which one was seized, and who wrote to the other; what lies there now "
        "another --label takes in",
    )


def disturbed(case: Case, held: Held, session: Session, mandate: str) -> Held:
    """An image to which something was done while it was read: `untied`. Raises Refused where its bytes are others."""
    found = identity.of(session.held, held.identity)
    if said := identity.differences(held.identity or [], found, moved=True):
        about = {"exhibit": held.id, "location": held.location, "differs": said[:5]}
        _others(case, held, "exhibit.changed", about, mandate)
        raise Refused(
            f"{held.location} was written to while it was read: {'; '.join(said[:5])}",
            "find out who wrote to it; take in an image that nobody writes to under another --label",
        )
    return replace(held, identity=found, untied=True)


def _tell_between(case: Case, held: Held, found: list[dict[str, Any]], mandate: str) -> None:
    """Records that bytes between the ends of an image are others, where by all else it is the very same."""
    recorded = held.identity or []
    differs = identity.differences(recorded, found, moved=False)
    if len(recorded) == len(found) and differs == identity.between(recorded, found):
        about = {"exhibit": held.id, "location": held.location, "differs": differs[:5]}
        _others(case, held, "exhibit.changed", about, mandate)


def _others(case: Case, held: Held, action: str, about: dict[str, Any], mandate: str) -> None:
    """Records that what lies there has other bytes, and, where the image itself lay there, how many Items it had."""
    with case.write("intake") as tx:
        lay = tx.execute("SELECT location FROM exhibits WHERE id=?", (held.id,)).fetchone()["location"]
        counts = {"items": _read(tx, held.id)}
        own = {OTHER_BYTES: {"sha256": about.get("sha256"), **counts}} if lay == held.location else {}
        tx.execute("UPDATE exhibits SET acquisition=? WHERE id=?", (json.dumps(held.acquisition | own), held.id))
        tx.record(action, subject=about, counts=counts, mandate=mandate)


def _read(reader: sqlite3.Connection | Transaction, exhibit: str) -> int:
    """How many of its Items were read."""
    sql = "SELECT count(*) AS n FROM items WHERE exhibit=? AND attempts>0"
    count: int = reader.execute(sql, (exhibit,)).fetchone()["n"]
    return count


def _untied(case: Case, held: Held, location: str, found: list[dict[str, Any]]) -> bool:
    """Whether nothing ties what lies there to the digest: a copy, of which nothing but the ends and samples was held
    against the first; an image that somebody touched; one that an earlier version let go on though it had been moved.
    """
    if location != held.location or held.identity is None:
        return True
    return identity.touched(held.identity, found) or (identity.less(held.identity) and was_moved(case, held.id))


def known(case: Case, held: Held, path: Path, session: Session, *, moved: bool = False) -> list[dict[str, Any]]:
    """By what it is known that was opened there. Raises Refused where that is another one than was recorded."""
    found, said = _held_against(case, held, path, session, moved=moved)
    if said is not None:
        raise said
    return found


def _held_against(
    case: Case, held: Held, path: Path, session: Session, *, moved: bool
) -> tuple[list[dict[str, Any]], Refused | None]:
    """By what it is known that was opened there; why it is another one than was recorded."""
    elsewhere = str(path.resolve()) != held.location
    found = identity.of(session.held, held.identity)
    said = identity.differences(held.identity, found, moved=elsewhere) if held.identity is not None else []
    hint = (
        "find out who wrote to it; where it is a copy of the same bytes, put it elsewhere and add --moved; "
        "where it is another exhibit, choose another --label"
    )
    if not session.held:
        said += _not_there(case, held, session) if elsewhere or moved else _another(case, held, path)
        hint = (
            "mount or connect the disk that it was taken in from, and run the same command again; for another disk "
            "choose another --label; where it is the same folder, moved or copied here, run `clew intake` with --moved"
        )
    if said:
        why = f"{path} is not the exhibit that was taken in as {held.label!r}: {'; '.join(said[:5])}"
        return found, Refused(why, hint)
    return found, None


def _not_there(case: Case, held: Held, session: Session) -> list[str]:
    """Which of the first files are not to be found in a folder that was moved."""
    refs = [row["ref"] for row in first_files(case, held.id, SAMPLE)]
    return [f"{ref}: {why}" for ref in refs if (why := _lacks(session, ref)) is not None]


def _another(case: Case, held: Held, path: Path) -> list[str]:
    """Why what lies at the path of a folder is another one: another file system, or, where that cannot be told, less
    than half of its files. Of the very same directory some file is enough. Raises Refused where there is none: its disk
    may not be mounted, and what else lies there would be taken for all of it.
    """
    lay, lies = held.acquisition.get(LIES_ON, {}), mounts.lies_on(path)
    other = mounts.another(lay, lies)
    if other and case.read().execute("SELECT 1 FROM batches WHERE exhibit=?", (held.id,)).fetchone() is not None:
        return [f"it lies on another file system, {mounts.words(lies)}, and was taken in from {mounts.words(lay)}"]
    same = other is False and lay[mounts.INODE] == lies[mounts.INODE]
    first = first_files(case, held.id, SAMPLE)
    some = any(_size(path, row) is not None for row in first)
    if same and some:
        return []
    anywhere = files_anywhere(case, held.id, SAMPLE)
    sizes = [_size(path, row) for row in anywhere]
    alike = sum(size == row["size"] for size, row in zip(sizes, anywhere, strict=True))
    some |= any(size is not None for size in sizes)
    # Of a single file its name is all that can be asked for: it may have been written to, and be read again.
    if some and not same and len(sizes) > 1 and 2 * alike < len(sizes):
        return [f"of {len(sizes):,} files from all over its listing, {alike:,} lie there with the size that they had"]
    if some or not anywhere:
        return []
    others = {row["ref"] for row in anywhere} - {row["ref"] for row in first}
    also = f", nor of {len(others):,} others from all over its listing," if others else ""
    none = f"none of the first {len(first):,} files of it{also} can be found"
    raise Refused(
        f"{path} does not hold {held.label!r} just now: {none}",
        "mount or connect the disk that it lies on, and run the same command again; where these files were deleted "
        "since and others still lie there, choose another --label for those",
    )


def _size(path: Path, row: dict[str, Any]) -> int | None:
    """Bytes of the file that was listed there; None where there is none now. It is not opened: that might be told of
    its access time.
    """
    try:
        status = os.lstat(os.fsencode(path) + b"/" + row["path"])
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _lacks(session: Session, ref: str) -> Missing | None:
    """Why this file cannot be opened; None where it can."""
    try:
        for descriptor in session.job(ref).fds:
            os.close(descriptor)
    except Unavailable as gone:
        return gone.missing
    return None
