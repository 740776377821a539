"""What came out of holding one Content against torrents and ed2k entries, as Traits, whether it fits or not.

"pieces.verified", JSON: {torrent: SHA-256 of the .torrent, index: of the file in it, size, offset: where it begins in
the torrent (null in v2 alone), method: "v1" (the pieces wholly inside the file) or "v2" (the root over all of it),
checked, matching, failing: pieces or roots, first_wrong: number of the first piece that was wrong, of those checked}.
"ed2k" and "ed2k.red": the hash in bytes, both conventions where they differ. "ed2k.verified", JSON: {artefact: SHA-256
of the known.met or part.met, at: [offset, bytes] of the entry in it} for each entry that names this hash.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeAlias

from clew.core.unheld import number
from clew.intake.piece_check import CHECK
from clew.model import Missing, Reason

MODE = "pieces"
BY = {"extractor": CHECK.name, "version": CHECK.version, "mode": MODE}
MOST_ENTRIES = 200  # of one hash that are told
Named = dict[int, dict[str, list[tuple[str, list[int]]]]]  # size -> ed2k hash -> the entries that name it


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a torrent, ready to be held against contents of its size."""

    torrent: bytes
    index: int
    size: int
    offset: int | None
    method: str
    check: Mapping[str, Any]


@dataclass(slots=True)
class Held:
    """What was done. `whole`, `partly` and `not_at_all` count files whose checks all, partly or never fitted.

    `across`: pieces that lie in several files for all of which there was a content of the right size;
    `across_fitting`: how many of them had the hash; `across_files`: files that this was told of;
    `across_crowded`: such pieces of too many files. `not_checkable`: files of torrents of a size that was seized, of
    which no content was checked. `hopeless`: of what `failed`, the torrents of which that will always be so.
    """

    torrents: int = 0
    contents: int = 0
    whole: int = 0
    partly: int = 0
    not_at_all: int = 0
    across: int = 0
    across_fitting: int = 0
    across_files: int = 0
    across_crowded: int = 0
    not_checkable: int = 0
    ed2k: int = 0
    ed2k_named: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    hopeless: set[str] = field(default_factory=set)

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {name: value for name, value in asdict(self).items() if name != "hopeless"}

    def never(self, torrent: bytes, why: str) -> None:
        """Nothing can be held against that torrent, however often it is asked."""
        self.failed[torrent.hex()] = why
        self.hopeless.add(torrent.hex())

    def unread(self, torrent: bytes, missing: Missing) -> None:
        """That torrent could not be read again."""
        if missing.reason in (Reason.UNPARSABLE, Reason.TOO_LARGE):
            self.never(torrent, str(missing))
        else:
            self.failed[torrent.hex()] = str(missing)


Check: TypeAlias = Part | None  # None stands for the ed2k hash


def asked(checks: list[Check]) -> list[dict[str, Any]]:
    """What a worker is to find out, see `piecewise.runners`."""
    return [{"ed2k": True} if part is None else dict(part.check) for part in checks]


def results(size: int, said: Any, wanted: list[Check], named: Named, done: Held) -> list[dict[str, Any]]:
    """The Traits of one Content of that size: `said` is what a worker found out, in the order of `wanted`. Raises one
    of WRONG.
    """
    found: list[dict[str, Any]] = []
    for part, result in zip(wanted, said, strict=True):
        if part is None:
            blue, red = (bytes.fromhex(result[name]) for name in ("blue", "red"))
            if {len(blue), len(red)} != {16}:
                raise ValueError("no MD4")
            entries = naming(size, {blue, red}, named)
            found.append({"name": "ed2k", "data": blue})
            found += [{"name": "ed2k.red", "data": red}] if red != blue else []
            found += [{"name": "ed2k.verified", "text": text} for text in entries]
            done.ed2k, done.ed2k_named = done.ed2k + 1, done.ed2k_named + bool(entries)
        else:
            found.append({"name": "pieces.verified", "text": _verified(part, result, done)})
    return found


def naming(size: int, hashes: set[bytes], named: Named) -> list[str]:
    """The text of "ed2k.verified" for each entry that names a file of this size and one of these hashes."""
    entries = [entry for each in sorted(hashes) for entry in named.get(size, {}).get(each.hex(), ())]
    return [json.dumps({"artefact": artefact, "at": at}) for artefact, at in entries[:MOST_ENTRIES]]


def of_emule(traits: list[dict[str, Any]]) -> bytes | None:
    """The ed2k hash as eMule and aMule make it, which is the "red" one (`piecewise.Ed2k`)."""
    made = {row["name"]: row["data"] for row in traits if row["name"] in {"ed2k", "ed2k.red"}}
    return made.get("ed2k.red", made.get("ed2k"))


def _verified(part: Part, result: Mapping[str, Any], done: Held) -> str:
    checked, matching = number(result["checked"]), number(result["matching"])
    if matching > checked:
        raise ValueError("more fit than were checked")
    done.whole += 0 < checked == matching
    done.partly += 0 < matching < checked
    done.not_at_all += matching == 0
    numbers = {"checked": checked, "matching": matching, "failing": checked - matching}
    told = {"torrent": part.torrent.hex(), "index": part.index, "size": part.size, "offset": part.offset}
    return json.dumps(
        told | numbers | {"method": part.method, "first_wrong": int(result["first_wrong"])}, sort_keys=True
    )
