"""What the case holds of peer-to-peer artefacts: the entries that name a Watch, and what stands around each.

Read from the Traits "p2p.*" that intake made (`clew.intake.artefacts._entry` has the table of their fields).
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clew.core import shards
from clew.core.case import Case
from clew.core.places import standing
from clew.model import ContentState, NameState, Watch

SAID = shards.newest("starts_with(name, 'p2p.')")
ENTRIES = f"""SELECT content, text FROM {SAID} WHERE name='p2p.entry' AND text LIKE '%"network":"bittorrent"%'"""  # noqa: S608 - ours
LISTS = f"""
SELECT content, text FROM {SAID} WHERE name='p2p.entry.endpoints' AND content IN (SELECT unnest($contents))
"""  # noqa: S608 - ours
# Of an Item that was read in part, and by a retry whole, the whole alone: the other bytes are not what lies there.
# Asked of those that were read in part, which are few: the Items of all others would all be held for the comparison.
HELD = """(
  SELECT * FROM contents
  WHERE content_state IS DISTINCT FROM 'partial'
    OR item NOT IN (
      SELECT item FROM contents
      WHERE content_state IS DISTINCT FROM 'partial'
        AND item IN (SELECT item FROM contents WHERE content_state = 'partial')
    )
)"""
PLACES = f"""
SELECT c.sha256 AS content, c.exhibit, c.item, c.content_state, l.path, l.name_state, l.modified_ns, l.times_source,
  l.parent IS NOT NULL AS inside
FROM (
  SELECT DISTINCT ON (item, sha256) * FROM {HELD} WHERE sha256 IN (SELECT unnest($contents))
  ORDER BY item, sha256, content_state = 'partial', content_state = 'complete'
) c JOIN listings l USING (item) ORDER BY l.exhibit, c.sha256, l.path, c.item
"""  # noqa: S608 - ours
PIECES = shards.newest(
    "name='pieces.verified' AND text IS NOT NULL",
    'regexp_extract(text, \'"torrent": ?"([0-9a-f]+)\', 1)',
    "regexp_extract(text, '\"index\": ?([0-9]+)', 1)",
)
VERIFIED = f"SELECT DISTINCT content, text FROM {PIECES}"  # noqa: S608 - ours
ACROSS = shards.newest("name='pieces.across' AND text IS NOT NULL")
FITTED = f"SELECT DISTINCT content, text FROM {ACROSS}"  # noqa: S608 - ours
KINDS = f"""
SELECT DISTINCT l.exhibit, t.text, t.content FROM {SAID} t JOIN {HELD} c ON c.sha256=t.content
JOIN listings l USING (item) WHERE t.name='p2p.artefact'
"""  # noqa: S608 - ours
UNREAD = f"""
SELECT l.exhibit, t.text, count(DISTINCT t.content) AS contents FROM {SAID} t
JOIN {HELD} c ON c.sha256=t.content JOIN listings l USING (item) WHERE t.name='p2p.unread' GROUP BY ALL
"""  # noqa: S608 - ours
LOST = f"""
SELECT DISTINCT c.exhibit, t.content, t.name, t.detail FROM {SAID} t JOIN {HELD} c ON c.sha256=t.content
WHERE t.name IN ('p2p.entries', 'p2p.rest', 'p2p.entry.cut') AND t.missing IS NOT NULL
"""  # noqa: S608 - ours
TRANSMISSION, TORRENT = "transmission resume", "torrent metainfo"
NO_NAME = f"{TRANSMISSION} whose name has no whole infohash"
LEAST_ACROSS = 1 << 14  # bytes, or a tenth of the file: fewer may be the beginning that all files of a format share
CHECKED = ("size", "checked", "matching")
WRONG = (KeyError, TypeError, ValueError, AttributeError, IndexError)
# In `times_source`; those of FAT, of exFAT that states no zone, and of MS-DOS in archives have none
ZONED = re.compile(r", UTC\b")
MOVED = re.compile(r"\bmoved by the zone of its mount$")  # by whichever: Linux does that to local times
NAMED = re.compile(rb"([0-9a-f]{40})\.resume$")  # Transmission since 3.00; before it only 16 digits, which is no proof


@dataclass(frozen=True, slots=True)
class Place:
    """One Item of an Exhibit whose content an artefact is. `whole`: nothing of its bytes is missing or in doubt.
    `zoned`: the zone of `modified_ns` is known; otherwise it is the digits of a local time as if they were UTC, or
    `moved` from them by a zone that is not known either. `inside`: it lies in another Item, such as an archive.
    """

    exhibit: str
    path: bytes
    live: bool
    whole: bool
    modified_ns: int | None
    zoned: bool
    moved: bool = False
    inside: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """The fields of an entry that are compared; `where` and `at` as in the Trait, times in seconds by its own clock."""

    kind: str
    client: str
    at: tuple[int, int]
    where: Mapping[str, tuple[int, int]]
    infohashes: tuple[bytes, ...]
    added_s: int | None
    last_upload_s: int | None
    uploaded: int | None
    listen: str

    def span(self, name: str) -> tuple[int, int]:
        """The bytes that say a field; those of the whole entry where it is not told apart."""
        return self.where.get(name, self.at)


@dataclass(slots=True)
class Entry:
    """One entry of an artefact that names a Watch. `by_name` says that the infohash stands in the file's name alone,
    `damaged` that not all of the artefact could be read.
    """

    content: bytes
    facts: Facts
    watch: Watch
    by_name: bool
    places: list[Place]
    endpoints: list[tuple[str, int, int, int]] = field(default_factory=list)
    damaged: bool = False


@dataclass(slots=True)
class Verified:
    """Content of a seized file that was held against a torrent's piece hashes (Trait "pieces.verified"): where it
    begins in the torrent (None in v2 alone), by which hashes, and how many were checked, and were right.

    `across`: by pieces that lie in several files (Trait "pieces.across"), those that fitted: number of the piece ->
    first byte in this file, bytes of it, in how many files it lies. Of what did not fit nothing is said here, nor of
    fewer bytes than LEAST_ACROSS, nor where more of another content fitted in the same place.
    """

    content: bytes
    size: int
    offset: int | None
    method: str
    checked: int
    matching: int
    places: list[Place]
    across: Mapping[int, tuple[int, int, int]] = field(default_factory=dict)

    @property
    def known(self) -> int:
        """Bytes of it in the pieces that lie in several files; no two of these overlap."""
        return sum(count for _, count, _ in self.across.values())


@dataclass(slots=True)
class Artefacts:
    """All of it. `listening` are session states and settings by Exhibit; `kinds`, `unread` and `lost` say what was
    there to read, and what of it was not read; `senseless` counts Traits that do not say what they must.
    """

    entries: list[Entry] = field(default_factory=list)
    verified: dict[bytes, list[Verified]] = field(default_factory=dict)
    listening: dict[str, list[tuple[bytes, Facts, list[Place]]]] = field(default_factory=dict)
    senseless: int = 0
    kinds: dict[str, Counter[str]] = field(default_factory=dict)
    unread: dict[str, Counter[str]] = field(default_factory=dict)
    lost: dict[str, list[str]] = field(default_factory=dict)


def read(case: Case, watches: Iterable[Watch]) -> Artefacts:
    """Every artefact's entries that name one of these Watches, by v1 or its v2 twin. An entry of a torrent of which
    several files are watched is one of each of their Watches.
    """
    known = defaultdict[bytes, list[Watch]](list)
    for each in watches:
        for hashed in filter(None, (each.infohash_v1, each.infohash_v2)):
            known[hashed].append(each)
    found = Artefacts()
    nameless, sessions = list[tuple[bytes, Facts]](), list[tuple[bytes, Facts]]()
    matched = list[tuple[bytes, Facts, Watch]]()
    for content, fields in _texts(case, found, ENTRIES):
        try:
            facts = _facts(fields)
        except WRONG:
            found.senseless += 1
            continue
        named = _named(known, facts.infohashes)
        matched += [(content, facts, watch) for watch in named]
        if facts.kind == TRANSMISSION and not named:
            nameless.append((content, facts))
        elif facts.listen and not named:
            sessions.append((content, facts))
    contents = {content for content, *_ in matched} | {content for content, _ in (*nameless, *sessions)}
    places = _places(case, contents)
    found.entries = [Entry(content, facts, watch, False, places[content]) for content, facts, watch in matched]
    found.entries += list(_by_name(nameless, places, known))
    _unnamed(found, nameless, places)
    for content, facts in sessions:
        for exhibit in {place.exhibit for place in places[content]}:
            there = [place for place in places[content] if place.exhibit == exhibit]
            found.listening.setdefault(exhibit, []).append((content, facts, there))
    _endpoints(case, found)
    _verified(case, found)
    _coverage(case, found)
    return found


def _named(known: Mapping[bytes, Sequence[Watch]], infohashes: Iterable[bytes]) -> list[Watch]:
    """The Watches of these infohashes, each once."""
    return list({watch.id: watch for each in infohashes for watch in known.get(each, ())}.values())


def _facts(fields: Mapping[str, Any]) -> Facts:
    """Raises one of WRONG where the worker that made it did not keep to the table."""
    hashes = (fields.get(name) for name in ("infohash_v1", "infohash_v2"))
    numbers = {name: _number(fields.get(name)) for name in ("added_s", "last_upload_s", "uploaded")}
    return Facts(
        kind=str(fields["kind"]),
        client=str(fields.get("client", "")),
        at=_span(fields["at"]),
        where={str(name): _span(each) for name, each in dict(fields.get("where", {})).items()},
        infohashes=tuple(bytes.fromhex(each) for each in hashes if each),
        listen=str(fields.get("listen", "")),
        **numbers,
    )


def _span(value: Any) -> tuple[int, int]:
    offset, length = value
    return int(offset), int(length)


def _number(value: Any) -> int | None:
    if value is not None and (type(value) is not int or not 0 <= value < 1 << 63):
        raise ValueError("no number")
    return value


def _by_name(
    nameless: Iterable[tuple[bytes, Facts]],
    places: Mapping[bytes, list[Place]],
    known: Mapping[bytes, Sequence[Watch]],
) -> Iterator[Entry]:
    """Entries that hold no infohash, told by the names of their files: each name apart, since it is a claim of its
    own.
    """
    for content, facts in nameless:
        by_watch: dict[str, list[Place]] = defaultdict(list)
        watches: dict[str, Watch] = {}
        for place in places[content]:
            found = NAMED.search(place.path)
            for watch in _named(known, [bytes.fromhex(found[1].decode())] if found else ()):
                watches[watch.id] = watch
                by_watch[watch.id].append(place)
        for key, there in by_watch.items():
            yield Entry(content, facts, watches[key], True, there)


def _unnamed(found: Artefacts, nameless: Iterable[tuple[bytes, Facts]], places: Mapping[bytes, list[Place]]) -> None:
    """Counts, by Exhibit, those of which nothing tells what torrent they are of: no infohash in them, nor in a name."""
    for content, _ in nameless:
        if not any(NAMED.search(place.path) for place in places[content]):
            for exhibit in {place.exhibit for place in places[content]}:
                found.unread.setdefault(exhibit, Counter())[NO_NAME] += 1


def _texts(
    case: Case, found: Artefacts, sql: str, parameters: Mapping[str, Any] | None = None
) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Traits whose text is a JSON object; each once. What is none is counted."""
    had: set[tuple[bytes, str]] = set()
    for batch in shards.query(case, sql, dict(parameters or {})).to_batches(max_chunksize=10_000):
        for row in batch.to_pylist():
            if (row["content"], row["text"]) in had:
                continue
            had.add((row["content"], row["text"]))
            try:
                yield row["content"], dict(json.loads(row["text"]))
            except (ValueError, TypeError, RecursionError):
                found.senseless += 1


def _places(case: Case, contents: Iterable[bytes]) -> dict[bytes, list[Place]]:
    found: dict[bytes, list[Place]] = defaultdict(list)
    wanted = list(contents)
    rows = shards.query(case, PLACES, {"contents": wanted}).to_pylist() if wanted else []
    for row in standing(case, rows):
        live, whole = NameState(row["name_state"]).in_use, row["content_state"] == ContentState.COMPLETE
        zoned = bool(ZONED.search(row["times_source"] or ""))
        moved = bool(MOVED.search(row["times_source"] or ""))
        place = Place(row["exhibit"], row["path"], live, whole, row["modified_ns"], zoned, moved, row["inside"])
        found[row["content"]].append(place)
    return found


def _endpoints(case: Case, found: Artefacts) -> None:
    """Puts the endpoints to the entries that they stand in: same content, same place in it."""
    by_place: dict[tuple[bytes, int], list[Entry]] = defaultdict(list)
    for each in found.entries:
        by_place[each.content, each.facts.at[0]].append(each)
    contents = {"contents": list({each.content for each in found.entries})}
    for content, trait in _texts(case, found, LISTS, contents) if found.entries else ():
        try:
            endpoints = [(str(a), int(p), int(at), int(length)) for a, p, at, length in trait["endpoints"]]
            entries = by_place[content, trait["at"][0]]
        except WRONG:
            found.senseless += 1
            continue
        for entry in entries:
            entry.endpoints += endpoints


def _verified(case: Case, found: Artefacts) -> None:
    """By the SHA-256 of the .torrent whose piece hashes were asked."""
    told, across = list(_texts(case, found, VERIFIED)), list(_texts(case, found, FITTED))
    places = _places(case, {content for content, _ in (*told, *across)})
    wrong = set[tuple[bytes, bytes, int | None]]()
    for content, said in told:
        try:
            torrent, numbers = bytes.fromhex(said["torrent"]), [int(said[name]) for name in CHECKED]
            offset, method, index = _number(said.get("offset")), str(said["method"]), _number(said.get("index"))
        except WRONG:
            found.senseless += 1
            continue
        size, checked, matching = numbers
        verified = Verified(content, size, offset, method, checked, matching, places[content])
        found.verified.setdefault(torrent, []).append(verified)
        wrong |= {(content, torrent, index)} if matching < checked else set()
    fitted, most = _across(across, places, found), Counter[tuple[bytes, int | None]]()
    for (_, torrent, index), held in fitted.items():
        most[torrent, index] = max(most[torrent, index], held.known)
    for (content, torrent, index), held in fitted.items():
        enough = held.known >= min(held.size / 10, LEAST_ACROSS) and held.known == most[torrent, index]
        if held.across and enough and (content, torrent, index) not in wrong:
            found.verified.setdefault(torrent, []).append(held)


def _across(
    told: Iterable[tuple[bytes, Mapping[str, Any]]], places: Mapping[bytes, list[Place]], found: Artefacts
) -> dict[tuple[bytes, bytes, int | None], Verified]:
    """Content, torrent and number of the file -> what fitted, of all that was told of them."""
    made: dict[tuple[bytes, bytes, int | None], Verified] = {}
    for content, said in told:
        try:
            key = content, bytes.fromhex(said["torrent"]), _number(said["index"])
            size, offset = int(said["size"]), _number(said.get("offset"))
            fitted = {int(n): (int(at), int(length), int(of)) for n, at, length, of, right in said["pieces"] if right}
        except WRONG:
            found.senseless += 1
            continue
        one = made.setdefault(key, Verified(content, size, offset, "v1", 0, 0, places[content], {}))
        one.across = dict(sorted({**one.across, **fitted}.items()))
        one.checked = one.matching = len(one.across)
    return made


def _coverage(case: Case, found: Artefacts) -> None:
    for row in shards.query(case, KINDS).to_pylist():
        found.kinds.setdefault(row["exhibit"], Counter())[row["text"]] += 1
    for row in shards.query(case, UNREAD).to_pylist():
        found.unread.setdefault(row["exhibit"], Counter())[row["text"]] += row["contents"]
    damaged = set[bytes]()
    for row in shards.query(case, LOST).to_pylist():
        damaged |= {row["content"]} if row["name"] == "p2p.entries" else set()
        found.lost.setdefault(row["exhibit"], []).append(f"{row['name']}: {row['detail']}")
    for entry in found.entries:
        entry.damaged = entry.content in damaged
