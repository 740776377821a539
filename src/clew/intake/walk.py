"""A tree in preorder, from any place in it: what makes the cursor of an enumeration survive a crash.

In each directory the files come first, sorted by their key, then its sub-directories in the same manner. A cursor
names a directory and how far in it one was; to go on, only the directories on the way there are listed again. Keys are
(name, number, sub-number): a name alone is not unique on a disk that also shows deleted entries.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Generic, NamedTuple, TypeVar

from clew.model import Missing

T = TypeVar("T")
Key = tuple[bytes, int, int]

UNSEEN = "bytes of the image that could not be read while its file systems were looked at; entries there are not seen"
NO_FILE = "folders in which no file was found: where a disk should be mounted there, it was not"
OWN_FILES = "files of the file system itself ($MFT and the like), left out"
FILES, FOLDERS, PAST = 0, 1, 2
_FIRST = itemgetter(0)


@dataclass(slots=True)
class Listing(Generic[T]):
    """What one directory holds. `files` and `folders` need not be sorted; `notes` counts what was left out of both.
    Whoever walks it sorts the files, once for all stretches of a large directory.
    """

    files: list[tuple[Key, T]] = field(default_factory=list)
    folders: list[Key] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)


class Event(NamedTuple, Generic[T]):
    """One step of the walk: a directory was entered (`entered` is its Listing, or why there is none), or a file was
    met.
    """

    at: tuple[Key, ...]
    cursor: str
    entered: Listing[T] | Missing | None = None
    file: T | None = None


Lister = Callable[[tuple[Key, ...]], Listing[T] | Missing]


def cursor_text(at: tuple[Key, ...], stage: int, after: Key | None = None) -> str:
    """A cursor: FILES after `after` (None: from the first), FOLDERS of the directory, or PAST it and all below it."""
    return f"{'/'.join(_key(key) for key in at)}|{stage}|{_key(after) if after else ''}"


def parse_cursor(text: str) -> tuple[tuple[Key, ...], int, Key | None]:
    """The parts of a cursor that `cursor_text` made. Raises ValueError for anything else."""
    where, stage, after = text.split("|")
    at = tuple(_parse(part) for part in where.split("/")) if where else ()
    return at, int(stage), _parse(after) if after else None


def preorder(lister: Lister[T], cursor: str = "") -> Iterator[Event[T]]:
    """Walks everything after `cursor`; the directories on the way there are listed again, but announced again only
    where one cannot be listed any more.
    """
    at, stage, after = parse_cursor(cursor) if cursor else ((), FILES, None)
    stack: list[tuple[tuple[Key, ...], list[Key]]] = []
    for depth in range(len(at)):
        above = lister(at[:depth])
        if isinstance(above, Missing):  # what else it holds is lost to this run, which must be said
            yield Event(at[:depth], cursor, entered=above)
        rest = [] if isinstance(above, Missing) else [key for key in above.folders if key > at[depth]]
        stack.append((at[:depth], sorted(rest, reverse=True)))
    if stage != PAST:
        yield from _directory(lister, at, stage, after, known=bool(cursor), stack=stack)
    while stack:
        where, folders = stack[-1]
        if folders:
            yield from _directory(lister, (*where, folders.pop()), FILES, None, known=False, stack=stack)
        else:
            stack.pop()


def _directory(
    lister: Lister[T],
    at: tuple[Key, ...],
    stage: int,
    after: Key | None,
    *,
    known: bool,
    stack: list[tuple[tuple[Key, ...], list[Key]]],
) -> Iterator[Event[T]]:
    listing = lister(at)
    lost = isinstance(listing, Missing)
    if not known or lost:
        yield Event(at, cursor_text(at, PAST if lost else FILES), entered=listing)
    if isinstance(listing, Missing):
        return
    if stage == FILES:
        prefix = cursor_text(at, FILES)
        files = listing.files
        files.sort(key=_FIRST)
        for key, file in files[bisect_right(files, after, key=_FIRST) :] if after is not None else files:
            yield Event(at, prefix + _key(key), None, file)
    stack.append((at, sorted(listing.folders, reverse=True)))


def _key(key: Key) -> str:
    return f"{key[0].hex()}.{key[1]:x}.{key[2]:x}"


def _parse(text: str) -> Key:
    name, number, sub = text.split(".")
    return bytes.fromhex(name), int(number, 16), int(sub, 16)
