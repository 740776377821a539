"""What the session of a disk does about a container of APFS: its volumes, and what is only said of them."""

from collections.abc import Iterator, Mapping
from typing import Any

from clew.intake.api import Part
from clew.intake.refs import volume
from clew.intake.sources import _carving, _recount, _said
from clew.model import Missing, Reason

UNLOCK = "with the passphrase or recovery key: on a Mac, or by `fsapfsmount`; take in the opened volume"


def parts(detail: Mapping[str, Any], found: Any, more: Mapping[str, Any], *, alone: bool) -> Iterator[Part]:
    """The volumes of a container, of each of which `more` holds; its snapshots are said. What is carved is said where
    it is `alone` there.
    """
    volumes = _said.apfs_volumes(found)
    if isinstance(volumes, Missing):
        yield Part(volume(detail), {"kind": "partition", **detail}, volumes)
        return
    if not volumes:
        yield Part(volume(detail), {"kind": "partition", **detail}, Missing(Reason.UNKNOWN, "APFS without any volume"))
    if alone:
        uncarved = "clew does not read which blocks of an APFS container are free: nothing was carved"
        known = {"kind": _carving.FREE, "file_system": "APFS", **detail}
        yield Part(f"{volume(detail)}/carve", known, Missing(Reason.UNKNOWN, uncarved))
    for number, (label, locked, snapshots) in enumerate(volumes):
        place = {"file_system": "APFS", **detail, "apfs": number, "volume": label, "second": "the volume's superblock"}
        name = volume(place)
        if locked:
            why = Missing(Reason.ENCRYPTED, f"the APFS volume {label!r} (FileVault); {UNLOCK}")
            yield Part(name, {"kind": "partition", **place}, why)
            continue
        yield Part(f"{name}/walk", {"kind": "file system", **place, **more})
        yield from _recount.parts(name, place)
        if snapshots or snapshots is None:
            count = "an unknown number of" if snapshots is None else f"{snapshots}"
            why = Missing(Reason.UNKNOWN, f"{count} snapshots of the APFS volume {label!r}, which are not read")
            yield Part(f"{name}/snapshots", {"kind": "partition", **place}, why)
