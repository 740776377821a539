"""What may be claimed of the deleted Items of a disk, beside each other and beside what was carved.

In doubt is one whose bytes may be another's: of two that claim the same cluster one was overwritten by the other, and
so was one in whose clusters a file begins, or that shares its bytes with a whole one that is not the same. And so is
each for whose clusters nothing vouches: a file that had them meanwhile, was deleted too and lost its own record leaves
no trace. A whole file of just that size in just those vouches for them, where checksums stand over its bytes, but not
for a name that gives no more of its file record than the number.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from operator import itemgetter
from typing import Any, NamedTuple

from clew.intake.api import Ask, Claimed, Deleted, Range
from clew.intake.carving.view import MOST_UNIT
from clew.intake.refs import parse, parse_carved, place_of, volume
from clew.intake.sources import _said
from clew.model import ContentState, Missing, NameState

MOST = 500  # Items of one question
WHOLE, DOUBTED = Claimed(ContentState.COMPLETE), Claimed(ContentState.OVERWRITTEN_POSSIBLE)
UNVOUCHED = Claimed(ContentState.OVERWRITTEN_POSSIBLE, unvouched=True)
Span = tuple[int, int, str]  # from, to, owner
Placed = tuple[str, dict[str, Any], NameState]  # an Item, what its ref says, and its name's state


class Find(NamedTuple):
    """What was carved: its runs, what its structure proves of them, and whether it vouches for a name: checksums say of
    all its bytes that they belong together. What is decoded or stepped through alone may have another's in its middle.
    """

    runs: tuple[Range, ...]
    state: ContentState
    vouches: bool


class Finds:
    """All that was carved out of one image or logical volume."""

    def __init__(self, finds: Sequence[Find]) -> None:
        self.begun = sorted(find.runs[0][0] for find in finds)
        self._by_begin = {find.runs[0][0]: find for find in finds}
        whole = [find for find in finds if find.state is not ContentState.PARTIAL]
        self._whole = sorted(((at, at + length, find) for find in whole for at, length in find.runs), key=itemgetter(0))
        # One may lie in another: pictures that a database stores are finds of their own.
        self._reach = list(accumulate((end for _, end, _ in self._whole), max))

    def agree(self, own: Sequence[Range]) -> bool | None:
        """Whether a deleted file that lies in `own`, to the byte, is what was found there: False where it shares bytes
        with a whole file that began elsewhere or has other ones, or something begins with it and goes on behind it;
        True where that vouches; None where nothing speaks for or against it.
        """
        first = self._by_begin.get(own[0][0])
        if (
            first is not None
            and first.state is ContentState.PARTIAL
            and len(own) == 1
            and _size(first.runs) > own[0][1]
        ):
            return False
        agreed: bool | None = None
        for start, length in own:
            for find in self._over(start, start + length):
                if find.runs == tuple(own):
                    agreed = True if find.vouches else agreed
                elif not _inside(find.runs[0][0], own):  # what begins inside is asked of by clusters
                    return False
        return agreed

    def _over(self, start: int, end: int) -> Iterator[Find]:
        """The whole ones that share bytes with that stretch, in order: what holds others goes before them."""
        first = bisect_right(self._reach, start)
        last = bisect_left(self._whole, end, key=itemgetter(0))
        return (self._whole[at][2] for at in range(first, last) if self._whole[at][1] > start)


def judged(deleted: Mapping[str, Deleted], payload: Mapping[str, Any], ask: Ask) -> dict[str, Claimed]:
    """Of deleted and carved Items, by id, those whose listing does not say it all: what may be claimed of each."""
    by_volume: dict[str, list[Placed]] = defaultdict(list)
    carved: dict[str, list[Find]] = defaultdict(list)  # by logical volume
    earlier: list[str] = []  # found by a version that called one complete which was decoded alone
    for item, (ref, state, name, checked) in deleted.items():
        place, found = parse(ref), parse_carved(ref)
        if found is not None:
            runs, whole = tuple((at, length) for at, length in found["runs"]), state is ContentState.COMPLETE
            carved[str(found.get("lv"))].append(Find(runs, state, whole and checked))
            if whole and not checked and _size(runs) > MOST_UNIT:
                earlier.append(item)
        elif place is not None and "id" in place and "iso" not in place:  # sessions of a disc overwrite nothing
            by_volume[volume(place)].append((item, place, name))
    finds = {layer: Finds(each) for layer, each in carved.items()}
    now = dict.fromkeys(earlier, DOUBTED)
    for members in by_volume.values():
        beside = finds.get(str(members[0][1].get("lv")), Finds(()))
        now |= _of_volume(members, beside, payload, ask)
    return {
        item: each for item, each in now.items() if each != WHOLE or deleted[item].state is not ContentState.COMPLETE
    }


def _of_volume(members: Sequence[Placed], beside: Finds, payload: Mapping[str, Any], ask: Ask) -> dict[str, Claimed]:
    """Those in doubt of one volume's deleted Items, and those that something vouches for and nothing doubts."""
    where, spans = place_of(members[0][1]), list[Span]()
    doubted, unvouched, vouched = set[str](), set[str](), set[str]()
    for at in range(0, len(members), MOST):
        some = members[at : at + MOST]
        streams = [[each["record"], each["type"], each["id"]] for _, each, _ in some]
        answer = ask("clew.intake.disk.content:blocks", {**payload, **where, "items": streams}, (), 0)
        heard = answer if isinstance(answer, Missing) else _said.blocks(answer, [item for item, *_ in some])
        if isinstance(heard, Missing):
            doubted.update(item for item, *_ in some)
            continue
        lying, cluster, numbered = heard
        here = [(start, start + length, item) for item, each in lying.items() for start, length in each.runs]
        spans += here
        doubted |= begun_inside(beside.begun, here, cluster)
        own = {item: exactly(each.runs, each.size) for item, each in lying.items()}
        agreed = {item: beside.agree(its) for item, its in own.items() if its}
        named = {item for item, _, name in some if not numbered or name is NameState.ORPHAN}
        vouched |= {
            item for item, each in agreed.items() if each and item in named and _size(own[item]) == lying[item].size
        }
        doubted |= {item for item, each in agreed.items() if each is False}
        doubted |= {item for item, each in lying.items() if each.freed and not each.free}
        unvouched |= {item for item, each in lying.items() if each.free}
    doubted |= overlapping(spans)
    return dict.fromkeys(unvouched, UNVOUCHED) | dict.fromkeys(vouched, WHOLE) | dict.fromkeys(doubted, DOUBTED)


def exactly(runs: Sequence[Range], size: int) -> list[Range]:
    """Those of the first `size` bytes; runs that follow each other become one."""
    found: list[Range] = []
    for start, length in runs:
        here = min(length, size)
        size -= here
        if found and sum(found[-1]) == start:
            found[-1] = (found[-1][0], found[-1][1] + here)
        elif here:
            found.append((start, here))
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


def _size(runs: Sequence[Range]) -> int:
    return sum(length for _, length in runs)


def _inside(place: int, runs: Sequence[Range]) -> bool:
    """Whether a place is one of those behind the first."""
    return any(start <= place < start + length for start, length in runs) and place != runs[0][0]
