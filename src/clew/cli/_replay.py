"""`clew verify --replay`: what a case's Sightings and Leads rest on, derived again in two processes of their own.

Each has another hash seed and refuses every socket and every new process; both must come to the same. A child is
`python -m clew.cli._replay CASE`, which prints one JSON object.
"""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clew.cli._common import open_case
from clew.core.errors import ClewError, Exit

SEEDS = ("1", "2")
REFUSED = ("socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn")
PARTS = ("sightings", "leads")
SAYS = (
    "this shows that what is claimed follows from what was kept; that the bytes were received at all is shown by a "
    "capture of an independent process: clew capture compare"
)


def derive(folder: Path) -> dict[str, Any]:
    """Both children's result. Raises ClewError where one fails, or where they do not agree."""
    read = open_case(folder).read()
    before = _written(read)
    first, second = (_child(folder, seed) for seed in SEEDS)
    if _written(read) != before and (first != second or status(first) is Exit.FATAL):
        raise ClewError(
            "not all came out the same, and the case was written to meanwhile: this may be all that it shows",
            "replay a copy, which nobody writes to: clew archive CASE FOLDER, then clew verify FOLDER --replay",
        )
    if first != second:
        raise ClewError("under two hash seeds the results are not the same", "this is a mistake in clew: report it")
    return first


def words(found: Mapping[str, Any]) -> str:
    """For people."""
    seeds = " and ".join(SEEDS)
    lines = [f"derived again without clock, network or chance, under the hash seeds {seeds}:"]
    for part in PARTS:
        told = found[part]
        lines.append(f"{part}: the same: {_counts(told['same'])}; differing: {told['differing']}")
        lines += [f"  nothing to derive: {_counts(told['empty'])}"] if told["empty"] else []
        lines += [f"  not derived: {count:,}: {why}" for why, count in told["not_derived"].items()]
        lines += [f"  DIFFERS {each}" for each in told["first_differing"]]
        lines.append(f"  digest {told['digest'] or 'none'}")
    return "\n".join([*lines, SAYS])


def status(found: Mapping[str, Any]) -> Exit:
    """FATAL where anything differs, INCOMPLETE where something could not be derived."""
    if any(found[part]["differing"] for part in PARTS):
        return Exit.FATAL
    return Exit.INCOMPLETE if any(found[part]["not_derived"] for part in PARTS) else Exit.DONE


def _written(read: sqlite3.Connection) -> int:
    """Another number once anyone else has written to the case (https://www.sqlite.org/pragma.html#pragma_data_version)."""
    return int(read.execute("PRAGMA data_version").fetchone()[0])


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"


def _child(folder: Path, seed: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "clew.cli._replay", str(folder.absolute())]
    done = subprocess.run(command, env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=False)
    if done.returncode:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["it said nothing"]
        raise ClewError(
            f"the case could not be derived again: {last[0]}", "see first whether it holds: clew verify CASE"
        )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _refuse(event: str, _arguments: object) -> None:
    if event.startswith(REFUSED):
        raise RuntimeError(f"a replay asks for {event}")


def main(folder: Path) -> None:
    """What the child does."""
    from clew.attribute import replay as leads
    from clew.observe import replay as sightings

    case = open_case(folder)
    sys.addaudithook(_refuse)
    print(json.dumps({"sightings": sightings.replay(case).as_dict(), "leads": leads.replay(case).as_dict()}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
