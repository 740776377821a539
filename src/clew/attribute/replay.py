"""Derives Subjects and Leads again from the Sightings and from what the case keeps of each register's answers.

The Ledger says what the last run was told: its policy, rule, weights and registers, what it took for the present, and
how far the observer had come. No clock, file or register is asked. What people decided (urgency, forces, what artefacts
contradict) is taken as it stands; what changed since that run is not compared, and that is said.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from clew.attribute import caveats, evidence, grounds, links, merge, priority
from clew.attribute.api import Answer, NetworkKind
from clew.attribute.run import RULES, Context, Lead, Policy, context_of, label, lead_of, row_of, standing, tier
from clew.attribute.where import Asked
from clew.core import ledger
from clew.core.case import Case
from clew.core.derived import Derived
from clew.core.errors import Refused, Usage

REBUILT, FORGOTTEN = "leads.rebuilt", "sightings.forgotten"
FORCES = frozenset(("force.added", "force.replaced"))
ENTRIES = "SELECT l.seq, l.line, o.opening FROM ledger l LEFT JOIN ledger_openings o USING (seq) "
TOLD = ("now_ns", "evidence", "listed", "policy", "rule", "weights", "registers")
COLUMNS = (
    "id", "subject", "force", "rank", "score", "tier", "torrent_only", "country", "uncertain", "network_kind",
    "lookups", "features", "caveats", "against", "expires_ns", "state",
)  # fmt: skip
PLACED = ("force", "state", "rank", "against")  # what a change of the forces changes


@dataclass(frozen=True, slots=True)
class _Kept:
    """A register as far as the case keeps its answers."""

    answers: Mapping[str, Answer]
    dated_ns: int | None
    data: Path = Path()

    def lookup(self, address: str) -> Answer:
        """What it said when the leads were made."""
        return self.answers.get(address, Answer())


@dataclass(frozen=True, slots=True)
class _Last:
    """The run that made the leads: what it was told, what it counted, and what of that has changed since."""

    told: Mapping[str, Any]
    counts: Mapping[str, int]
    since: frozenset[str]

    @property
    def uncompared(self) -> tuple[str, ...]:
        """Columns of a lead that no longer follow from what the case holds."""
        forgotten = ("against", "beside", "caveats") if FORGOTTEN in self.since else ()
        return (*forgotten, *(PLACED if FORCES & self.since else ()))


def replay(case: Case) -> Derived:
    """Derives every Subject and Lead again and compares them with the case's tables."""
    found = Derived()
    last = _last(case)
    if isinstance(last, str):
        found.not_derived[last] += case.read().execute("SELECT count(*) FROM leads").fetchone()[0]
        return found
    told = last.told
    policy = Policy(**told["policy"] | {"merging": merge.Policy(**told["policy"]["merging"])})
    try:
        rule = priority.rule(told["rule"].split(" ")[0])
    except Usage:
        rule = None
    if rule is None or f"{rule.name} {rule.version}" != told["rule"]:
        found.not_derived[f"the ranks were made by {told['rule']}, which this clew has not"] += last.counts["leads"]
        return found
    every = evidence.read(case)
    known = [each for each in every if (each.sequence or 0) <= told["evidence"].get(each.run or "", -1)]
    if len(known) < len(every):
        found.not_derived["sightings taken since the leads were made"] += len(every) - len(known)
    merged = merge.merge(known, policy.merging, listed=evidence.listed(case, told["listed"]))
    weights = {(scheme, category): weight for scheme, category, weight in told["weights"]}
    context = context_of(case, merged, _asked(case, told["registers"]), policy, rule, weights, told["now_ns"])
    hashed = [*_subjects(case, merged, found), *_links(case, merged, found), *_leads(context, last, found)]
    found.digest = hashlib.sha256(ledger.canonical(hashed).encode()).hexdigest()
    return found


def _last(case: Case) -> _Last | str:
    """What the Ledger says of the last run, or why that does not do."""
    sql = f"{ENTRIES} WHERE l.line LIKE ? ORDER BY l.seq DESC LIMIT 1"
    row = case.read().execute(sql, (f'%"action":"{REBUILT}"%',)).fetchone()
    if row is None:
        return "no leads were made yet"
    if row["opening"] is None:
        return "the ledger's entry of the run that made the leads was erased"
    told = json.loads(row["opening"])
    if told.get("rules") != RULES or any(name not in told for name in TOLD):
        return "the leads were made by an earlier version; run clew attribute again"
    after = case.read().execute("SELECT line FROM ledger WHERE seq > ?", (row["seq"],))
    since = frozenset(str(json.loads(each["line"])["action"]) for each in after)
    return _Last(told, json.loads(row["line"])["counts"], since)


def _asked(case: Case, registers: Sequence[str]) -> tuple[Asked, ...]:
    """The registers that were asked, with the answers that the leads keep."""
    answers: dict[str, dict[str, Answer]] = {each: {} for each in registers}
    sql = (
        "SELECT l.lookups, i.address FROM leads l JOIN subject_intervals i ON i.subject = l.subject GROUP BY l.id, "
        "i.address ORDER BY l.id"
    )
    for row in case.read().execute(sql):
        for each in json.loads(row["lookups"]):
            said = Answer(each["country"], each["subdivision"], NetworkKind(each["kind"]), each["network"])
            answers.setdefault(each["register"], {}).setdefault(row["address"], said)
    rows = {row["id"]: row for row in case.read().execute("SELECT id, name, dated_ns FROM registers")}
    return tuple(
        Asked(name, rows[name]["name"], _Kept(answers[name], rows[name]["dated_ns"]), rows[name]["dated_ns"])
        for name in registers
        if name in rows
    )


def _subjects(case: Case, merged: merge.Merged, found: Derived) -> Iterator[Any]:
    made = {d.id: [d.id, label(d.id), json.dumps(d.watches)] for d in merged.drafts}
    yield from _table("subject", made, _by_first(case, "SELECT id, label, watches FROM subjects"), found)
    spans = {
        "/".join(map(str, (d.id, i.watch, i.from_ns))): [
            *(d.id, d.address, d.port, d.carrier, i.from_ns, i.to_ns, tier(i), i.watch, json.dumps(i.sightings))
        ]
        for d in merged.drafts
        for i in d.intervals
    }
    sql = "SELECT subject, address, port, transport, from_ns, to_ns, tier, watch, sightings FROM subject_intervals"
    held = {f"{row['subject']}/{row['watch']}/{row['from_ns']}": [*row] for row in case.read().execute(sql)}
    yield from _table("interval", spans, held, found)


def _links(case: Case, merged: merge.Merged, found: Derived) -> Iterator[Any]:
    made = {
        "/".join((p.first, p.second, p.why)): [p.first, p.second, p.why] for p in links.possible_links(merged.drafts)
    }
    held = {"/".join(row): [*row] for row in case.read().execute("SELECT first, second, why FROM possible_links")}
    yield from _table("possible link", made, held, found)


def _by_first(case: Case, sql: str) -> dict[str, list[Any]]:
    return {row[0]: [*row] for row in case.read().execute(sql)}


def _table(kind: str, made: Mapping[str, list[Any]], held: Mapping[str, list[Any]], found: Derived) -> Iterator[Any]:
    """Compares what was derived with what stands in a table, row by row."""
    for name in sorted({*made, *held}):
        wrong = [] if made.get(name) == held.get(name) else ["it does not follow" if name in held else "it is missing"]
        found.compare(kind, name, wrong)
        yield [kind, made.get(name), *wrong]


def _leads(context: Context, last: _Last, found: Derived) -> Iterator[Any]:
    """Each Lead that the case holds, by its Subject. Where no Mandate covered a Subject, no answer was kept of it."""
    read = context.case.read()
    held = {row["subject"]: row for row in read.execute("SELECT * FROM leads")}
    details = {row["lead"]: row for row in read.execute("SELECT * FROM lead_details")}
    if len(held) != last.counts["leads"]:
        found.differing.append(f"the ledger tells of {last.counts['leads']} leads, the case holds {len(held)}")
    context = _with_people(context, held, details)
    made: dict[str, Lead] = {}
    refused: dict[str, str] = {}
    for draft in context.merged.drafts:
        if draft.id not in held:
            found.not_derived["a subject outside every mandate: no register's answer is kept"] += 1
            continue
        try:
            made[draft.id] = lead_of(context, draft)
        except Refused as error:
            refused[draft.id] = error.message
    ranks = _ranks(made.values())
    for column in last.uncompared:
        found.not_derived[f"{column.replace('_', ' ')}: what it rests on has changed since the leads were made"] += len(
            made
        )
    for subject, row in sorted(held.items()):
        lead = made.get(subject)
        wrong = [refused.get(subject, "it does not follow")] if lead is None else []
        values: list[Any] = []
        if lead is not None:
            values = [*row_of(lead), lead.ranking.text(), json.dumps(asdict(lead.beside), sort_keys=True)]
            values[COLUMNS.index("rank")] = ranks[lead.id]
            stands = [*(row[name] for name in COLUMNS), *_detail(details.get(row["id"]))]
            names = (*COLUMNS, "ranking", "beside")
            told = zip(names, values, stands, strict=True)
            wrong = [name for name, new, old in told if new != old and name not in last.uncompared]
            wrong += _unreasoned(context.case, lead)
        found.compare("lead", row["id"], wrong)
        yield ["lead", *values, *wrong]


def _with_people(context: Context, held: Mapping[str, Any], details: Mapping[str, Any]) -> Context:
    """With what people and artefacts said when each lead was last ranked, as it stands beside the lead."""
    urgent: dict[str, list[str]] = {}
    case = context.case
    contradicted = grounds.against(case.read(), standing(case, context.merged), context.now_ns)
    for row in held.values():
        if row["id"] in details:
            urgent[row["id"]] = json.loads(details[row["id"]]["ranking"])["known"]["urgent"]
        lines = json.loads(row["against"])
        for line in {caveats.ARTEFACTS, caveats.ARTEFACTS_BEFORE}.intersection(lines):
            contradicted[row["id"]] = line
    return context.told(urgent, contradicted)


def _unreasoned(case: Case, lead: Lead) -> list[str]:
    """Reasons for urgency that stand beside a lead and nowhere else, or that stand and were left out."""
    reasons = case.read().execute("SELECT reason, withdrawn_ns FROM urgencies WHERE lead=?", (lead.id,)).fetchall()
    alarms = case.read().execute("SELECT reason FROM alarms WHERE about IN (?, ?)", (lead.id, lead.draft.id))
    given = {str(row["reason"]) for row in reasons} | {f"child at risk now: {row['reason']}" for row in alarms}
    standing = {str(row["reason"]) for row in reasons if row["withdrawn_ns"] is None}
    told = {*lead.ranking.known.urgent}
    return ["urgency"] if not standing <= told <= given else []


def _detail(row: Any) -> tuple[Any, Any]:
    return (row["ranking"], row["beside"]) if row is not None else (None, None)


def _ranks(made: Any) -> dict[str, int]:
    """As `priority.reorder` does it."""
    counts: Counter[tuple[Any, Any]] = Counter()
    found = {}
    for lead in sorted(made, key=lambda each: (-each.ranking.score, each.id)):
        place = (lead.force.code if lead.force else None, lead.state.value)
        counts[place] += 1
        found[lead.id] = counts[place]
    return found
