"""What the session of a disk does about carving: one stretch of free space after the other, the deadly place named."""

from collections.abc import Iterator
from typing import Any

from clew.intake.api import Ask, Found, Note, Part
from clew.intake.refs import carved
from clew.intake.sources import _said
from clew.intake.sources._sifted import Sifted
from clew.model import ContentState, ItemState, Missing, NameState

MOST = 500  # finds of one answer
RANGE = 1 << 40  # bytes of the image that one task may get through, if its time allows
SECTOR = 512
FREE = "carving of free space"  # what a part is that does so
BAD = "bad/carve"  # how the name of a part ends that carves what is marked as bad
NOBODYS = "nobodys/carve"  # and one that carves what is in use and belongs to no file
BYTES = "bytes in clusters that are in use and hold no content of a file, where files were searched for"
# An entry in a directory is all that names a file there, so that a damaged one leaves nothing else behind.
_BY_ENTRY = frozenset({"FAT", "exFAT"})
NAMELESS = f"{BYTES}: files that lost their names with a damaged directory may be among them"
MOST_LOST = 64  # sectors in a row that kill their worker; it is not they, then, and the rest is given up


def items(part: Part, cursor: str, payload: dict[str, Any], ask: Ask, sifted: Sifted) -> Iterator[Found | Note]:
    """The finds of one part after the cursor, an image offset. Where a worker dies, the range is halved down to the
    sector that kills it; that one is named and passed over.
    """
    offset, length = part.detail["offset"], part.detail["length"]
    payload = payload | {"held": part.detail.get("held", ())}
    after, span, lost = int(cursor) if cursor else offset, RANGE, 0
    if part.name.endswith(f"/{NOBODYS}") and after == offset:
        counted = _said.number(
            ask("clew.intake.disk.owned:count", payload | {"offset": offset, "length": length}, (), length)
        )
        if isinstance(counted, Missing):
            yield _lost(payload, offset, offset + length, counted)
        if not counted or isinstance(counted, Missing):
            return
        if not cursor:
            what = NAMELESS if part.detail["file_system"] in _BY_ENTRY else BYTES
            yield Note({what: counted}, str(offset))
    while after < offset + length:
        end = min(after + span, offset + length)
        task = {"offset": offset, "length": length, "which": _which(part), "after": after, "end": end, "most": MOST}
        answer = ask("clew.intake.disk.carve:carve", payload | task, (), min(end - after, length))
        heard = (
            answer if isinstance(answer, Missing) else _said.carved(answer, payload, after, (offset, offset + length))
        )
        if not isinstance(heard, Missing):
            events, after = heard
            sifted.take(answer)
            yield from events
            span, lost = min(span * 2, RANGE), 0
        elif end - after > SECTOR:
            span = max((end - after) // 16 // SECTOR * SECTOR, SECTOR)
        else:
            lost += 1
            end = end if lost < MOST_LOST else offset + length
            yield _lost(payload, after, end, heard)
            after = end


def _which(part: Part) -> str:
    """What `disk.carve` calls that space."""
    if "file_system" not in part.detail:
        return "all"
    names = {BAD: "bad", NOBODYS: "nobodys"}
    return next((which for name, which in names.items() if part.name.endswith(f"/{name}")), "free")


def _lost(payload: dict[str, Any], offset: int, end: int, missing: Missing) -> Found:
    return Found(
        ref=carved(payload, [(offset, end - offset)]),
        path=b"$Carved/%x" % offset,
        size=end - offset,
        cursor=str(end),
        found_by="carver",
        state=ItemState.UNREADABLE,
        missing=Missing(missing.reason, f"what begins there could not be checked: {missing.detail or missing.reason}"),
        name_state=NameState.CARVED,
        content_state=ContentState.UNREADABLE,
    )
