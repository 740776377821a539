"""ISO 9660 by clew's own reader: The Sleuth Kit's loses names without a word, takes each part of a large file for a
whole one, knows no later session, and takes times for those of the examiner's machine.

Nothing tells what was deleted but an earlier session: it still lists what a later one, which goes on from it and is
what a system shows, has left out.
"""

import stat
from dataclasses import replace
from itertools import chain, islice
from typing import Any

from clew.core.absent import Absent, CutShort
from clew.core.channel import Reply
from clew.intake.api import Range
from clew.intake.carving.view import overlap
from clew.intake.disk import claims, recount_iso
from clew.intake.disk.apfs import KINDS
from clew.intake.disk.entries import LINKED_TWICE
from clew.intake.disk.extents import Direct, Piece
from clew.intake.disk.image import image
from clew.intake.disk.iso_disc import LOOK, MOST_LOOKED, Disc, Taken, disc, later
from clew.intake.disk.iso_records import (
    ASSOCIATED,
    FIRST,
    MORE,
    MOST_NAME,
    REST,
    SECTOR,
    Record,
    plain_name,
    recorded_ns,
    records,
    xa,
)
from clew.intake.disk.iso_sessions import Sessions, alike
from clew.intake.disk.iso_tree import (
    MOST_PARTS,
    MOST_RECORDS,
    Entry,
    Volume,
    directory,
    entries,
    extents,
    last,
    open_volume,
    rock_of,
)
from clew.intake.disk.stretch import At, Item, Tree, name_only, stretch
from clew.intake.refs import quote
from clew.intake.walk import Listing
from clew.model import ContentState, ItemState, Missing, NameState, Reason

MOST_TRIED = 1_000  # places in which a further session may begin
MOST_TREES = 100  # of one disc: a CD has no more than 99 sessions
MOST_LEFT = 200  # stretches that belong to no file, and are carved: the largest ones
MOST_PATH = 200_000  # bytes of a directory's
TIMES = "directory record (modified) and Rock Ridge, UTC by the distance to it that is recorded"
ELSEWHERE = "names in a further tree of a disc, of contents that its first tree lists"
SHARED = "files of a disc that lie where others may write: partial"
NOT_SHOWN = (
    "files of a session of a disc that are not in the last one, which took over nothing of it or is dated before: "
    "live, though a system may show the last one alone"
)
UNNAMED = "directories that no directory names, from the path table of a disc"
_BEYOND = Missing(Reason.UNKNOWN, "it goes on beyond the stretch that its disc begins in, where others may write")
_FOREIGN = Missing(Reason.UNKNOWN, "it lies in a partition that holds something else, where others may write")
_EARLIER = Missing(
    Reason.UNREADABLE,
    "it lies in an earlier session, which lists it itself: the image leaves out what lies between sessions",
)
_CUT = Missing(Reason.LIMIT_REACHED, f"not entered: {MOST_RECORDS:,} records of a tree are looked through")


def found(payload: dict[str, Any], _descriptors: list[int]) -> Reply:
    """Worker entry: the "trees" of the disc at "offset", "length" bytes long; what is "left" of it and of no "others",
    the rest of that ("small" bytes), and what is to be said ("said"); the "second" reader, and of each tree why it
    does not count that ("uncounted"). Sessions behind the first one are looked for
    where "sessions" is set, but not in what is "foreign". Raises Absent where there is no tree at all.
    """
    here = disc(image(payload), payload["offset"])
    if here is None:
        raise Absent(Missing(Reason.UNPARSABLE, "there is no primary volume descriptor"))
    foreign = [here.span(at, length) for at, length in payload.get("foreign", [])]
    met, limit = Sessions(here, foreign), min(here.size, here.data(payload["length"]), MOST_LOOKED)
    more = later(here, met.taken, limit) if payload["sessions"] else iter(())
    said = list[str]()
    for sector in chain([FIRST], islice(more, MOST_TRIED)):
        met.meet(payload, sector)
        if len(met.volumes) >= MOST_TREES:
            said.append(f"a disc with more than {MOST_TREES} trees; no further session was looked for")
            break
    if not met.volumes:
        raise Absent(Missing(Reason.UNPARSABLE, "the root directory of the disc was not found"))
    if next(more, None) is not None and len(met.volumes) < MOST_TREES:
        said.append(f"more than {MOST_TRIED:,} volume descriptors on a disc; those behind were not looked at")
    if here.data(payload["length"]) > MOST_LOOKED:
        said.append(f"sessions of a disc were looked for in its first {MOST_LOOKED:,} bytes alone")
    met.taken.add([here.span(at, length) for at, length in payload.get("others", [])])
    left, small = _left(here, met.taken, payload["length"])
    why, first = recount_iso.uncounted(met.first, met.records), {each.said.sector for each in met.first}
    trees = [each | {"uncounted": why if each["sector"] in first else recount_iso.LATER} for each in met.told()]
    second = {"second": recount_iso.READER}
    return Reply({"trees": trees, "left": left, "small": small, "said": met.said() + said} | second)


def _left(here: Disc, taken: Taken, length: int) -> tuple[list[Range], int]:
    """What belongs to no file, as ranges of the disk, in order; bytes of it in stretches that are too many."""
    ours = [(at, size) for at, size in taken.free(min(here.size, here.data(length))) if _any(here, at, size)]
    largest = sorted(ours, key=lambda each: -each[1])
    kept = sorted(largest[:MOST_LEFT])
    return [each for at, size in kept for each in here.where(at, size)], sum(size for _, size in largest[MOST_LEFT:])


def _any(here: Disc, at: int, size: int) -> bool:
    """Whether a stretch holds anything but zeros, or cannot be read; of a large one that is not asked."""
    data = here.read(at, size) if size <= LOOK else b""
    return len(data) < size or any(data)


def walk(payload: dict[str, Any], _descriptors: list[int]) -> Reply:
    """Worker entry: a stretch of the directories of the tree whose descriptor lies in sector "iso"; see `stretch`."""
    kept = open_volume(payload)
    kept.survey()  # which stays with it, and not with what is bounded
    if "last" in payload and kept.last is None:
        kept.last = last(kept, payload)
    end, others = kept.disc.data(payload["length"]), payload.get("foreign", [])
    foreign = tuple(kept.disc.span(at, length) for at, length in others)
    opened = replace(kept, end=end, foreign=foreign)

    def lost(at: At, missing: Missing) -> Item:
        return name_only(opened.name, at[-1][1] if at else opened.said.root.at, _path(at) + b"/", missing)

    # What is bounded is made anew for every stretch, and would tell each from the one before.
    return stretch(Tree((kept, end, foreign), opened.disc.image, lambda at: _list(opened, at), _path, lost), payload)


def stream(payload: dict[str, Any], _descriptors: list[int]) -> "Stream":
    """Opener: a file by the byte "record" of its first record, and how many records it has ("id")."""
    return Stream(open_volume(payload), payload["record"], payload["id"])


class Stream:
    """The content of one file as a ByteSource."""

    def __init__(self, opened: Volume, at: int, count: int) -> None:
        self._disc = opened.disc
        parts: list[Record] = []
        while len(parts) < count:
            end = (at // SECTOR + 1) * SECTOR
            here = [each for each in records(opened.disc.read(at, end - at), at) if isinstance(each, Record)]
            if not here or count > MOST_PARTS:
                raise Absent(Missing(Reason.UNREADABLE, "its directory record is not there any more"))
            parts, at = parts + here, end
        parts = parts[:count]
        entry = Entry(parts, rock_of(opened, parts[0]))
        self._pieces, self._lacks = _pieces(opened, entry), lacks(opened, entry)
        self.size = sum(length for _, _, length in self._pieces)
        self._direct = Direct(opened.disc.source, self._pieces, self.size)

    @property
    def bad(self) -> list[Range]:
        """Ranges of the image that hold part of it and could not be read."""
        known = self._disc.image.source.bad
        ours = _ranges(self._disc, self._pieces) if known else []
        return self._disc.on_image(overlap(ours, known))

    def read(self, offset: int, length: int) -> bytes:
        """Raises CutShort at the end of what is not the whole file."""
        if self._lacks is not None and offset >= self.size:
            raise CutShort(self._lacks)
        return self._direct.read(offset, length)


def lacks(opened: Volume, entry: Entry) -> Missing | None:
    """Why the bytes that are read are not the whole file as it is shown."""
    if any(part.interleaved for part in entry.parts):
        return Missing(Reason.UNPARSABLE, "its extent is interleaved with others, which clew does not read")
    if _on_another_disc(opened, entry):
        return Missing(Reason.UNREADABLE, "it lies on another disc of the same set")
    if entry.rock.child is not None and not entry.size:
        return Missing(Reason.UNREADABLE, "a directory that was moved, and is not where this record says")
    if entry.parts[-1].flags & MORE:
        return Missing(Reason.UNREADABLE, "it goes on in an extent that no directory record names")
    if (beyond := _beyond(opened, entry)) is not None:
        return beyond
    altered = entry.rock.altered or xa(entry.first.use)
    return Missing(Reason.UNKNOWN, altered) if altered else None


def _beyond(opened: Volume, entry: Entry) -> Missing | None:
    """Where it leaves the image, or the stretch of it that its disc begins in."""
    if any(opened.unplaced(part.block) for part in entry.parts):
        return _EARLIER
    if sum(length for _, _, length in _pieces(opened, entry)) < entry.size:
        return Missing(Reason.UNREADABLE, "it goes on beyond the image's end")
    if opened.end is not None and any(opened.place(part.block) + part.size > opened.end for part in entry.parts):
        return _BEYOND
    if opened.foreign and any(_foreign(opened, *each) for each in extents(opened, entry) if each[1]):
        return _FOREIGN
    return None


def _foreign(opened: Volume, at: int, size: int) -> bool:
    """Whether these bytes lie in a partition of something else, but one that they are: the image that a disc boots."""
    others = [each for each in opened.foreign if not alike(each, (at, size))]
    return bool(overlap([(at, size)], others))


def _on_another_disc(opened: Volume, entry: Entry) -> bool:
    """Whether the disc is one of a set, and the file lies on another one (ECMA-119, 9.1.9)."""
    own = {0, opened.said.number}
    return opened.said.volumes > 1 and any(part.volume not in own for part in entry.parts)


def _pieces(opened: Volume, entry: Entry) -> list[Piece]:
    """Where the image holds it, up to what is not there."""
    found, covered, disc = list[Piece](), 0, opened.disc
    if any(part.interleaved for part in entry.parts) or _on_another_disc(opened, entry):
        return []
    for part in entry.parts:
        at = opened.place(part.block)
        here = max(min(part.size, disc.size - at), 0)
        if here:
            found.append((covered, disc.start + at, here))
        covered += here
        if here < part.size:
            break
    return found


def _ranges(disc: Disc, pieces: list[Piece]) -> list[Range]:
    return [each for _, at, length in pieces if at is not None for each in disc.where(at - disc.start, length)]


def _path(at: At) -> bytes:
    return b"/".join(key[0] for key in at)


def _list(opened: Volume, at: At) -> Listing[Item] | Missing:
    path, which, survey = _path(at), at[-1][2] if at else opened.root, opened.survey()
    if len(path) > MOST_PATH:
        return Missing(Reason.LIMIT_REACHED, f"its path is longer than {MOST_PATH:,} bytes")
    listing: Listing[Item] = Listing()
    wrong: list[str] = []
    for entry in entries(opened, which):
        if isinstance(entry, str):
            if entry == REST:
                listing.notes[REST] += 1
            else:
                wrong.append(entry)
            continue
        first, child = entry.first, directory(opened, entry)
        name = entry.rock.name or plain_name(first.name, joliet=opened.said.joliet)
        full = path + b"/" + name if at else name
        if child is None:
            _file(opened, entry, full, name, listing)
        elif survey.entered.get(child) == (which, first.at):
            listing.folders.append((name, first.at, child))
        elif child in survey.entered:
            listing.notes[LINKED_TWICE] += 1
        else:
            listing.files.append(((name, first.at, 0), name_only(opened.name, first.at, full + b"/", _CUT)))
    if not at and survey.unnamed:
        listing.folders += survey.unnamed
        listing.notes[UNNAMED] += len(survey.unnamed)
    if wrong:
        why = Missing(Reason.UNREADABLE, f"the directory was listed in part: {wrong[0]}")
        own = at[-1][1] if at else opened.said.root.at
        listing.files.append(((b"\xff" * MOST_NAME, own, 0), name_only(opened.name, own, path + b"/", why)))
    return listing


def _file(opened: Volume, entry: Entry, path: bytes, name: bytes, listing: Listing[Item]) -> None:
    if opened.held(entry):
        listing.notes[ELSEWHERE] += 1
        return
    first, mode, lacking = entry.first, stat.S_IFMT(entry.rock.mode), lacks(opened, entry)
    path += b":associated" if first.flags & ASSOCIATED else b""
    pieces, times = _pieces(opened, entry), entry.rock.times
    known = {
        "times": [times.get("modified") or recorded_ns(first.recorded)]
        + [times.get(each) for each in ("accessed", "changed", "born")],
        "times_source": TIMES,
    }
    if mode in KINDS and not entry.size:
        item = name_only(opened.name, first.at, path, Missing(Reason.NOT_APPLICABLE, KINDS[mode])) | known
        item |= {"state": str(ItemState.SKIPPED), "content_state": str(ContentState.COMPLETE)}
    elif lacking is not None and not pieces:
        item = name_only(opened.name, first.at, path, lacking) | known
    else:
        listing.notes.update([SHARED] if lacking in {_BEYOND, _FOREIGN} else [])
        runs = opened.disc.on_image(_ranges(opened.disc, pieces[: claims.MOST_RUNS]))
        item = name_only(opened.name, first.at, path, None) | known
        item |= {
            "ref": f"{opened.name}/{first.at}/0-{len(entry.parts)}/{quote(path)}",
            "size": entry.size,
            "content_state": str(ContentState.PARTIAL if lacking is not None else ContentState.COMPLETE),
            "runs": runs,
        }
    if opened.last is not None and opened.last.left_out(extents(opened, entry)):
        if opened.last.follows:
            item["name_state"] = str(NameState.DELETED)
        else:
            listing.notes[NOT_SHOWN] += 1
    listing.files.append(((name, first.at, 0), item))
