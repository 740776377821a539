"""attribute's loop: Sightings in, Subjects and Leads out, rebuilt as a whole each time.

Ids come from the evidence alone, so a second run over the same evidence writes the same rows, and an alarm or a note
about a lead still finds it after new evidence came in.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from clew.attribute import caveats, evidence, grounds, links, merge, priority, urgency, where
from clew.attribute.api import LeadState, Register, RegisterSpec, Rule, Summary
from clew.attribute.beside import Beside, beside
from clew.attribute.masked import Masked
from clew.attribute.prior import unshown
from clew.core import clock, forces, ledger, mandate, plugins, sent, watch
from clew.core.case import Case, Transaction
from clew.core.compact import SIGHTINGS, compact
from clew.core.errors import Damaged, Refused
from clew.core.files import sha256_of
from clew.core.lease import lease
from clew.model import Force, Tier, Watch

PACKAGE = "clew.attribute.registers"
RULES = 6  # in the Ledger's entry: how contacts are joined, and what is said of a Lead; another number, other Leads
LATEST_NS = 1 << 62  # in the year 2116; a damaged register may say any date, and the case holds none of 64 bits
COVERED = (
    "only contacts that claimed pieces twice make a lead; who was merely listed (E0) or merely answered (E1) does not",
    "who was not seen in this time, over these networks and transports, is not thereby cleared",
    "addresses are claims of registers at their dates; the provider decides who held one at that time",
)


@dataclass(frozen=True, slots=True)
class Policy:
    """What a run may be told. `stale_days`: how far a register may lie from a sighting. `keep_days`: a lead's life."""

    merging: merge.Policy = field(default_factory=merge.Policy)
    stale_days: int = 30
    keep_days: int = 180


@dataclass(frozen=True, slots=True)
class Lead:
    """One lead, before it is a row."""

    id: str
    draft: merge.Draft
    place: where.Where
    force: Force | None
    ranking: priority.Ranking
    beside: Beside
    torrent_only: bool
    caveats: tuple[str, ...]
    against: tuple[str, ...]
    expires_ns: int
    state: LeadState


@dataclass(frozen=True, slots=True)
class Context:
    """What leads are made of: the Subjects, and all that a run was told or found."""

    case: Case
    merged: merge.Merged
    asked: tuple[where.Asked, ...]
    policy: Policy
    rule: Rule
    weights: priority.Weights
    now_ns: int
    forces: tuple[Force, ...]
    watches: dict[str, Watch]
    labels: dict[str, str]
    words: Masked
    urgent: dict[str, list[str]]
    contradicted: dict[str, str]  # lead -> what artefacts say against it

    def told(self, urgent: dict[str, list[str]], contradicted: dict[str, str]) -> "Context":
        """With other words of people and artefacts."""
        return replace(self, urgent=urgent, contradicted=contradicted)


def attribute(
    case: Case,
    *,
    registers: Sequence[RegisterSpec],
    now_ns: int | None = None,
    policy: Policy | None = None,
    rule: Rule | None = None,
    weights: priority.Weights | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Summary:
    """Rebuilds Subjects, possible links and Leads from all Sightings of the case.

    `now_ns` decides recency and expiry (default: now); `rule` the order (default: `ranks/plain_sum.py`), `weights` what
    a grade counts in it. Raises Refused without a Mandate for "attribute", Held while another run goes on, Usage or
    Damaged for a register that cannot be opened. `progress(done, of)` counts Subjects.
    """
    policy, now_ns = policy or Policy(), clock.now().utc_ns if now_ns is None else now_ns
    basis = mandate.require(case, purpose="attribute", at_ns=now_ns)
    with lease(case, "attribute", case.settings.id):
        compact(case, basis.id, kinds=SIGHTINGS)
        asked = _open(case, registers, now_ns)
        contacts, last = evidence.read(case), evidence.last_listed(case)
        merged = merge.merge(contacts, policy.merging, evidence.promiscuous(case), evidence.listed(case, last))
        possible = links.possible_links(merged.drafts)
        context = context_of(case, merged, asked, policy, rule or priority.rule(), weights or {}, now_ns)
        made, outside = _leads(context, progress)
        # an open alarm, or a person's "urgent", must not be lost with a lead that this run no longer makes
        orphaned = len(context.urgent.keys() - {lead.id for lead in made} - {lead.draft.id for lead in made})
        summary = _summary(merged, possible, made, outside)
        with case.write("attribute") as tx:
            _rebuild(tx, merged, possible, made)
            grounds.restate(tx)  # a statement may have been withdrawn meanwhile
            tx.record(
                "leads.rebuilt",
                subject=_told(context, made)
                | {"evidence": evidence.marks(contacts), "listed": last, "alarms without a lead": orphaned},
                counts={k: v for k, v in summary.as_dict().items() if isinstance(v, int)},
                mandate=basis.id,
            )
    alone = _alone(orphaned, len(unshown(case)))
    return replace(summary, covered=(*COVERED, *alone, *_sent(sent.changed(case, now_ns=now_ns))))


def context_of(
    case: Case,
    merged: merge.Merged,
    asked: Sequence[where.Asked],
    policy: Policy,
    rule: Rule,
    weights: priority.Weights,
    now_ns: int,
) -> Context:
    """All of it, with what the case holds of Watches, forces, urgency and artefacts."""
    watches = {each.id: each for each in watch.all_of(case)}
    return Context(
        case=case,
        merged=merged,
        asked=tuple(asked),
        policy=policy,
        rule=rule,
        weights=weights,
        now_ns=now_ns,
        forces=tuple(forces.all_of(case)),
        watches=watches,
        labels={each.id: each.label for each in watches.values()},
        words=Masked(watches.values()),
        urgent=urgency.reasons(case),
        contradicted=grounds.against(case.read(), standing(case, merged)),
    )


def standing(case: Case, merged: merge.Merged) -> grounds.Grounds:
    """What people state now, beside the intervals of these Subjects."""
    intervals = [(d.id, i.watch, i.from_ns, i.to_ns) for d in merged.drafts for i in d.intervals]
    return grounds.read(case.read(), intervals)


def _told(context: Context, made: Sequence[Lead]) -> dict[str, Any]:
    """What decided the outcome, and its digest, for the Ledger."""
    return {
        "registers": [each.id for each in context.asked],
        "leads": _digest(made),
        "policy": asdict(context.policy),
        "now_ns": context.now_ns,
        "rules": RULES,
        "rule": f"{context.rule.name} {context.rule.version}",
        "weights": [[*grade, weight] for grade, weight in sorted(context.weights.items())],
    }


def _open(case: Case, specs: Sequence[RegisterSpec], now_ns: int) -> list[where.Asked]:
    """Opens every register and records it by name, SHA-256 and date."""
    asked = []
    for spec in specs:
        plugin: Register = plugins.load(PACKAGE, spec.plugin)
        opened = plugin.open(spec.path)
        dated_ns = opened.dated_ns if spec.dated_ns is None else spec.dated_ns
        if dated_ns is not None and not 0 <= dated_ns <= LATEST_NS:
            raise Damaged(
                f"the register {spec.path or plugin.name} is dated before 1970 or after 2116",
                "fetch it again from where it came, or state its date",
            )
        sha256 = sha256_of(opened.data)
        name = f"{plugin.name} {spec.path.name}" if spec.path else plugin.name
        register_id = merge.named("register", plugin.name, sha256.hex(), str(dated_ns))
        asked.append(where.Asked(register_id, name, opened, dated_ns))
        location = str(spec.path) if spec.path else plugin.what
        with case.write("attribute") as tx:
            new = tx.execute(
                "INSERT OR IGNORE INTO registers (id, plugin, name, location, sha256, dated_ns, added_ns) "
                "VALUES (?,?,?,?,?,?,?)",
                (register_id, plugin.name, name, location, sha256, dated_ns, now_ns),
            )
            if new.rowcount:
                told = {"plugin": plugin.name, "location": location, "sha256": sha256.hex(), "dated_ns": dated_ns}
                tx.record("register.added", subject=told)
    return asked


def _leads(context: Context, progress: Callable[[int, int], None] | None) -> tuple[list[Lead], int]:
    """Every lead, and how many Subjects lie outside every Mandate."""
    drafts = context.merged.drafts
    made: list[Lead] = []
    for n, draft in enumerate(drafts, 1):
        with suppress(Refused):
            made.append(lead_of(context, draft))
        if progress:
            progress(n, len(drafts))
    return made, len(drafts) - len(made)


def lead_of(context: Context, draft: merge.Draft) -> Lead:
    """The lead of one Subject. Raises Refused where no Mandate covers its address and a country of it."""
    policy, now_ns = context.policy, context.now_ns
    place = where.where(draft.address, (draft.from_ns, draft.to_ns), context.asked, policy.stale_days)
    where.covering(context.case, now_ns, draft.address, place.lookups)
    torrent_only = all(i.torrent_only for i in draft.intervals)
    lead_id, force = merge.named("lead", draft.id), where.force_of(place, context.forces)
    ranking, aside = _ranking(context, draft, lead_id), beside(draft, context.merged, context.labels, context.words)
    expires_ns = draft.to_ns + policy.keep_days * where.DAY_NS
    state = LeadState.ASSIGNED if force else LeadState.COORDINATOR
    unplaced = () if force or place.uncertain else ("no force of this case answers for this place",)
    artefacts = (context.contradicted[lead_id],) if lead_id in context.contradicted else ()
    address = context.merged.addresses.get(draft.address)
    return Lead(
        id=lead_id,
        draft=draft,
        place=place,
        force=force,
        ranking=ranking,
        beside=aside,
        torrent_only=torrent_only,
        caveats=caveats.caveats(draft, place, address, aside, torrent_only=torrent_only, now_ns=now_ns),
        against=caveats.against(draft, place, context.merged, aside) + unplaced + artefacts,
        expires_ns=expires_ns,
        state=LeadState.EXPIRED if expires_ns <= now_ns else state,
    )


def _ranking(context: Context, draft: merge.Draft, lead_id: str) -> priority.Ranking:
    urgent = [*context.urgent.get(lead_id, ()), *context.urgent.get(draft.id, ())]
    known = priority.known(
        draft, now_ns=context.now_ns, urgent=urgent, watches=context.watches, weights=context.weights
    )
    return priority.rank(context.rule, known)


def _rebuild(
    tx: Transaction, merged: merge.Merged, possible: Sequence[links.PossibleLink], made: Sequence[Lead]
) -> None:
    for table in ("leads", "lead_details", "possible_links", "subject_intervals", "subjects"):
        tx.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names
    tx.executemany(
        "INSERT INTO subjects (id, label, watches) VALUES (?,?,?)",
        [(d.id, label(d.id), json.dumps(d.watches)) for d in merged.drafts],
    )
    tx.executemany(
        "INSERT INTO subject_intervals (subject, address, port, transport, from_ns, to_ns, tier, watch, sightings) "
        "VALUES (?,?,?,?,?,?,?,?,?)",
        [
            (d.id, d.address, d.port, d.carrier, i.from_ns, i.to_ns, tier(i), i.watch, json.dumps(i.sightings))
            for d in merged.drafts
            for i in d.intervals
        ],
    )
    tx.executemany(
        "INSERT INTO possible_links (first, second, why) VALUES (?,?,?)",
        [(p.first, p.second, p.why) for p in possible],
    )
    tx.executemany(
        "INSERT INTO leads (id, subject, force, rank, score, tier, torrent_only, country, uncertain, network_kind, "
        "lookups, features, caveats, against, expires_ns, state) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        [row_of(lead) for lead in made],
    )
    tx.executemany(
        "INSERT INTO lead_details (lead, ranking, beside) VALUES (?,?,?)",
        [(lead.id, lead.ranking.text(), json.dumps(asdict(lead.beside), sort_keys=True)) for lead in made],
    )
    priority.reorder(tx)


def label(subject_id: str) -> str:
    """What people call a Subject. Taken from its id, so that it never moves to another."""
    return f"SUB-{subject_id[:10]}"


def tier(interval: merge.Interval) -> str:
    """The tier of one interval in DESIGN's words: "E2", or "E2, torrent only"."""
    return f"{Tier.CLAIMS}, torrent only" if interval.torrent_only else str(Tier.CLAIMS)


def row_of(lead: Lead) -> tuple[Any, ...]:
    """The row of a lead; its rank is not known yet (`priority.reorder`)."""
    return (
        lead.id, lead.draft.id, lead.force.code if lead.force else None, 0, lead.ranking.score, str(Tier.CLAIMS),
        int(lead.torrent_only), lead.place.country, int(lead.place.uncertain), lead.place.kind.value,
        json.dumps(lead.place.lookups), json.dumps(lead.ranking.values()), json.dumps(lead.caveats),
        json.dumps(lead.against), lead.expires_ns, lead.state.value,
    )  # fmt: skip


def _digest(made: Sequence[Lead]) -> str:
    """One digest over what was decided, so that two runs can be compared in the ledger's openings."""
    rows = [list(row_of(lead)) for lead in sorted(made, key=lambda lead: lead.id)]
    return hashlib.sha256(ledger.canonical(rows).encode()).hexdigest()


def _summary(
    merged: merge.Merged, possible: Sequence[links.PossibleLink], made: Sequence[Lead], outside: int
) -> Summary:
    states = Counter(lead.state for lead in made)
    return Summary(
        subjects=len(merged.drafts),
        intervals=sum(len(d.intervals) for d in merged.drafts),
        leads=len(made),
        assigned=states[LeadState.ASSIGNED],
        coordinator=states[LeadState.COORDINATOR],
        expired=states[LeadState.EXPIRED],
        torrent_only=sum(lead.torrent_only for lead in made),
        possible_links=len(possible),
        forces=dict(sorted(Counter(lead.force.code for lead in made if lead.force).items())),
        refused=merged.refused | {"outside every mandate": outside},
        covered=COVERED,
    )


def _alone(orphaned: int, entries: int) -> tuple[str, ...]:
    """What people said that stands on no page now."""
    alarms = f"{orphaned} open alarms, or decisions that a lead is urgent, are about leads that are no longer made"
    entered = f"entries of prior knowledge that stand beside no lead: {entries} (clew prior list CASE)"
    return (*([alarms] if orphaned else []), *([entered] if entries else []))


def _sent(changed: Sequence[sent.TakenBack]) -> tuple[str, ...]:
    """What left in Bundles and does not stand: each that its force was not told of yet, and how many it was."""
    lines = [f"not told yet, so share with {each.force} again: {each.words()}" for each in changed if not each.told]
    told = len(changed) - len(lines)
    return (*lines, *([f"leads that left in bundles and were taken back since: {told}"] if told else []))
