"""What looks at pieces and ed2k hashes told of Contents so far, and how what they tell next is kept."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from clew.core import clock, mandate, shards
from clew.core.case import Case
from clew.core.errors import Refused
from clew.intake.across_check import CHECK as ACROSS
from clew.intake.again import places
from clew.intake.piece_traits import BY, MODE, Held

BY_ACROSS = {"extractor": ACROSS.name, "version": ACROSS.version, "mode": MODE}
TOLD = f"""
SELECT DISTINCT content, name, text, data FROM traits
WHERE mode='{MODE}' AND (extractor, version) IN (('{BY["extractor"]}', '{BY["version"]}'),
  ('{BY_ACROSS["extractor"]}', '{BY_ACROSS["version"]}')) AND missing IS NULL
"""  # noqa: S608 - ours
Rows = dict[bytes, list[dict[str, Any]]]  # of "traits", by content


@dataclass(slots=True)
class Told:
    """What these versions told already: `pieces` (content, torrent, number of the file), `hashes` content -> its ed2k
    hashes, `entries` (content, text of "ed2k.verified").

    `across`: as `pieces`, of pieces that lie in several files; None: of all others of its size it was not tried.
    `tried`: (torrent, number of the piece, which contents may be its files) -> whether some of them had its hash.
    `fitting`: (torrent, number of the file) -> contents of which all pieces that lie wholly inside fitted.
    """

    pieces: set[tuple[bytes, bytes, int]] = field(default_factory=set)
    hashes: dict[bytes, set[bytes]] = field(default_factory=dict)
    entries: set[tuple[bytes, str]] = field(default_factory=set)
    across: set[tuple[bytes, bytes, int | None]] = field(default_factory=set)
    tried: dict[tuple[bytes, int, str], bool] = field(default_factory=dict)
    fitting: dict[tuple[bytes, int], set[bytes]] = field(default_factory=dict)

    def add(self, content: bytes, row: Mapping[str, Any]) -> None:
        """One row of "traits"."""
        match row["name"]:
            case "ed2k" | "ed2k.red":
                self.hashes.setdefault(content, set()).add(row["data"])
            case "ed2k.verified":
                self.entries.add((content, row["text"]))
            case "pieces.verified":
                self._alone(content, json.loads(row["text"]))
            case "pieces.across":
                said = json.loads(row["text"])
                torrent = bytes.fromhex(said["torrent"])
                self.across.add((content, torrent, said["index"]))
                for piece, which, right in said["tried"]:
                    self.tried[torrent, piece, which] = bool(right)

    def _alone(self, content: bytes, said: Mapping[str, Any]) -> None:
        torrent, index = bytes.fromhex(said["torrent"]), said["index"]
        self.pieces.add((content, torrent, index))
        if said["method"] == "v1" and said["checked"] == said["matching"]:
            self.fitting.setdefault((torrent, index), set()).add(content)


def told(case: Case) -> Told:
    """All of it."""
    had = Told()
    for row in shards.query(case, TOLD).to_pylist():
        had.add(row["content"], row)
    return had


def commit(case: Case, exhibit: str, traits: Rows, made_with: str, basis: str) -> None:
    """Keeps them, with a receipt: what was told of these contents once is not told twice."""
    said = sorted((content.hex(), repr(found)) for content, found in traits.items())
    batch = hashlib.sha256(f"{MODE}\n{said}".encode()).hexdigest()[:32]
    if not traits or shards.done(case, stage="intake", batch=batch, versions=made_with, config=MODE):
        return
    rows = [{"content": content, **BY, **trait} for content, found in traits.items() for trait in found]
    pending = [shards.write(case, "traits", rows)]
    with case.write("intake") as tx:
        shards.commit(tx, stage="intake", batch=batch, versions=made_with, config=MODE, pending=pending)
        about = {"exhibit": exhibit, "batch": batch, "contents": [content.hex() for content in traits]}
        tx.record("contents.held against pieces", subject=about, counts={"contents": len(traits)}, mandate=basis)


def unread(case: Case, traits: Rows, by: Mapping[str, str], done: Held) -> Iterable[bytes]:
    """Keeps what nothing need be read for, where a Mandate covers the Exhibit; the contents of which it was kept."""
    for exhibit, rows in places(case, traits).items():
        label = case.read().execute("SELECT label FROM exhibits WHERE id=?", (exhibit,)).fetchone()["label"]
        found_here = {row["sha256"]: traits[row["sha256"]] for row in rows}
        try:
            basis = mandate.require(case, purpose="intake", at_ns=clock.now().utc_ns, exhibit=label)
        except Refused as outside:
            done.failed.update({content.hex(): f"{label}: {outside}" for content in found_here})
            continue
        commit(case, exhibit, found_here, f"{by['extractor']} {by['version']}", basis.id)
        yield from found_here
