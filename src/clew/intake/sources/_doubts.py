"""Which deleted Items of a disk are in doubt: their bytes may be another's. One of two that claim the same cluster was
overwritten by the other, and a file that begins inside another's clusters overwrote it.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from clew.intake.api import Ask
from clew.intake.refs import parse, parse_carved, place_of, volume
from clew.intake.sources import _said
from clew.model import Missing

MOST = 500  # Items of one question
Span = tuple[int, int, str]  # from, to, owner


def doubted(refs: Mapping[str, str], payload: Mapping[str, Any], ask: Ask) -> set[str]:
    """Of deleted and carved Items (id -> ref), the ids of the deleted ones whose bytes another one claims too."""
    by_volume: dict[str, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
    begun: dict[str, list[int]] = defaultdict(list)  # by logical volume
    for item, ref in refs.items():
        place, carved = parse(ref), parse_carved(ref)
        if carved is not None:
            begun[str(carved.get("lv"))].append(carved["runs"][0][0])
        elif place is not None and "id" in place:
            by_volume[volume(place)].append((item, place))
    for offsets in begun.values():
        offsets.sort()
    found: set[str] = set()
    for members in by_volume.values():
        where, spans = place_of(members[0][1]), []
        for at in range(0, len(members), MOST):
            some = members[at : at + MOST]
            streams = [[each["record"], each["type"], each["id"]] for _, each in some]
            answer = ask("clew.intake.disk.content:blocks", {**payload, **where, "items": streams}, (), 0)
            if isinstance(answer, Missing):
                found.update(item for item, _ in some)
                continue
            here, cluster = _said.spans(answer, [item for item, _ in some])
            spans += here
            found |= begun_inside(begun[str(where.get("lv"))], here, cluster)
        found |= overlapping(spans)
    return found


def begun_inside(begun: Sequence[int], spans: Sequence[Span], cluster: int) -> set[str]:
    """The owners of spans (from, to, owner) in which, at a cluster that is not the owner's first, one of the files
    began whose offsets `begun` lists in order.
    """
    found: set[str] = set()
    seen: set[str] = set()
    for first, end, owner in spans:
        at = bisect_left(begun, first if owner in seen else first + 1)
        seen.add(owner)
        while at < len(begun) and begun[at] < end and owner not in found:
            if (begun[at] - first) % cluster == 0:
                found.add(owner)
            at += 1
    return found


def overlapping(spans: Sequence[Span]) -> set[str]:
    """The owners of spans (from, to, owner) that another owner's span overlaps."""
    found: set[str] = set()
    reach: tuple[int, str] = (-1, "")
    for start, end, owner in sorted(spans):
        if start < reach[0] and owner != reach[1]:
            found |= {owner, reach[1]}
        reach = max(reach, (end, owner))
    return found
