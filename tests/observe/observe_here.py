"""`python observe_here.py CASE TRACKER SECONDS TRANSPORT...`: a run in a process that may be killed."""

import json
import sys
from dataclasses import replace
from pathlib import Path

from observe_case import FAST

from clew.core.case import Case
from clew.observe import keeping
from clew.observe.run import observe

if __name__ == "__main__":
    keeping.ENOUGH = 2  # shards are merged all the while
    print("begin", flush=True)
    found = observe(
        Case.open(Path(sys.argv[1]), actor="tester"),
        trackers=[sys.argv[2]],
        seconds=float(sys.argv[3]) if len(sys.argv) > 3 else None,
        policy=replace(FAST, revisit=0.4, announce=0.3, transports=tuple(sys.argv[4:])),
    )
    print(json.dumps(found.as_dict()))
