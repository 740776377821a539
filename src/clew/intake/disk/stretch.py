"""One task of a walk: what follows a cursor in a tree of directories, up to so many Items, for every kind of tree."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile
from time import monotonic
from typing import Any

from clew.core.channel import Reply
from clew.intake.disk.image import Image
from clew.intake.refs import quote
from clew.intake.walk import PAST, UNSEEN, Event, Key, Listing, cursor_text, parse_cursor, preorder
from clew.model import ContentState, ItemState, Missing, NameState, Reason

SECONDS = 2.0  # after which a stretch ends, whatever it has found
MOST_LEVELS = 1000
MOST_KEPT = 50_000  # entries of all the directories on the way down to one

Item = dict[str, Any]
At = tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Tree:
    """A tree of directories on the disk `image`. `key` tells it from every other, later ones too; `listing` lists one
    directory; `path` says where it lies; `lost` makes the Item that stands for one which cannot be listed.
    """

    key: Any
    image: Image
    listing: Callable[[At], Listing[Item] | Missing]
    path: Callable[[At], bytes]
    lost: Callable[[At, Missing], Item]


class _NextError(Exception):
    """The stretch may list no further directory; `at` is the one that would come next."""

    def __init__(self, at: At) -> None:
        super().__init__()
        self.at = at


# Of the tree "key", the directory "at", which if large is returned in many stretches, and by their depth those on the
# way down to it, through which each stretch comes again.
_kept: dict[str, Any] = {"key": None, "at": (), "levels": {}}


def stretch(tree: Tree, payload: dict[str, Any]) -> Reply:
    """What follows "cursor", up to "most" Items.

    "directories" limits how many directories may be newly listed, so that the supervisor can find one that kills us;
    the reply then names the "next".
    """
    cursor, began, left = payload["cursor"], monotonic(), payload["directories"]
    known = parse_cursor(cursor)[0] if cursor else None
    items: list[Item] = []

    def lister(at: At) -> Listing[Item] | Missing:
        nonlocal left
        if left is not None and (known is None or known[: len(at)] != at):
            if left == 0:
                raise _NextError(at)
            left -= 1
        return _directory(tree, at)

    answer: dict[str, Any] = {"items": items, "done": False, "next": None}
    try:
        for event in preorder(lister, cursor):
            cursor = event.cursor
            _take(tree, event, items)
            if len(items) >= payload["most"] or monotonic() - began > SECONDS:
                break
        else:
            answer["done"] = True
    except _NextError as stop:
        answer["next"] = {"cursor": cursor_text(stop.at, PAST), "path": tree.path(stop.at).hex()}
    lost = tree.image.newly_lost() if cursor else 0
    if lost:
        items.append({"notes": {UNSEEN: lost}, "cursor": cursor})
    return Reply(answer | {"cursor": cursor})


def _directory(tree: Tree, at: At) -> Listing[Item] | Missing:
    if len(at) > MOST_LEVELS:
        return Missing(Reason.LIMIT_REACHED, f"lies deeper than {MOST_LEVELS} levels and was not entered")
    if _kept["key"] != tree.key:
        _kept.update(key=tree.key, at=(), levels={})
    last: At = _kept["at"]
    levels: dict[int, Listing[Item] | Missing] = _kept["levels"]
    if last[: len(at)] != at or len(at) not in levels:
        listing = tree.listing(at)
        shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(last, at, strict=False)))
        levels = {depth: each for depth, each in levels.items() if depth <= shared}
        if sum(map(_entries, levels.values())) > MOST_KEPT:
            levels.clear()
        levels[len(at)] = listing
        _kept.update(at=at, levels=levels)
    return levels[len(at)]


def _entries(listing: Listing[Item] | Missing) -> int:
    return 0 if isinstance(listing, Missing) else len(listing.files) + len(listing.folders)


def _take(tree: Tree, event: Event[Item], items: list[Item]) -> None:
    if event.file is not None:
        event.file["cursor"] = event.cursor  # always the same one: it is made of the Item's own key
        items.append(event.file)
    elif isinstance(event.entered, Missing):
        items.append(tree.lost(event.at, event.entered) | {"cursor": event.cursor})
    elif event.entered is not None and event.entered.notes:
        items.append({"notes": dict(event.entered.notes), "cursor": event.cursor})


def name_only(volume: str, number: int, path: bytes, missing: Missing | None) -> Item:
    """An entry of which nothing but the name is known; `number` is its own in that volume, `missing` why."""
    return {
        "ref": f"{volume}/{number}/name/{quote(path)}",
        "path": path.hex(),
        "size": 0,
        "state": str(ItemState.OPEN if missing is None else ItemState.UNREADABLE),
        "reason": None if missing is None else str(missing.reason),
        "detail": None if missing is None else missing.detail,
        "name_state": str(NameState.LIVE),
        "content_state": str(ContentState.UNREADABLE),
        "parent": None,
        "times": [None] * 4,
        "times_source": "",
        "runs": None,
    }
