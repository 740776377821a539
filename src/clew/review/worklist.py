"""What there is to look at, unknown before known, a page at a time by key: fast however long the list is.

A Series is "open" while it is unknown and one of its members has no settled grade. Pictures outside every Series stand
after them, each as an entry of its own ("single:<sha256>"). What is known or graded is "closed": listed apart, without
pictures.
"""

import sqlite3
from dataclasses import dataclass

from clew.core.case import Case
from clew.core.errors import Usage
from clew.model import GradeState, HashSetKind
from clew.review import parts
from clew.review.api import Standing
from clew.review.grading import as_standing
from clew.review.thumbnails import Thumbnails

SECTIONS = ("open", "closed")
PAGE = 40
MEMBERS = 60
SINGLE = "single:"
_CHUNK = 500

_UNFINISHED = (
    "EXISTS (SELECT 1 FROM series_members m WHERE m.series = s.id AND NOT EXISTS (SELECT 1 FROM standing_grades g"
    " WHERE g.content = m.content AND g.state IN ('decided', 'confirmed')))"
)
_WHICH = {"open": f"s.known = 0 AND {_UNFINISHED}", "closed": f"(s.known <> 0 OR NOT {_UNFINISHED})"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the list. `members` counts Contents, `settled` those graded by a person, `waiting` open proposals,
    `parts` those of which a page or picture that is not shown is near one of an alert set.
    """

    id: str
    label: str
    kind: str
    representative: bytes
    known: bool
    members: int
    settled: int
    waiting: int
    picture: bool
    grade: Standing | None
    parts: int


@dataclass(frozen=True, slots=True)
class Member:
    """One Content of an Entry, its distance to the representative, what stands of it, and which pages or pictures of it
    that are not shown are near one of an alert set.
    """

    content: bytes
    distance: int
    picture: bool
    grade: Standing | None
    parts: list[str]


@dataclass(frozen=True, slots=True)
class Page:
    """Entries in order; `next` is the key to go on after, None at the end."""

    entries: list[Entry]
    next: str | None


class Worklist:
    """The list of one case. Reads only."""

    def __init__(self, case: Case, thumbnails: Thumbnails) -> None:
        self._case, self._thumbnails = case, thumbnails

    def page(self, section: str, after: str = "", limit: int = PAGE) -> Page:
        """Up to `limit` entries of a section after the key of an earlier page's last one.

        Raises Usage for a section that is not "open" or "closed".
        """
        if section not in SECTIONS:
            raise Usage(f"there is no list {section!r}", f"there are: {', '.join(SECTIONS)}")
        entries: list[Entry] = []
        if not after.startswith(SINGLE):
            rows = self._case.read().execute(
                f"SELECT s.* FROM series s WHERE s.label > ? AND {_WHICH[section]} ORDER BY s.label LIMIT ?",  # noqa: S608
                (after, limit + 1),
            )
            entries = [self._series(row) for row in rows]
        if len(entries) <= limit:
            entries += self._singles(section, after, limit + 1 - len(entries))
        more = len(entries) > limit
        entries = entries[:limit]
        return Page(entries, _key(entries[-1]) if more else None)

    def entry(self, identity: str) -> Entry:
        """The entry of a Series id or "single:<sha256>". Raises Usage where there is none."""
        if identity.startswith(SINGLE):
            return self._single(_digest(identity))
        row = self._case.read().execute("SELECT * FROM series WHERE id = ?", (identity,)).fetchone()
        if row is None:
            raise Usage("this case holds no such series", "reload the list; it may have been grouped anew")
        return self._series(row)

    def holding(self, content: bytes) -> str:
        """The id of the entry that a Content stands in."""
        row = self._case.read().execute("SELECT series FROM series_members WHERE content = ?", (content,)).fetchone()
        return str(row["series"]) if row else SINGLE + content.hex()

    def holds(self, content: bytes) -> bool:
        """Whether a Content stands in this list at all."""
        return self._thumbnails.blob(content) is not None or not self.holding(content).startswith(SINGLE)

    def members(self, identity: str, after: int = 0, limit: int = MEMBERS) -> tuple[list[Member], int | None]:
        """Members by distance, the representative first, from the `after`-th on; and where the next ones begin."""
        if identity.startswith(SINGLE):
            return [self._member(_digest(identity), 0)], None
        rows = (
            self._case.read()
            .execute(
                "SELECT m.content, m.distance FROM series_members m JOIN series s ON s.id = m.series WHERE m.series = ?"
                " ORDER BY m.content <> s.representative, m.distance, m.content LIMIT ? OFFSET ?",
                (identity, limit + 1, after),
            )
            .fetchall()
        )
        members = [self._member(bytes(row["content"]), row["distance"]) for row in rows[:limit]]
        return members, after + limit if len(rows) > limit else None

    def hits(self, content: bytes) -> list[sqlite3.Row]:
        """What the picture that is shown of this Content matched, or its bytes, and how near; alert sets first."""
        return (
            self._case.read()
            .execute(
                "SELECT h.*, s.name FROM hits h JOIN hashsets s ON s.id = h.hashset WHERE h.content = ? AND h.part = ''"
                " ORDER BY h.kind, h.distance, s.name",
                (content,),
            )
            .fetchall()
        )

    def progress(self) -> dict[str, int]:
        """Series, pictures in them, and pictures with a settled grade."""
        one = self._case.read().execute(
            "SELECT (SELECT count(*) FROM series) AS series, (SELECT count(*) FROM series WHERE known <> 0) AS known,"
            " (SELECT count(*) FROM standing_grades WHERE state IN ('decided', 'confirmed')) AS graded,"
            " (SELECT count(*) FROM standing_grades WHERE state = 'proposed') AS waiting"
        )
        return dict(one.fetchone())

    def not_covered(self) -> dict[str, int]:
        """What this page cannot show: items by open state, and Contents without a picture."""
        rows = self._case.read().execute("SELECT state, count(*) AS n FROM items GROUP BY state").fetchall()
        states = {row["state"]: row["n"] for row in rows}
        _, without = self._thumbnails.counts()
        kept = ("unreadable", "skipped", "open")
        return {state: states.get(state, 0) for state in kept} | {"without_picture": without}

    def _series(self, row: sqlite3.Row) -> Entry:
        counts = (
            self._case.read()
            .execute(
                "SELECT count(*) AS n, coalesce(sum(g.state IN ('decided', 'confirmed')), 0) AS settled,"
                " coalesce(sum(g.state = 'proposed'), 0) AS waiting FROM series_members m"
                " LEFT JOIN standing_grades g ON g.content = m.content WHERE m.series = ?",
                (row["id"],),
            )
            .fetchone()
        )
        content = bytes(row["representative"])
        return Entry(
            id=row["id"],
            label=row["label"],
            kind="series",
            representative=content,
            known=bool(row["known"]),
            members=counts["n"],
            settled=counts["settled"],
            waiting=counts["waiting"],
            picture=self._thumbnails.blob(content) is not None,
            grade=self._grade(content),
            parts=parts.in_series(self._case.read(), row["id"]),
        )

    def _single(self, content: bytes) -> Entry:
        grade = self._grade(content)
        return Entry(
            id=SINGLE + content.hex(),
            label=f"Picture {content.hex()[:8]}",
            kind="single",
            representative=content,
            known=any(_closes(hit) for hit in self.hits(content)),
            members=1,
            settled=int(grade is not None and grade.settled),
            waiting=int(grade is not None and grade.state is GradeState.PROPOSED),
            picture=self._thumbnails.blob(content) is not None,
            grade=grade,
            parts=int(bool(parts.alerted(self._case.read(), content))),
        )

    def _member(self, content: bytes, distance: int) -> Member:
        found = parts.alerted(self._case.read(), content)
        return Member(content, distance, self._thumbnails.blob(content) is not None, self._grade(content), found)

    def _grade(self, content: bytes) -> Standing | None:
        row = self._case.read().execute("SELECT * FROM standing_grades WHERE content = ?", (content,)).fetchone()
        return as_standing(row) if row else None

    def _singles(self, section: str, after: str, limit: int) -> list[Entry]:
        found: list[Entry] = []
        last = _digest(after) if after.startswith(SINGLE) else b""
        while len(found) < limit and (chunk := self._thumbnails.after(last, _CHUNK)):
            last = chunk[-1]
            grouped = self._grouped(chunk)
            for content in chunk:
                if content not in grouped and len(found) < limit:
                    entry = self._single(content)
                    if (entry.known or entry.settled > 0) == (section == "closed"):
                        found.append(entry)
        return found

    def _grouped(self, contents: list[bytes]) -> set[bytes]:
        marks = ",".join("?" * len(contents))
        rows = self._case.read().execute(
            f"SELECT content FROM series_members WHERE content IN ({marks})",  # noqa: S608
            contents,
        )
        return {bytes(row["content"]) for row in rows}


def _closes(hit: sqlite3.Row) -> bool:
    """Whether a match files a picture as known. Known-good does so by SHA-256 alone: a weaker hash could be forged."""
    known_good = hit["kind"] == HashSetKind.KNOWN_GOOD and hit["algorithm"] == "sha256"
    return bool(hit["state"] == "stands" and (known_good or hit["kind"] == HashSetKind.ALERT))


def _key(entry: Entry) -> str:
    return entry.id if entry.kind == "single" else entry.label


def _digest(identity: str) -> bytes:
    text = identity.removeprefix(SINGLE)
    if len(text) != 64 or not set(text) <= set("0123456789abcdef"):
        raise Usage("this is not the SHA-256 of a content", "reload the page")
    return bytes.fromhex(text)
