"""How often a run commits: what is due, or was found, waits a moment for what comes after it.

Each commit is a synchronous write, and an entry of the Ledger, which only grows and leaves with every Bundle. So where
revisits are minutes apart and lists are asked every half an hour, as beyond this machine, a batch is of a second; the
shorter those intervals, the shorter it is.
"""

from clew.observe.announces import DEFAULT_INTERVAL
from clew.observe.api import SECOND
from clew.observe.policy import LEAST_REVISIT, Policy

LEAST_SECONDS, MOST_SECONDS = 0.1, 1.0
NEW_SECONDS = 0.3
LEAST_FLUSH_SECONDS, MOST_FLUSH_SECONDS = 0.5, 5.0
FLUSH_ROWS = 1_000


class Batches:
    """When a run commits next: the intents of what is due, and what was found."""

    def __init__(self, policy: Policy) -> None:
        slow = min(1.0, policy.revisit / LEAST_REVISIT, policy.round_seconds() / DEFAULT_INTERVAL)
        intents = max(LEAST_SECONDS, MOST_SECONDS * slow)
        found = min(MOST_FLUSH_SECONDS, max(LEAST_FLUSH_SECONDS, policy.revisit / 10))
        self._intents_ns = int(intents * SECOND)
        self._found_ns = int(found * SECOND)
        self._new_ns = int(max(NEW_SECONDS, intents) * SECOND)
        self._intended_ns = self._kept_ns = 0

    def intend(self, now_ns: int) -> bool:
        """Whether what is due is looked for now; the next time comes a batch later."""
        if now_ns - self._intended_ns < self._intents_ns:
            return False
        self._intended_ns = now_ns
        return True

    def keep(self, now_ns: int, rows: int, *, new: bool) -> bool:
        """Whether so many rows are kept now; sooner where somebody `new` is among them, whom nobody calls before."""
        pause_ns = self._new_ns if new else self._found_ns
        if rows < FLUSH_ROWS and now_ns - self._kept_ns <= pause_ns:
            return False
        self._kept_ns = now_ns
        return True
