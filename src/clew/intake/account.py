"""The account of an Exhibit, from the case itself: discovered = done + unreadable + skipped, and what was not
covered.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from clew.core import shards
from clew.core.case import Case
from clew.core.errors import Damaged
from clew.core.places import labels
from clew.core.printable import printable
from clew.core.supervised import TOO_SLOW
from clew.intake.custody import OTHER_BYTES, UNDIGESTED
from clew.intake.recount import ATTRIBUTES, KIND, Recount, recounts
from clew.intake.seizure import NAMES, agreement
from clew.intake.since import CHANGED, GONE, NEW, SINCE
from clew.intake.walk import NO_FILE, UNSEEN
from clew.model import ItemState, Reason

_LISTED = """
SELECT item, exhibit, ref, hex(path) AS path, size, name_state, content_state, found_by, modified_ns, born_ns
FROM listings ORDER BY item
"""
_CONTENTS = """
SELECT DISTINCT c.item, l.exhibit, l.ref, hex(c.sha256) AS sha256, hex(c.sha1) AS sha1, hex(c.md5) AS md5, c.size,
  c.media_type, c.content_state
FROM contents c JOIN listings l ON l.item = c.item
"""
_TRAITS = """
SELECT DISTINCT hex(content) AS content, name, text, number, integer, hex(data) AS data, missing, detail, extractor,
  version, mode
FROM traits
"""


NEW_SINCE = "entries lie there that are not in the case: --retry lists them"
CHANGED_SINCE = "files were written to since they were listed: as they are now, another label takes them in"
GONE_SINCE = "entries of the folder that lie there no more"
ONLY_LIVE = {"APFS", "HFS+", "ISO 9660", "UFS"}  # file systems of which deleted names are not looked for
LATE = "took longer than they may: where several readers share a slow medium, fewer (--workers, with --retry) may do it"
NOT_CARVED = "the slack behind files, and files without a name that do not begin at a sector or are of no kind carved"


@dataclass(slots=True)
class Account:
    """Counts of Items, and the parts of the Exhibit that could not be listed or were left out."""

    discovered: int = 0
    done: int = 0
    unreadable: int = 0
    skipped: int = 0
    open: int = 0
    unreadable_by_reason: dict[str, int] = field(default_factory=dict)
    skipped_by_reason: dict[str, int] = field(default_factory=dict)
    late: int = 0  # of what is unreadable: what took longer than an Item may
    bytes: int = 0
    parts_open: list[str] = field(default_factory=list)
    parts_unreadable: list[dict[str, Any]] = field(default_factory=list)
    not_covered: list[dict[str, Any]] = field(default_factory=list)
    notes: dict[str, int] = field(default_factory=dict)
    searched: list[dict[str, Any]] = field(default_factory=list)
    recounts: list[Recount] = field(default_factory=list)
    image_unread: list[str] = field(default_factory=list)
    image_problems: list[str] = field(default_factory=list)
    stated: dict[str, bool] = field(default_factory=dict)  # digests of the seizure record: whether they agree

    @property
    def balanced(self) -> bool:
        """Whether every Item that was discovered has its final state."""
        return self.discovered == self.done + self.unreadable + self.skipped

    @property
    def complete(self) -> bool:
        """Whether nothing at all stayed unread, and no second count contradicts: exit status 0 instead of 3."""
        lost = self.unreadable or self.parts_unreadable or self.parts_open or self.image_unread
        unseen = UNSEEN in self.notes or NO_FILE in self.notes
        return self.balanced and not (lost or unseen or any(each.unexplained for each in self.recounts))

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        told = {"recounts": [each.as_dict() for each in self.recounts], "balanced": self.balanced}
        return {**asdict(self), **told, "complete": self.complete}

    def words(self) -> str:
        """For a person."""
        lines = [
            f"discovered {self.discovered:,} = done {self.done:,} + unreadable {self.unreadable:,} + "
            f"skipped {self.skipped:,}" + (f" + still open {self.open:,}" if self.open else "")
        ]
        lines += [f"  unreadable, {reason}: {count:,}" for reason, count in sorted(self.unreadable_by_reason.items())]
        lines += [f"    {self.late:,} of them {LATE}"] if self.late else []
        lines += [f"  skipped, {reason}: {count:,}" for reason, count in sorted(self.skipped_by_reason.items())]
        lines += [f"the image: {text}" for text in (*self.image_unread, *self.image_problems)]
        lines += [
            f"the image: its {NAMES[name]} is that of the seizure record" for name, same in self.stated.items() if same
        ]
        lines += [f"could not be read: {_place(part)}: {part['missing']}" for part in self.parts_unreadable]
        lines += [f"not covered: {_place(part)}: {part['missing']}" for part in self.not_covered]
        lines += [f"{part['kind']}: {_place(part)}{_bytes(part)}" for part in self.searched]
        lines += [f"not covered: {NOT_CARVED}"] if self.searched else []
        lines += [f"noted: {count:,} {what}" for what, count in sorted(self.notes.items())]
        lines += [f"second count: {each.words()}" for each in self.recounts]
        lines += [f"still being listed: {part}" for part in self.parts_open]
        return "\n".join(map(printable, lines))


def account(case: Case, exhibit: str) -> Account:
    """The account of one Exhibit, by id."""
    found = Account()
    sql = "SELECT state, reason, detail, count(*) AS n, total(size) AS size FROM items WHERE exhibit=? GROUP BY 1, 2, 3"
    unreadable: Counter[str] = Counter()
    skipped: Counter[str] = Counter()
    states: Counter[str] = Counter()
    for row in case.read().execute(sql, (exhibit,)):
        states[row["state"]] += row["n"]
        if row["state"] == ItemState.DONE:
            found.bytes += int(row["size"])  # a disk may claim more than 64 bits can sum up
        elif row["state"] == ItemState.UNREADABLE:
            unreadable[row["reason"]] += row["n"]
            found.late += row["n"] if TOO_SLOW in (row["detail"] or "") else 0
        elif row["state"] == ItemState.SKIPPED:
            skipped[row["detail"] or row["reason"]] += row["n"]
    found.discovered = sum(states.values())
    found.done, found.unreadable = states[ItemState.DONE], states[ItemState.UNREADABLE]
    found.skipped, found.open = states[ItemState.SKIPPED], states[ItemState.OPEN]
    found.unreadable_by_reason, found.skipped_by_reason = dict(unreadable), dict(skipped)
    row = case.read().execute("SELECT * FROM exhibits WHERE id=?", (exhibit,)).fetchone()
    learnt = json.loads(row["acquisition"]) if row is not None else {}
    found.image_unread, found.image_problems = list(_unread(learnt)), learnt.get("problems", [])
    if row is not None:
        found.stated = agreement(json.loads(row["stated"]), {name: row[name] for name in NAMES})
        wrong = [NAMES[name] for name, agrees in found.stated.items() if not agrees]
        found.image_unread += [f"its {name} is NOT the one that the seizure record states" for name in wrong]
    for row in case.read().execute("SELECT * FROM exhibit_runs WHERE exhibit=? ORDER BY part", (exhibit,)):
        _part(found, row["part"], json.loads(row["detail"]), learnt.get("bad", []), done=row["done_ns"] is not None)
    found.recounts = recounts(case, exhibit)
    return found


def _unread(learnt: dict[str, Any]) -> Iterator[str]:
    """What its one sequential read found missing or wrong in the bytes of an image."""
    if why := learnt.get("unopened"):
        yield f"it could not be read whole, and has no digest: {why}"
    if bad := learnt.get("bad"):
        size = sum(length for _, length in bad)
        yield f"{size:,} bytes could not be read, in {len(bad):,} stretches, the first at byte {bad[0][0]:,}"
    if errors := learnt.get("acquisition_errors"):
        size = sum(length for _, length in errors)
        yield f"{size:,} bytes could not be read when it was acquired, in {len(errors):,} stretches; zeros stand there"
    if count := learnt.get(UNDIGESTED):
        why = "where it lay before, or before something was done to it, and had no digest then"
        yield f"{count:,} items were read of it {why}: nothing ties them to this one"
    if changed := learnt.get(OTHER_BYTES):
        now = f" (SHA-256 {changed['sha256']})" if changed["sha256"] else ""
        yield (
            f"its bytes became others{now} after its digest was taken: of the {changed['items']:,} items read of it, "
            "those read since may be of either"
        )
    for name, agrees in learnt.get("agree", {}).items():
        if not agrees:
            yield f"its {name.upper()} is not the one that was stored when it was acquired"


def _part(found: Account, name: str, detail: dict[str, Any], bad: list[tuple[int, int]], *, done: bool) -> None:
    if not done:
        why = detail.get("anew")  # of a part that is listed again: True, or why it cannot be just now
        found.parts_open.append(
            f"{name}, which cannot be listed again just now: {why}" if isinstance(why, str) else name
        )
    place: dict[str, Any] = {
        key: detail[key] for key in ("kind", "offset", "length", "table", "file_system") if key in detail
    }
    if detail.get("kind") == KIND:
        if count := detail.get("notes", {}).get(ATTRIBUTES):
            found.not_covered.append({**place, "missing": f"{Reason.UNKNOWN}: {count:,} {ATTRIBUTES}"})
        return
    for what, count in detail.get("notes", {}).items():
        found.notes[what] = found.notes.get(what, 0) + count
    _since(found, place, detail.get(SINCE, {}))
    if "missing" in detail:
        missing = f"{detail['missing']}: {detail['missing_detail']}"
        stretches = found.not_covered if "carving" in detail["kind"] else found.parts_unreadable
        stretches.append({**place, "missing": missing})
    elif done and "carving" in detail["kind"]:
        free = detail.get("free_bytes", detail["length"] if "file_system" not in detail else None)
        found.searched.append({**place, **({"bytes": free} if free is not None else {})})
    elif detail["kind"] == "file system":
        if detail.get("file_system") in ONLY_LIVE:
            but = ", but what an earlier session of it lists" if detail["file_system"] == "ISO 9660" else ""
            missing = f"{Reason.UNKNOWN}: what was deleted{but}: it is not looked for in such a file system"
            only = {**place, "missing": missing}
            found.not_covered += [only] if only not in found.not_covered else []  # a disc has more than one tree
        first, end = detail["offset"], detail["offset"] + detail["length"]
        if lost := sum(max(0, min(end, offset + length) - max(first, offset)) for offset, length in bad):
            missing = f"{Reason.UNREADABLE}: {lost:,} bytes of it, for which zeros stand: names may be missing"
            found.parts_unreadable.append({**place, "missing": missing})


def _since(found: Account, place: dict[str, Any], differs: dict[str, int]) -> None:
    """What is not as it was when a folder was listed; what is gone since was read, or is unreadable by itself."""
    for what, words in {NEW: NEW_SINCE, CHANGED: CHANGED_SINCE}.items():
        if count := differs.get(what):
            found.parts_unreadable.append({**place, "missing": f"{Reason.UNKNOWN}: {count:,} {words}"})
    if count := differs.get(GONE):
        found.notes[GONE_SINCE] = count


def _place(part: dict[str, Any]) -> str:
    named = part.get("file_system") or part.get("table") or part["kind"]
    return f"{named} at byte {part['offset']:,}, {part['length']:,} bytes" if "offset" in part else str(named)


def _bytes(part: dict[str, Any]) -> str:
    return f": {part['bytes']:,} bytes searched" if "bytes" in part else ""


def facts_digest(case: Case) -> str:
    """One SHA-256 over the final facts, the same for every way that led to them: no ids, times, batches or attempts.

    Over the sorted SHA-256 of the lines of: every Item (by its Exhibit's label and ref) with its claims, state and
    reason; its Content; every Trait; every blob. Two runs over the same bytes agree, however often either was killed in
    between. Holds 32 bytes a line.
    """
    lines = sorted(hashlib.sha256(line.encode()).digest() for line in _lines(case))
    return hashlib.sha256(b"".join(lines)).hexdigest()


def _lines(case: Case) -> Iterator[str]:
    exhibits = labels(case)
    states = case.read().execute("SELECT id, state, reason, detail FROM items ORDER BY id")
    for row in _rows(case, _LISTED):
        item, label = row.pop("item"), exhibits[row.pop("exhibit")]
        for state in states:
            if state["id"] == item:
                yield _line("item", label, row, tuple(state)[1:])
                break
            yield _line("item without a listing", tuple(state)[1:])
        else:
            raise Damaged(f"the item {item} is listed, but has no state", "restore the case from its archive")
    for state in states:
        yield _line("item without a listing", tuple(state)[1:])
    for row in _rows(case, _CONTENTS):
        del row["item"]
        yield _line("content", exhibits[row.pop("exhibit")], row.pop("ref"), row)
    for row in _rows(case, _TRAITS):
        yield _line("trait", row)
    for path in (case.folder / "blobs").glob("??/" + "?" * 62):
        yield _line("blob", path.parent.name + path.name)


def _rows(case: Case, sql: str) -> Iterator[dict[str, Any]]:
    for chunk in shards.query(case, sql).to_batches(max_chunksize=10_000):
        yield from chunk.to_pylist()


def _line(*parts: Any) -> str:
    return json.dumps(parts, sort_keys=True, ensure_ascii=True)
