"""What ends a run is asked of all Items of the case: each such question takes little memory an Item."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from case_made import new_case
from clew.core.case import Case
from clew.intake.mediatype import UNKNOWN
from clew.intake.run import intake
from facts_case import put

FEW, ITEMS, BATCH = 25_000, 150_000, 5_000
TWICE, UNSURE = 50, 20  # one of so many was read a second time, and one of so many has no known type

ASKED = """
import sys
from pathlib import Path

from clew.core.case import Case
from clew.intake import typing_pass
from clew.intake.report import report


def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM:")).split()[1]) << 10


def asked(path):
    case = Case.open(Path(path))
    (exhibit,) = case.read().execute("SELECT id FROM exhibits").fetchone()
    return QUESTION


few, many = sys.argv[1:]
asked(few)
before = peak()
print(asked(many), peak() - before)
"""
# What is asked, and the answer.
QUESTIONS = {
    "report": ("sum(report(case, exhibit).families.values())", ITEMS),
    "second opinions": ("len(typing_pass.wanted(case)[0])", ITEMS // UNSURE),
}
MOST = 400  # bytes of memory an Item: 210 to 330 were measured; to put all of them in order takes 560


def listed(case: Case, exhibit: str, first: int, count: int) -> None:
    """So many Items, as a run over a folder leaves them."""
    common = {"exhibit": exhibit, "name_state": "live", "content_state": "complete", "size": 5_000}
    listings: list[dict[str, Any]] = []
    contents: list[dict[str, Any]] = []
    for number in range(first, first + count):
        path = f"photos of {number // 1_000}/picture-{number}.jpg"
        kind = "image/jpeg" if number % UNSURE else UNKNOWN
        item = {**common, "item": f"{number:032x}"}
        listings.append({**item, "path": path.encode(), "ref": f"file/{path}", "batch": f"{first}"})
        contents.append({**item, "sha256": number.to_bytes(32), "media_type": kind})
    again = [{**each, "size": 4, "content_state": "partial"} for each in contents[::TWICE]]
    put(case, "listings", listings, "intake")
    put(case, "contents", contents + again, "intake")


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    here, made = tmp_path_factory.mktemp("cases"), []
    (here / "empty").mkdir()
    for count in (FEW, ITEMS):
        case = new_case(here / f"case-{count}")
        exhibit = intake(case, path=here / "empty", label="D", workers=1).exhibit
        for first in range(0, count, BATCH):
            listed(case, exhibit, first, min(BATCH, count))
        case.close()
        made.append(case.folder)
    return made


@pytest.mark.parametrize("name", QUESTIONS)
def test_it_takes_little_memory_an_item(name: str, cases: list[Path]) -> None:
    question, answer = QUESTIONS[name]
    command = [sys.executable, "-c", ASKED.replace("QUESTION", question), *map(str, cases)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    told, more = subprocess.run(command, env=environment, capture_output=True, check=True, text=True).stdout.split()
    assert int(told) == answer
    an_item = int(more) // (ITEMS - FEW)
    assert an_item < MOST
