"""Several exiftools side by side: the facts of one after the other, also where that is killed or interrupted."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tiffs
from cases import copied, sha256, traits
from PIL import Image
from test_exiftool_pass import olympus

from case_made import new_case
from clew.core import external
from clew.core.case import Case
from clew.core.progress import Progress
from clew.intake import exiftool, exiftool_runs
from clew.intake.account import facts_digest
from clew.intake.options import Options
from clew.intake.run import intake
from clew.intake.tools import extractors

NOTES = 12
NO_SERIAL = olympus("SR951", 0x0207)  # CameraType
# Asks with the arguments (case, workers), and dies by an answer while others are still asked for.
DIES = """
import json, os, signal, sys
from pathlib import Path
from clew.core import external
from clew.core.case import Case
from clew.intake import exiftool, exiftool_runs
from clew.intake.options import Options
started, start, answer = [], external.start, exiftool_runs.answer
def kept(*what, **how):
    started.append(start(*what, **how))
    return started[-1]
def die(ran):
    if not (going := [each._process.pid for each in started if each._process.returncode is None]):
        return answer(ran)
    print(json.dumps(going), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
external.start, exiftool_runs.answer = kept, die
exiftool.ask(Case.open(Path(sys.argv[1]), actor="wren"), Options(workers=int(sys.argv[2])))
"""


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A case in which exiftool is not yet asked."""
    root = tmp_path_factory.mktemp("evidence")
    for number in range(NOTES):
        (root / f"{number}.jpg").write_bytes(olympus(f"E{number}"))
    (root / "no_serial.jpg").write_bytes(NO_SERIAL)
    (root / "plain.jpg").write_bytes(tiffs.jpeg(Image.new("L", (64, 48), 20)))
    folder = tmp_path_factory.mktemp("case") / "case"
    case = new_case(folder)
    intake(case, path=root, label="P", options=Options(workers=1, extractors=extractors()))
    case.close()
    return folder


@pytest.fixture(scope="module")
def undisturbed(taken: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The facts where they were asked about one after the other."""
    case = copied(taken, tmp_path_factory.mktemp("alone") / "case")
    exiftool.ask(case, Options(workers=1))
    check(case)
    return facts_digest(case)


def check(case: Case) -> None:
    for number in range(NOTES):
        found = traits(case, sha256(olympus(f"E{number}")))
        assert found["exiftool.SerialNumber", "fast"]["text"] == f"E{number}"
    assert traits(case, sha256(NO_SERIAL))["exiftool", "fast"]["missing"] == "not applicable"
    assert exiftool.wanted(case) == []


@pytest.mark.parametrize("workers", [2, 5])
def test_the_facts_are_the_same_however_many(
    taken: Path, undisturbed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    together: list[int] = []
    turn = exiftool_runs.Runs._turn

    def counted(self: exiftool_runs.Runs, *, wait: bool) -> Iterator[exiftool_runs.Answer]:
        together.append(len(self._going))
        yield from turn(self, wait=wait)

    monkeypatch.setattr(exiftool_runs.Runs, "_turn", counted)
    case = copied(taken, tmp_path / "case")
    told = exiftool.ask(case, Options(workers=workers))
    assert 2 <= max(together) <= workers
    assert (told.looked.done, told.looked.failed) == (NOTES + 1, {})
    check(case)
    assert facts_digest(case) == undisturbed


class Heard(Progress):
    """Remembers what it would have told at each step."""

    def __init__(self) -> None:
        super().__init__("intake of P", quiet=True)
        self.lines: list[str] = []

    def advance(self, *, items: int = 0, bytes: int = 0) -> None:
        super().advance(items=items, bytes=bytes)
        if items:
            self.lines.append(self.line())


def test_it_is_told_how_far_it_is(taken: Path, tmp_path: Path) -> None:
    case, bar = copied(taken, tmp_path / "case"), Heard()
    exiftool.ask(case, Options(workers=2), bar=bar)
    assert [int(line.split()[3]) for line in bar.lines] == list(range(1, NOTES + 2))
    for line in bar.lines[:-1]:
        assert f" of {NOTES + 1} · " in line
        assert "/s" in line
        assert " left" in line
        assert "exiftool on maker notes" in line
    assert (bar.items, bar.total_items) == (0, None), "afterwards it tells of the intake again"


def test_killed_it_leaves_nothing_behind_and_goes_on(taken: Path, undisturbed: str, tmp_path: Path) -> None:
    case = copied(taken, tmp_path / "case")
    process = subprocess.run(
        [sys.executable, "-c", DIES, str(case.folder), "3"], stdout=subprocess.PIPE, check=False, env=os.environ
    )
    assert process.returncode == -signal.SIGKILL
    going = json.loads(process.stdout)
    assert going
    until = time.monotonic() + 10
    while any(Path(f"/proc/{pid}/exe").exists() for pid in going) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{pid}/exe").exists() for pid in going), "exiftool outlived who asked it"
    assert len(exiftool.wanted(case)) == NOTES + 1, "no answer counts without its receipt"
    exiftool.ask(case, Options(workers=2))
    check(case)
    assert facts_digest(case) == undisturbed


def test_interrupted_it_ends_what_goes_on(
    taken: Path, undisturbed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = copied(taken, tmp_path / "case")
    started: list[external.Running] = []
    start = external.start

    def kept(*what: Any, **how: Any) -> external.Running:
        started.append(start(*what, **how))
        return started[-1]

    def interrupted(_ran: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(external, "start", kept)
        patched.setattr(exiftool_runs, "answer", interrupted)
        with pytest.raises(KeyboardInterrupt):
            exiftool.ask(case, Options(workers=3))
    assert len(started) > 1
    assert all(each._process.returncode is not None for each in started)
    exiftool.ask(case, Options(workers=2))
    check(case)
    assert facts_digest(case) == undisturbed
