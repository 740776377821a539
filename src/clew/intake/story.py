"""The custody of an Exhibit as a story: what the Ledger says happened to it, in order, in plain sentences."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from clew.core import clock
from clew.core.case import Case
from clew.intake.again import PIECES, SECOND, leased
from clew.intake.report_words import weaknesses
from clew.intake.seizure import NAMES
from clew.intake.since import CHANGED, GONE, NEW

_LEDGER = "SELECT l.seq, l.line, o.opening FROM ledger l LEFT JOIN ledger_openings o USING (seq) ORDER BY l.seq"
_TALLIED = {"batch.listed": "listed", "part.listed": "parts", "batch.read": "read"}


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. `seq` is its entry in the Ledger, of several the last."""

    seq: int
    at: str
    actor: str
    said: str


@dataclass(slots=True)
class _Tally:
    """Batches are many: what happened to them is summed up."""

    began: str = ""
    last: dict[str, Any] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, entry: dict[str, Any]) -> None:
        kind = _TALLIED[entry["action"]]
        self.began, self.last = self.began or entry["at"], entry
        for name, count in entry["counts"].items():
            self.counts[f"{kind} {name}"] += count

    def told(self) -> Event | None:
        if not self.last:
            return None
        listed, counts = self.counts["listed items"], self.counts
        states = [f"{counts[key]:,} {key.removeprefix('read ')}" for key in sorted(counts) if key.startswith("read ")]
        said = f"Since {self.began}, {listed:,} items were listed"
        said += f"; of what was read: {', '.join(states)}." if states else "."
        return Event(self.last["seq"], self.last["at"], self.last["actor"], said)


def story(case: Case, exhibit: str) -> list[Event]:
    """What happened to one Exhibit, by id. What was erased from the Ledger is counted, not passed over."""
    label = case.read().execute("SELECT label FROM exhibits WHERE id=?", (exhibit,)).fetchone()["label"]
    subjects = {label, *(leased(label, look) for look in (PIECES, SECOND))}
    events: list[Event] = []
    tally, erased = _Tally(), 0
    for entry, about in _entries(case):
        if about is None:
            erased += entry["stage"] == "intake"
            continue
        mine = about.get("exhibit") == exhibit or about.get("subject") in subjects
        if mine and entry["action"] in _TALLIED:
            tally.add(entry)
            continue
        said = _sentence(entry, about, mine=mine, entered=bool(events))
        if said:
            if (summed := tally.told()) is not None:
                events.append(summed)
                tally = _Tally()
            events.append(Event(entry["seq"], entry["at"], entry["actor"], said))
    if (summed := tally.told()) is not None:
        events.append(summed)
    if erased:
        said = f"What {erased:,} more entries of intake were about was erased: some may be about this exhibit."
        events.append(Event(entry["seq"], entry["at"], case.actor, said))
    return events


def _entries(case: Case) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None]]:
    for row in case.read().execute(_LEDGER):
        yield json.loads(row["line"]), None if row["opening"] is None else json.loads(row["opening"])


def _sentence(entry: dict[str, Any], about: dict[str, Any], *, mine: bool, entered: bool) -> str:
    """What an entry says, "" for one that is not about this Exhibit."""
    told = _OWN if mine else _COMMON if entered else {}
    say: Callable[[dict[str, Any], dict[str, Any]], str] | None = told.get(entry["action"])
    return say(entry, about) if say else ""


def _entered(entry: dict[str, Any], about: dict[str, Any]) -> str:
    at = f" at {clock.iso(about['seized_at_ns'])}" if about["seized_at_ns"] is not None else ""
    seized = f"seized by {about['seized_by'] or 'nobody named'} in {about['seized_where'] or 'no place named'}{at}"
    what = f", {about['seized_what']}" if about.get("seized_what") else ""
    said = (
        f"It was entered as {about['label']}{what}: a {about['kind']} at {about['location']}, {seized}{_under(entry)}."
    )
    return said + _stated(about)


def _completed(_entry: dict[str, Any], about: dict[str, Any]) -> str:
    names = {"seized_by": "by whom", "seized_where": "where", "seized_what": "what"}
    told = [f"{word}: {about[name]}" for name, word in names.items() if name in about]
    told += [f"when: {clock.iso(about['seized_ns'])}"] if "seized_ns" in about else []
    said = f"Of its seizure was added {'; '.join(told)}." if told else ""
    return (said + _stated(about) + _held_against(about)).strip()


def _stated(about: dict[str, Any]) -> str:
    """The digests of the seizure record."""
    return "".join(
        f" The seizure record states {NAMES[name]} {value}." for name, value in about.get("stated", {}).items()
    )


def _held_against(about: dict[str, Any]) -> str:
    """Whether they are those of the image."""
    agree = about.get("stated_agree", {})
    words = {True: "is that of the seizure record", False: "is NOT that of the seizure record"}
    return "".join(f" Its {NAMES[name]} {words[same]}." for name, same in agree.items())


def _acquired(entry: dict[str, Any], about: dict[str, Any]) -> str:
    digests = ", ".join(
        f"{name} {about[key]}" for name, key in (("SHA-256", "sha256"), ("SHA-1", "sha1"), ("MD5", "md5"))
    )
    said = f"Its image was read whole, {about['size']:,} bytes: {digests}."
    differ = [name for name, agrees in about.get("agree", {}).items() if not agrees]
    if differ:
        said += f" It is NOT what its container says: the stored {' and '.join(differ)} differ."
    elif about.get("stored"):
        said += f" The container's own {' and '.join(about['stored'])} agree."
    if bad := entry["counts"].get("bad", 0):
        said += f" {bad:,} bytes could not be read."
    return said + _held_against(about)


def _moved(_entry: dict[str, Any], about: dict[str, Any]) -> str:
    known = "the size and both ends of its image" if isinstance(about["known by"], list) else about["known by"]
    known = "the SHA-256 of its image" if "sha256" in about else known
    return f"It was found again at {about['to']}, known by {known}."


def _compared(_entry: dict[str, Any], about: dict[str, Any]) -> str:
    same = "which is its own" if about["agrees"] else "which is NOT its own: nothing of that was taken in"
    return f"What lay at {about['location']} was read whole once more: SHA-256 {about['sha256']}, {same}."


def _changed(entry: dict[str, Any], about: dict[str, Any]) -> str:
    read = f"{entry['counts']['items']:,} items had been read of it"
    return f"Somebody wrote to it after its digest was taken: {'; '.join(about['differs'])}; {read}."


def _started(entry: dict[str, Any], about: dict[str, Any]) -> str:
    isolation = _isolated({"workers": about["isolation"]})
    said = f"An intake began with {entry['tool']} ({about['versions']}), its parsers {isolation}{_under(entry)}."
    stopping = [f"{each['name']!r}" for each in about.get("known_good", [])]
    return said + (f" Known-good sets in use: {', '.join(stopping)}." if stopping else "")


def _isolated(isolation: dict[str, dict[str, Any]]) -> str:
    weak = weaknesses(isolation)
    layers = sum(map(len, isolation.values()))
    return f"isolated by all {layers} layers" if not weak else f"isolated without {' and '.join(weak)}"


def _looked(entry: dict[str, Any], about: dict[str, Any]) -> str:
    why = ", while another exhibit was taken in" if "behalf" in about else ""
    isolation = _isolated(about["isolation"])
    said = f"It was opened again{why} ({about['called']}; {entry['tool']}, {about['versions']})"
    return f"{said}, its parsers {isolation}{_under(entry)}."


def _looked_at(_entry: dict[str, Any], about: dict[str, Any]) -> str:
    """Nothing, where the look did and was what it said when it began."""
    touched = about["effects"].get("access_times_touched", 0)
    said = f"That look ended; {touched:,} of its openings could not leave access times alone." if touched else ""
    beside = {who: layers for who, layers in about["isolation"].items() if who != "workers"}
    more = [f"{who} was {_isolated({who: layers})}" for who, layers in beside.items()]
    return " ".join([said, *(f"In it {each}." for each in more)]).strip()


def _ended(entry: dict[str, Any], about: dict[str, Any]) -> str:
    counts = entry["counts"]
    said = f"It ended: discovered {counts['discovered']:,} = done {counts['done']:,} + unreadable "
    said += f"{counts['unreadable']:,} + skipped {counts['skipped']:,}."
    touched = about["effects"].get("access_times_touched", 0)
    return said + (f" {touched:,} openings could not leave access times alone." if touched else "")


def _under(entry: dict[str, Any]) -> str:
    return f", under mandate {entry['mandate']}" if entry["mandate"] else ""


_OWN: dict[str, Callable[[dict[str, Any], dict[str, Any]], str]] = {
    "exhibit.entered": _entered,
    "exhibit.completed": _completed,
    "exhibit.moved": _moved,
    "exhibit.acquired": _acquired,
    "exhibit.compared": _compared,
    "exhibit.changed": _changed,
    "exhibit.sampled": lambda _entry, _about: (
        "From then on its image was known again by samples and times of change too; until then by its size, the time "
        "of writing and both ends alone."
    ),
    "intake.started": _started,
    "intake.ended": _ended,
    "lease.taken over": lambda _entry, about: (
        f"A run or look that had ended without a word (process {about['pid']}) was taken over."
    ),
    "rests.listed": lambda entry, _about: (
        f"{entry['counts']['items']:,} rests of archives that could not be listed at first were listed."
    ),
    "listing.reopened": lambda entry, _about: (
        f"{entry['counts']['parts']:,} parts that had lost something were listed again."
    ),
    "names.reopened": lambda entry, _about: (
        f"{entry['counts']['parts']:,} parts of which an earlier version may have misread names were listed again."
    ),
    "folder.compared": lambda entry, _about: (
        f"It was held against its listing: {entry['counts'].get(NEW, 0):,} entries that were not in the case, "
        f"{entry['counts'].get(CHANGED, 0):,} written to since, {entry['counts'].get(GONE, 0):,} gone."
    ),
    "listing.waits": lambda _entry, about: f"{about['part']} could not be listed again just then.",
    "claims.weakened": lambda entry, _about: (
        f"Of {entry['counts']['items']:,} deleted files less is claimed than before: others were listed since."
    ),
    "files.crossed": lambda entry, _about: (
        f"Of {entry['counts']['items']:,} files less is claimed: their clusters are other files' in use as well."
    ),
    "losses.listed": lambda entry, _about: (
        f"Of what could not be listed at first, {entry['counts']['items'] + entry['counts']['parts']:,} were listed."
    ),
    "look.started": _looked,
    "look.ended": _looked_at,
    "contents.held against pieces": lambda entry, _about: (
        f"{entry['counts']['contents']:,} contents were held against piece hashes and ed2k hashes."
    ),
    "contents.looked at again": lambda entry, _about: f"{entry['counts']['contents']:,} contents were looked at again.",
}
_COMMON: dict[str, Callable[[dict[str, Any], dict[str, Any]], str]] = {
    "bundle.built": lambda _entry, about: (
        f"A bundle for {about['force']} was built; it may hold facts of this exhibit."
    ),
    "checkpoint.signed": lambda entry, _about: f"The ledger was signed up to entry {entry['counts']['size'] - 1:,}.",
    "case.archived": lambda _entry, _about: "The whole case was archived.",
}
