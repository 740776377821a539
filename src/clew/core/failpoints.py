"""Named places where a test can kill the process as a power cut would. Off unless CLEW_FAILPOINT names one.

`CLEW_FAILPOINT=intake.receipt.before` kills at the first passage, `...:3` at the third.
"""

import os
import signal
from itertools import count

NAMES: tuple[str, ...] = (
    "acquisition.state.before",
    "acquisition.state.after",
    "acquisition.end.before",
    "intake.listing.before",
    "intake.listing.after",
    "intake.result.before",
    "shards.write.before",
    "shards.write.synced",
    "shards.write.renamed",
    "blobs.write.before",
    "blobs.write.synced",
    "blobs.write.renamed",
    "intake.receipt.before",
    "intake.receipt.inside",
    "intake.receipt.after",
    "compact.before",
    "compact.written",
    "compact.inside",
    "compact.after",
    "compact.removed",
    "observe.purge.inside",
    "observe.purge.after",
    "observe.begin.inside",
    "observe.begin.after",
    "observe.intent.before",
    "observe.intent.after",
    "observe.receipt.before",
    "observe.receipt.inside",
    "observe.receipt.after",
    "observe.end.inside",
    "observe.end.after",
    "share.record.before",
    "share.record.after",
)

_name, _, _count = os.environ.get("CLEW_FAILPOINT", "").partition(":")
_passages = count(1)


def failpoint(name: str) -> None:
    """Dies by SIGKILL here if this is the named place and passage."""
    if name == _name and next(_passages) == int(_count or 1):
        os.kill(os.getpid(), signal.SIGKILL)
