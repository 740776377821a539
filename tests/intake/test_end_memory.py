"""What ends a run is asked of the whole case: it takes little more memory for hundreds of thousands of Items."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from case_made import new_case
from clew.core.case import Case
from clew.intake.run import intake
from facts_case import put

ITEMS, TWICE, BATCH = 150_000, 50, 50_000  # one of so many was read a second time
MOST = 55 << 20  # bytes; queries that put all of them in order take 600 bytes an Item more, these 150

ENDED = """
import sys
from pathlib import Path

from clew.core.case import Case
from clew.intake import exiftool, typing_pass
from clew.intake.listing import Lister
from clew.intake.report import report


def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM:")).split()[1]) << 10


def ended(path):
    case = Case.open(Path(path))
    (exhibit,) = case.read().execute("SELECT id FROM exhibits").fetchone()
    typing_pass.wanted(case)
    exiftool.wanted(case)
    found = report(case, exhibit)
    lister = Lister(case, exhibit, None, None, None, print)
    return sum(found.families.values()), found.partial, lister._seen("file/", lambda refs: sum(1 for _ in refs))


few, many = sys.argv[1:]
ended(few)
before = peak()
print(*ended(many), peak() - before)
"""


def listed(case: Case, exhibit: str, first: int, count: int) -> None:
    """So many Items, as a run over a folder leaves them."""
    names = [(f"{number:032x}", b"photos of %d/picture-%d.jpg" % (number // 1_000, number)) for number in
             range(first, first + count)]  # fmt: skip
    common = {"exhibit": exhibit, "name_state": "live", "content_state": "complete", "size": 9}
    listings: list[dict[str, Any]] = [
        {**common, "item": item, "path": path, "ref": f"file/{path.decode()}", "batch": f"{first}"}
        for item, path in names
    ]
    contents: list[dict[str, Any]] = [
        {**common, "item": item, "sha256": path[:32].ljust(32), "size": 9, "media_type": "image/jpeg"}
        for item, path in names
    ]
    again = [{**each, "sha256": bytes(32), "size": 4, "content_state": "partial"} for each in contents[::TWICE]]
    put(case, "listings", listings, "intake")
    put(case, "contents", contents + again, "intake")


@pytest.fixture
def cases(tmp_path: Path) -> list[Path]:
    made = []
    for count in (BATCH // 100, ITEMS):
        case = new_case(tmp_path / f"case-{count}")
        (tmp_path / "empty").mkdir(exist_ok=True)
        exhibit = intake(case, path=tmp_path / "empty", label="D", workers=1).exhibit
        for first in range(0, count, BATCH):
            listed(case, exhibit, first, min(BATCH, count))
        case.close()
        made.append(case.folder)
    return made


def test_the_end_of_a_run_takes_no_memory_by_the_item(cases: list[Path]) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", ENDED, *map(str, cases)]
    told = subprocess.run(command, env=environment, capture_output=True, check=True, text=True).stdout.split()
    read, partial, seen, more = map(int, told)
    assert (read, partial, seen) == (ITEMS, 0, ITEMS)
    assert more < MOST, f"{more >> 20} MB more"
