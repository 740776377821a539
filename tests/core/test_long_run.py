"""A process that runs for days takes Arrow's memory from the system, which gets it back, and of Arrow what it needs."""

import subprocess
import sys

from clew.core import shards
from clew.core.case import Case
from clew.model import Tier

ROW = {"content": b"c", "name": Tier.LISTED.value, "text": "é", "number": 0.5, "integer": -1, "data": b"x"}

TOLD = """
import sys
import clew.cli.main, clew.cli.observe
assert "pyarrow" not in sys.modules, "the verb loads Arrow before it can settle in"
from clew.core.long_run import settle_in, spare_arrow
settle_in()
spare_arrow()
import pyarrow
print(pyarrow.default_memory_pool().backend_name)
"""
SPARED = """
import sys
from pathlib import Path
from clew.core.long_run import spare_arrow
spare_arrow()
from clew.core import shards
from clew.core.case import Case
from clew.model import Tier
case, row = Case.open(Path(sys.argv[1])), eval(sys.argv[2])
print(shards.write(case, "traits", [row | {"name": Tier(row["name"])}]).path)
shards.give_back()
print(sorted({"numpy", "pyarrow._s3fs"} & {*sys.modules}))
import numpy, pyarrow.fs
print(shards.query(case, "SELECT 1 n").to_pylist(), numpy.arange(2).sum())
"""


def told(what: str, *given: str) -> list[str]:
    found = subprocess.run([sys.executable, "-c", what, *given], capture_output=True, text=True, check=True)
    return found.stdout.splitlines()


def test_arrow_is_told_before_it_is_loaded() -> None:
    assert told(TOLD) == ["system"]


def test_a_shard_is_the_same_without_what_arrow_can_spare(case: Case) -> None:
    path, absent, answer = told(SPARED, str(case.folder), repr(ROW))
    assert path == shards.write(case, "traits", [ROW]).path
    assert absent == "[]"
    assert answer == "[{'n': 1}] 1"
