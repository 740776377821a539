"""The error rates of a build: the seeds of its operations, the table over them, and the page for people.

An operation is one JSON object as `tools/error_rates.py` keeps it: number, seed, state ("done" or "failed"), attempts,
why, score (Score.as_dict), forbidden, canary_bytes. Of one that failed, all contactable subjects count as missed.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from clew.core.validated import FORMAT
from clew.range.bounds import clustered
from clew.range.scenario import Scenario
from clew.range.score import TITLE, Score, Tally, spread

LEAST = 20
Operation = Mapping[str, Any]


def seeds(build: str, count: int) -> list[int]:
    """The seeds that a build's own hash gives: nobody chooses them, and another build gets others. 31 bits each."""
    digests = (hashlib.sha256(f"clew error rates {build} {number}".encode()).digest() for number in range(1, count + 1))
    return [int.from_bytes(digest[:4], "big") >> 1 for digest in digests]


def nothing_found(scenario: Scenario) -> Score:
    """The score of an operation that failed: what it planted, and nothing found."""
    result = Score()
    for party in scenario.planted():
        contactable = scenario.contactable(party)
        result.planted += 1
        result.contactable += contactable
        for table, key in ((result.by_class, party.kind), (result.by_country, party.place.country)):
            tally = table.setdefault(key, Tally())
            tally.planted += 1
            tally.contactable += contactable
    return result


def table_of(build: str, version: str, scenario: Mapping[str, str], operations: Sequence[Operation]) -> dict[str, Any]:
    """The machine-readable table. `scenario` is its name and the SHA-256 of its text."""
    scores = [each["score"] for each in operations]
    counts = {
        "contactable subjects missed": [(s["contactable"] - s["found"], s["contactable"]) for s in scores],
        "leads that are false": [(len(s["false"]), s["leads"]) for s in scores],
    }
    kinds = scores[0]["false_by_kind"] if scores else ()
    return {
        "build": build,
        "by_class": _by(scores, "by_class"),
        "by_country": _by(scores, "by_country"),
        "false_by_kind": {k: _rate([(s["false_by_kind"][k], s["leads"]) for s in scores]) for k in kinds},
        "format": FORMAT,
        "operations": [_one(each) for each in operations],
        "ranking": _ranking(scores),
        "rates": {name: _rate(pairs) for name, pairs in counts.items()},
        "scenario": dict(scenario),
        "split": sum(s["split"] for s in scores),
        "title": TITLE,
        "version": version,
    }


def _rate(counts: Sequence[tuple[int, int]]) -> dict[str, Any]:
    return asdict(clustered(counts))


def _by(scores: Sequence[Mapping[str, Any]], name: str) -> dict[str, Any]:
    """By class or country: subjects missed, leads false, and the delays of all operations together."""
    found = {}
    for key in sorted({key for s in scores for key in s[name]}):
        rows = [s[name][key] for s in scores if key in s[name]]
        delays = spread([second for row in rows for second in row["delays"]["seconds"]])
        found[key] = {
            "delay": {name: value for name, value in delays.items() if name != "seconds"},
            "false": _rate([(sum(row["false"].values()), row["leads"]) for row in rows]),
            "missed": _rate([(row["contactable"] - row["found"], row["contactable"]) for row in rows]),
            "planted": sum(row["planted"] for row in rows),
        }
    return found


def _ranking(scores: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    found = [s["calibration"] for s in scores]
    areas = sorted(c["area"] for c in found if c["area"] is not None)
    tenths = [[sum(t["true"] for t in part), sum(t["leads"] for t in part)] for part in _columns(found)]
    return {
        "higher": sum(c["higher"] for c in found),
        "pairs": sum(c["pairs"] for c in found),
        "area_of_one_operation": [areas[0], areas[-1]] if areas else None,
        "tenths": tenths,
    }


def _columns(found: Iterable[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """The tenths of all operations, first with first; an operation with fewer than ten leads has no tenths."""
    full = [c["tenths"] for c in found if len(c["tenths"]) == 10]
    return [[tenths[at] for tenths in full] for at in range(10)] if full else []


def _one(operation: Operation) -> dict[str, Any]:
    found = operation["score"]
    kept = {key: operation[key] for key in ("number", "seed", "state", "attempts", "why", "forbidden", "canary_bytes")}
    counts = {key: found[key] for key in ("planted", "contactable", "found", "split", "leads")}
    return {**kept, **counts, "false": len(found["false"])}
