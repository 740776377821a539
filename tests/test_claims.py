"""What a file of bench/ prints and how it ends: a claim that does not hold is shown, and is status 1."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BENCH = """
import argparse, sys
sys.path.insert(0, "bench")
from _claims import Claim, run
def measure(options):
    yield Claim("speed", 2.0, 4.0, 2.0, "CPU s", 3, "python bench/bench_x.py --mib 5", least=LEAST)
    yield Claim("size", 2.0, 2.0, 1.0, "MB", 3, "python bench/bench_x.py --mib 5")
    yield Claim("memory", 2.0, 2.0, 1.0, "MB", 3, "python bench/bench_x.py --memory")
run("A title", measure, argparse.ArgumentParser())
"""


@pytest.mark.parametrize(
    ("least", "status", "verdict"), [("1.5", 0, "at least 1.5: holds"), ("3", 1, "at least 3: MISSED")]
)
def test_a_claim_that_does_not_hold_is_status_1_and_each_figure_has_its_command(least, status, verdict):
    code = BENCH.replace("LEAST", least)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, env={"COLUMNS": "200"}
    )
    assert done.returncode == status, done.stderr
    assert verdict in done.stdout
    assert done.stdout.splitlines()[-2:] == [
        "line 1, 2: python bench/bench_x.py --mib 5",
        "line 3: python bench/bench_x.py --memory",
    ]
    done = subprocess.run([sys.executable, "-c", code, "--json"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert [json.loads(line)["holds"] for line in done.stdout.splitlines()] == [not status, True, True]


@pytest.mark.parametrize(("first", "status"), [("exit 1", 2), ("true", 0)])
def test_every_bench_runs_and_one_that_missed_is_told_at_the_end(tmp_path, first, status):
    (tmp_path / "bench").mkdir()
    for name, does in (("bench_a.py", first), ("bench_b.py", "echo ran b")):
        (tmp_path / "bench" / name).write_text(does)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to("/bin/sh")
    (tmp_path / ".dev").touch()
    command = ["make", "-f", ROOT / "Makefile", "-o", f"{tmp_path}/.dev", f"VENV={tmp_path}", "bench"]
    alone = {name: value for name, value in os.environ.items() if "MAKE" not in name and name != "MFLAGS"}
    done = subprocess.run(command, cwd=tmp_path, env=alone, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[:1]) == (status, ["ran b"]), done.stderr
