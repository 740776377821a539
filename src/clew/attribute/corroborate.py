"""Trait -> Lead: seized artefacts beside the Sightings; per Lead supported, contradicted or silent, with the bytes.

Never a verdict on a person. Which Exhibit belongs to which Subject is for people to state (`statements`); without that
an Exhibit says nothing of a Lead, but for one thing: another client may have known the Lead's endpoint for the same
torrent. A Lead is contradicted only where bytes and both clocks leave no other reading of that entry, and no entry of
its Exhibits agrees in time; it is never contradicted because nothing was found.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from clew.attribute import artefacts, covering, grounds, statements, verified
from clew.attribute.artefacts import Artefacts, Entry
from clew.attribute.finding import Finding, of_before
from clew.attribute.masked import Masked
from clew.attribute.run import label as subject_label
from clew.attribute.weigh import Beside, Judged, Match, Outcome, Says, Seen, listening, shown, until_seized, weigh
from clew.core import clock, mandate, shards, unheld, watch
from clew.core.case import Case
from clew.core.errors import Refused, Usage
from clew.core.lease import lease
from clew.model import Watch

PORT = re.compile(r":(\d{1,5})(?=[,\s]|s|$)")
NOT_READ = (
    "artefacts of clients that clew does not read (Shareaza, Ares, GigaTribe and others; some are named where intake "
    "came upon them), of clients that were removed, and of machines that were not seized",
    "entries of eD2k networks: no Watch names an ed2k hash, and no Sighting a user hash",
)
BARRED = "no Mandate covers it now, so it was not looked at; what was found in it before stands"
NOBODY = "no exhibit is stated to belong to it, so none was searched for it (clew statement belongs)"
CLOCKS = """
SELECT id, started_ns, ended_ns, clock_offset_ns, clock_error_ns FROM sightings WHERE id IN (SELECT unnest($ids))
"""


@dataclass(slots=True)
class Corroborated:
    """One Lead: the outcome of each Watch, and of all. `exhibits` are those that people state to belong to it.

    `rests_on`: the statements and intervals that it was made of (`grounds`).
    """

    lead: str
    subject: str
    subject_id: str
    force: str | None
    outcome: Outcome = Outcome.SILENT
    by_watch: dict[str, Outcome] = field(default_factory=dict)
    matches: tuple[Match, ...] = ()
    exhibits: tuple[str, ...] = ()
    rests_on: dict[str, list[Any]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    covered: tuple[str, ...] = ()


@dataclass(slots=True)
class Report:
    """All Leads. `unlinked`: Exhibits that hold a Watch and are not stated to belong to a Lead, with those Watches.
    `gone`: Exhibits that people state to belong to Subjects of which there is no Lead now, with those Subjects.
    """

    leads: list[Corroborated]
    unlinked: dict[str, tuple[str, ...]]
    gone: dict[str, tuple[str, ...]]
    refused: tuple[str, ...]
    covered: tuple[str, ...]

    def counts(self) -> dict[str, int]:
        """How many Leads of each outcome."""
        found = Counter(each.outcome for each in self.leads)
        return {str(outcome): found[outcome] for outcome in Outcome}

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self) | {"counts": self.counts()}


@dataclass(slots=True)
class _World:
    case: Case
    watches: Mapping[str, Watch]
    masked: Masked
    found: Artefacts
    exhibits: Mapping[str, Mapping[str, Any]]
    barred: Mapping[str, str]  # exhibits that no Mandate covers now -> their labels
    clocks: Mapping[str, statements.Clock]
    belongs: Mapping[str, set[str]]  # subject of a lead -> exhibits, those that are barred too
    gone: Mapping[str, set[str]]  # label of an exhibit -> subjects that it is stated to belong to, of no lead
    entries: Mapping[str, list[Entry]]  # watch -> its entries
    covered: Mapping[str, tuple[str, ...]]
    unheld: Counter[str]  # by exhibit

    def label(self, exhibit: str) -> str:
        """Of an Exhibit by its id."""
        return self.barred.get(exhibit) or str(self.exhibits[exhibit]["label"])


def corroborate(case: Case, *, lead: str | None = None) -> Report:
    """Sets artefacts beside every Lead, or beside one (its id, or its Subject's label), and keeps what came out.

    Raises Refused without a Mandate for "attribute", Usage where there is no such Lead, Held while attribute runs.
    """
    now_ns = clock.now().utc_ns
    basis = mandate.require(case, purpose="attribute", at_ns=now_ns)
    with lease(case, "attribute", case.settings.id):
        taken = grounds.read(case.read())  # first, so that whatever changes meanwhile is not among it
        world, refused = _world(case, now_ns)
        rows = _leads(case, lead)
        seen = _seen(case, [row["subject"] for row in rows])
        made = [_one(world, row, seen[row["subject"]], taken) for row in rows]
        _keep(case, made, now_ns, basis.id, whole=lead is None)
    spoken_for = {exhibit for exhibits in world.belongs.values() for exhibit in exhibits}
    unlinked = {
        world.exhibits[exhibit]["label"]: tuple(sorted(labels))
        for exhibit, labels in sorted(_holding(world).items())
        if exhibit not in spoken_for
    }
    senseless = world.found.senseless
    nonsense = (f"{senseless} traits of artefacts do not say what they must, and were left out",) if senseless else ()
    gone = {exhibit: tuple(sorted(labels)) for exhibit, labels in sorted(world.gone.items())}
    alone = sorted((world.label(each), world.unheld[each]) for each in world.exhibits if each not in spoken_for)
    unasked = tuple(f"{label}: {unheld.words(count)}" for label, count in alone if count)
    return Report(made, unlinked, gone, refused, NOT_READ + nonsense + unasked)


def _world(case: Case, now_ns: int) -> tuple[_World, tuple[str, ...]]:
    watches = watch.all_of(case)
    exhibits: dict[str, Mapping[str, Any]] = {}
    barred, refused = dict[str, str](), []
    for row in case.read().execute("SELECT * FROM exhibits ORDER BY label"):
        try:
            mandate.require(case, purpose="attribute", at_ns=now_ns, exhibit=row["label"])
            exhibits[row["id"]] = dict(row)
        except Refused as outside:
            barred[row["id"]] = row["label"]
            refused.append(f"{row['label']} was not looked at: {outside.message}")
    found = artefacts.read(case, watches)
    stated = statements.standing(case)
    belongs, gone = _belongs(case, stated, exhibits)
    entries: dict[str, list[Entry]] = defaultdict(list)
    for entry in found.entries:
        entries[entry.watch.id].append(entry)
    by_id, unasked = {each.id: each for each in watches}, unheld.counted(case)
    covered = {each: covering.covered(case, found, each, unasked[each]) for each in exhibits}
    clocks = statements.clocks(stated)
    masked = Masked(watches)
    world = _World(case, by_id, masked, found, exhibits, barred, clocks, belongs, gone, entries, covered, unasked)
    return world, tuple(refused)


def _belongs(
    case: Case, stated: Sequence[statements.Statement], exhibits: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """`_World.belongs` and `_World.gone`: a later run of attribute may not make a Subject again that was spoken of."""
    leads = {row["subject"] for row in _leads(case, None)}
    belongs, gone = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
    for each in stated:
        if each.subject is None:
            continue
        if each.subject in leads:
            belongs[each.subject].add(each.exhibit)
        elif each.exhibit in exhibits:
            gone[exhibits[each.exhibit]["label"]].add(subject_label(each.subject))
    return belongs, gone


def _leads(case: Case, lead: str | None) -> list[Any]:
    sql = "SELECT l.id, l.force, l.subject, s.label FROM leads l JOIN subjects s ON s.id=l.subject"
    if lead is None:
        return case.read().execute(f"{sql} ORDER BY l.force, l.rank, l.id").fetchall()
    rows = case.read().execute(f"{sql} WHERE l.id=?1 OR s.label=?1 OR s.id=?1", (lead,)).fetchall()
    if not rows:
        raise Usage(f"there is no lead {lead!r}", "see them with: clew leads CASE")
    return rows


def _seen(case: Case, subjects: Sequence[str]) -> dict[str, list[Seen]]:
    """Every interval of these Subjects, with the largest error that the observer's clock had in it."""
    wanted = set(subjects)
    rows = [row for row in case.read().execute("SELECT * FROM subject_intervals") if row["subject"] in wanted]
    ids = sorted({each for row in rows for each in json.loads(row["sightings"])})
    times = {row["id"]: row for row in shards.query(case, CLOCKS, {"ids": ids}).to_pylist()}
    found: dict[str, list[Seen]] = defaultdict(list)
    for row in rows:
        claims = [times.get(each) for each in json.loads(row["sightings"])]
        span = _measured(claims) or (row["from_ns"], row["to_ns"], None)
        found[row["subject"]].append(Seen(row["watch"], row["address"], row["port"], *span))
    return found


def _measured(claims: Sequence[Mapping[str, Any] | None]) -> tuple[int, int, int] | None:
    """From when to when claims in the observer's order lasted, and its clock's largest error; None where the first or
    the last was not measured. Of those between them nobody need know more: they were made between them.
    """
    known = [
        each for each in claims if each and each["clock_offset_ns"] is not None and each["clock_error_ns"] is not None
    ]
    if not known or known[0] is not claims[0] or known[-1] is not claims[-1]:
        return None
    error_ns = max(abs(each["clock_offset_ns"]) + each["clock_error_ns"] for each in known)
    return min(each["started_ns"] for each in known), max(each["ended_ns"] for each in known), error_ns


def _one(world: _World, row: Mapping[str, Any], seen: Sequence[Seen], taken: grounds.Grounds) -> Corroborated:
    stated = {world.label(each): each for each in world.belongs.get(row["subject"], ())}
    linked = [stated[label] for label in sorted(stated) if stated[label] in world.exhibits]
    made = Corroborated(row["id"], row["label"], row["subject"], row["force"], exhibits=tuple(sorted(stated)))
    known = [each for each in seen if each.watch in world.watches]
    for interval in known:
        made.findings += _entries(world, interval, set(linked))
        made.findings += _verified(world, interval, set(linked))
        made.findings += _listening(world, interval, linked)
    made.rests_on = _rests_on(taken, world, made)
    _of_before(world, made, taken)
    for label in sorted({world.watches[each.watch].label for each in known}):
        made.by_watch[label] = outcome([each for each in made.findings if each.watch == label])
    said = set(made.by_watch.values())
    made.outcome = next((each for each in (Outcome.CONTRADICTED, Outcome.SUPPORTED) if each in said), Outcome.SILENT)
    if made.outcome is Outcome.SUPPORTED:
        agreeing = {m for f in made.findings if f.says in (Says.SUPPORTS, Says.ADDS) for m in f.matches}
        made.matches = tuple(each for each in Match if each in agreeing)
    made.covered = tuple(line for each in linked for line in world.covered[each]) if stated else (NOBODY,)
    made.covered += tuple(f"{label}: {BARRED}" for label in sorted(stated) if stated[label] in world.barred)
    if len(known) < len(seen):
        made.covered += ("some of its Watches are not in this case any more: their infohashes are not known",)
    return made


def _rests_on(taken: grounds.Grounds, world: _World, made: Corroborated) -> dict[str, list[Any]]:
    """What it rests on: also the clock of an Exhibit that is not linked, and names the endpoint."""
    ids = {world.label(each): each for each in (*world.exhibits, *world.barred)}
    labels = {*made.exhibits, *(finding.exhibit for finding in made.findings)}
    return taken.of(made.subject_id, (ids[label] for label in labels))


def _of_before(world: _World, made: Corroborated, taken: grounds.Grounds) -> None:
    """Adds what was found before in Exhibits that no Mandate covers now, as far as they are still stated to belong to
    it, or never were. Where that rests on others by now, so does all that comes out.
    """
    row = world.case.read().execute("SELECT * FROM corroborations WHERE lead=?", (made.lead,)).fetchone()
    barred, watches = set(world.barred.values()), {each.label for each in world.watches.values()}

    def stands(each: Finding) -> bool:
        return each.exhibit in barred and each.watch in watches and each.linked == (each.exhibit in made.exhibits)

    found = list(of_before(row["findings"], row["at_ns"], stands)) if row is not None else []
    if not found:
        return
    made.findings += found
    before, now = grounds.kept(row["findings"]), _rests_on(taken, world, made)
    made.rests_on = now if taken.bear(made.subject_id, row["findings"]) else before


def outcome(findings: Sequence[Finding]) -> Outcome:
    """Of one Watch of one Lead. An entry of a linked Exhibit that agrees in time outweighs one that was added later:
    the torrent may be there twice. What says nothing of the time does not.
    """
    agrees = [each for each in findings if each.says is Says.SUPPORTS]
    in_time = any(each.linked and Match.TIMES in each.matches for each in agrees)
    if any(each.says is Says.CONTRADICTS for each in findings) and not in_time:
        return Outcome.CONTRADICTED
    return Outcome.SUPPORTED if agrees else Outcome.SILENT


def _entries(world: _World, seen: Seen, linked: set[str]) -> Iterator[Finding]:
    for entry in world.entries.get(seen.watch, ()):
        for place in entry.places:
            if place.exhibit not in world.exhibits:
                continue
            beside = _beside(world, place.exhibit, linked)
            judged = weigh(seen, entry, place, beside)
            if judged is not None:
                where = shown(seen, entry, judged)
                yield _finding(world, seen, judged, beside, entry.facts.kind, entry.content, where, place)


def _verified(world: _World, seen: Seen, linked: set[str]) -> Iterator[Finding]:
    """Files of linked Exhibits whose bytes are those of the watched torrent."""
    torrents = {e.content for e in world.entries.get(seen.watch, ()) if e.facts.kind == artefacts.TORRENT}
    for each in (held for torrent in torrents for held in world.found.verified.get(torrent, ())):
        for place in each.places:
            if place.exhibit in linked and each.checked and each.checked == each.matching:
                beside = _beside(world, place.exhibit, linked)
                which = verified.which(world.watches[seen.watch], each)
                judged = until_seized(seen, beside, Judged(Says.SUPPORTS, (Match.PIECES,), (which,)))
                yield _finding(world, seen, judged, beside, "file", each.content, verified.shown(each), place)


def _listening(world: _World, seen: Seen, linked: Sequence[str]) -> Iterator[Finding]:
    """The port that a client of a linked Exhibit listened on is the Lead's: it strengthens, and is no support."""
    for exhibit in linked:
        for content, facts, places in world.found.listening.get(exhibit, ()):
            if str(seen.port) in PORT.findall(facts.listen):
                beside = _beside(world, exhibit, set(linked))
                judged = until_seized(seen, beside, listening(seen.port))
                where = {"port": facts.span("listen")}
                for place in places:
                    yield _finding(world, seen, judged, beside, facts.kind, content, where, place)


def _beside(world: _World, exhibit: str, linked: set[str]) -> Beside:
    row = world.exhibits[exhibit]
    return Beside(str(row["label"]), exhibit in linked, row["seized_ns"], world.clocks.get(exhibit))


def _finding(
    world: _World,
    seen: Seen,
    judged: Judged,
    beside: Beside,
    kind: str,
    content: bytes,
    where: dict[str, tuple[int, int]],
    place: artefacts.Place,
) -> Finding:
    return Finding(
        says=judged.says,
        watch=world.watches[seen.watch].label,
        matches=judged.matches,
        why=judged.why,
        exhibit=beside.label,
        linked=beside.linked,
        kind=kind,
        content=content.hex(),
        shown=where,
        item=world.masked(place.path.decode("utf-8", "backslashreplace")),
        live=place.live,
    )


def _holding(world: _World) -> dict[str, set[str]]:
    """Exhibit -> labels of the Watches that its artefacts name."""
    found: dict[str, set[str]] = defaultdict(set)
    for entry in world.found.entries:
        for place in entry.places:
            if place.exhibit in world.exhibits:
                found[place.exhibit].add(entry.watch.label)
    return found


def _keep(case: Case, made: Sequence[Corroborated], now_ns: int, basis: str, *, whole: bool) -> None:
    rows = [
        (
            each.lead,
            each.subject_id,
            str(each.outcome),
            json.dumps({"findings": [asdict(f) for f in each.findings], "rests_on": each.rests_on}),
            json.dumps(each.covered),
            now_ns,
        )
        for each in made
    ]
    found = Counter(str(each.outcome) for each in made)
    with case.write("attribute") as tx:
        if whole:
            tx.execute("DELETE FROM corroborations")
        tx.executemany("INSERT OR REPLACE INTO corroborations VALUES (?,?,?,?,?,?)", rows)
        for each in made:
            grounds.speak(tx, each.lead, None)
        grounds.restate(tx)
        about = {"outcomes": {each.lead: str(each.outcome) for each in made}}
        tx.record("leads.corroborated", subject=about, counts=dict(found), mandate=basis)
