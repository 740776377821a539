"""What a worker does with archives: opens the chain of them that an Item lies in, lists one, or reads a member.

A worker keeps the chain that it opened last. Members are asked for in stream order, so that a solid archive is gone
through once and not once a member; an answer never depends on what was kept. What a kept archive reads from is bound
to each task's own descriptors anew, as those of the task before are closed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from clew.core.absent import Absent, CutShort
from clew.core.channel import Reply
from clew.intake.api import ByteSource, Range
from clew.intake.archives.compressed import Compressed
from clew.intake.archives.kinds import MOTION_PHOTO, RAR, SEVEN_ZIP, THUMBNAILS, ZIP, kind_of
from clew.intake.archives.members import Archive, Forward, Header, Held, Stated, TooOften, rightly
from clew.intake.archives.motion import MotionPhoto
from clew.intake.archives.rarred import Rarred
from clew.intake.archives.streamed import Streamed
from clew.intake.archives.thumbcache import ThumbCache
from clew.intake.archives.zipped import Zipped
from clew.intake.over import Over
from clew.intake.reading import find
from clew.model import Missing, Reason

HOLD = 192 << 20  # bytes of one archive inside another that are held
HOLD_ALL = 2 * HOLD  # of all that one chain holds
MOST_RESTARTS = 16  # of one member, for an Extractor that goes back and forth in it
MOST_SIZE = (1 << 63) - 1
APART = "export it and take it in as an exhibit of its own"
OTHERWISE = Missing(
    Reason.UNREADABLE,
    "the archive is listed otherwise now than when this was found in it (by its directory, or by its local headers): "
    "what has its number there now has another name or size, and is not taken for it",
)


# What is no archive by its own name; its members lie in it as they are
_PLACED: dict[str, type[MotionPhoto] | type[ThumbCache]] = {MOTION_PHOTO: MotionPhoto, THUMBNAILS: ThumbCache}


class Bound(Over):
    """The bytes of the outermost archive, by whatever reads them for the task in hand."""


class Undirected:
    """A zip without a readable directory, by its local headers: what these do not show is lost, and that is said."""

    def __init__(self, streamed: Streamed, why: Absent) -> None:
        self._streamed, self._why = streamed, why
        self.notes = {"zip archives read by their local headers, as their directory could not be read": 1}

    def headers(self, first: int) -> Iterator[Header]:
        """Always ends in Absent: nothing says that all was met."""
        try:
            yield from self._streamed.headers(first)
        except Absent as absent:
            both = f"{self._why.missing.detail}; {absent.missing.detail}"
            raise Absent(replace(self._why.missing, detail=both)) from None
        raise self._why

    def chunks(self, number: int) -> Iterator[bytes]:
        """As Archive."""
        return self._streamed.chunks(number)

    def stated(self, number: int) -> Stated:
        """As Archive."""
        return self._streamed.stated(number)

    def place(self, _number: int) -> ByteSource | None:
        """As Archive."""
        return None

    def close(self) -> None:
        """As Archive."""
        self._streamed.close()


@dataclass(slots=True)
class Link:
    """One opened archive of a chain. `key` is where it lies: the outermost Item, then member numbers."""

    key: tuple[Any, ...]
    archive: Archive
    held: int = 0


_chain: list[Link] = []
_root: list[Bound] = []


def open_archive(source: ByteSource, media_type: str, stem: bytes) -> Archive:
    """The archive in these bytes. Raises Absent where it cannot be opened at all."""
    kind, seekable = kind_of(media_type), not isinstance(source, Forward)
    if kind is None:
        raise Absent(Missing(Reason.NOT_APPLICABLE, "is no archive"))
    if kind.single:
        return Compressed(source, kind, stem)
    if kind.name in (SEVEN_ZIP, *_PLACED) and not seekable:
        what = "7z archive" if kind.name == SEVEN_ZIP else kind.name
        raise Absent(Missing(Reason.TOO_LARGE, f"a {what} of over {HOLD:,} bytes inside another archive: {APART}"))
    if kind.name in _PLACED:
        return _PLACED[kind.name](source)
    if kind.name == RAR:
        return Rarred(source, kind, stem, seekable)
    if kind.name != ZIP:
        return Streamed(source, kind, stem, seekable)
    why = Absent(
        Missing(
            Reason.TOO_LARGE,
            f"a zip of over {HOLD:,} bytes inside another, whose directory at its end was not reached: {APART}",
        )
    )
    if seekable:
        try:
            return Zipped(source)
        except Absent as absent:
            why = absent
    return Undirected(Streamed(source, kind, stem, seekable), why)


def chain(place: dict[str, Any], descriptors: list[int], depth: int) -> Archive:
    """The archive `depth` levels below the outermost one (0), opened as far as it was not open.

    `place`: "outer" is the payload of the outermost archive's own Job with its "opener", "key" its name; "kinds" the
    media type and "stems" (hexadecimal) the name of each archive on the way, "members" the number of each in the one
    around it, "names" (hexadecimal) what it was listed as there and "starts" at which byte its content begins, where
    that was listed. Raises Absent where one cannot be opened.
    """
    source: ByteSource = find(place["outer"]["opener"])(place["outer"], descriptors)
    key: tuple[Any, ...] = (place["key"], source.size)
    if _chain and _chain[0].key == key:
        _root[0].source = source
    else:
        _cut(0)
        _root[:] = [Bound(source)]
    for level in range(depth + 1):
        if level:
            key = (*key, *(place[what][level - 1] for what in ("members", "names", "starts")))
        if len(_chain) > level and _chain[level].key == key:
            continue
        _cut(level)
        inner, held = (_root[0], 0) if level == 0 else _inner(_chain[level - 1].archive, place, level - 1)
        archive = open_archive(inner, place["kinds"][level], bytes.fromhex(place["stems"][level]))
        _chain.append(Link(key, archive, held))
    return _chain[depth].archive


def _cut(level: int) -> None:
    """Lets the archives from `level` on go, the innermost first."""
    while len(_chain) > level:
        _chain.pop().archive.close()


def _as_listed(archive: Archive, place: dict[str, Any], level: int, size: int | None, *, hashed: bool) -> int:
    """The number of what was listed in this archive as "members", "names" and "starts" say, of that `size` where one is
    known. `hashed`: hashes of an earlier time will tell whether these are its bytes.

    Raises Absent where that number is another member's now. A zip is listed by its directory or by its local headers,
    whose orders may differ, and which of the two is said by what can be read of it: where its content begins tells
    members of one name and size from each other; a number of the directory says nothing without that directory.
    """
    number, start = place["members"][level], place["starts"][level]
    name = bytes.fromhex(place["names"][level])
    try:
        if start is not None and isinstance(archive, Zipped):
            return _found(archive.number_at(start, name))
        stated = archive.stated(number)
    except OSError as error:
        raise Absent(Missing(Reason.UNREADABLE, f"read error in the archive: {error.strerror}")) from error
    if isinstance(archive, Undirected):
        same = hashed if start is None else start == stated.start
    else:
        same = start is None and (hashed or None in {size, stated.size} or size == min(stated.size or 0, MOST_SIZE))
    return _found(number if same and name == stated.name else None)


def _found(number: int | None) -> int:
    if number is None:
        raise Absent(OTHERWISE)
    return number


def _inner(archive: Archive, around: dict[str, Any], level: int) -> tuple[ByteSource, int]:
    """The bytes of an archive that is a member of another: where they lie as they are, held where they are few enough,
    else as a stream.
    """
    number = _as_listed(archive, around, level, None, hashed=False)
    place = archive.place(number)
    if place is not None:
        return place, 0
    room = min(HOLD, HOLD_ALL - sum(link.held for link in _chain))
    held = bytearray()
    try:
        for chunk in archive.chunks(number):
            held += chunk
            if len(held) > room:
                return Forward(lambda: archive.chunks(number)), 0
    except Absent:
        if not held:
            raise
    return Held(held), len(held)


def listing(payload: dict[str, Any], descriptors: list[int]) -> Reply:
    """Worker entry: the members of "place" from number "first" on, at most "most" of them and as many as lie in "span"
    bytes. A size that the archive does not state is measured, up to "room". "again": it was listed before, and of each
    member of a zip it is asked where its content begins.

    The answer is {"members": [...], "done", "missing" (why nothing follows), "notes"}.
    """
    members: list[dict[str, Any]] = []
    archive, missing, passed = None, None, 0
    try:
        archive = chain(payload["place"], descriptors, len(payload["place"]["members"]))
        for header in archive.headers(payload["first"]):
            size = _measured(archive, header.number, payload["room"]) if header.size is None else header.size
            members.append(_said(header, min(size, MOST_SIZE), _start(archive, header, payload["again"])))
            passed += size
            if len(members) >= payload["most"] or passed >= payload["span"]:
                return Reply({"members": members, "done": False, "missing": None, "notes": {}})
    except Absent as absent:
        missing = {"reason": str(absent.missing.reason), "detail": absent.missing.detail}
    except OSError as error:
        missing = {"reason": str(Reason.UNREADABLE), "detail": f"read error in the archive: {error.strerror}"}
    notes = {} if archive is None else archive.notes
    return Reply({"members": members, "done": True, "missing": missing, "notes": notes})


def member(payload: dict[str, Any], descriptors: list[int]) -> "Member":
    """Opener: the content of the last of "members", of "overrun" bytes more than its "size" at most. What is hashed of
    it already is told by those hashes; it is held against its size only where "beginning" says that nothing is.
    """
    place = payload["place"]
    level = len(place["members"]) - 1
    archive = chain(place, descriptors, level)
    number = _as_listed(archive, place, level, payload["size"], hashed=payload.get("beginning") != 0)
    return Member(archive, number, payload["size"], payload["overrun"])


class Member:
    """The content of one member: in order, then held or, where it lies in the archive as it is, at any place.

    Where it is damaged it is cut short behind its last good byte. That an Extractor goes back too often in what can
    only be read from its beginning is no damage: it is told to that Extractor.
    """

    def __init__(self, archive: Archive, number: int, listed: int, overrun: int) -> None:
        self.bad: list[Range] = []  # the archive's own are known to whoever lists its members
        self._listed, self._most = listed, listed + overrun
        self._place = archive.place(number)
        self._stream = Forward(lambda: archive.chunks(number), MOST_RESTARTS)
        self.onward = self._place is None

    @property
    def size(self) -> int:
        """Bytes, as listed until more or less was met."""
        if self._place is not None:
            return self._place.size
        return max(self._listed, self._stream.met) if self._stream.end is None else self._stream.end

    def read(self, offset: int, length: int) -> bytes:
        """As ByteSource. Raises TooOften, of which the next reading forward knows nothing."""
        passed = self._stream.position - offset
        if self._place is not None and offset < self._stream.start:
            data = self._place.read(offset, min(length, passed))
            return data if length <= passed else data + self.read(offset + passed, length - passed)
        try:
            if offset < self._most:
                return self._stream.read(offset, min(length, self._most - offset))
            if not self._stream.read(offset, 1):
                return b""
        except TooOften:
            raise
        except Absent as absent:
            raise CutShort(absent.missing) from absent
        except OSError as error:
            raise CutShort(Missing(Reason.UNREADABLE, f"read error in the archive: {error.strerror}")) from error
        why = f"it goes on behind {self._most:,} bytes, which is far more than its archive states"
        raise CutShort(Missing(Reason.LIMIT_REACHED, why))


def _measured(archive: Archive, number: int, room: int) -> int:
    """How many bytes a member is that does not say so; counted no further than just behind `room`."""
    size = 0
    try:
        for chunk in archive.chunks(number):
            size += len(chunk)
            if size > room:
                break
    except Absent:  # reading it will say why
        return size
    return size


def _start(archive: Archive, header: Header, again: bool) -> int | None:
    """Where the content of a member of a zip begins: always where nothing else tells it from its like, or where it is
    to be told from what was listed before.
    """
    if isinstance(archive, Undirected):
        return header.passed or None
    return archive.start(header.number) if again and isinstance(archive, Zipped) else None


def _said(header: Header, size: int, start: int | None) -> dict[str, Any]:
    missing = header.missing
    return {
        "number": header.number,
        "path": header.path.hex(),
        "what": str(rightly(header.what, size)),
        "size": size,
        "start": start,
        "reason": str(missing.reason) if missing else None,
        "detail": missing.detail if missing else None,
        "times": [header.modified_ns, header.accessed_ns, header.changed_ns, header.born_ns],
        "times_source": header.times_source,
        "named": header.named,
    }
