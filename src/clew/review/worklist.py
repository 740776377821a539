"""What there is to look at, unknown before known, a page at a time by key: fast however long the list is.

A Series is "open" while it is unknown and one of its members has no settled grade. What is outside every Series stands
after them, each as an entry of its own ("single:<sha256>"): pictures, and what an alert set knows or a person graded
though there is no picture of it. What is known or graded is "closed": listed apart, without pictures.
"""

import sqlite3
from dataclasses import dataclass

from clew.core import hits
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
_COUNTS = (
    "SELECT count(*) AS members, count(*) FILTER (WHERE known) AS known, count(*) FILTER (WHERE settled) AS settled,"  # noqa: S608
    " count(*) FILTER (WHERE waiting) AS waiting, count(*) FILTER (WHERE NOT known AND NOT settled) AS unanswered"
    " FROM (SELECT"
    f" EXISTS (SELECT 1 FROM hits h WHERE h.content = m.content AND h.kind = '{HashSetKind.ALERT}'"
    " AND h.state = 'stands' AND h.part = '') AS known,"
    " coalesce(g.state IN ('decided', 'confirmed'), 0) AS settled, coalesce(g.state = 'proposed', 0) AS waiting"
    " FROM series_members m LEFT JOIN standing_grades g ON g.content = m.content WHERE m.series = ?)"
)
_ALERTED = (HashSetKind.ALERT, "stands")
# What files a Content as known. Known-good does so by SHA-256 alone: a weaker hash could be forged.
_FILING = (
    "state = 'stands' AND part = ''"
    f" AND (kind = '{HashSetKind.ALERT}' OR kind = '{HashSetKind.KNOWN_GOOD}' AND algorithm = 'sha256')"
)
_FILED = (
    f"SELECT count(*) AS hits, coalesce(max(kind = '{HashSetKind.ALERT}'), 0) AS alert FROM hits"  # noqa: S608
    f" WHERE content = ? AND {_FILING}"
)
_CLOSED = (
    f"SELECT content FROM hits WHERE content IN ({{0}}) AND {_FILING}"  # noqa: S608
    " UNION SELECT content FROM standing_grades WHERE content IN ({0}) AND state IN ('decided', 'confirmed')"
)
_KNOWN_OR_GRADED = (
    f"SELECT content FROM hits WHERE kind = '{HashSetKind.ALERT}' AND state = 'stands' AND content {{0}} :content"  # noqa: S608
    " UNION SELECT content FROM standing_grades WHERE content {0} :content ORDER BY content LIMIT :most"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the list. `members` counts Contents, `known_members` those that an alert set knows, `settled` those
    graded by a person, `unanswered` those that are neither, `waiting` open proposals, `parts` those of which a page or
    picture that is not shown is near one of an alert set. `known` is how it is filed.
    """

    id: str
    label: str
    kind: str
    representative: bytes
    known: bool
    members: int
    known_members: int
    settled: int
    unanswered: int
    waiting: int
    picture: bool
    grade: Standing | None
    parts: int


@dataclass(frozen=True, slots=True)
class Member:
    """One Content of an Entry, its distance to the representative, what stands of it, the alert set that knows it, ""
    for none, what hash sets say of it in words, and which pages or pictures of it that are not shown are near one of an
    alert set.
    """

    content: bytes
    distance: int
    picture: bool
    grade: Standing | None
    known: str
    hits: list[str]
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
        if self._thumbnails.blob(content) is not None or not self.holding(content).startswith(SINGLE):
            return True
        return bool(self._known_or_graded("=", content, 1))

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
        counts = self._case.read().execute(_COUNTS, (row["id"],)).fetchone()
        content = bytes(row["representative"])
        return Entry(
            id=row["id"],
            label=row["label"],
            kind="series",
            representative=content,
            known=bool(row["known"]),
            members=counts["members"],
            known_members=counts["known"],
            settled=counts["settled"],
            unanswered=counts["unanswered"],
            waiting=counts["waiting"],
            picture=self._thumbnails.blob(content) is not None,
            grade=self._grade(content),
            parts=parts.in_series(self._case.read(), row["id"]),
        )

    def _single(self, content: bytes) -> Entry:
        grade, picture = self._grade(content), self._thumbnails.blob(content) is not None
        filed = self._case.read().execute(_FILED, (content,)).fetchone()
        settled = grade is not None and grade.settled
        return Entry(
            id=SINGLE + content.hex(),
            label=f"{'Picture' if picture else 'File'} {content.hex()[:8]}",
            kind="single",
            representative=content,
            known=filed["hits"] > 0,
            members=1,
            known_members=filed["alert"],
            settled=int(settled),
            unanswered=int(not filed["alert"] and not settled),
            waiting=int(grade is not None and grade.state is GradeState.PROPOSED),
            picture=picture,
            grade=grade,
            parts=int(bool(parts.alerted(self._case.read(), content))),
        )

    def _member(self, content: bytes, distance: int) -> Member:
        shown = [hit for hit in hits.of(self._case.read(), content) if not hit["part"]]
        return Member(
            content=content,
            distance=distance,
            picture=self._thumbnails.blob(content) is not None,
            grade=self._grade(content),
            known=next((hit["name"] for hit in shown if (hit["kind"], hit["state"]) == _ALERTED), ""),
            hits=parts.cut([hits.words(hit) for hit in shown]),
            parts=parts.alerted(self._case.read(), content),
        )

    def _grade(self, content: bytes) -> Standing | None:
        row = self._case.read().execute("SELECT * FROM standing_grades WHERE content = ?", (content,)).fetchone()
        return as_standing(row) if row else None

    def _singles(self, section: str, after: str, limit: int) -> list[Entry]:
        found: list[Entry] = []
        last = _digest(after) if after.startswith(SINGLE) else b""
        while len(found) < limit and (chunk := self._after(last)):
            last = chunk[-1]
            grouped, closed = self._grouped(chunk), self._closed(chunk)
            wanted = [each for each in chunk if each not in grouped and (each in closed) == (section == "closed")]
            found += [self._single(content) for content in wanted[: limit - len(found)]]
        return found

    def _after(self, content: bytes) -> list[bytes]:
        """The next Contents, in order of their SHA-256, of which there is a picture or that are known or graded."""
        without = self._known_or_graded(">", content, _CHUNK)
        return sorted({*self._thumbnails.after(content, _CHUNK), *without})[:_CHUNK]

    def _known_or_graded(self, compared: str, content: bytes, most: int) -> list[bytes]:
        rows = self._case.read().execute(_KNOWN_OR_GRADED.format(compared), {"content": content, "most": most})
        return [bytes(row["content"]) for row in rows]

    def _closed(self, contents: list[bytes]) -> set[bytes]:
        marks = ",".join(f"?{number}" for number in range(1, len(contents) + 1))
        return {bytes(row["content"]) for row in self._case.read().execute(_CLOSED.format(marks), contents)}

    def _grouped(self, contents: list[bytes]) -> set[bytes]:
        marks = ",".join("?" * len(contents))
        rows = self._case.read().execute(
            f"SELECT content FROM series_members WHERE content IN ({marks})",  # noqa: S608
            contents,
        )
        return {bytes(row["content"]) for row in rows}


def _key(entry: Entry) -> str:
    return entry.id if entry.kind == "single" else entry.label


def _digest(identity: str) -> bytes:
    text = identity.removeprefix(SINGLE)
    if len(text) != 64 or not set(text) <= set("0123456789abcdef"):
        raise Usage("this is not the SHA-256 of a content", "reload the page")
    return bytes.fromhex(text)
