"""What a locked worker does with a file: it reads it, and hands out Findings and the account. No payload leaves it."""

import os
import sys
from collections.abc import Iterator
from typing import Any

from clew.core.channel import Reply
from clew.observe.captures._carry import watched_from, written
from clew.observe.taken import Account, Finding, Watchlist

BATCH = 200
BUFFER = 1 << 20


def read(payload: dict[str, Any], fds: list[int]) -> Iterator[Reply]:
    """The Findings of the file behind `fds[0]` in batches, then the account. `module` has the plug-in."""
    plugin = sys.modules[payload["module"]].PLUGIN
    watchlist, account = Watchlist(map(watched_from, payload["watches"])), Account()
    batch: list[Finding] = []
    with os.fdopen(fds[0], "rb", BUFFER, closefd=False) as stream:
        for found in plugin.read(stream, watchlist, account):
            batch.append(found)
            if len(batch) == BATCH:
                yield _reply(batch)
                batch = []
    yield _reply(batch)
    flaws = [[flaw.reason.value, flaw.detail] for flaw in account.flaws]
    yield Reply({"counts": dict(+account.counts), "flaws": flaws})


def _reply(batch: list[Finding]) -> Reply:
    return Reply({"findings": [written(each) for each in batch]}, tuple(each.transcript for each in batch))
