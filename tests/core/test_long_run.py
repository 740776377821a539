"""A process that runs for days takes Arrow's memory from the system, which gets it back."""

import subprocess
import sys

WHAT = """
import sys
import clew.cli.main, clew.cli.observe
assert "pyarrow" not in sys.modules, "the verb loads Arrow before it can settle in"
from clew.core.long_run import settle_in
settle_in()
import pyarrow
print(pyarrow.default_memory_pool().backend_name)
"""


def test_arrow_is_told_before_it_is_loaded() -> None:
    found = subprocess.run([sys.executable, "-c", WHAT], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "system"
