"""What a worker does with archives: opens the chain of them that an Item lies in, lists one, or reads a member.

A worker keeps the chain that it opened last. Members are asked for in stream order, so that a solid archive is gone
through once and not once a member; an answer never depends on what was kept. What a kept archive reads from is bound
to each task's own descriptors anew, as those of the task before are closed.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from clew.core.absent import Absent
from clew.core.channel import Reply
from clew.intake.api import ByteSource
from clew.intake.archives.compressed import Compressed
from clew.intake.archives.kinds import ZIP, Kind, kind_of
from clew.intake.archives.members import Archive, Forward, Header
from clew.intake.archives.streamed import Streamed
from clew.intake.archives.zipped import Zipped
from clew.model import Missing, Reason

HOLD = 192 << 20  # bytes of one archive inside another that are held
HOLD_ALL = 2 * HOLD  # of all that one chain holds
APART = "export it and take it in as an exhibit of its own"


class Bound:
    """The bytes of the outermost archive, by whatever reads them for the task in hand."""

    def __init__(self, source: ByteSource) -> None:
        self.source = source

    @property
    def size(self) -> int:
        """Bytes."""
        return self.source.size

    def read(self, offset: int, length: int) -> bytes:
        """As ByteSource."""
        return self.source.read(offset, length)


class Held:
    """Bytes in memory."""

    def __init__(self, data: bytes | bytearray) -> None:
        self._data = memoryview(data)
        self.size = len(data)

    def read(self, offset: int, length: int) -> bytes:
        """As ByteSource."""
        return bytes(self._data[offset : offset + length])


class Undirected:
    """A zip without a readable directory, by its local headers: what these do not show is lost, and that is said."""

    def __init__(self, streamed: Streamed, why: Absent) -> None:
        self._streamed, self._why = streamed, why
        self.notes = {"zip archives read by their local headers, as their directory could not be read": 1}

    def headers(self, first: int) -> Iterator[Header]:
        """Always ends in Absent: nothing says that all was met."""
        yield from self._streamed.headers(first)
        raise self._why

    def chunks(self, number: int) -> Iterator[bytes]:
        """As Archive."""
        return self._streamed.chunks(number)

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


def open_archive(source: ByteSource, kind: Kind, stem: bytes, seekable: bool = True) -> Archive:
    """The archive in these bytes. Raises Absent where it cannot be opened at all."""
    if kind.single:
        return Compressed(source, kind, stem)
    if kind.name != ZIP:
        return Streamed(source, kind, stem, seekable)
    try:
        if seekable:
            return Zipped(source)
        why = Absent(Missing(Reason.TOO_LARGE, f"its directory at its end could not be reached: {APART}"))
    except Absent as absent:
        why = absent
    return Undirected(Streamed(source, kind, stem, seekable), why)


def chain(payload: dict[str, Any], outermost: Callable[[], ByteSource], depth: int) -> Archive:
    """The archive `depth` levels below the outermost one (0), opened as far as it was not open.

    `payload`: "key" names the outermost archive, "kinds" the media type and "stems" (hexadecimal) the name of each
    archive on the way, "members" the number of each in the one around it. Raises Absent where one cannot be opened.
    """
    source = outermost()
    key: tuple[Any, ...] = (payload["key"], source.size)
    if _chain and _chain[0].key == key:
        _root[0].source = source
    else:
        _cut(0)
        _root[:] = [Bound(source)]
    for level in range(depth + 1):
        if level:
            key = (*key, payload["members"][level - 1])
        if len(_chain) > level and _chain[level].key == key:
            continue
        _cut(level)
        inner, held = (_root[0], 0) if level == 0 else _inner(_chain[level - 1].archive, payload["members"][level - 1])
        kind = kind_of(payload["kinds"][level])
        if kind is None:
            raise Absent(Missing(Reason.NOT_APPLICABLE, "is no archive"))
        seekable = not isinstance(inner, Forward)
        if kind.name == "7z" and not seekable:
            raise Absent(Missing(Reason.TOO_LARGE, f"a 7z archive inside another, over {HOLD} bytes: {APART}"))
        archive = open_archive(inner, kind, bytes.fromhex(payload["stems"][level]), seekable)
        _chain.append(Link(key, archive, held))
    return _chain[depth].archive


def _cut(level: int) -> None:
    """Lets the archives from `level` on go, the innermost first."""
    while len(_chain) > level:
        _chain.pop().archive.close()


def _inner(archive: Archive, number: int) -> tuple[ByteSource, int]:
    """The bytes of an archive that is a member of another: held where they are few enough, else as a stream."""
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
    """Worker entry: the members from number "first" on, at most "most" of them and as many as lie in "span" bytes.

    The answer is {"members": [...], "done", "missing" (why nothing follows), "notes"}.
    """
    members: list[dict[str, Any]] = []
    done, missing, notes = False, None, {}
    try:
        archive = chain(payload, lambda: outer(payload, descriptors), len(payload["members"]))
        passed = 0
        for header in archive.headers(payload["first"]):
            members.append(_said(header))
            passed += header.size or 0
            if len(members) >= payload["most"] or passed >= payload["span"]:
                break
        else:
            done = True
    except Absent as absent:
        done, missing = True, {"reason": str(absent.missing.reason), "detail": absent.missing.detail}
    if done:
        notes = _chain[-1].archive.notes if _chain else {}
    return Reply({"members": members, "done": done, "missing": missing, "notes": notes})


def outer(payload: dict[str, Any], descriptors: list[int]) -> ByteSource:
    """The outermost archive's bytes, by the opener of the Item that it is."""
    module, _, function = payload["outer"]["opener"].partition(":")
    source: ByteSource = getattr(sys.modules[module], function)(payload["outer"]["payload"], descriptors)
    return source


def _said(header: Header) -> dict[str, Any]:
    missing = header.missing
    return {
        "number": header.number,
        "path": header.path.hex(),
        "what": str(header.what),
        "size": header.size,
        "reason": str(missing.reason) if missing else None,
        "detail": missing.detail if missing else None,
        "times": [header.modified_ns, header.accessed_ns, header.changed_ns, header.born_ns],
        "times_source": header.times_source,
    }
