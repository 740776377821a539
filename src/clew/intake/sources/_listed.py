"""The parts of a file system that The Sleuth Kit reads: what is listed of it, carved, searched and counted."""

from collections.abc import Iterator, Mapping
from typing import Any

from clew.intake.api import Part
from clew.intake.refs import layer as layer_of
from clew.intake.relist import NAMES, NOTED
from clew.intake.sources import _carving, _foreign, _recount
from clew.model import Missing, Reason

_TABLES = {
    "tables_differ": "entries in which the second table of FAT is not the first, by which files are read: one is wrong",
    "tables_left": "bytes of a table of FAT that were not held against the second: it takes long, or cannot be read",
}
SWEPT = {"NTFS", "ext"}
NOBODYS = "carving of clusters that are in use and hold no content of a file"
LEAST_RECORD = 128  # bytes of a file record, at least: an inode of ext; one of NTFS has 1024
SLOW_DIRECTORY = 1 << 30  # bytes
ORPHANAGE = {"FAT", "exFAT"}  # where The Sleuth Kit itself searches the whole volume for lost directory entries


def patience(detail: Mapping[str, Any]) -> int:
    """Bytes for which a stretch of the walk gets its time. On NTFS The Sleuth Kit holds each stale name of a directory
    against all others: 60,000 took 5 seconds, 150,000 took 90.
    """
    return min(detail["length"], SLOW_DIRECTORY) if detail.get("file_system") == "NTFS" else 0


def parts(name: str, known: dict[str, Any], *, alone: bool, carved: bool) -> Iterator[Part]:
    """What is listed of a file system that The Sleuth Kit reads. Where it is not `alone`, and clew does not know what
    it leaves free, all is carved; what is not `carved` at all is so with others.
    """
    bad, owned = known.pop("bad_bytes", None), known.pop("owned_known", 0)
    tables = {what: known.pop(key) for key, what in _TABLES.items() if key in known}
    yield Part(f"{name}/walk", known | ({NAMES: "own"} if known["file_system"] == "FAT" else {}))
    if tables:
        yield Part(f"{name}/tables", {"kind": NOTED, "notes": tables})
    if known["file_system"] in SWEPT:
        yield Part(f"{name}/sweep", known | {"kind": "sweep over file records"})
        if known["last_inode"] > known["length"] // LEAST_RECORD:
            why = f"it claims {known['last_inode']:,} file records, for which there is no room in it"
            yield Part(f"{name}/records", known | {"kind": "sweep over file records"}, Missing(Reason.UNPARSABLE, why))
    if not carved:
        missing = Missing(Reason.NOT_APPLICABLE, _foreign.HELD)
        yield Part(f"{name}/carve", known | {"kind": _carving.FREE}, missing)
    else:
        yield from _carved(name, known, bad, owned, alone=alone)
    yield from _recount.parts(name, known)
    if "beside" in known:
        yield Part(f"{name}/beside", known | {"kind": "partition"}, Missing(Reason.UNKNOWN, known["beside"]))


def _carved(name: str, known: dict[str, Any], bad: int | None, owned: int, *, alone: bool) -> Iterator[Part]:
    """What is carved of it, and what is searched by what carving tells."""
    if known["free_known"]:
        yield Part(f"{name}/carve", known | {"kind": _carving.FREE})
    elif alone:
        missing = Missing(Reason.UNKNOWN, "clew does not read which of its blocks are free: nothing was carved")
        yield Part(f"{name}/carve", known | {"kind": _carving.FREE}, missing)
    else:
        place = {key: known[key] for key in ("offset", "length", "table")} | layer_of(known)
        yield Part(f"{name}/carve", {"kind": "carving of a whole partition", **place})
    if bad or (bad is None and known["free_known"]):  # where they were too many to be counted soon
        rest = {key: known[key] for key in known if key != "free_bytes"} | ({"free_bytes": bad} if bad else {})
        yield Part(f"{name}/{_carving.BAD}", rest | {"kind": "carving of clusters marked as bad"})
    if known["free_known"]:
        rest = {key: known[key] for key in known if key != "free_bytes"} | {"kind": NOBODYS}
        unknown = Missing(Reason.UNKNOWN, "clew does not tell which of its clusters belong to files")
        yield Part(f"{name}/{_carving.NOBODYS}", rest, None if owned else unknown)
    if known["file_system"] in ORPHANAGE:  # after carving, which tells it where in free space there may be any
        yield Part(f"{name}/orphans", known | {"kind": "search for lost directory entries"})
