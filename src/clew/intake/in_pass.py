"""What each Content is held against in intake's own pass over its bytes, so that these are read once.

Called for by the torrents, known.met and part.met of Exhibits that were taken in before, and by nothing of the same
Exhibit: whether they come before or behind the files that they name is chance, and a run that was killed and goes on
must tell the same as one that was not. What is left is done by `clew pieces`, as is what comes into the case later.
A Watch alone calls for nothing: it names a torrent, and only the torrent itself holds hashes of pieces.
"""

from dataclasses import dataclass, field
from typing import Any

from clew.intake.piece_traits import BY, Check, Held, Named, Part, results
from clew.intake.piecewise import manner

MOST_PASSES = 8  # of a hash over one content, within the seconds that an Item has: torrents that cut it alike share one
MOST_CHECKS = 64  # of one content: the hashes of each go to its worker


@dataclass(frozen=True, slots=True)
class InPass:
    """What is called for. `parts` by size of the file; `every`: the ed2k hash of every Content. `done` counts."""

    parts: dict[int, list[Part]] = field(default_factory=dict)
    named: Named = field(default_factory=dict)
    every: bool = False
    done: Held = field(default_factory=Held)

    def checks(self, size: int) -> list[Check]:
        """Of a Content of that size."""
        parts = self.parts.get(size, [])
        ed2k: list[Check] = [None] if self.every or size in self.named else []
        return [*(() if _crowded(parts) else parts), *ed2k]

    def traits(self, size: int, said: Any) -> list[dict[str, Any]]:
        """What a worker found out of them, as rows of `traits` without `content`. Raises one of WRONG."""
        return [{**BY, **row} for row in results(size, said, self.checks(size), self.named, self.done)]

    def as_dict(self) -> dict[str, Any]:
        """For the record of a run."""
        parts = sum(map(len, self.parts.values()))
        entries = sum(len(each) for hashes in self.named.values() for each in hashes.values())
        crowded = sum(map(_crowded, self.parts.values()))
        counts = {"files": parts, "ed2k_entries": entries, "sizes_left": crowded}
        return {**counts, "ed2k_of_all": self.every, "left": sorted(self.done.failed)}


def _crowded(parts: list[Part]) -> bool:
    """Whether more have one size than are held against contents of it."""
    return len(parts) > MOST_CHECKS or len({manner(part.check) for part in parts}) > MOST_PASSES


NOTHING = InPass()
