"""The truth of an operation: in memory, its SHA-256 told before anything is observed, written when all is sealed."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from clew.range.disk import Planted
from clew.range.places import COORDINATOR
from clew.range.scenario import Manner, Party, Scenario

FORMAT = "clew range truth 2"
SECOND = 1_000_000_000


def truth_of(scenario: Scenario, *, start_at: float, manifest: Sequence[Planted] = ()) -> dict[str, Any]:
    """Everything that is to be found, and everybody who must not be: plain JSON values.

    Watches are named by their labels; no infohash stands in it. Times are nanoseconds since 1970.
    """
    timing = scenario.timing
    return {
        "coordinator": COORDINATOR,
        "end_ns": _ns(start_at + timing.seconds),
        "format": FORMAT,
        "manifest": [asdict(each) for each in manifest],
        "parties": [_party(scenario, party, start_at) for party in scenario.parties],
        "revisit_ns": _ns(timing.revisit),
        "seed": scenario.seed,
        "start_ns": _ns(start_at),
        "watches": [t.label for t in scenario.watches()],
    }


def canonical(truth: dict[str, Any]) -> bytes:
    """The one text of a truth: sorted keys, no blanks."""
    return json.dumps(truth, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest(truth: dict[str, Any]) -> str:
    """What is printed before observing: hexadecimal SHA-256 of the canonical text."""
    return hashlib.sha256(canonical(truth)).hexdigest()


def write(truth: dict[str, Any], path: Path) -> None:
    """Writes it, once everything is sealed. `sha256sum` of the file is the digest that was printed."""
    path.write_bytes(canonical(truth))


def _party(scenario: Scenario, party: Party, start_at: float) -> dict[str, Any]:
    handed_over = party.kind == "reassigned" or len(party.stays) > 1
    slack = scenario.timing.handover if handed_over else 0.0
    beyond_reach = scenario.beyond_reach(party)
    since = None if beyond_reach else scenario.contactable_since(party)
    return {
        "accepts": sorted(party.accepts),
        "beyond_reach": beyond_reach,
        "contactable": not beyond_reach,
        "contactable_from_ns": None if since is None else _ns(start_at + since),
        "country": party.place.country,
        "disputed": party.disputed,
        "force": party.place.force,
        "id": party.id,
        "intervals": [
            {
                "address": stay.address,
                "from_ns": _ns(start_at + stay.begin - slack),
                "port": stay.port,
                "to_ns": _ns(start_at + stay.end + slack),
                "transports": list(party.carriers),
            }
            for stay in party.stays
        ],
        "kind": party.kind,
        "listed_by": sorted(party.listed_by),
        "manner": party.manner.value,
        "planted": party.planted,
        "promiscuous": party.manner is Manner.ECHOES,
        "right_force": scenario.right_force(party),
        "shared": party.shared,
        "watches": {scenario.torrents[h.torrent].label: scenario.supports(party, h).value for h in party.holdings},
    }


def _ns(seconds: float) -> int:
    return round(seconds * 1000) * (SECOND // 1000)
