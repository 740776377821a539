"""Expansion: every archive among the Items becomes a part of its Exhibit, and its members become Items of their own.

In rounds by depth: once all that was found is read and typed, the archives in it are listed, their members read, and
so on, until no archive is left or a budget is reached. Which bytes are an archive is said by their media type alone.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from clew.core import shards
from clew.core.case import Case
from clew.intake.api import Ask, Found, Job, Note, Part, Seen, Session, Unavailable
from clew.intake.archives import said
from clew.intake.archives.budget import Budgets
from clew.intake.archives.kinds import ZIP, Kind, kind_of
from clew.intake.archives.members import Header, What
from clew.intake.refs import MEMBER, chain_of, member_ref
from clew.model import ContentState, ItemState, Missing, NameState, Reason

PRELOAD = ("clew.intake.archives.opening",)
LISTING, OPENER = "clew.intake.archives.opening:listing", "clew.intake.archives.opening:member"
PART = "archive:"
MOST = 500  # members of one answer
SPAN = 4 << 30  # bytes of members gone past in one answer
UNPACKED = 10  # bytes that may lie behind a compressed one, for the time that it may take to go past them
ENDED = "end"
VERSION = "1"

_ARCHIVES = """
SELECT l.item, l.ref, l.path, l.name_state, c.media_type, c.size, c.content_state
FROM listings l JOIN contents c USING (item)
WHERE l.exhibit=$exhibit AND c.media_type IN (SELECT unnest($types))
"""
_WHY_NOT = {
    What.FOLDER: "a directory, which holds no content",
    What.SYMBOLIC_LINK: "a symbolic link, which is not followed",
    What.HARD_LINK: "a link to another member, whose content is that member's",
    What.DEVICE: "a device, pipe or socket, which holds no content",
}


@dataclass(frozen=True, slots=True)
class Known:
    """An Item that is an archive."""

    item: str
    ref: str
    path: bytes
    name_state: NameState
    content_state: ContentState
    media_type: str
    size: int

    @property
    def kind(self) -> Kind:
        """How it is opened."""
        kind = kind_of(self.media_type)
        if kind is None:
            raise ValueError(f"{self.media_type} is no archive")
        return kind

    @property
    def passed(self) -> int:
        """Bytes that may have to be gone through to reach a member. A zip is entered at any place, but inside another
        archive it is unpacked first.
        """
        if self.kind.name == ZIP:
            return self.size if MEMBER in self.ref else 0
        return self.size * UNPACKED


@dataclass(slots=True)
class Spent:
    """What was expanded so far of one outermost archive."""

    members: int = 0
    bytes: int = 0


class Archives:
    """A Session around another: it lists what lies in that one's archives, and reads the members beside its Items."""

    def __init__(self, case: Case, exhibit: str, session: Session, budgets: Budgets) -> None:
        self.case, self.exhibit, self.budgets = case, exhibit, budgets
        self.detail, self.held, self.acquisition = session.detail, session.held, session.acquisition
        self._session = session
        self._known: dict[str, Known] = {}  # by ref
        self._in_hand: dict[str, Known] = {}  # by part
        self._spent: dict[str, Spent] = {}  # by ref of the outermost archive

    def pending(self) -> list[Known]:
        """The archives that are to be expanded next: of those that are not yet, the ones at the least depth."""
        self._look()
        done = {row["part"] for row in self._parts() if row["done_ns"] is not None}
        waiting = [known for known in self._known.values() if PART + known.item not in done]
        depth = min((known.ref.count(MEMBER) for known in waiting), default=0)
        return sorted((known for known in waiting if known.ref.count(MEMBER) == depth), key=lambda known: known.ref)

    def parts(self, _ask: Ask) -> Iterator[Part]:
        """One part an archive."""
        self._in_hand = {PART + known.item: known for known in self.pending()}
        self._spent = self._sum()
        for name, known in self._in_hand.items():
            detail = {"kind": "archive", "format": known.kind.name, "depth": known.ref.count(MEMBER) + 1}
            yield Part(name, detail)

    def items(self, part: Part, cursor: str, _seen: Seen, ask: Ask) -> Iterator[Found | Note]:
        """The members of one archive after `cursor`: where it ended, then how many and how many bytes were listed."""
        return Expansion(self, self._in_hand[part.name], ask).events(cursor)

    def job(self, ref: str) -> Job:
        """How to read any Item: a member by way of the archives around it."""
        around, numbers = chain_of(ref)
        if not around:
            return self._session.job(ref)
        return self.way(around, numbers, OPENER)

    def way(self, around: list[str], numbers: list[int], opener: str) -> Job:
        """The job of something inside these archives. Raises Unavailable where the outermost cannot be opened."""
        if any(ref not in self._known for ref in around):
            self._look()
        try:
            archives = [self._known[ref] for ref in around]
        except KeyError:
            raise Unavailable(Missing(Reason.UNREADABLE, "the archive around it is not known any more")) from None
        outermost = self._session.job(around[0])
        place = {
            "outer": {"opener": outermost.opener, **outermost.payload},
            "key": around[0],
            "kinds": [known.media_type for known in archives],
            "stems": [stem(known).hex() for known in archives],
            "members": numbers,
        }
        passed = sum(known.passed for known in archives)
        return Job(opener, {"place": place, "overrun": self.budgets.overrun}, outermost.fds, passed)

    def spent(self, known: Known) -> Spent:
        """Of the outermost archive around that one, or of itself."""
        return self._spent.setdefault(known.ref.partition(MEMBER)[0], Spent())

    def outermost(self, known: Known) -> Known:
        """The archive that lies in no other."""
        return self._known[known.ref.partition(MEMBER)[0]]

    def doubts(self, refs: Mapping[str, str], ask: Ask) -> set[str]:
        """Of the session's own Items alone: a member has no blocks of its own."""
        return self._session.doubts({item: ref for item, ref in refs.items() if MEMBER not in ref}, ask)

    def close(self) -> None:
        """Closes the session."""
        self._session.close()

    def _look(self) -> None:
        """Reads from the case which Items are archives."""
        types = shards.query(self.case, "SELECT DISTINCT media_type FROM contents WHERE exhibit=?", (self.exhibit,))
        wanted = [name for name in types.column(0).to_pylist() if name is not None and kind_of(name) is not None]
        if not wanted:
            return
        rows = shards.query(self.case, _ARCHIVES, {"exhibit": self.exhibit, "types": wanted})
        for row in rows.to_pylist():
            states = {"name_state": NameState(row["name_state"]), "content_state": ContentState(row["content_state"])}
            self._known[row["ref"]] = Known(**{**row, **states})

    def _parts(self) -> list[sqlite3.Row]:
        sql = "SELECT part, cursor, done_ns FROM exhibit_runs WHERE exhibit=? AND substr(part, 1, ?)=?"
        return self.case.read().execute(sql, (self.exhibit, len(PART), PART)).fetchall()

    def _sum(self) -> dict[str, Spent]:
        """What each outermost archive has cost so far, from the cursors of all parts that lie in it."""
        roots = {PART + known.item: known.ref.partition(MEMBER)[0] for known in self._known.values()}
        found: dict[str, Spent] = {}
        for row in self._parts():
            if row["part"] in roots:
                _, members, size = place_of(row["cursor"])
                spent = found.setdefault(roots[row["part"]], Spent())
                spent.members += members
                spent.bytes += size
        return found


@dataclass(slots=True)
class Expansion:
    """One archive being listed."""

    archives: Archives
    known: Known
    ask: Ask
    members: int = 0  # listed of it so far
    bytes: int = 0  # of those, to be read

    def events(self, cursor: str) -> Iterator[Found | Note]:
        """Its members, then why there are no more, where that is not its end."""
        first, self.members, self.bytes = place_of(cursor)
        if first is None:
            return
        missing, notes = self._too_deep(), {}
        most, done = MOST, False
        while missing is None and not done:
            room = self.archives.budgets.members - self.archives.spent(self.known).members
            if room <= 0:
                why = f"{self.archives.budgets.members:,} members, with those of all archives in it, are listed at most"
                missing = Missing(Reason.LIMIT_REACHED, why)
                continue
            heard = self._hear(first, min(most, room))
            if isinstance(heard, said.Stretch):
                for header in heard.members:
                    yield self._found(header, header.size or 0)
                first += len(heard.members)
                most = min(MOST, 2 * most)
                missing, notes, done = heard.missing, heard.notes, heard.done
            elif most > 1:  # which member ends its reader?
                most = max(1, most // 8)
            else:
                missing = heard
        if missing is not None:
            yield self._rest(first, missing)
        yield Note(notes, self._cursor(ENDED))

    def _too_deep(self) -> Missing | None:
        around, most = self.known.ref.count(MEMBER), self.archives.budgets.depth
        if around < most:
            return None
        why = f"it lies in {around} archives, one inside the other; {most} are opened at most"
        return Missing(Reason.LIMIT_REACHED, why)

    def _hear(self, first: int, most: int) -> said.Stretch | Missing:
        room = self._allowed() - self.archives.spent(self.known).bytes
        around, numbers = chain_of(self.known.ref)
        try:
            job = self.archives.way([*around, self.known.ref], numbers, LISTING)
        except Unavailable as gone:
            return gone.missing
        asked = {**job.payload, "first": first, "most": most, "span": SPAN, "room": max(0, room)}
        answer = self.ask(LISTING, asked, job.fds, job.bytes + self.known.size + 2 * SPAN)
        return answer if isinstance(answer, Missing) else said.stretch(answer, first, most)

    def _allowed(self) -> int:
        return self.archives.budgets.bytes(self.archives.outermost(self.known).size)

    def _found(self, header: Header, size: int) -> Found:
        """A member as an Item. One that is larger than what is left of the budget is named and not read."""
        spent = self.archives.spent(self.known)
        state, missing = ItemState.OPEN, header.missing
        if header.what is not What.FILE:
            state, missing = ItemState.SKIPPED, Missing(Reason.NOT_APPLICABLE, _WHY_NOT[header.what])
        elif missing is None and size > (left := max(0, self._allowed() - spent.bytes)):
            why = f"of {self._allowed():,} bytes that all in this archive may become, {left:,} are left: it is larger"
            missing = Missing(Reason.LIMIT_REACHED, why)
        if state is ItemState.OPEN and missing is not None:
            state = ItemState.UNREADABLE
        to_read = size if state is ItemState.OPEN else 0
        self.members, self.bytes = self.members + 1, self.bytes + to_read
        spent.members, spent.bytes = spent.members + 1, spent.bytes + to_read
        claimed = self.known.content_state if state is not ItemState.UNREADABLE else ContentState.UNREADABLE
        return Found(
            ref=member_ref(self.known.ref, header.path, header.number),
            path=self.known.path + b"!/" + header.path,
            size=size,
            cursor=self._cursor(header.number + 1),
            found_by=f"archive {VERSION}, {self.known.kind.name}",
            state=state,
            missing=missing,
            name_state=self.known.name_state,
            content_state=claimed,
            parent=self.known.ref,
            modified_ns=header.modified_ns,
            accessed_ns=header.accessed_ns,
            changed_ns=header.changed_ns,
            born_ns=header.born_ns,
            times_source=header.times_source,
        )

    def _rest(self, number: int, missing: Missing) -> Found:
        """What is left of an archive that could not be listed to its end, as one Item."""
        return Found(
            ref=member_ref(self.known.ref, b"", number),
            path=self.known.path + b"!/",
            size=0,
            cursor=self._cursor(number),  # what ends the part comes behind it
            found_by=f"archive {VERSION}, {self.known.kind.name}",
            state=ItemState.UNREADABLE,
            missing=Missing(missing.reason, f"the rest of this archive, after {number:,} members: {missing.detail}"),
            name_state=self.known.name_state,
            content_state=ContentState.UNREADABLE,
            parent=self.known.ref,
        )

    def _cursor(self, place: int | str) -> str:
        return f"{place}/{self.members}/{self.bytes}"


def place_of(cursor: str) -> tuple[int | None, int, int]:
    """The number of the member to go on with (None: it is all listed), and how many members and bytes were listed."""
    if not cursor:
        return 0, 0, 0
    place, members, size = cursor.split("/")
    return None if place == ENDED else int(place), int(members), int(size)


def stem(known: Known) -> bytes:
    """What a compressed stream is called where it does not say so itself: as its file, without the last suffix."""
    name = known.path.rpartition(b"/")[2]
    before, dot, suffix = name.rpartition(b".")
    if not (before and dot):
        return name
    return before + b".tar" if suffix.lower() in {b"tgz", b"tbz2", b"txz"} else before
