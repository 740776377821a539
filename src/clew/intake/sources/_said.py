"""What a worker said of a disk, checked: every type, every bound. Anything else is a Missing, and costs that stretch
alone.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from clew.intake import refs
from clew.intake.api import Found, Note, Range
from clew.model import ContentState, ItemState, Missing, NameState, Reason

MOST_PATH = 1 << 18  # bytes
MOST_RUNS = 256  # of one carved find
_I64 = 1 << 63
_REF = re.compile(refs.VOLUME + r"/[0-9]{1,19}/(?:name|[0-9]{1,10}-[0-9]{1,10})/[!-~]*")
MOST_TREES = 400  # of a disc
MOST_SAID = 100  # remarks of a container, volumes in one place
_OVER = "where others may have written over what it lists"
_DOUBTED = "nothing is taken for complete there, and neither lost entries nor file records are looked for"
_COUNTED = ("free_bytes", "bad_bytes", "tables_differ", "tables_left")  # of a file system, where there is any
WRONG = (KeyError, TypeError, ValueError, AttributeError, IndexError)


@dataclass(frozen=True, slots=True)
class Stretch:
    """One checked answer of the walk."""

    events: list[Found | Note]
    cursor: str
    done: bool
    next: tuple[str, bytes] | None


def broken(what: str) -> Missing:
    """An answer that keeps to no form."""
    return Missing(Reason.UNPARSABLE, f"the worker's answer about {what} made no sense")


def size(said: Any) -> tuple[int, list[Missing]] | Missing:
    """Bytes of the image and what its container remarks, or why it cannot be opened."""
    if isinstance(said, Missing):
        return said
    try:
        remarks = [Missing(Reason(reason), _text(detail, 1000)) for reason, detail in said["said"][:MOST_SAID]]
        return _number(said["size"]), remarks
    except WRONG:
        return broken("the image's size")


def logical_volumes(said: Any) -> list[tuple[str, int, str]] | Missing:
    """The logical volumes of LVM: name, bytes, and why it cannot be read ("" where it can)."""
    try:
        return [
            (_text(each["name"], 200), _number(each["size"]), _text(each["missing"] or "", 1000))
            for each in said["logical_volumes"]
        ]
    except WRONG:
        return broken("logical volumes")


def left(said: Any, offset: int, length: int) -> list[Range]:
    """What no logical volume holds of the physical volume at `offset`, in order; all where that makes no sense."""
    try:
        found = [(_number(at), _number(size)) for at, size in said["left"]]
        at = offset
        for start, size in found:
            if not at <= start < start + size <= offset + length:
                raise ValueError("no stretches of that volume, in order")
            at = start + size
        return found
    except WRONG:
        return [(offset, length)]


def apfs_volumes(said: Any) -> list[tuple[str, bool, int | None]] | Missing:
    """The volumes of an APFS container: name, whether it is locked, and its snapshots where they were counted."""
    try:
        return [
            (_text(each["name"], 1000), bool(each["locked"]), each["snapshots"] and _number(each["snapshots"]))
            for each in said["apfs_volumes"][:MOST_SAID]
        ]
    except WRONG:
        return broken("an APFS container")


def disc_trees(said: Any) -> tuple[list[dict[str, Any]], int, list[str]] | Missing:
    """The trees of a disc: the sector of each one's descriptor ("iso"), what it is ("volume"), the sector of the "last"
    session where it is of an earlier one, the "second" reader that counts it or why there is none; bytes that belong to
    no file and are not carved; what is to be said besides.
    """
    try:
        trees: dict[int, dict[str, Any]] = {
            _number(each["sector"]): {"volume": _text(each["words"], 300)}
            | ({"last": _number(each["last"])} if "last" in each else {})
            | _counter(said, each)
            for each in said["trees"][:MOST_TREES]
        }
        told = [{"iso": sector, **tree} for sector, tree in trees.items()]
        return told, _number(said["small"]), [_text(each, 300) for each in said["said"][:MOST_SAID]]
    except WRONG:
        return broken("a disc")


def _counter(said: Any, tree: Any) -> dict[str, str]:
    why = _text(tree["uncounted"], 300)
    return {"uncounted": why} if why else {"second": _text(said["second"], 100)}


def remarks(said: Any) -> list[Missing]:
    """What is wrong with the partition table."""
    try:
        return [Missing(Reason.UNPARSABLE, _text(each, 1000)) for each in said.get("said", [])[:MOST_SAID]]
    except WRONG:
        return [broken("the partition table")]


def stretches(said: Any, size: int) -> list[dict[str, Any]]:
    """The partition table; nothing where it makes no sense. Lengths are cut at the image's end, to 0 beyond it.

    Of partitions that begin at the same byte, and so are the same file system, the longest holds the others; but none
    of another table holds one of that which counts.
    """
    try:
        found = [
            {
                "offset": _number(part["offset"]),
                "length": max(0, min(_number(part["length"]), size - part["offset"])),
                "cut": part["offset"] + part["length"] > size,
                "allocated": bool(part["allocated"]),
                "table": f"{said['scheme']}: {_text(part['table'], 200)}",
                "beside": bool(part.get("beside")),
            }
            for part in said["parts"]
        ]
    except WRONG:
        return []
    kept: dict[int, dict[str, Any]] = {}
    for each in sorted(
        (part for part in found if part["allocated"]), key=lambda part: (part["beside"], -part["length"])
    ):
        longest = kept.setdefault(each["offset"], each)
        if longest is not each:
            longest["table"] += f"; another entry begins there too, {each['length']:,} bytes long"
            longest["cut"] |= each["cut"]
    return [part for part in found if not part["allocated"] or part is kept[part["offset"]]]


def gap(said: Any, places: list[int]) -> tuple[int | None, bool, Missing | None]:
    """At which of these places in a gap something begins that opens; whether the gap cannot be told from noise; and
    what begins there that is not read.
    """
    try:
        at = _number(said["at"]) if "at" in said else None
        if at is not None and at not in places:
            raise ValueError("no place that was asked for")
        return at, said.get("noise") is True, None if at is not None else magic(said)
    except WRONG:
        return None, False, broken("what begins there")


def description(said: Any) -> dict[str, Any]:
    """A file system's description, with no inodes at all where it makes no sense."""
    try:
        found = {key: _number(said[key]) for key in ("first_inode", "last_inode", "block_bytes")}
        found |= {key: int(bool(said[key])) for key in ("free_known", "owned_known")}
        found |= {key: _number(said[key]) for key in _COUNTED if key in said}
        more = {key: _text(said[key], 1000) for key in ("beside", "second") if key in said}
        found |= {"shares": 1} if said.get("shares") else {}
        return {"file_system": _text(said["file_system"], 40), **found, **more}
    except WRONG:
        return {
            "file_system": "unknown",
            "first_inode": 0,
            "last_inode": 0,
            "block_bytes": 0,
            "free_known": 0,
            "owned_known": 0,
        }


def beside(said: Any) -> str:
    """What lies beside a disc's file system and is not read; "" where nothing is known to."""
    try:
        return _text(said["beside"], 300)
    except WRONG:
        return "something that its worker could not name"


def magic(said: Any) -> Missing | None:
    """What else begins where a file system does, by its magic."""
    try:
        reason, detail = said.get("magic") or (None, "")
        return Missing(Reason(reason), _text(detail, 1000)) if reason else None
    except WRONG:
        return broken("what else begins there")


def striped(said: Any) -> Missing | None:
    """That it lies on one of the disks over which a RAID deals its bytes out."""
    if "striped" not in said:
        return None
    try:
        array = _text(said["striped"], 200)
    except WRONG:
        return broken("a RAID")
    why = f"by what stands at its end this is one disk of {array}: what is listed here was read from this disk alone"
    way = "nothing of it is taken for complete; assemble the array and take in that"
    return Missing(Reason.UNKNOWN, f"{why}, which has only some of its bytes: {way}")


def beyond(said: Any) -> Missing | None:
    """That what begins there is larger than the image that is left, or than its partition."""
    try:
        cut, over = _number(said.get("cut", 0)), _number(said.get("beyond", 0))
    except WRONG:
        return broken("how far it goes")
    if cut:
        why = f"it goes on for {cut:,} bytes beyond the image's end: the image is cut"
        why += f"; before that, for {over - cut:,} bytes beyond its partition, {doubted(said)}" if over > cut else ""
        return Missing(Reason.UNREADABLE, why)
    why = f"it goes on for {over:,} bytes beyond its partition, {doubted(said)}"
    return Missing(Reason.UNKNOWN, why) if over else None


def doubted(said: Any) -> str:
    """What follows where others may have written. Logical volumes, and discs, are listed as they are."""
    return _OVER if said.keys() & {"logical_volumes", "disc"} else f"{_OVER}: {_DOUBTED}"


def over(said: Any) -> int:
    """How many bytes of the image it takes beyond its stretch."""
    try:
        return max(_number(said.get("beyond", 0)) - _number(said.get("cut", 0)), 0)
    except WRONG:
        return 0


def holds(said: Any, length: int) -> int:
    """Bytes of a partition of `length` bytes that what is said to begin in it holds: all, where that is encrypted or is
    not read; of a disc none, since what opens inside of it is one of its files.
    """
    if isinstance(said, Missing):
        return length if said.reason in {Reason.ENCRYPTED, Reason.UNKNOWN} else 0
    if not isinstance(said, dict) or "disc" in said:
        return 0
    return length - behind(said, length) if "held_bytes" in said else length


def behind(said: Any, length: int) -> int:
    """Bytes of a partition of `length` bytes that its file system leaves over; all where it does not say."""
    try:
        return length - _number(said["held_bytes"], length)
    except WRONG:
        return length


def number(said: Any) -> int | Missing:
    """Bytes that were counted, or why they were not."""
    try:
        return said if isinstance(said, Missing) else _number(said)
    except WRONG:
        return broken("what was counted")


def stretch(said: Any) -> Stretch | Missing:
    """One answer of `disk.entries.walk`."""
    try:
        after = said["next"]
        return Stretch(
            [_event(item, _text(item["cursor"], 4 * MOST_PATH), "directory walk") for item in said["items"]],
            _text(said["cursor"], 4 * MOST_PATH),
            bool(said["done"]),
            (_text(after["cursor"], 4 * MOST_PATH), bytes.fromhex(after["path"])) if after else None,
        )
    except WRONG:
        return broken("a directory")


def swept(said: Any, first: int) -> tuple[list[Found | Note], int] | Missing:
    """One answer of `disk.sweep.sweep`: what it found, and the record to go on with, which must lie further on."""
    try:
        found = [_event(i, f"{_number(i['record'])}.{_number(i['sub'])}", "record sweep") for i in said["items"]]
        after = _number(said["next"])
    except WRONG:
        return broken("file records")
    return (found, after) if after > first else broken("file records")


def carved(
    said: Any, place: Mapping[str, Any], after: int, within: tuple[int, int]
) -> tuple[list[Found | Note], int] | Missing:
    """One answer of `disk.carve.carve` about the space `within` (from, to) of the volume at `place`: finds, notes, and
    where to go on.
    """
    try:
        following = _number(said["next"])
        events: list[Found | Note] = [_carved(find, place, within) for find in said["finds"]]
        notes = {_text(what, 200): _number(count) for what, count in said["notes"].items()}
    except WRONG:
        return broken("free space")
    if following <= after:
        return broken("free space")
    return ([*events, Note(notes, str(following))] if notes else events), following


def _carved(find: dict[str, Any], place: Mapping[str, Any], within: tuple[int, int]) -> Found:
    runs = tuple((_number(at), _number(length)) for at, length in find["runs"])
    inside = all(length > 0 and within[0] <= at and at + length <= within[1] for at, length in runs)
    if not 0 < len(runs) <= MOST_RUNS or not inside:
        raise ValueError("no runs of that space")
    extension, why = _text(find["extension"], 10), _text(find["why"], 300)
    if not extension.isalnum() or not extension.isascii():
        raise ValueError("no file name extension")
    return Found(
        ref=refs.carved(place, runs),
        path=b"$Carved/%x.%s" % (runs[0][0], extension.encode()),
        size=sum(length for _, length in runs),
        cursor=str(_number(find["next"])),
        found_by=f"carver: {why}" if why else "carver",
        name_state=NameState.CARVED,
        content_state=ContentState(find["state"]),
        runs=runs,
    )


class Lying(NamedTuple):
    """Where an Item lies, and its bytes there; whether some of its clusters were given back, and all are nobody's."""

    runs: list[Range]
    size: int
    freed: bool
    free: bool


def blocks(said: Any, items: list[str]) -> tuple[dict[str, Lying], int, bool] | Missing:
    """An answer of `disk.content.blocks`: where each Item lies; the bytes of a cluster, and whether a name says no more
    of a file record than its number.
    """
    try:
        each = zip(items, said["runs"], said["sizes"], said["freed"], said["free"], strict=True)
        found = {
            item: Lying([(_number(at), _number(length)) for at, length in runs], _number(size), bool(freed), bool(free))
            for item, runs, size, freed, free in each
        }
        return found, max(_number(said["cluster"]), 1), bool(said["numbered"])
    except WRONG:
        return broken("where deleted files lie")


def _event(item: dict[str, Any], cursor: str, found_by: str) -> Found | Note:
    if "notes" in item:
        return Note({_text(what, 200): _number(count) for what, count in item["notes"].items()}, cursor)
    try:
        return _found(item, cursor, found_by)
    except WRONG:
        return _senseless(item, cursor, found_by)


def _senseless(item: dict[str, Any], cursor: str, found_by: str) -> Found:
    """What stands for an Item of which some is said that cannot be, as a damaged inode says it: its name alone, which
    costs no other one of the same directory anything.
    """
    return Found(
        ref=_ref(item["ref"]),
        path=bytes.fromhex(_text(item["path"], 2 * MOST_PATH)),
        size=0,
        cursor=cursor,
        found_by=found_by,
        state=ItemState.UNREADABLE,
        missing=Missing(Reason.UNPARSABLE, "its file record says of it what cannot be: a size or a time beyond all"),
        name_state=NameState(item["name_state"]),
        content_state=ContentState.UNREADABLE,
    )


def _found(item: dict[str, Any], cursor: str, found_by: str) -> Found:
    path = bytes.fromhex(_text(item["path"], 2 * MOST_PATH))
    times = [None if at is None else _number(at) for at in item["times"]]
    reason = item["reason"]
    return Found(
        ref=_ref(item["ref"]),
        path=path,
        size=_number(item["size"]),
        cursor=cursor,
        found_by=found_by,
        state=ItemState(item["state"]),
        missing=Missing(Reason(reason), _text(item["detail"], 1000)) if reason else None,
        name_state=NameState(item["name_state"]),
        content_state=ContentState(item["content_state"]),
        parent=None if item["parent"] is None else _ref(item["parent"]),
        modified_ns=times[0],
        accessed_ns=times[1],
        changed_ns=times[2],
        born_ns=times[3],
        runs=None if item["runs"] is None else tuple((_number(at), _number(size)) for at, size in item["runs"]),
        times_source=_text(item["times_source"], 200),
    )


def _ref(value: Any) -> str:
    text = _text(value, 4 * MOST_PATH)
    if _REF.fullmatch(text) is None:
        raise ValueError("no ref of an Item on a disk")
    return text


def _number(value: Any, most: int = _I64 - 1) -> int:
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError(f"no number between 0 and {most}")
    return value


def _text(value: Any, most: int) -> str:
    if not isinstance(value, str) or len(value) > most:
        raise ValueError(f"no text of up to {most} characters")
    return value
