"""The machine code for `clew.core.one_pass`, made by a child, so that no compiler stays in memory for a whole run."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

from clew.core.one_pass import Kernel

_SECONDS = 120
_DETAIL = 200  # characters of what the child said that are kept


@cache
def made() -> Kernel:
    """The code for this processor; without code where there is none for it, or where it cannot be compiled."""
    paths = [str(Path(path).absolute()) for path in sys.path]
    try:
        ran = subprocess.run(
            [sys.executable, "-P", "-m", "clew.core.hash_kernel"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Kernel(why=f"the kernel was not compiled: {error}")
    if ran.returncode:
        said = ran.stderr.decode(errors="replace").strip().rpartition("\n")[2][:_DETAIL]
        return Kernel(why=said or f"the compiler of the kernel ended with status {ran.returncode}")
    return Kernel(ran.stdout)
