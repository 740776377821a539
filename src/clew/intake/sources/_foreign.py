"""Where others may have written over what a file system lists: beyond its stretch of the disk, and inside of further
partitions. An earlier one whose table was replaced, or of which the beginning lies in a gap, still opens.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clew.intake.api import Range
from clew.intake.carving.view import without
from clew.intake.sources import _said
from clew.model import Missing, Reason

HELD = "it lies wholly inside another partition that opens, and is searched with that"
Layer = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Others:
    """What further partitions hold of one, as `ranges` of the disk in order; `searched`, of those that open, is listed
    and carved with what opens there; `wholly`: whether that is all of it; `owner`: whose they are.
    """

    ranges: tuple[Range, ...] = ()
    searched: tuple[Range, ...] = ()
    wholly: bool = False
    owner: str = "another partition's"

    def within(self, length: int, found: Any) -> Missing | None:
        """That they hold part of a partition of `length` bytes, or all, in which `found` is. Of a disc, whose files may
        be partitions of its table, that is not said.
        """
        if not self.ranges or "disc" in found:
            return None
        size = sum(each for _, each in self.ranges)
        why = f"{size:,} of its {length:,} bytes, from byte {self.ranges[0][0]:,} on, are {self.owner}"
        return Missing(Reason.UNKNOWN, f"{why}, {_said.doubted(found)}")


NONE = Others()


def others(each: Layer, stretches: Iterable[Layer], described: Callable[[Layer], Any]) -> Others:
    """Of the `stretches` of the tables those are asked that share bytes with `each`; one that another table names says
    nothing against one of that which counts.
    """
    begin, end = each["offset"], each["offset"] + each["length"]
    ranges, searched = list[Range](), list[Range]()
    for other in stretches:
        at, length = other["offset"], other["length"]
        meets = other["allocated"] and at != begin and max(at, begin) < min(at + length, end)
        if not meets or (other["beside"] and not each["beside"]):
            continue
        said = described(other)
        first, last = max(at, begin), min(at + _said.holds(said, length), end)
        if first < last:
            ranges.append((first, last - first))
            searched += ranges[-1:] if isinstance(said, dict) else []
    return Others(_joined(ranges), _joined(searched), not without((begin, end - begin), searched))


def told(detail: Layer, found: Any, held: Sequence[Range]) -> dict[str, Any]:
    """What the parts of it have of that: "foreign", all of it in order: what others have (`held`), and what lies beyond
    the stretch by what is `found` there; and "striped", where other disks of a RAID have some of its bytes.
    """
    beyond = _said.over(found)
    ranges = [*held, (detail["offset"] + detail["length"], beyond)] if beyond else list(held)
    return ({"foreign": ranges} if ranges else {}) | ({"striped": 1} if "striped" in found else {})


def _joined(ranges: list[Range]) -> tuple[Range, ...]:
    found: list[Range] = []
    for at, length in sorted(ranges):
        if found and at <= sum(found[-1]):
            found[-1] = (found[-1][0], max(sum(found[-1]), at + length) - found[-1][0])
        else:
            found.append((at, length))
    return tuple(found)
