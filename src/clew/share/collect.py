"""Reads from the case, once, everything that one force receives.

What may leave is decided here and nowhere else: leads of that force alone, resting on E1 and E2 contacts, at endpoints
that do not answer for just anything, still in date, and not kept by the coordinating force; hashes that a person
decided or confirmed. What is held back is counted and said; what left before and does not stand so is taken back.
"""

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from clew import __version__
from clew.core import clock, forces, mandate, sent, shards, since, watch
from clew.core.case import Case
from clew.core.errors import Refused
from clew.core.lister import lister
from clew.model import Category, Force, Mandate, Watch
from clew.share import coverage, sweep
from clew.share.api import IntervalPart, KnownHash, LeadPart, Package, Party, SightingPart, WatchPart

EXPIRED = "expired"
UNCERTAIN = "whose force it is, is not certain, so it stays with the coordinating force"
HIDDEN = "left out: it holds an infohash; see the transcript in the sealed annex"
STRONG = ("E1", "E2")
COLUMNS = (
    "id, watch, tier, claim, source, address, port, transport, local_address, local_port, started_ns, ended_ns,"
    " clock_offset_ns, clock_error_ns, infohash_sent, infohash_echoed, peer_id, reserved, client, listen_port,"
    " pieces_claimed, inner_claimed, pieces_total, repeats, transcript_sha256, transcript_bytes, tool, config, mandate,"
    " vantage"
)
SIGHTINGS = f"""
SELECT {COLUMNS} FROM (
  SELECT DISTINCT ON (id) *, sha256(transcript) AS transcript_sha256, octet_length(transcript) AS transcript_bytes
  FROM sightings
  WHERE id IN (SELECT unnest(?)) AND kind = 'contact' AND tier IN ('E1', 'E2') AND NOT promiscuous
) ORDER BY started_ns, id
"""  # noqa: S608 (COLUMNS is the constant above)


@dataclass(slots=True)
class _Reading:
    """What is being read for one force.

    `rows`: its Leads, each with its intervals; `changed`: what it has and does not stand; `sent`: every Lead that
    ever left; `held`: why a Lead of this force may not leave.
    """

    case: Case
    force: Force
    now_ns: int
    watches: dict[str, Watch]
    promiscuous: set[since.Place]
    since: since.Since
    needles: frozenset[bytes]
    rows: list[tuple[Any, tuple[IntervalPart, ...]]]
    changed: list[sent.TakenBack]
    sent: list[sent.Sent]
    withheld: Counter[str] = field(default_factory=Counter)
    held: dict[str, str] = field(default_factory=dict)


def collect(
    case: Case,
    force: Force,
    *,
    bundle: str,
    now_ns: int,
    sender_key: str,
    legal: Mandate,
    left: sent.Left | None = None,
) -> Package:
    """The Package of one force. `left`: what left before, where the caller has read it already.

    Raises Refused where this force never gave its age key.
    """
    if force.age_recipient is None:
        raise Refused(
            f"{force.code} has no age recipient: nothing can be encrypted for it",
            f"add the key that it gave you: clew force add CASE {force.code} --recipient age1...",
        )
    reading = _reading(case, force, now_ns, left or sent.Left(case))
    leads = [lead for row in reading.rows if (lead := _lead(reading, *row)) is not None]
    sightings = _sightings(reading, sorted({key for lead in leads for i in lead.intervals for key in i.sightings}))
    leads = _resting(reading, leads, {s.id for s in sightings})
    kept = {key for lead in leads for i in lead.intervals for key in i.sightings}
    sightings = [s for s in sightings if s.id in kept]
    home = _home(case)
    watches = _watch_parts(reading, leads)
    covered = coverage.not_covered(case, {each.label for each in watches})
    return Package(
        bundle=bundle,
        created_ns=now_ns,
        case=case.settings.id,
        operation=case.settings.operation,
        tool=f"clew {__version__}",
        build=coverage.build_mark(),
        sender=Party(home.code, home.name, home.country, sender_key),
        recipient=Party(force.code, force.name, force.country, force.age_recipient),
        mandates=_mandates(case, {s.mandate for s in sightings} | {legal.id}),
        watches=watches,
        leads=tuple(leads),
        taken_back=_taken_back(reading, leads),
        unlisted=coverage.unlisted(case, force.code),
        sightings=tuple(sightings),
        known=tuple(_known(case)),
        not_covered=tuple(_hidden(line, reading.needles) for line in covered),
        withheld=tuple(sorted(reading.withheld.items())),
    )


def _home(case: Case) -> Force:
    """The force that holds this case; it need not be in its own list of forces."""
    code = case.settings.force
    known = {force.code: force for force in forces.all_of(case)}
    return known.get(code, Force(code, code, code[:2], None, None, None))


def _watches(case: Case) -> dict[str, Watch]:
    found = watch.all_of(case)
    return {w.id: w for w in found} | {w.label: w for w in found}


def _reading(case: Case, force: Force, now_ns: int, before: sent.Left) -> _Reading:
    """What `attribute` made, all of one run: another one may end meanwhile, and name the same Leads otherwise."""
    bad, watches = since.promiscuous(case), _watches(case)
    query = "SELECT * FROM leads WHERE force = ? ORDER BY rank, id"
    with case.snapshot():
        rows = [(row, _intervals(case, watches, row["subject"])) for row in case.read().execute(query, (force.code,))]
        left = before.all()
        changed = sent.changed(case, [each for each in left if each.force == force.code], bad, now_ns)
        marks, kept = since.marks(case), _kept_by_coordinator(case, force)
    later = since.beyond(case, marks) if rows else since.Since({})
    needles = sweep.needles(watch.all_of(case))
    return _Reading(case, force, now_ns, watches, bad, later, needles, rows, changed, left, Counter(kept))


def _lead(reading: _Reading, row: Any, intervals: tuple[IntervalPart, ...]) -> LeadPart | None:
    """The lead, or None where it may not leave; why is counted."""
    ours = reading.force.code == reading.case.settings.force
    if row["state"] == "expired" or row["expires_ns"] <= reading.now_ns:
        reason = EXPIRED
    elif (row["uncertain"] or row["state"] == "coordinator") and not ours:
        reason = UNCERTAIN
    elif row["tier"] not in STRONG or not intervals:
        reason = "resting on hearsay alone"
    elif any((i.address, i.port) in reading.promiscuous for i in intervals):
        reason = "resting on an address that answers for anything"
    else:
        return _as_part(reading, row, intervals)
    _hold(reading, row["id"], reason)
    return None


def _hold(reading: _Reading, lead: str, reason: str) -> None:
    reading.held[lead] = reason
    reading.withheld[reason] += 1


def _taken_back(reading: _Reading, leads: list[LeadPart]) -> tuple[sent.TakenBack, ...]:
    """What this force has from earlier Bundles and does not stand so; told in each Bundle, as long as that is so."""
    code, standing = reading.force.code, {lead.id for lead in leads}
    found = {each.lead: each for each in reading.changed}
    for each in reading.sent:
        why = reading.held.get(each.lead, EXPIRED)
        if each.force == code and each.lead not in standing | found.keys() and why != EXPIRED:
            found[each.lead] = sent.taken_back(each, why)
    return tuple(found.values())


def _elsewhere(reading: _Reading, lead: str) -> tuple[str, ...]:
    """That this Lead left for others before, who may act on it too."""
    told = [each for each in reading.sent if each.lead == lead and each.force != reading.force.code]
    return tuple(
        f"by the registers of that time this lead left for another force before: {each.force}, last on "
        f"{clock.iso(each.copies[-1].created_ns)[:10]}"
        for each in told
    )


def _kept_by_coordinator(case: Case, force: Force) -> dict[str, int]:
    """How many leads that may be in this force's country belong to no force, because that is not certain.

    They may be where any register says so: a lead's own country is the word of the first that was asked.
    """
    rows = case.read().execute("SELECT lookups FROM leads WHERE force IS NULL AND state = 'coordinator'")
    told = ({each.get("country") for each in json.loads(row["lookups"])} for row in rows)
    count = sum(force.country.upper() in countries for countries in told)
    return {UNCERTAIN: count} if count else {}


def _as_part(reading: _Reading, row: Any, intervals: tuple[IntervalPart, ...]) -> LeadPart:
    alarms = reading.case.read().execute(
        "SELECT reason FROM alarms WHERE closed_ns IS NULL AND (about_kind = 'lead' AND about = ?"
        " OR about_kind = 'subject' AND about = ?) ORDER BY raised_ns, id",
        (row["id"], row["subject"]),
    )
    return LeadPart(
        id=row["id"],
        subject=row["subject"],
        rank=row["rank"],
        score=row["score"],
        tier=row["tier"],
        torrent_only=bool(row["torrent_only"]),
        country=row["country"],
        network_kind=row["network_kind"],
        lookups=tuple(coverage.lookup_words(each) for each in json.loads(row["lookups"])),
        reasons=coverage.reasons(json.loads(row["features"])),
        caveats=tuple(json.loads(row["caveats"])),
        against=(
            *json.loads(row["against"]),
            *_elsewhere(reading, row["id"]),
            *reading.since.against((i.address, i.port) for i in intervals),
        ),
        expires_ns=row["expires_ns"],
        intervals=intervals,
        child_at_risk=tuple(alarm["reason"] for alarm in alarms),
    )


def _intervals(case: Case, watches: dict[str, Watch], subject: str) -> tuple[IntervalPart, ...]:
    rows = case.read().execute(
        "SELECT * FROM subject_intervals WHERE subject = ? ORDER BY from_ns, address, port, transport, watch",
        (subject,),
    )
    return tuple(
        IntervalPart(
            row["address"],
            row["port"],
            row["transport"],
            row["from_ns"],
            row["to_ns"],
            row["tier"][:2],
            "torrent only" in row["tier"],
            watches[row["watch"]].label,
            tuple(json.loads(row["sightings"])),
        )
        for row in rows
        if row["tier"][:2] in STRONG
    )


def _resting(reading: _Reading, leads: list[LeadPart], there: set[str]) -> list[LeadPart]:
    """Only leads whose every sighting can be handed over: a lead nobody could check is held back."""
    kept = []
    for lead in leads:
        wanted = {key for i in lead.intervals for key in i.sightings}
        if wanted and wanted <= there:
            kept.append(lead)
        else:
            _hold(reading, lead.id, "a contact that it rests on may not be handed over")
    return kept


def _sightings(reading: _Reading, ids: list[str]) -> list[SightingPart]:
    if not ids:
        return []
    table = shards.query(reading.case, SIGHTINGS, [ids])
    return [_sighting(reading, row) for row in table.to_pylist()]


def _sighting(reading: _Reading, row: dict[str, Any]) -> SightingPart:
    known = reading.watches[row["watch"]]
    sent, echoed = row.pop("infohash_sent"), row.pop("infohash_echoed")
    twins = {h[:20] for h in (known.infohash_v1, known.infohash_v2) if h}
    if echoed is None:
        row["echoed"] = "none"
    elif echoed == sent:
        row["echoed"] = "as sent"
    else:
        row["echoed"] = "twin" if echoed[:20] in twins else "other"
    for name in ("peer_id", "reserved"):
        row[name] = (row[name] or b"").hex()
    for name in ("client", "repeats"):
        row[name] = row[name] or ""
    row["source"] = lister(row["source"])
    for name in ("client", "peer_id", "source"):
        row[name] = _hidden(row[name], reading.needles)
    return SightingPart(**row | {"watch": known.label})


def _hidden(text: str, needles: frozenset[bytes]) -> str:
    """The text, unless it holds an infohash: what others call themselves must keep no Bundle from being built."""
    return HIDDEN if sweep.holds(text.lower().encode(), needles) else text


def _watch_parts(reading: _Reading, leads: list[LeadPart]) -> tuple[WatchPart, ...]:
    labels = sorted({i.watch for lead in leads for i in lead.intervals})
    found = [reading.watches[label] for label in labels]
    return tuple(WatchPart(w.id, w.label, w.scheme, w.category, w.graded_by, w.graded_ns) for w in found)


def _mandates(case: Case, wanted: set[str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((m.id, m.authority) for m in mandate.all_of(case) if m.id in wanted))


def _known(case: Case) -> list[KnownHash]:
    """What a person decided or confirmed, and nobody undid (the view `standing_grades`), in hash order."""
    rows = case.read().execute(
        "SELECT * FROM standing_grades WHERE state IN ('decided', 'confirmed') ORDER BY content",
    )
    grades = {bytes(row["content"]): row for row in rows}
    if not grades:
        return []
    table = shards.query(
        case,
        "SELECT sha256, min(sha1) AS sha1, min(md5) AS md5, min(size) AS size, min(media_type) AS media_type"
        " FROM contents WHERE sha256 IN (SELECT unnest(?)) AND size > 0 GROUP BY sha256 ORDER BY sha256",
        [list(grades)],
    )
    return [_as_known(content, grades[content["sha256"]]) for content in table.to_pylist()]


def _as_known(content: dict[str, Any], grade: Any) -> KnownHash:
    return KnownHash(
        **content,
        category=Category(grade["scheme"], grade["country"], grade["version"], grade["code"]),
        graded_ns=grade["at_ns"],
        confirmed_near=grade["distance"] if grade["state"] == "confirmed" else None,
    )
