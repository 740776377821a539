"""`python -m memory_of CASE PATH`: an intake, and the most bytes of memory that it and its workers took together."""

import os
import sys
import threading
from pathlib import Path

from clew.core.case import Case
from clew.intake.options import Options
from clew.intake.run import intake


def pss() -> int:
    """Proportional set size of this process and its children, in bytes (proc(5), smaps_rollup)."""
    me = os.getpid()
    children = Path(f"/proc/{me}/task/{me}/children").read_text("ascii").split()
    return sum(map(_pss, [str(me), *children]))


def _pss(pid: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines()
    except (FileNotFoundError, ProcessLookupError):  # ended meanwhile
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:")), 0)


def main() -> None:
    """Prints the peak."""
    peak, done = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.05):
            peak = max(peak, pss())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        intake(Case.open(Path(sys.argv[1])), path=Path(sys.argv[2]), label="M", options=Options(workers=2))
    finally:
        done.set()
        watcher.join()
    print(peak)


main()
