"""Expansion: every archive among the Items is listed too, and its members become Items of their own.

In rounds by depth: once all that was found is read and typed, the archives in it are listed, their members read, and
so on, until no archive is left or a budget is reached. Which bytes are an archive is said by their media type alone;
pictures are opened as ones where an Extractor found a film in them.
"""

import hashlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from clew.core import shards
from clew.core.case import Case
from clew.intake import expanded, relist
from clew.intake.api import Ask, Claimed, Deleted, Found, Job, Note, Part, Seen, Session, Unavailable
from clew.intake.archives import said
from clew.intake.archives.budget import Budgets
from clew.intake.archives.kinds import MOTION_PHOTO, THUMBNAILS, WITH_FILM, ZIP, Kind, kind_of
from clew.intake.archives.members import BROKEN, Header, What
from clew.intake.expanded import PART, REST, Listed, Spent
from clew.intake.refs import MEMBER, chain_of, item_id, member_ref, names_of, order, otherwise_numbered, starts_of
from clew.model import ContentState, ItemState, Missing, NameState, Reason

PRELOAD = ("clew.intake.archives.opening",)
LISTING, OPENER = "clew.intake.archives.opening:listing", "clew.intake.archives.opening:member"
TOGETHER = 500  # archives of one part: one with few members does not need commits of its own
MOST = 500  # members of one answer
SPAN = 4 << 30  # bytes of members gone past in one answer
UNPACKED = 10  # bytes that may lie behind a compressed one, for the time that it may take to go past them
VERSION = "6"  # in `found_by` alone: in no receipt, so that nothing is read again for it
HALF = 16  # bytes of a SHA-256 that are kept to tell the contents of one Item from each other

_ARCHIVES = """
SELECT l.ref, l.path, l.name_state, c.media_type, c.size, c.content_state, c.sha256,
  min(c.sha256) OVER (PARTITION BY l.item) <> max(c.sha256) OVER (PARTITION BY l.item) AS several
FROM listings l JOIN contents c USING (item)
WHERE l.exhibit=$exhibit AND (c.media_type IN (SELECT unnest($types)) OR c.sha256 IN (SELECT unnest($films)))
ORDER BY c.content_state <> 'partial', c.size, c.content_state <> 'complete'
"""
_WHY_NOT = {
    What.FOLDER: "a directory, which holds no content",
    What.SYMBOLIC_LINK: "a symbolic link, which is not followed",
    What.HARD_LINK: "a link to another member, whose content is that member's, where it holds one of that name",
    What.DEVICE: "a device, pipe or socket, which holds no content",
}


@dataclass(frozen=True, slots=True)
class Known:
    """An Item that is an archive. `content`: half of the SHA-256 of what was read of it, the most where attempts
    differ, which is `several`.
    """

    ref: str
    path: bytes
    name_state: NameState
    content_state: ContentState
    media_type: str
    size: int
    content: bytes
    several: bool = False

    @property
    def kind(self) -> Kind:
        """How it is opened."""
        kind = kind_of(self.media_type)
        if kind is None:
            raise ValueError(f"{self.media_type} is no archive")
        return kind

    @property
    def passed(self) -> int:
        """Bytes that may have to be gone through to reach a member. A zip is entered at any place, and so is a picture
        with a film or a store of thumbnails, but inside another archive it is unpacked first.
        """
        if self.kind.name in (ZIP, MOTION_PHOTO, THUMBNAILS):
            return self.size if MEMBER in self.ref else 0
        return self.size * UNPACKED


class Archives:
    """A Session around another: its Items and what lies in their archives. It lists as that one does until
    `next_round` is called; from then on it lists archives.
    """

    def __init__(self, case: Case, exhibit: str, session: Session, budgets: Budgets) -> None:
        self.case, self.exhibit, self.budgets = case, exhibit, budgets
        self.detail, self.held, self.acquisition = session.detail, session.held, session.acquisition
        self.itself = session.itself
        self._session = session
        self._expanding = False
        self._known: dict[str, Known] = {}  # by ref
        self._in_hand: dict[str, list[Known]] = {}  # by part
        self._done: dict[str, list[str]] = {}  # archives that were listed, and by which content each time
        self._twice: set[str] = set()  # archives that are listed under another name since, and are not expanded
        self._again: set[str] = set()  # archives whose listing failed, to be tried once more
        self._spent: dict[str, Spent] = {}  # by ref of the outermost archive

    def next_round(self) -> bool:
        """Whether there are archives to be expanded, which it lists now."""
        self._expanding = True
        return bool(self.pending())

    def retry(self) -> None:
        """From now on what could not be listed to its end waits to be listed again, once."""
        self._again = expanded.broken_off(self.case, self.exhibit)

    def pending(self) -> list[Known]:
        """The archives that are to be expanded next: of those that are not yet, of which more was read since, or that
        are tried again, the ones at the least depth.
        """
        self._look()
        self._twice = relist.named_since(self.case, self.exhibit)
        rows = expanded.parts(self.case, self.exhibit)
        self._done, self._spent = expanded.done(rows), expanded.spent(self.case, self.exhibit)
        begun = {item for row in rows if row["done_ns"] is None for item in expanded.items(row)}
        waiting = [known for known in self._known.values() if self.item(known) in begun or self._waits(known)]
        depth = min((known.ref.count(MEMBER) for known in waiting), default=0)
        return sorted(
            (known for known in waiting if known.ref.count(MEMBER) == depth), key=lambda known: order(known.ref)
        )

    def parts(self, ask: Ask) -> Iterator[Part]:
        """The session's own, or so many archives a part."""
        return self._groups() if self._expanding else self._session.parts(ask)

    def _groups(self) -> Iterator[Part]:
        """In the order in which reading goes onward; a part that was begun before keeps its archives."""
        rows = [row for row in expanded.parts(self.case, self.exhibit) if row["done_ns"] is None]
        waiting = {self.item(known): known for known in self.pending()}
        begun = {row["part"]: expanded.items(row) for row in rows}
        taken = {item for items in begun.values() for item in items}
        by_item = waiting if not taken else {self.item(known): known for known in self._known.values()}
        fresh = [item for item in waiting if item not in taken]
        contents = {item: by_item[item].content.hex() for item in [*taken, *fresh]}
        groups = {
            PART + name_of([self._listing(item, contents[item]) for item in some]): some for some in _batched(fresh)
        }
        for name, items in {**begun, **groups}.items():
            self._in_hand[name] = [by_item[item] for item in items]
            yield Part(name, {"kind": "archives", "archives": items, "contents": [contents[item] for item in items]})
            self._again.difference_update(items)

    def _listing(self, item: str, content: str) -> str:
        """What tells one listing of an archive from another: by which content, and the how manieth by the same."""
        before = self._done.get(item, []).count(content)
        return f"{item} {content}" + (f" {before}" if before else "")

    def items(self, part: Part, cursor: str, seen: Seen, ask: Ask) -> Iterator[Found | Note]:
        """As the session's own, or the members of each archive of the part."""
        if part.name in self._in_hand:
            return self._members(self._in_hand[part.name], cursor, ask)
        return self._session.items(part, cursor, seen, ask)

    def _members(self, archives: list[Known], cursor: str, ask: Ask) -> Iterator[Found | Note]:
        """After `cursor`: which archive, and which member of it."""
        at, first = (int(number) for number in cursor.split("/")) if cursor else (0, 0)
        for place, known in enumerate(archives):
            if place >= at and self.item(known) not in self._twice:
                yield from Expansion(self, known, place, ask).events(first if place == at else 0)

    def job(self, ref: str) -> Job:
        """How to read any Item: a member by way of the archives around it."""
        around, _ = chain_of(ref)
        return self.way(around, ref, OPENER) if around else self._session.job(ref)

    def way(self, around: list[str], ref: str, opener: str) -> Job:
        """The job of `ref` by way of these archives. Raises Unavailable where the outermost cannot be opened."""
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
            "members": chain_of(ref)[1],
            "names": [name.hex() for name in names_of(ref)],
            "starts": starts_of(ref),
        }
        passed = sum(known.passed for known in archives)
        return Job(opener, {"place": place, "overrun": self.budgets.overrun}, outermost.fds, passed)

    def spent(self, known: Known) -> Spent:
        """Of the outermost archive around that one, or of itself."""
        return self._spent.setdefault(known.ref.partition(MEMBER)[0], Spent())

    def outermost(self, known: Known) -> Known:
        """The archive that lies in no other."""
        return self._known[known.ref.partition(MEMBER)[0]]

    def claims(self, deleted: Mapping[str, Deleted], ask: Ask) -> dict[str, Claimed]:
        """Of the session's own Items alone: a member has no blocks of its own."""
        return self._session.claims({item: each for item, each in deleted.items() if MEMBER not in each.ref}, ask)

    def check(self) -> None:
        """As the session does."""
        self._session.check()

    def close(self) -> None:
        """Closes the session."""
        self._session.close()

    def _look(self) -> None:
        """Reads from the case which Items are archives."""
        types = shards.query(self.case, "SELECT DISTINCT media_type FROM contents WHERE exhibit=?", (self.exhibit,))
        wanted = [name for name in types.column(0).to_pylist() if name is not None and kind_of(name) is not None]
        films = expanded.films(self.case, self.exhibit)
        if not wanted and not films:
            return
        rows = shards.query(self.case, _ARCHIVES, {"exhibit": self.exhibit, "types": wanted, "films": films})
        for chunk in rows.to_batches():
            for row in chunk.to_pylist():
                self._known[row["ref"]] = Known(
                    row["ref"],
                    row["path"],
                    NameState(row["name_state"]),
                    ContentState(row["content_state"]),
                    sys.intern(row["media_type"]) if row["media_type"] in wanted else WITH_FILM,
                    row["size"],
                    row["sha256"][:HALF],
                    row["several"],
                )

    def _waits(self, known: Known) -> bool:
        """Whether it is not listed yet, or was listed by a content with less in it than has been read of it since. In a
        case that does not say by which, that was the first. Or whether it is tried again, as far as budgets allow.
        """
        item = self.item(known)
        if item in self._twice:
            return False
        by = self._done.get(item)
        if by is None or (known.content.hex() not in by if any(by) else known.several):
            return True
        if item not in self._again or known.ref.count(MEMBER) >= self.budgets.depth:
            return False
        return self.spent(known).members < self.budgets.members

    def item(self, known: Known) -> str:
        """The id of its Item."""
        return item_id(self.exhibit, known.ref)

    def before(self, known: Known) -> Listed | None:
        """What was listed of it, where that is listed again."""
        item = self.item(known)
        return expanded.listed(self.case, self.exhibit, item) if item in self._done else None


@dataclass(slots=True)
class Expansion:
    """One archive being listed."""

    archives: Archives
    known: Known
    place: int  # in its part
    ask: Ask
    before: Listed | None = None

    def events(self, first: int) -> Iterator[Found | Note]:
        """Its members from number `first` on, then why there are no more, where that is not its end."""
        missing, notes = self._too_deep(), {}
        self.before = self.archives.before(self.known)
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
                    yield self._member(header)
                first += len(heard.members)
                most = min(MOST, 2 * most)
                missing, notes, done = heard.missing, heard.notes, heard.done
            elif most > 1:  # which member ends its reader?
                most = max(1, most // 8)
            else:
                missing = heard
        if missing is not None:
            rest = self._rest(first, missing)
            if rest.missing is not None and rest.missing.detail == self._stood(rest.ref):
                notes = {}  # it breaks off as before: they were told then
            yield rest
        closed = tuple(sorted(self.before.rests)) if self.before is not None and missing is None else ()
        yield Note(notes, f"{self.place + 1}/0", closed)

    def _stood(self, ref: str) -> str | None:
        """Why an earlier listing broke off at the same place."""
        return None if self.before is None else self.before.rests.get(ref)

    def _too_deep(self) -> Missing | None:
        around, most = self.known.ref.count(MEMBER), self.archives.budgets.depth
        if around < most:
            return None
        why = f"it lies in {around} archives, one inside the other; {most} are opened at most"
        return Missing(Reason.LIMIT_REACHED, why)

    def _hear(self, first: int, most: int) -> said.Stretch | Missing:
        room = self._allowed() - self.archives.spent(self.known).bytes
        around, _ = chain_of(self.known.ref)
        try:
            job = self.archives.way([*around, self.known.ref], self.known.ref, LISTING)
        except Unavailable as gone:
            return gone.missing
        asked = {**job.payload, "first": first, "most": most, "span": SPAN, "room": max(0, room)}
        asked["again"] = self.before is not None
        answer = self.ask(LISTING, asked, job.fds, job.bytes + self.known.size + 2 * SPAN)
        return answer if isinstance(answer, Missing) else said.stretch(answer, first, most)

    def _allowed(self) -> int:
        return self.archives.budgets.bytes(self.archives.outermost(self.known).size)

    def _member(self, header: Header) -> Found | Note:
        """As an Item; of one that is known from an earlier listing only how far this one is."""
        archive, before = self.known.ref, self.before
        plain = member_ref(archive, header.path, header.number)
        ref = member_ref(archive, header.path, header.number, header.start)
        if before is not None:
            if ref in before.stands and header.missing != BROKEN:
                plain = ref = otherwise_numbered(archive, header.number)
            if before.holds(plain, ref):
                return Note({}, f"{self.place}/{header.number + 1}")
        return self._found(header, ref)

    def _found(self, header: Header, ref: str) -> Found:
        """A member as an Item. One that is larger than what is left of the budget is named and not read."""
        spent, size = self.archives.spent(self.known), header.size or 0
        state, missing = ItemState.OPEN, header.missing
        if header.what is not What.FILE:
            size = 0
            state, missing = ItemState.SKIPPED, Missing(Reason.NOT_APPLICABLE, _WHY_NOT[header.what])
        elif missing is None and size > (left := max(0, self._allowed() - spent.bytes)):
            why = f"of {self._allowed():,} bytes that all in this archive may become, {left:,} are left: it is larger"
            missing = Missing(Reason.LIMIT_REACHED, why)
        if state is ItemState.OPEN and missing is not None:
            state = ItemState.UNREADABLE
        spent.members += 1  # `_SPENT` counts them in the same manner
        spent.bytes += size if state is ItemState.OPEN else 0
        claimed = self.known.content_state if state is not ItemState.UNREADABLE else ContentState.UNREADABLE
        return Found(
            ref=ref,
            path=self.known.path + b"!/" + header.path,
            size=size,
            cursor=f"{self.place}/{header.number + 1}",
            found_by=f"archive {VERSION}, {self.known.kind.name}",
            state=state,
            missing=missing,
            name_state=self.known.name_state if header.named else NameState.ORPHAN,
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
        self.archives.spent(self.known).members += 1
        ref = member_ref(self.known.ref, b"", number)
        if self.before is not None and ref in self.before.refs:
            ref = otherwise_numbered(self.known.ref, number)
        return Found(
            ref=ref,
            path=self.known.path + b"!/",
            size=0,
            cursor=f"{self.place}/{number}",  # the Note behind it goes on with the next archive
            found_by=f"archive {VERSION}, {self.known.kind.name}",
            state=ItemState.UNREADABLE,
            missing=Missing(missing.reason, f"{REST}after {number:,} members: {missing.detail}"),
            name_state=self.known.name_state,
            content_state=ContentState.UNREADABLE,
            parent=self.known.ref,
        )


def name_of(items: Sequence[str]) -> str:
    """What a part is called after the archives in it."""
    return hashlib.sha256("\n".join(items).encode()).hexdigest()[:32]


def _batched(items: list[str]) -> Iterator[list[str]]:
    for at in range(0, len(items), TOGETHER):
        yield items[at : at + TOGETHER]


def stem(known: Known) -> bytes:
    """What a compressed stream is called where it does not say so itself: as its file, without the last suffix."""
    name = known.path.rpartition(b"/")[2]
    before, dot, suffix = name.rpartition(b".")
    if not (before and dot):
        return name
    return before + b".tar" if suffix.lower() in {b"tgz", b"tbz2", b"txz"} else before
