"""The physical volumes of LVM in one image: each describes its group, and not each of them is brought up to date."""

from collections.abc import Iterable, Mapping
from typing import Any

from clew.intake.api import Range
from clew.intake.sources import _foreign, _said
from clew.model import Missing, Reason

IGNORED = (
    "LVM2: the text that describes its volumes is marked as ignored (pvchange --metadataignore): its group is told "
    "elsewhere, and what stands here may be long out of date; activate the group with all its disks and take in what "
    "opens. What lies there was carved"
)
OWNER = "in the hands of a group of LVM of which no valid description is here"
NO_SENSE = "the worker's answer about its group made no sense"


class Groups:
    """Of each group the latest state that a physical volume of the image describes."""

    def __init__(self) -> None:
        self._latest: dict[str, int] = {}
        self._undescribed: list[Range] = []

    def meet(self, told: Iterable[Any]) -> None:
        """What is told of stretches of the image, whatever lies in them."""
        for name, state, _ in (_told(each) for each in told if isinstance(each, dict) and "group" in each):
            self._latest[name] = max(state, self._latest.get(name, 0))

    def volumes(self, found: Any, where: Range, *, inside: bool) -> list[tuple[str, int, str]] | Missing:
        """The logical volumes that one of them, which lies there, tells, or why none of them is read; `inside`: it lies
        in one itself.
        """
        if inside:
            return Missing(Reason.UNKNOWN, "LVM2 inside a logical volume, which this version does not read")
        name, state, _ = _told(found)
        latest = self._latest.get(name, state)
        if found.get("ignored"):
            self._undescribed.append(where)
            return Missing(Reason.UNKNOWN, IGNORED)
        if latest > state:
            self._undescribed.append(where)
            why = (
                f"LVM2: its text is of state {state:,} of its group, that of another volume of this image of {latest:,}"
            )
            return Missing(
                Reason.UNKNOWN, f"{why}: it is out of date, no volume is read by it; what lies there was carved"
            )
        volumes = _said.logical_volumes(found)
        if not volumes:
            return Missing(Reason.UNKNOWN, "LVM2: its text names no logical volume; what lies there was carved")
        return volumes

    def others(self, at: int) -> _foreign.Others:
        """Which bytes of what begins there, and is a volume of none of them, their volumes may have."""
        ranges = tuple((at, sum(each) - at) for each in self._undescribed if each[0] <= at < sum(each))
        return _foreign.Others(ranges, owner=OWNER) if ranges else _foreign.NONE


def remark(found: Any) -> Missing | None:
    """What is to be said of the texts of one of them."""
    text = _told(found)[2]
    return Missing(Reason.UNPARSABLE, f"LVM2: {text}") if text else None


def _told(found: Mapping[str, Any]) -> tuple[str, int, str]:
    name, state, text = (found.get(key) for key in ("group", "state", "remark"))
    if not (isinstance(name, str) and isinstance(text, str) and type(state) is int):
        return "", 0, NO_SENSE
    return name[:200], state, text[:1000]
