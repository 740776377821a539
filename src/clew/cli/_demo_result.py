"""What came out of a demo: summary.json, the table of truth against result, and the data of the report."""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.markup import escape
from rich.table import Table

from clew.cli._demo_stages import Outcome
from clew.core import clock, shards
from clew.core.case import Case
from clew.range.items import Account
from clew.range.places import COORDINATOR, COUNTRIES, forces
from clew.range.score import TITLE, Score, Tally, rates

FOUND_AT_LEAST = 0.99
BINS = 60


@dataclass(frozen=True, slots=True)
class Result:
    """Everything that the end of a demo rests on."""

    seed: int
    seconds: float
    truth: dict[str, Any]
    truth_sha256: str
    audit: dict[str, Any]
    canary_bytes: int
    account: Account
    score: Score
    outcome: Outcome
    hits: int
    series: int
    dialled_outside: int
    steps: list[tuple[str, float, float]] = field(default_factory=list)

    @property
    def forbidden(self) -> int:
        """Messages and announces that no observer may send, listings it left behind, dials that left 127.0.0.0/8."""
        left = sum(len(each["forbidden"]) + len(each["listed_outsiders"]) for each in self.audit["sources"])
        return int(self.audit["audit"]["forbidden_messages"]) + left + self.dialled_outside

    def summary(self) -> dict[str, Any]:
        """What summary.json holds."""
        score, account = self.score, self.account
        return {
            "bundles": {
                "built": len(self.outcome.bundles),
                "verified": len(self.outcome.verified),
                "tampered_refused": int(bool(self.outcome.tampered)),
            },
            "conduct": {"canary_bytes": self.canary_bytes, "forbidden_messages": self.forbidden},
            "hits": self.hits,
            "items": {
                "discovered": account.discovered,
                "done": account.done,
                "manifest_extra": len(account.extra),
                "manifest_missing": len(account.missing),
                "skipped": account.skipped,
                "unreadable": account.unreadable,
            },
            "seconds": round(self.seconds, 1),
            "seed": self.seed,
            "series": self.series,
            "subjects": {
                "contactable": score.contactable,
                "false": len(score.false),
                "found": score.found,
                "planted": score.planted,
                "split": score.split,
            },
            "truth_sha256": self.truth_sha256,
        }

    def comparison(self) -> list[tuple[str, str, str, bool, str]]:
        """Rows of (what, truth, result, whether it holds, note)."""
        score, account, outcome = self.score, self.account, self.outcome
        enough = score.found >= FOUND_AT_LEAST * score.contactable
        accounted = account.discovered == account.done + account.unreadable + account.skipped
        asked = len(forces())
        unread = f"{account.unreadable} unreadable, {account.skipped} skipped"
        manifest = len(self.truth["manifest"])
        there = manifest - len(account.missing)
        pushed = self.audit["audit"]["canary_bytes_pushed"]
        return [
            (
                "contactable found",
                str(score.contactable),
                str(score.found),
                enough,
                f"{score.planted} planted",
            ),
            ("false leads", "0", str(len(score.false)), not score.false, f"{score.leads} leads in all"),
            ("split subjects", "", str(score.split), True, "counted apart, no failure"),
            ("forbidden messages", "0", str(self.forbidden), self.forbidden == 0, self._heard()),
            ("canary bytes in case", "0", str(self.canary_bytes), self.canary_bytes == 0, f"{pushed} were pushed"),
            ("files of the disk", str(manifest), str(there), not account.missing, unread),
            ("files nobody planted", "0", str(len(account.extra)), not account.extra, ""),
            ("items accounted for", str(account.discovered), str(account.done), accounted and not account.open, "done"),
            ("bundles built", str(asked), str(len(outcome.bundles)), len(outcome.bundles) == asked, ""),
            ("received and verified", str(asked), str(len(outcome.verified)), len(outcome.verified) == asked, ""),
            ("tampered copy refused", "1", str(int(bool(outcome.tampered))), bool(outcome.tampered), "one bit flipped"),
        ]

    def holds(self) -> bool:
        """Whether every row holds."""
        return all(row[3] for row in self.comparison())

    def troubles(self) -> list[str]:
        """Every single thing that does not hold."""
        score, account = self.score, self.account
        lines = [f"missed: {each}" for each in score.missed] + [f"false: {each}" for each in score.false]
        lines += [f"misplaced: {each}" for each in score.misplaced]
        lines += [f"forbidden: {each}" for each in self.audit["audit"]["examples"]]
        for source in self.audit["sources"]:
            lines += [f"forbidden: {each}" for each in source["forbidden"][:20]]
            lines += [f"still listed: {each}" for each in source["listed_outsiders"][:20]]
        lines += [f"forbidden: {self.dialled_outside} dials beyond 127.0.0.0/8"] if self.dialled_outside else []
        lines += [f"not in the case: {each}" for each in account.missing]
        return lines + [f"nobody planted: {each}" for each in account.extra]

    def _heard(self) -> str:
        audit = self.audit["audit"]
        return f"in {audit['connections']} connections"


def write_summary(result: Result, folder: Path) -> None:
    """DIR/summary.json."""
    (folder / "summary.json").write_text(json.dumps(result.summary(), indent=2, sort_keys=True) + "\n", "utf-8")


def table(result: Result) -> Table:
    """Truth against result, for the terminal."""
    found = Table(title=f"Operation {result.seed}: truth against result", title_justify="left", box=SIMPLE)
    found.add_column("")
    found.add_column("truth", justify="right")
    found.add_column("result", justify="right")
    found.add_column("", no_wrap=True)
    found.add_column("", no_wrap=True, overflow="ellipsis")
    for name, truth, got, ok, note in result.comparison():
        verdict = "[green]holds[/]" if ok else "[red]does not hold[/]"
        found.add_row(name, truth, got, verdict, f"[dim]{escape(note)}[/]")
    return found


def report_data(result: Result, case: Case) -> dict[str, Any]:
    """What `clew.range.report` renders."""
    score = result.score
    return {
        "by_kind": _by_class(score),
        "cards": _cards(result),
        "comparison": result.comparison(),
        "countries": _countries(result),
        "disk": _disk(result),
        "forces": _forces(result, case),
        "generated": clock.iso(clock.now().utc_ns)[:19].replace("T", " ") + " UTC",
        "not_covered": _not_covered(result),
        "reached": _reached(result),
        "rates": rates(score),
        "rates_title": TITLE,
        "seed": result.seed,
        "steps": result.steps,
        "timeline": _timeline(result, case),
        "troubles": result.troubles(),
        "truth_sha256": result.truth_sha256,
    }


def _by_class(score: Score) -> list[tuple[str, tuple[int, int, int]]]:
    """The classes that were planted, the largest first."""
    rows = [(kind, (t.planted, t.contactable, t.found)) for kind, t in score.by_class.items() if t.planted]
    return sorted(rows, key=lambda row: -row[1][0])


def _cards(result: Result) -> list[tuple[str, str, str]]:
    score, account = result.score, result.account
    return [
        ("subjects found", f"{score.found} of {score.contactable}", f"{score.planted} planted"),
        ("false leads", str(len(score.false)), f"of {score.leads}"),
        ("peers", str(len(result.truth["parties"])), f"on {len(result.truth['watches'])} watched torrents"),
        ("items", str(account.discovered), f"{account.unreadable} unreadable, {account.skipped} skipped"),
        ("hits, series", f"{result.hits}, {result.series}", f"{result.outcome.graded} graded by the demo reviewer"),
        (
            "bundles verified",
            f"{len(result.outcome.verified)}",
            "1 tampered copy refused" if result.outcome.tampered else "",
        ),
    ]


def _countries(result: Result) -> list[dict[str, Any]]:
    tallies = [(*country, result.score.by_country.get(country[0], Tally())) for country in COUNTRIES]
    return [
        {"code": code, "name": name, "column": x, "row": y, "found": t.found, "contactable": t.contactable}
        for code, name, x, y, t in tallies
    ]


def _forces(result: Result, case: Case) -> list[dict[str, Any]]:
    counts: dict[str, list[int]] = {}
    for row in case.read().execute("SELECT force, torrent_only, count(*) AS n FROM leads GROUP BY force, torrent_only"):
        counts.setdefault(row["force"] or COORDINATOR, [0, 0])[bool(row["torrent_only"])] += row["n"]
    bundles = {b.force: b for b in result.outcome.bundles}
    rows = []
    for code, name in [*((f.code, f.name) for f in forces()), (COORDINATOR, "Coordinating training unit")]:
        bundle = bundles.get(code)
        note = result.outcome.verified.get(code, "keeps what is uncertain" if code == COORDINATOR else "no")
        full, torrent_only = counts.get(code, [0, 0])
        size = f"{Path(bundle.path).stat().st_size / 1024:.0f} KiB" if bundle else ""
        rows.append(
            {
                "code": code,
                "name": name,
                "leads": full,
                "torrent_only": torrent_only,
                "bundle": size,
                "note": note,
                "verified": code in result.outcome.verified,
            }
        )
    return rows


def _disk(result: Result) -> list[tuple[str, str]]:
    account = result.account
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(account.reasons.items())) or "none"
    kinds = Counter(f"{each['kind']} ({each['state']})" for each in result.truth["manifest"])
    return [
        ("planted", ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))),
        (
            "in the case",
            f"{account.discovered} = {account.done} done + {account.unreadable} unreadable + {account.skipped} skipped",
        ),
        ("reasons", reasons),
        ("hits with hash sets", str(result.hits)),
        ("series", str(result.series)),
    ]


def _not_covered(result: Result) -> list[str]:
    outcome = result.outcome
    lines = [str(outcome.observe["coverage"]["not_covered"])]
    for summary in (outcome.attribute, outcome.intake, outcome.match, outcome.identify):
        for key in ("not_covered", "covered"):
            lines += [_sentence(each) for each in summary.get(key) or ()]
    beyond = Counter(p["kind"] for p in result.truth["parties"] if p["planted"] and not p["contactable"])
    hidden = ", ".join(f"{count} {kind}" for kind, count in sorted(beyond.items()))
    lines.append(f"By the scenario, {sum(beyond.values())} planted subjects could not be reached: {hidden}.")
    return list(dict.fromkeys(lines))


def _sentence(said: Any) -> str:
    """One line for people, also where a stage gives the fields of a part of an exhibit."""
    if not isinstance(said, dict):
        return str(said)
    place = said.get("file_system") or said.get("kind") or "part"
    return f"Seized disk, {place} at byte {said.get('offset', 0):,}: {said.get('missing', 'not covered')}."


def _reached(result: Result) -> dict[str, Any]:
    """By what carrier and from what source, as the range counted it, not the observer."""
    audit = result.audit["audit"]
    heard, refused = audit["handshakes_by_carrier"], audit["refused_by_carrier"]
    named = Counter(source for party in result.truth["parties"] for source in party["listed_by"])
    asked: Counter[str] = Counter()
    for each in result.audit["sources"]:
        asked[each["source"]] += sum((each.get("queries") or each["announces"]).values())
    return {
        "carriers": [(each, heard.get(each, 0), refused.get(each, 0)) for each in sorted({*heard, *refused})],
        "sources": [(each, named[each], asked[each]) for each in sorted({*named, *asked})],
        "gossiped": [f"{count} {what}" for what, count in sorted(audit["gossiped"].items())],
    }


def _timeline(result: Result, case: Case) -> dict[str, Any]:
    start, end = result.truth["start_ns"], result.truth["end_ns"]
    width = max(1, (end - start) // BINS)
    found: dict[str, Any] = {kind: [0] * BINS for kind in ("none", "e1", "e2")}
    sql = "SELECT started_ns, tier, claim FROM sightings WHERE kind = 'contact'"
    for row in shards.query(case, sql).to_pylist():
        at = min(BINS - 1, max(0, (row["started_ns"] - start) // width))
        claimed = row["claim"] in ("watched file", "torrent only")
        kind = "e2" if claimed else "none" if row["tier"] == "E0" else "e1"
        found[kind][at] += 1
    found["seconds"] = round((end - start) / 1e9)
    return found
