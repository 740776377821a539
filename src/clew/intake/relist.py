"""What the listing lost, listed again once a retry: a directory, a volume, or the rest of either, whose reader failed.

A part that lost something is opened anew: it is listed from its beginning, and what is known stays as it is. What
stood for the loss is taken back in the same transaction, and put back where the same is lost once more: whenever a run
is killed, the parts that are still open say that the account is not at its end.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from clew.core import clock, shards
from clew.core.case import Case, Transaction
from clew.core.places import NAMED_SINCE, OWN_NAME_SINCE
from clew.intake.api import Found, Part
from clew.intake.expanded import PART
from clew.intake.recount import GAVE_UP, UNLISTED
from clew.intake.refs import parse_carved, volume
from clew.intake.since import NEW, SINCE
from clew.intake.walk import NO_FILE, OWN_FILES, UNSEEN
from clew.model import ItemState, Missing, Reason

ANEW = "what it stands for is being listed again"
LISTED_SINCE = "what it stood for could not be listed at first, and was listed since"
SAME_PLACE = "it could be listed since, but stands as unreadable: take the exhibit in under another label"
UNJUDGED = "unjudged"  # in a part's detail: claims of deleted Items were not held against what it listed since
NAMES = "names"  # in the detail of a walk: clew read them itself
TABLE_UNREAD = "the partition table could not be read"
NOTED = "container, noted"  # the kind of a part that holds no Items, but has something to say
MARRED = (UNSEEN, NO_FILE, GAVE_UP, UNLISTED)  # how notes begin that say that entries were not seen
SECTOR = 512  # bytes: one that kills its carver is no loss of this kind, and would have all behind it carved again

# What stands for others: its ref ends with "/". A live name without a readable record may be such a loss, too.
_LOST = """
SELECT item, ref FROM listings WHERE exhibit=? AND content_state='unreadable' AND NOT contains(ref, '!')
  AND (ends_with(ref, '/') OR name_state='carved'
    OR (name_state IN ('live', 'orphan', 'unattached') AND contains(ref, '/name/')))
"""
# Streams that the sweep found before the walk of their directory could, and what was listed of archives among them.
_TWICE = """
WITH streams AS (SELECT item, ref, found_by, regexp_extract(ref, '^(.*@[0-9.]+/[0-9]+/[0-9]+-[0-9]+)/', 1) AS stream
  FROM listings WHERE exhibit=? AND regexp_matches(ref, '^[^!]*@[0-9.]+/[0-9]+/[0-9]+-[0-9]+/[^!]*$'))
, twins AS (
  SELECT DISTINCT s.item, s.ref FROM streams s JOIN streams w USING (stream)
  WHERE s.found_by LIKE '%: record sweep' AND w.found_by LIKE '%: directory walk'
)
SELECT item FROM twins UNION
SELECT l.item FROM listings l JOIN twins t ON split_part(l.ref, '!', 1) = t.ref
WHERE l.exhibit=? AND contains(l.ref, '!')
"""
# What a volume of FAT held by two names, of which the one that an earlier version gave is not its own, and what was
# listed of archives among it.
_NAMED_TWICE = """
WITH streams AS (SELECT item, ref,
    CAST(regexp_extract(found_by, ' ([0-9]+): directory walk$', 1) AS INTEGER) AS version,
    regexp_extract(ref, '^(.*@[0-9.]+/[0-9]+/([0-9]+-[0-9]+|name))/', 1) AS stream
  FROM listings WHERE exhibit=? AND starts_with(ref, ?) AND NOT contains(ref, '!')
    AND regexp_matches(found_by, ' [0-9]+: directory walk$') AND regexp_matches(ref, '/[0-9]+/([0-9]+-[0-9]+|name)/'))
, twins AS (SELECT item, ref FROM streams s WHERE version < (SELECT max(version) FROM streams WHERE stream = s.stream))
SELECT item FROM twins UNION
SELECT l.item FROM listings l JOIN twins t ON split_part(l.ref, '!', 1) = t.ref
WHERE l.exhibit=? AND contains(l.ref, '!')
"""


def reopen(case: Case, exhibit: str, mandate: str) -> bool:
    """Has the parts listed again that lost something. Whether there are any."""
    lost = _lost(case, exhibit)
    again: list[tuple[str, str, dict[str, Any]]] = []
    items: set[str] = set()
    for row in _done(case, exhibit):
        part, detail = row["part"], json.loads(row["detail"])
        mine = {item: ref for item, ref in lost.items() if _may_find(detail, ref)}
        if _carves(detail):
            mine = _given_up(mine)
        grown = detail.get(SINCE, {}).pop(NEW, 0)
        if mine or grown or any(count and note.startswith(MARRED) for note, count in detail.get("notes", {}).items()):
            cursor = min((_carved(ref)[0] for ref in mine.values()), default=0)
            again.append((part, str(cursor or ""), detail))
            items |= mine.keys()
    return _reopened(case, exhibit, mandate, again, ("listing.reopened", items))


def reopen_names(case: Case, exhibit: str, mandate: str) -> bool:
    """Has those directories listed again of which an earlier version gave names that may not be their files' own.
    Whether any are to be.
    """
    details = [(row["part"], json.loads(row["detail"])) for row in _done(case, exhibit)]
    again = [(part, "", detail) for part, detail in details if _of_names(part, detail) and NAMES not in detail]
    if _reopened(case, exhibit, mandate, again, ("names.reopened", set())):
        return True
    sql = "SELECT part, detail FROM exhibit_runs WHERE exhibit=? AND done_ns IS NULL"
    open_still = ((row["part"], json.loads(row["detail"])) for row in case.read().execute(sql, (exhibit,)).fetchall())
    return any(_of_names(part, detail) and "anew" in detail for part, detail in open_still)


def _of_names(part: str, detail: Mapping[str, Any]) -> bool:
    """Whether that part is a walk of which clew reads the names itself."""
    walked = part.endswith("/walk") and detail.get("file_system") == "FAT"
    return walked and not detail.keys() & {"missing", "listed_since"}


def _reopened(
    case: Case, exhibit: str, mandate: str, again: list[tuple[str, str, dict[str, Any]]], why: tuple[str, set[str]]
) -> bool:
    """Parts, each with where it begins and its detail; why, and what is taken back until they are listed."""
    if not again:
        return False
    entry, items = why
    again += _following(case, exhibit, {part for part, _, _ in again})
    with case.write("intake") as tx:
        for name, begin, detail in again:
            detail["anew"] = True  # until all is settled
            if not begin:  # they are counted anew, but for those of file records that a sweep listed
                notes = detail.pop("notes", {}) if name.endswith("/sweep") else {}
                detail["notes"] = {what: count for what, count in notes.items() if what != OWN_FILES}
            sql = "UPDATE exhibit_runs SET cursor=?, done_ns=NULL, detail=? WHERE exhibit=? AND part=?"
            tx.execute(sql, (begin, json.dumps(detail, sort_keys=True), exhibit, name))
        _take_back(tx, sorted(items), (ItemState.UNREADABLE,), ANEW)
        about = {"exhibit": exhibit, "parts": [part for part, _, _ in again], "items": sorted(items)}
        tx.record(entry, subject=about, counts={"parts": len(again), "items": len(items)}, mandate=mandate)
    return True


def settle(case: Case, exhibit: str, shown: Sequence[Part], mandate: str) -> None:
    """Once all parts are listed to their end, of which this run was `shown` some: what was taken back is settled for
    good, and parts that could not be listed, whose place others take up now, say so.
    """
    sql = "SELECT part, detail, done_ns FROM exhibit_runs WHERE exhibit=? AND substr(part, 1, ?)<>?"
    rows = case.read().execute(sql, (exhibit, len(PART), PART)).fetchall()
    parts = dict(_described(rows, shown))
    if any(row["done_ns"] is None and row["part"] not in parts for row in rows):
        return
    anew = dict(_relisted(rows))
    if not parts and not anew:
        return
    sql = "SELECT id FROM items WHERE exhibit=? AND state=? AND detail=?"
    items = [row["id"] for row in case.read().execute(sql, (exhibit, ItemState.SKIPPED, ANEW))]
    twice = [row["item"] for row in shards.query(case, _TWICE, (exhibit, exhibit)).to_pylist()]
    renamed = _renamed(case, exhibit, anew.values())
    now = clock.now().utc_ns
    with case.write("intake") as tx:
        _take_back(tx, items, (ItemState.SKIPPED,), LISTED_SINCE)
        standing = (ItemState.OPEN, ItemState.DONE, ItemState.UNREADABLE)
        _take_back(tx, twice, standing, NAMED_SINCE)
        _take_back(tx, renamed, standing, OWN_NAME_SINCE)
        sql = "UPDATE exhibit_runs SET detail=?, done_ns=coalesce(done_ns, ?) WHERE exhibit=? AND part=?"
        tx.executemany(sql, [(detail, now, exhibit, part) for part, detail in {**anew, **parts}.items()])
        about = {"exhibit": exhibit, "items": items, "named": twice + renamed, "parts": sorted(parts)}
        counts = {"items": len(items), "named": len(twice) + len(renamed), "parts": len(parts)}
        tx.record("losses.listed", subject=about, counts=counts, mandate=mandate)


def _renamed(case: Case, exhibit: str, anew: Iterable[str]) -> list[str]:
    """Items of volumes that were listed `anew`, by their details, which have another name since."""
    details = [json.loads(detail) for detail in anew]
    volumes = {f"{_place(detail)}/" for detail in details if NAMES in detail}
    rows = (shards.query(case, _NAMED_TWICE, (exhibit, each, exhibit)).to_pylist() for each in sorted(volumes))
    return [row["item"] for each in rows for row in each]


def named_since(case: Case, exhibit: str) -> set[str]:
    """Items that are listed under another name since: they stand for nothing of their own any more."""
    sql = "SELECT id FROM items WHERE exhibit=? AND state=? AND detail IN (?, ?)"
    known = (exhibit, ItemState.SKIPPED, NAMED_SINCE, OWN_NAME_SINCE)
    return {row["id"] for row in case.read().execute(sql, known)}


def taken_back(case: Case, exhibit: str) -> set[str]:
    """These, and Items that stood for what is listed since, or is being listed again."""
    sql = "SELECT id FROM items WHERE exhibit=? AND state=? AND detail IN (?, ?, ?, ?)"
    known = (exhibit, ItemState.SKIPPED, NAMED_SINCE, OWN_NAME_SINCE, LISTED_SINCE, ANEW)
    return {row["id"] for row in case.read().execute(sql, known)}


def lost_again(tx: Transaction, met: Iterable[tuple[str, Found]]) -> None:
    """Items, by id, that were met again: where they had been taken back, they are unreadable once more."""
    sql = "UPDATE items SET state=?, reason=?, detail=? WHERE id=? AND state=? AND detail=?"
    for item, found in met:
        # a listing is never replaced: a place that stands as unreadable cannot become another one
        missing = found.missing or Missing(Reason.UNREADABLE, SAME_PLACE)
        values = (str(ItemState.UNREADABLE), str(missing.reason), missing.detail, item)
        tx.execute(sql, (*values, str(ItemState.SKIPPED), ANEW))


def not_now(case: Case, exhibit: str, part: Part, mandate: str) -> None:
    """A part that is to be listed again and cannot be just now stays open, and says why."""
    read = case.read().execute("SELECT detail FROM exhibit_runs WHERE exhibit=? AND part=?", (exhibit, part.name))
    detail = {**json.loads(read.fetchone()["detail"]), "anew": f"{part.missing}"}
    with case.write("intake") as tx:
        sql = "UPDATE exhibit_runs SET detail=? WHERE exhibit=? AND part=?"
        tx.execute(sql, (json.dumps(detail, sort_keys=True), exhibit, part.name))
        about = {"exhibit": exhibit, "part": part.name, "missing": str(part.missing)}
        tx.record("listing.waits", subject=about, mandate=mandate)


def _described(rows: Iterable[sqlite3.Row], shown: Sequence[Part]) -> Iterator[tuple[str, str]]:
    """Parts that are not shown any more, but others in their place; with their detail. Those that could not be listed,
    and those that were to be listed again.
    """
    here = [part for part in shown if not str(part.detail.get("table", "")).startswith(TABLE_UNREAD)]
    names = {part.name for part in shown}
    for row in rows:
        name, detail = row["part"], json.loads(row["detail"])
        again = detail.get("anew") and row["done_ns"] is None
        # what is said beside others, such as a remark about a table, takes up no place
        alone = "missing" in detail and (detail["kind"] == "image" or (name == _place(detail) and "apfs" not in detail))
        others = [part.detail for part in here if alone or _instead(part, detail)]
        covered = (again or alone) and _covered(detail, others)
        if name not in names and (covered or ("missing" in detail and _searched_now(name, here))):
            why = (
                f"{detail.pop('missing')}: {detail.pop('missing_detail')}"
                if "missing" in detail
                else "its reader failed"
            )
            detail.pop("anew", None)
            yield name, json.dumps({**detail, "listed_since": why, UNJUDGED: True}, sort_keys=True)


def _instead(part: Part, gone: Mapping[str, Any]) -> bool:
    """Whether what is shown there does for a part, of that detail, that was to be listed again. For directories no
    carving does, since the volume may only be unreadable just now, and nothing of the same volume. For carving, carving
    from the same place on does, of all that lies there or of the same kind; where the partition table could not be read
    then, all that is carved now.
    """
    if part.missing is not None or part.detail.get("lv") != gone.get("lv"):
        return False
    if not _carves(gone):
        return not _carves(part.detail) and _place(part.detail) != _place(gone)
    if not _carves(part.detail):
        return False
    if "file_system" not in gone and str(gone["table"]).startswith(TABLE_UNREAD):
        return True
    alike = "file_system" not in part.detail or part.detail["kind"] == gone["kind"]
    return alike and bool(part.detail["offset"] == gone["offset"])


def _carves(detail: Mapping[str, Any]) -> bool:
    """Whether a part of that detail is carved."""
    return "carving" in detail["kind"]


def _searched_now(gone: str, shown: Iterable[Part]) -> bool:
    """Whether a part says that what no logical volume holds is not searched, as earlier versions said, and its physical
    volume is shown again: what is left of it has parts of its own.
    """
    above, _, last = gone.rpartition("/")
    prefixes = f"lv@{above.removeprefix('fs@')}.", f"{above}/left@"
    return last == "free" and any(part.name.startswith(prefixes) for part in shown)


def _place(detail: Mapping[str, Any]) -> str:
    return volume(detail) if "offset" in detail else ""


def _relisted(rows: Iterable[sqlite3.Row]) -> Iterator[tuple[str, str]]:
    """Parts that were listed again to their end; with what their detail is from now on."""
    for row in rows:
        detail = json.loads(row["detail"])
        if detail.pop("anew", False):
            yield row["part"], json.dumps({**detail, UNJUDGED: True}, sort_keys=True)


def _covered(lost: Mapping[str, Any], shown: Iterable[Mapping[str, Any]]) -> bool:
    """Whether what is shown now takes up all of a lost part's place; of an image without a size, whether any is."""
    if "offset" not in lost:
        return any("offset" in each for each in shown)
    there = (each for each in shown if "offset" in each and each.get("lv") == lost.get("lv"))
    covered, end = lost["offset"], lost["offset"] + lost["length"]
    for at, length in sorted((each["offset"], each["length"]) for each in there):
        if at <= covered:
            covered = max(covered, at + length)
    return bool(covered >= end)


def _lost(case: Case, exhibit: str) -> dict[str, str]:
    """The refs of what stands for what could not be listed, by Item."""
    sql = "SELECT 1 FROM items WHERE id=? AND state=? AND attempts=0"
    read, rows = case.read(), shards.query(case, _LOST, (exhibit,)).to_pylist()
    still = (row for row in rows if read.execute(sql, (row["item"], ItemState.UNREADABLE)).fetchone() is not None)
    return {row["item"]: row["ref"] for row in still}


def _done(case: Case, exhibit: str) -> list[sqlite3.Row]:
    sql = "SELECT part, detail FROM exhibit_runs WHERE exhibit=? AND done_ns IS NOT NULL AND substr(part, 1, ?)<>?"
    return case.read().execute(sql, (exhibit, len(PART), PART)).fetchall()


def _following(case: Case, exhibit: str, opened: set[str]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """What goes by the walks among the `opened` parts, and is to be done anew after them: sweep and second count."""
    walks = [part.removesuffix("walk") for part in opened if part.endswith("/walk")]
    after = {f"{volume}{name}" for volume in walks for name in ("sweep", "recount")} - opened
    for row in _done(case, exhibit):
        detail = json.loads(row["detail"])
        if row["part"] in after and "missing" not in detail:
            yield row["part"], "", detail


def _may_find(detail: Mapping[str, Any], ref: str) -> bool:
    """Whether listing that part may find what stands behind the ref of a loss: those of a folder lie in its one part,
    those of free space where its carving was given up.
    """
    if "missing" in detail or "listed_since" in detail or detail["kind"] == NOTED:
        return False
    carved = parse_carved(ref)
    if _carves(detail) or carved is not None:
        mine = carved is not None and _carves(detail) and carved.get("lv") == detail.get("lv")
        return mine and 0 <= _carved(ref)[0] - int(detail["offset"]) < int(detail["length"])
    above = _place(detail)
    return not above or ref.startswith(f"{above}/")


def _given_up(lost: Mapping[str, str]) -> dict[str, str]:
    """Of what stands for free space that could not be carved: where carving was given up, from the first of the sectors
    on that failed in a row before.
    """
    places = {_carved(ref)[0]: (item, ref) for item, ref in lost.items()}
    found: dict[str, str] = {}
    for item, ref in lost.items():
        at, length = _carved(ref)
        while length > SECTOR and at - SECTOR in places and at > 0:
            at -= SECTOR
            found.update([places[at]])
        found.update({item: ref} if length > SECTOR else {})
    return found


def _carved(ref: str) -> tuple[int, int]:
    """Where in free space it lies, and its bytes; (0, 0) for what is listed otherwise."""
    carved = parse_carved(ref)
    return tuple(carved["runs"][0]) if carved is not None else (0, 0)


def _take_back(tx: Transaction, items: Iterable[str], states: tuple[ItemState, ...], why: str) -> None:
    sql = "UPDATE items SET state=?, reason=?, detail=? WHERE id=? AND state=?"
    now = str(ItemState.SKIPPED), str(Reason.NOT_APPLICABLE), why
    tx.executemany(sql, [(*now, item, str(state)) for item in items for state in states])
