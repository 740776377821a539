"""identify's loop: every linker over the pictures of the case, then Series, rebuilt as a whole each time."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from clew.core import clock, mandate, pictures, plugins
from clew.core.case import Case, Transaction
from clew.core.lease import lease
from clew.core.pictures import Pictures
from clew.identify import series
from clew.identify.api import Linker, Near, Summary
from clew.model import HashSetKind

PACKAGE = "clew.identify.linkers"
SERIES_LINKER = "nearduplicate"
COVERED = (
    "only still pictures with a PDQ of quality 50 and above are linked; no video, no other media",
    "pages of a TIFF and further pictures of a HEIF are linked, as many as were hashed, and make no Series",
    "what is in no Series is not thereby unrelated: only near duplicates are grouped, not places, cameras or people"
    " (what files say of these: clew show clues CASE)",
)


def identify(case: Case) -> Summary:
    """Rebuilds links and Series from the picture hashes of the case; known-good by SHA-256 is left out.

    Ids, members and distances depend on the evidence alone; labels stay with their Series. Raises Refused without a
    Mandate for "identify", Held while another run goes on.
    """
    basis = mandate.require(case, purpose="identify", at_ns=clock.now().utc_ns)
    with lease(case, "identify", case.settings.id):
        seen = _without_known_good(case, pictures.read(case))
        links = {name: list(linker.link(seen)) for name, linker in _linkers().items()}
        found = series.groups(seen, links[SERIES_LINKER])
        known = _known(case)
        summary = _summary(seen, links, found, known)
        with case.write("identify") as tx:
            summary = replace(summary, links=_rebuild(tx, seen, links, found, known))
            counts = {k: v for k, v in summary.as_dict().items() if isinstance(v, int)}
            tx.record("series.rebuilt", subject={"series": _digest(found)}, counts=counts, mandate=basis.id)
    return summary


def _linkers() -> dict[str, Linker]:
    found: dict[str, Linker] = plugins.load_all(PACKAGE)
    return found


def _without_known_good(case: Case, seen: Pictures) -> Pictures:
    """Only SHA-256 may stop anything: a weaker known-good hash could be forged to hide a picture."""
    rows = case.read().execute(
        "SELECT DISTINCT content FROM hits WHERE kind=? AND algorithm='sha256' AND state='stands'",
        (HashSetKind.KNOWN_GOOD.value,),
    )
    good = {bytes(row["content"]) for row in rows}
    keep = np.array([row.tobytes() not in good for row in seen.content], bool)
    dropped = int((~keep & (seen.part == 0)).sum())
    excluded = seen.excluded | ({"known-good by SHA-256": dropped} if dropped else {})
    return replace(seen.chosen(keep), excluded=excluded)


def _known(case: Case) -> set[bytes]:
    """A file of which another page is known than the one that is shown is not: what is shown of it was not matched."""
    rows = case.read().execute(
        "SELECT DISTINCT content FROM hits WHERE kind=? AND state='stands' AND part=''", (HashSetKind.ALERT.value,)
    )
    return {bytes(row["content"]) for row in rows}


def _rebuild(
    tx: Transaction, seen: Pictures, links: dict[str, list[Near]], found: Sequence[series.Group], known: set[bytes]
) -> int:
    """How many links there are now: of several between two Contents one is kept."""
    given = {row["id"]: row["label"] for row in tx.execute("SELECT id, label FROM series")}
    named = series.labels(found, given)
    for table in ("links", "series_members", "series"):
        tx.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names
    for linker, near in links.items():
        tx.executemany(
            "INSERT OR IGNORE INTO links (first, second, linker, score, detail, first_part, second_part) "
            "VALUES (?,?,?,?,?,?,?)",
            [_link(seen, linker, n) for n in sorted(near, key=lambda n: _preference(seen, n))],
        )
    tx.executemany(
        "INSERT INTO series (id, label, representative, known) VALUES (?,?,?,?)",
        [(g.id, named[g.id], g.representative, int(bool(known & set(g.members)))) for g in found],
    )
    tx.executemany(
        "INSERT INTO series_members (content, series, distance) VALUES (?,?,?)",
        [(content, g.id, distance) for g in found for content, distance in g.members.items()],
    )
    return int(tx.execute("SELECT count(*) FROM links").fetchone()[0])


def _link(seen: Pictures, linker: str, near: Near) -> tuple[Any, ...]:
    first, second = (seen.content[row].tobytes() for row in (near.centre, near.member))
    return first, second, linker, near.score, near.detail, seen.said(near.centre), seen.said(near.member)


def _preference(seen: Pictures, near: Near) -> tuple[bool, int, int, int]:
    """Of two Contents one link is kept: of the pictures that are shown, else of the nearest pages."""
    return bool(seen.part[near.centre] or seen.part[near.member]), near.distance, near.centre, near.member


def _summary(seen: Pictures, links: dict[str, list[Near]], found: Sequence[series.Group], known: set[bytes]) -> Summary:
    members = sum(len(g.members) for g in found)
    return Summary(
        pictures=len(seen),
        links=sum(map(len, links.values())),
        series=len(found),
        known=sum(bool(known & set(g.members)) for g in found),
        members=members,
        largest=max((len(g.members) for g in found), default=0),
        alone=int((seen.part == 0).sum()) - members,
        excluded=seen.excluded,
        covered=COVERED,
    )


def _digest(found: Sequence[series.Group]) -> str:
    """One digest over the Series and their members, to compare two runs by."""
    digest = hashlib.sha256()
    for group in found:
        for content, distance in sorted(group.members.items()):
            digest.update(group.representative + content + bytes((distance,)))
    return digest.hexdigest()
