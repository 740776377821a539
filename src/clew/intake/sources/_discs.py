"""What the session of a disk does about an optical disc (ISO 9660): the trees of its sessions, and what none of them
holds.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from clew.intake.api import Ask, Part, Range
from clew.intake.refs import layer, volume
from clew.intake.sources import _carving, _gaps, _recount, _said
from clew.model import Missing, Reason

Layer = dict[str, Any]
FAMILY = "ISO 9660"
DESCRIPTORS = 16 * 2048  # bytes of a disc before the first one (ECMA-119, 6.2.1)
# Of the partitions that genisoimage and xorriso name in a table on a disc, those that are the disc itself.
OWN = re.compile(r"[^:]*: (?:Apple_partition_map|Apple_HFS|ISO9660|ISO9660_data|Gap[0-9]+)")


@dataclass(slots=True)
class Layout:
    """An image or a logical volume: its bytes, the stretches of its table, and those of them that are a disc's."""

    size: int
    stretches: list[Layer]
    discs: list[Range] = field(default_factory=list)


@dataclass(slots=True)
class _Reach:
    """How far a disc goes, as the detail of its parts: beside its own stretch over these gaps, but not over what others
    look after.
    """

    detail: Layer
    gaps: list[Range]
    others: list[Range]


def parts(
    detail: Layer, described: Any, ask: Ask, container: str, gap: Callable[[str, Layer], Iterator[Part]], layout: Layout
) -> Iterator[Part]:
    """The trees of every session of a disc; `gap` is what is done with a stretch that belongs to no file of any."""
    name, missing, own = volume(detail), None, detail
    reach = _reach(detail, ask, container, layout)
    for sessions in (True, False):
        payload = {"container": container, **reach.detail, "sessions": sessions, "others": reach.others}
        found = ask("clew.intake.disk.iso:found", payload, (), reach.detail["length"])
        told = found if isinstance(found, Missing) else _said.disc_trees(found)
        if not isinstance(told, Missing):
            break
        missing = told
    wider = not isinstance(told, Missing) and reach.detail["length"] > own["length"]
    beyond = _said.beyond({**described, "beyond": 0} if wider else described)
    if beyond is not None:
        yield Part(f"{name}/cut", {"kind": "partition", **own}, beyond)
    if isinstance(told, Missing):
        yield Part(name, {"kind": "partition", **own}, told)
        yield Part(f"{name}/carve", {"kind": "carving of a whole partition", **own})
        return
    detail = reach.detail
    layout.discs += reach.gaps
    if missing is not None:
        why = f"its sessions behind the first one were not looked for: {missing.detail}"
        yield Part(f"{name}/sessions", {"kind": "partition", **detail}, Missing(missing.reason, why))
    trees, small, said = told
    beside = _said.beside(described)
    for number, why in enumerate([*said, *([beside] if beside else [])]):
        yield Part(f"{name}/beside/{number}", {"kind": "partition", **detail}, Missing(Reason.UNKNOWN, why))
    for tree in trees:
        place = {"file_system": FAMILY, **detail, **tree}
        yield Part(f"{volume(place)}/walk", {"kind": "file system", **place})
    counted = [tree for tree in trees if "second" in tree]
    if counted:  # all together
        place = {"file_system": FAMILY, **detail, **counted[0], "trees": [tree["iso"] for tree in counted]}
        yield from _recount.parts(volume(place), place)
    for at, length in _said.left(found, detail["offset"], detail["length"]):
        yield from gap(f"{name}/left@{at}", detail | {"offset": at, "length": length})
    if small:
        why = f"{small:,} bytes that belong to no file, in pieces too many to carve"
        known = {"kind": _carving.FREE, "file_system": FAMILY, **detail}
        yield Part(f"{name}/small/carve", known, Missing(Reason.LIMIT_REACHED, why))


def _reach(detail: Layer, ask: Ask, container: str, layout: Layout) -> _Reach:
    """A disc that begins an image goes on to its end, whatever stretch the table in its first sectors leaves to it. But
    where a partition of that table is not its own, or something else begins a gap, others may have written: "foreign".
    """
    beside = [each for each in layout.stretches if each["length"] and each["offset"] != detail["offset"]]
    if detail["offset"] != 0 or not beside:
        return _Reach(detail, [], [])
    gaps, others, foreign = list[Range](), list[Range](), list[list[int]]()
    for each in beside:
        stretch = each["offset"], each["length"]
        if each["allocated"]:
            own = each["offset"] == DESCRIPTORS or OWN.fullmatch(each["table"]) is not None
        else:
            place = {"offset": each["offset"], "length": each["length"], **layer(detail)}
            own = not _opens({"container": container, **place}, ask)
        (gaps if own and not each["allocated"] else others).append(stretch)
        foreign += [] if own else [[*stretch]]
    known = {"foreign": foreign} if foreign else {}
    return _Reach(detail | {"length": layout.size} | known, gaps, others)


def _opens(payload: Layer, ask: Ask) -> bool:
    """Whether something begins in a gap that is neither a disc's session nor unknown."""
    places = _gaps.places(payload, frozenset())
    said = ask("clew.intake.disk.volumes:gap", {**payload, "places": places}, (), 0)
    if isinstance(said, Missing):
        return True
    at, _, magic = _said.gap(said, places)
    return magic is not None or (at is not None and "disc" not in said)
