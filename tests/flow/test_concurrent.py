"""Observing, intake and 1,000 grades at once on one case: no lock error, no grade waits longer than one bulk batch."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from case_made import new_case
from clew.core.case import Case

GRADES = 1_000
BATCH = 2_000  # rows that one bulk transaction writes: items of an intake receipt, dials of an observer
PAUSE = 0.05  # seconds of parsing or waiting between two bulk batches: far less than real stages need
LEAST_BATCHES = 40
PACE = GRADES // LEAST_BATCHES  # grades after which intake has written once more
SLACK = 0.1  # seconds: what the scheduler of a loaded machine with two cores may add to a wait

WRITER = """
import json, sys, time
from pathlib import Path
from clew.core.case import Case, new_id

folder, stage, stop, pause = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), float(sys.argv[4])
case, spans, number = Case.open(folder), [], 0
print("ready", flush=True)
while not stop.exists():
    ids = [new_id() for _ in range(int(sys.argv[5]) // 2)]
    asked = time.monotonic()
    with case.write(stage) as tx:
        begun = time.monotonic()
        if stage == "intake":
            rows = [(i, "e" * 32, str(number), "open", None, None, 1000, 0) for i in ids]
            tx.executemany("INSERT INTO items VALUES (?,?,?,?,?,?,?,?)", rows)
            tx.executemany("UPDATE items SET state='done', attempts=1 WHERE id=?", [(i,) for i in ids])
        else:
            rest = ("W-1", "127.10.0.1", 6881, "contact", "tcp", number, "intent", None, None)
            rows = [(i, "r", None, *rest) for i in ids]
            tx.executemany("INSERT INTO dials VALUES (?,?,?,?,?,?,?,?,?,?,?,?)", rows)
            tx.executemany("UPDATE dials SET state='done' WHERE id=?", [(i,) for i in ids])
        tx.record(stage + ".batch", counts={"rows": 2 * len(ids)})
    ended = time.monotonic()
    spans.append((asked, begun, ended))
    number += 1
    time.sleep(pause)
print(json.dumps(spans))
"""


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return new_case(tmp_path / "case", purposes=["review"])


def test_1000_grades_beside_intake_and_observing(case: Case, tmp_path: Path) -> None:
    from clew.review import grading, schemes

    contents = [os.urandom(32) for _ in range(GRADES)]
    with case.write("identify") as tx:
        rows = [(f"{n:032x}", f"S-{n:05}", content, 0) for n, content in enumerate(contents)]
        tx.executemany("INSERT INTO series VALUES (?,?,?,?)", rows)
        tx.executemany(
            "INSERT INTO series_members VALUES (?,?,?)", [(c, f"{n:032x}", 0) for n, c in enumerate(contents)]
        )

    stop = tmp_path / "stop"
    bulk = [_bulk(case.folder, stage, stop) for stage in ("intake", "observe")]
    category = schemes.load("training").category("1")
    waits: list[float] = []
    spans: list[tuple[float, float]] = []
    try:
        for process in bulk:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for number, content in enumerate(contents):
            if number % PACE == 0:  # all along the run, however fast this machine grades
                _until_batches(case, 1 + number // PACE)
            asked = time.monotonic()
            grading.grade(case, "wren", content, category)
            waits.append(time.monotonic() - asked)
            spans.append((asked, asked + waits[-1]))
    finally:
        stop.touch()
        told = [process.communicate(timeout=60) for process in bulk]
    assert [process.returncode for process in bulk] == [0, 0], told

    batches = [span for out, _ in told for span in json.loads(out)]
    longest = max(ended - begun for _, begun, ended in batches)
    during = [b for b in batches if spans[0][0] < b[1] < spans[-1][1]]
    figures = f"{len(during)} bulk batches, longest {longest * 1e3:.0f} ms; slowest grade {max(waits) * 1e3:.0f} ms"
    print(figures)
    assert len(during) >= LEAST_BATCHES, figures
    assert max(waits) <= longest + SLACK, figures
    assert case.read().execute("SELECT count(*) FROM standing_grades").fetchone()[0] == GRADES


def _until_batches(case: Case, least: int) -> None:
    """Waits until intake's bulk writer has committed so many batches."""
    end = time.monotonic() + 60
    while case.read().execute("SELECT count(*) FROM items").fetchone()[0] < least * (BATCH // 2):
        assert time.monotonic() < end, "the bulk writer stands still"
        time.sleep(0.005)


def _bulk(folder: Path, stage: str, stop: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", WRITER, str(folder), stage, str(stop), str(PAUSE), str(BATCH)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
