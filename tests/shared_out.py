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
LONGEST = (
    "flow/test_intake_kill.py",
    "faults/test_faults.py",
    "observe/test_disturbed.py",
    "faults/test_powerloss.py",
    "observe/test_real_clients.py",
    "observe/test_crash.py",
    "contracts/test_sources.py",
    "flow/test_archive_kill.py",
    "observe/test_tshark.py",
    "observe/test_operation.py",
    "observe/test_discovery_run.py",
    "intake/test_course.py",
    "intake/test_dense.py",
    "intake/test_corpus_images.py",
    "intake/test_pictures.py",
    "observe/test_taking.py",
    "observe/test_replay.py",
    "contracts/test_extractors.py",
    "share/test_exports.py",
    "range/test_carriers_libtorrent.py",
    "intake/test_disk_intake.py",
    "core/test_engine.py",
    "intake/test_video.py",
    "intake/test_known_good.py",
    "intake/test_formats_in_worker.py",
    "core/test_shards.py",
    "faults/test_hostile_corpus.py",
    "intake/test_carving_disk.py",
    "observe/test_comparing.py",
    "review/test_browser.py",
)
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
