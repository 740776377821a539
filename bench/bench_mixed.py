"""A mixed corpus of generated evidence, taken in by one worker and by two: wall time, bytes a second, CPU a gigabyte.

Photographs, videos, documents, archives, text and noise, all made by code and each different from the others: a tenth
of it as many small files. Two workers against one is a ratio of wall time, so nothing else should run beside it.
"""

import argparse
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from _cases import intake, new_case
from _claims import Claim, run
from _evidence import corpus
from _processes import measure


def measured(options: argparse.Namespace) -> Iterable[Claim]:
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        here = Path(name)
        root = corpus(here / "evidence", int(options.gigabytes * 1e9))
        files, size = sum(1 for path in root.rglob("*.*") if path.is_file()), options.gigabytes
        costs = {}
        for workers in (1, 2):
            case = new_case(here / f"case-{workers}")
            costs[workers] = measure(intake(case, root, workers), memory=True)
            said = subprocess.run(
                [*intake(case, root, workers), "--report"], capture_output=True, check=False, text=True
            )
            report = json.loads(said.stdout)
            if not report["balanced"] or report["unreadable"]:
                raise SystemExit(f"the intake ended with status {costs[workers].status}: {report}")
            shutil.rmtree(case)
        one, two = costs[1], costs[2]
        command = f"python bench/bench_mixed.py --gigabytes {size}"
        faster = one.seconds / two.seconds
        yield Claim("two workers against one", two.seconds, one.seconds, faster, "s", files, command, least=1.7)
        rate = f"{size / two.seconds * 1000:,.0f} MB/s with two workers"
        yield Claim(
            f"mixed corpus, {rate}", two.cpu / size, one.cpu / size, one.cpu / two.cpu, "CPU s/GB", files, command
        )
        yield Claim("memory", two.peak / 1e6, one.peak / 1e6, one.peak / two.peak, "MB PSS, peak", files, command)


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--gigabytes", type=float, default=20)
parser.add_argument("--folder", type=Path, help="where the evidence is made (default: the system's temporary folder)")

if __name__ == "__main__":
    run("a mixed corpus; peer is one worker", measured, parser)
