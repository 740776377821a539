"""What the session of a disk does about an optical disc (ISO 9660): the trees of its sessions, and what none of them
holds.
"""

from collections.abc import Callable, Iterator
from typing import Any

from clew.intake.api import Ask, Part
from clew.intake.refs import volume
from clew.intake.sources import _carving, _said
from clew.model import Missing, Reason

Layer = dict[str, Any]
FAMILY = "ISO 9660"


def parts(
    detail: Layer, described: Any, ask: Ask, container: str, gap: Callable[[str, Layer], Iterator[Part]]
) -> Iterator[Part]:
    """The trees of every session of a disc; `gap` is what is done with a stretch that belongs to no file of any."""
    name, missing = volume(detail), None
    for sessions in (True, False):
        payload = {"container": container, **detail, "sessions": sessions}
        found = ask("clew.intake.disk.iso:found", payload, (), detail["length"])
        told = found if isinstance(found, Missing) else _said.disc_trees(found)
        if not isinstance(told, Missing):
            break
        missing = told
    if isinstance(told, Missing):
        yield Part(name, {"kind": "partition", **detail}, told)
        yield Part(f"{name}/carve", {"kind": "carving of a whole partition", **detail})
        return
    if missing is not None:
        why = f"its sessions behind the first one were not looked for: {missing.detail}"
        yield Part(f"{name}/sessions", {"kind": "partition", **detail}, Missing(missing.reason, why))
    trees, small, said = told
    beside = _said.beside(described)
    for number, why in enumerate([*said, *([beside] if beside else [])]):
        yield Part(f"{name}/beside/{number}", {"kind": "partition", **detail}, Missing(Reason.UNKNOWN, why))
    for sector, words in trees:
        place = {"file_system": FAMILY, **detail, "iso": sector, "volume": words}
        yield Part(f"{volume(place)}/walk", {"kind": "file system", **place})
    for at, length in _said.left(found, detail["offset"], detail["length"]):
        yield from gap(f"{name}/left@{at}", detail | {"offset": at, "length": length})
    if small:
        why = f"{small:,} bytes that belong to no file, in pieces too many to carve"
        known = {"kind": _carving.FREE, "file_system": FAMILY, **detail}
        yield Part(f"{name}/small/carve", known, Missing(Reason.LIMIT_REACHED, why))
