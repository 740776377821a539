"""How `make test` shares the files out among processes: as many as there is work for, the longest files first.

Much of the observer's testing is waiting, so one process more than there are processors keeps them busy; where all
processes share the machine's `lo`, two, as they would meet there. And a long file that begins last is waited for by all
others (xdist's own order is by the number of tests, which says little).
"""

import os
from pathlib import Path

import pytest

import own_network

# Whose tests take more than 15 seconds (`--durations`), the longest first.
LONGEST = ()
TESTS = Path(__file__).parent


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """For `-n auto`."""
    return len(os.sched_getaffinity(0)) + 1 if own_network.enter() else 2


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the tests of the longest files first; all others stay as they are."""
    rank = {TESTS / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))
