"""Measures the error rates of this very build: `make error-rates`. Goes on where it was interrupted.

Each operation runs in a process of its own and leaves one JSON file below the work folder, named by the build. Once all
have been run, docs/error-rates.md and src/clew/range/error_rates.json are written; exports of exactly this build then
carry no UNVALIDATED BUILD any more. An operation that failed is never run again: it counts.
"""

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from clew import __version__
from clew.core import validated
from clew.core.errors import Exit
from clew.range import scenario_file
from clew.range.cast import make_scenario
from clew.range.error_page import page
from clew.range.error_rates import LEAST, nothing_found, seeds, table_of

ROOT = Path(__file__).parent.parent
PAGE, TABLE = ROOT / "docs" / "error-rates.md", ROOT / "src" / "clew" / validated.TABLE
BEYOND = 900.0  # seconds that an operation may take besides observing
CLEW = "import sys; from clew.cli.main import main; main(sys.argv[1:])"
ANY_PORTS = tuple(range(6881, 6921))  # of a scenario that is only counted
LONGEST_WHY = 300


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(description="Measure the error rates of this build.")
    parser.add_argument("--operations", type=int, default=LEAST, help=f"at least {LEAST}, unless --print")
    parser.add_argument("--scenario", default="large", help="a built-in scenario or a TOML file")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "error-rates", help="where operations are kept")
    parser.add_argument("--print", action="store_true", help="print the page, write nothing")
    chosen = parser.parse_args()
    if chosen.operations < (1 if chosen.print else LEAST):
        parser.error(f"a table rests on at least {LEAST} operations")
    text = scenario_file.text_of(chosen.scenario)
    build, scenario = validated.build_hash(), hashlib.sha256(text.encode()).hexdigest()
    folder = chosen.work / f"{build[:16]}-{scenario[:8]}"
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for number, seed in enumerate(seeds(build, chosen.operations), 1):
        kept = folder / f"{number:03d}.json"
        if not _final(kept):
            _operation(kept, number, seed, text)
        found.append(json.loads(kept.read_text("utf-8")))
        print(_line(found[-1]), flush=True)
    if validated.hash_of(ROOT / "src" / "clew") != build:
        print("the sources were changed meanwhile: these rates are of a build that is no more", file=sys.stderr)
        return 1
    table = table_of(build, __version__, {"name": Path(chosen.scenario).stem, "sha256": scenario}, found)
    if chosen.print:
        print(page(table))
    else:
        _write(TABLE, json.dumps(table, indent=1, sort_keys=True) + "\n")
        _write(PAGE, page(table))
        print(f"written: {PAGE.relative_to(ROOT)}, {TABLE.relative_to(ROOT)}")
    return 0


def _final(kept: Path) -> bool:
    return kept.is_file() and json.loads(kept.read_text("utf-8"))["state"] in ("done", "failed")


def _operation(kept: Path, number: int, seed: int, text: str) -> None:
    """One attempt. What ends it from outside leaves the state "begun", and the next run of this program attempts it."""
    attempts = 1 + (json.loads(kept.read_text("utf-8"))["attempts"] if kept.is_file() else 0)
    known: dict[str, Any] = {"number": number, "seed": seed, "attempts": attempts}
    _write(kept, json.dumps({**known, "state": "begun"}))
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="clew-rates-") as work:
        scenario = Path(work) / "scenario.toml"
        scenario.write_text(text, "utf-8")
        out = Path(work) / "operation"
        command = [sys.executable, "-c", CLEW, "range", "run", str(scenario), "--out", str(out), "--seed", str(seed)]
        why = _run([*command, "--json"], scenario_file.parse(text).timing.seconds + BEYOND)
        if not why:
            result = json.loads((out / "score.json").read_text("utf-8"))
            known |= {"state": "done", "why": "", **result}
        else:
            scored = nothing_found(_scenario(seed, text)).as_dict()
            known |= {"state": "failed", "why": why, "score": scored, "forbidden": None, "canary_bytes": None}
        shutil.rmtree(out, ignore_errors=True)
    known["seconds"] = round(time.monotonic() - began, 1)
    _write(kept, json.dumps(known, indent=1, sort_keys=True))


def _run(command: list[str], seconds: float) -> str:
    """Why it failed, "" where it did not: forbidden messages and canary bytes are counted, and no failure."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return f"not done after {seconds:.0f} seconds"
    if done.returncode in (Exit.DONE, Exit.FORBIDDEN):
        return ""
    said = " ".join(done.stderr.split())[-LONGEST_WHY:] or "it said nothing"
    return f"exit status {done.returncode}: {said}"


def _scenario(seed: int, text: str) -> Any:
    return make_scenario(seed, scenario_file.parse(text), ports=ANY_PORTS, real_port=ANY_PORTS[-1] + 1)


def _line(operation: dict[str, Any]) -> str:
    score = operation["score"]
    return (
        f"{operation['number']:3d} seed {operation['seed']}: {operation['state']}, {score['found']} of"
        f" {score['contactable']} found, {len(score['false'])} of {score['leads']} leads false {operation['why']}"
    ).rstrip()


def _write(path: Path, text: str) -> None:
    """As a whole or not at all."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text, "utf-8")
    fresh.replace(path)


if __name__ == "__main__":
    sys.exit(main())
