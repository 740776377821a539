"""The Exhibit's own row: who seized it where and when, where it lies, and what its bytes hash to."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from clew.core import clock
from clew.core.case import Case, new_id
from clew.core.errors import ClewError, Usage
from clew.intake.api import Source

CHUNK = 4 << 20


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
        tx.execute("INSERT INTO exhibits VALUES (?,?,?,?,?,?,?,?,?,?,?)", (*values, clock.now().utc_ns))
        about = {"exhibit": exhibit, "label": label, "kind": source.name, "location": location}
        who = {"seized_by": seizure.by, "seized_where": seizure.where, "seized_at_ns": seizure.at_ns}
        tx.record("exhibit.entered", subject={**about, **who}, mandate=mandate)
    return Held(exhibit, label, source.name, None)


def acquire(case: Case, held: Held, path: Path, mandate: str, told: Callable[[int], None]) -> None:
    """SHA-256 of the whole image in one sequential read, recorded once; folders have none. Raises ClewError on a bad
    read.
    """
    if held.kind == "folder" or held.sha256 is not None:
        return
    digest, size = hashlib.sha256(), 0
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        while chunk := os.pread(descriptor, CHUNK, size):
            digest.update(chunk)
            size += len(chunk)
            told(len(chunk))
    except OSError as error:
        raise ClewError(
            f"the image cannot be read at byte {size:,}: {error.strerror}",
            "copy the medium with a tool that records bad sectors, and take in the copy",
        ) from error
    finally:
        os.close(descriptor)
    with case.write("intake") as tx:
        tx.execute("UPDATE exhibits SET sha256=?, size=? WHERE id=?", (digest.digest(), size, held.id))
        about = {"exhibit": held.id, "sha256": digest.hexdigest(), "size": size}
        tx.record("exhibit.acquired", subject=about, counts={"bytes": size}, mandate=mandate)
