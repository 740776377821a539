"""What the session of a disk does about carving: one stretch of free space after the other, the deadly place named."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any

from clew.intake.api import Ask, Found, Job, Note, Part
from clew.intake.sources import _said
from clew.model import ContentState, ItemState, Missing, NameState

REF = "carved@"
MOST = 500  # finds of one answer
RANGE = 1 << 40  # bytes of the image that one task may get through, if its time allows
SECTOR = 512
MOST_LOST = 64  # sectors in a row that kill their worker; it is not they, then, and the rest is given up


def items(part: Part, cursor: str, payload: dict[str, Any], ask: Ask) -> Iterator[Found | Note]:
    """The finds of one part after the cursor, an image offset. Where a worker dies, the range is halved down to the
    sector that kills it; that one is named and passed over.
    """
    offset, length = part.detail["offset"], part.detail["length"]
    whole = "file_system" not in part.detail
    after, span, lost = int(cursor) if cursor else offset, RANGE, 0
    while after < offset + length:
        end = min(after + span, offset + length)
        task = {"offset": offset, "length": length, "whole": whole, "after": after, "end": end, "most": MOST}
        answer = ask("clew.intake.disk.carve:carve", payload | task, (), min(end - after, length))
        heard = answer if isinstance(answer, Missing) else _said.carved(answer, after, (offset, offset + length))
        if not isinstance(heard, Missing):
            events, after = heard
            yield from events
            span, lost = min(span * 2, RANGE), 0
        elif end - after > SECTOR:
            span = max((end - after) // 16 // SECTOR * SECTOR, SECTOR)
        else:
            lost += 1
            end = end if lost < MOST_LOST else offset + length
            yield _lost(after, end, heard)
            after = end


def job(ref: str, payload: dict[str, Any]) -> Job:
    """The runs that `ref` names."""
    runs = [[int(number) for number in run.split("-")] for run in ref.removeprefix(REF).split(",")]
    return Job("clew.intake.disk.carve:reopen", payload | {"runs": runs})


def start(ref: str) -> int:
    """The image offset at which it begins."""
    return int(ref.removeprefix(REF).partition("-")[0])


def begun_inside(begun: Sequence[int], spans: Sequence[tuple[int, int, str]], cluster: int) -> set[str]:
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


def _lost(offset: int, end: int, missing: Missing) -> Found:
    return Found(
        ref=f"{REF}{offset}-{end - offset}",
        path=b"$Carved/%x" % offset,
        size=end - offset,
        cursor=str(end),
        found_by="carver",
        state=ItemState.UNREADABLE,
        missing=Missing(missing.reason, f"what begins there could not be checked: {missing.detail or missing.reason}"),
        name_state=NameState.CARVED,
        content_state=ContentState.UNREADABLE,
    )
