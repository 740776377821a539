"""One operation's network part, without a disk and without bundles: observe, attribute, score, and the audit."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clew.cli import _demo_stages
from clew.cli._demo_stages import Outcome
from clew.core import keys
from clew.core.case import Case
from clew.core.errors import Usage
from clew.range import truth as truths
from clew.range.canary import canary_bytes
from clew.range.given import make_given
from clew.range.operation import Operation
from clew.range.places import forces
from clew.range.score import Score, score

EXAMPLES = 20
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Played:
    """What came out of it. `forbidden` counts messages, announces and listings that no observer may cause.

    `examples` are some of them, in words.
    """

    seed: int
    score: Score
    forbidden: int
    examples: tuple[str, ...]
    canary_bytes: int
    truth_sha256: str

    def as_dict(self) -> dict[str, Any]:
        """score.json."""
        return {
            "canary_bytes": self.canary_bytes,
            "examples": self.examples,
            "forbidden": self.forbidden,
            "score": self.score.as_dict(),
            "seed": self.seed,
            "truth_sha256": self.truth_sha256,
        }


def play(folder: Path, seed: int, scenario_file: str, say: Say) -> Played:
    """Runs it in `folder`, which must be new or empty: case, truth.json and score.json lie there afterwards."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Usage(f"{folder} is not an empty folder", "name a new folder with --out")
    (folder / "given").mkdir(parents=True)
    operation = Operation.prepare(seed, scenario_file)
    say(f"operation {seed}: {len(operation.scenario.parties)} parties")
    _demo_stages.make_keys(folder, [force.code for force in forces()])
    authority = keys.signing_key(_demo_stages.AUTHORITY, folder / "keys" / "authority")
    given = make_given(operation.scenario, folder / "given", authority=authority, trackers=operation.trackers)
    case = _demo_stages.open_operation(folder, given)
    try:
        with operation:
            truth = truths.truth_of(operation.scenario, start_at=operation.go())
            say(f"SHA-256 of the truth, before anything is observed: {truths.digest(truth)}")
            outcome = Outcome()
            _demo_stages.observe_swarm(case, operation, outcome, say)
            audit = operation.finish()
        _demo_stages.attribute_leads(case, given, outcome)
        truths.write(truth, folder / "truth.json")
        played = _played(case, operation, audit, truth)
    finally:
        case.close()
    (folder / "score.json").write_text(json.dumps(played.as_dict(), indent=1, sort_keys=True) + "\n", "utf-8")
    return played


def _played(case: Case, operation: Operation, audit: dict[str, Any], truth: dict[str, Any]) -> Played:
    left = [line for each in audit["sources"] for line in each["forbidden"]]
    left += [f"{line} is still listed" for each in audit["sources"] for line in each["listed_outsiders"]]
    return Played(
        seed=truth["seed"],
        score=score(case, truth),
        forbidden=int(audit["audit"]["forbidden_messages"]) + len(left),
        examples=(*audit["audit"]["examples"], *left[:EXAMPLES]),
        canary_bytes=canary_bytes(case.folder, operation.canary),
        truth_sha256=truths.digest(truth),
    )
