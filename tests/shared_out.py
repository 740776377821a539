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
    "intake/test_retry.py",
    "flow/test_intake_kill.py",
    "core/test_engine.py",
    "observe/test_disturbed.py",
    "observe/test_crash.py",
    "review/test_browser.py",
    "faults/test_faults.py",
    "intake/test_in_pass.py",
    "observe/test_real_clients.py",
    "core/test_shards.py",
    "observe/test_comparing.py",
    "intake/test_behind.py",
    "intake/test_disk_intake.py",
    "contracts/test_sources.py",
    "intake/test_pictures.py",
    "intake/test_pieces.py",
    "intake/test_corpus_images.py",
    "observe/test_discovery_run.py",
    "flow/test_archive_kill.py",
    "observe/test_operation.py",
    "intake/test_folder_since.py",
    "intake/test_course.py",
    "faults/test_reads_of_archives.py",
    "intake/test_archive_time.py",
    "flow/test_other_machine.py",
    "observe/test_tshark.py",
    "intake/test_dense.py",
    "attribute/test_pages.py",
    "core/test_compact.py",
    "intake/test_foreign.py",
    "intake/test_recount.py",
    "intake/test_relist.py",
    "intake/test_archive_twins.py",
    "review/test_page.py",
    "observe/test_nothing_lost.py",
    "flow/test_new_plugin.py",
    "observe/test_taking.py",
    "intake/test_second_look.py",
    "observe/test_replay.py",
    "intake/test_two_at_once.py",
    "intake/test_formats_in_worker.py",
    "intake/test_hostile.py",
    "observe/test_covering_sources.py",
    "intake/test_video.py",
    "share/test_taken_back.py",
    "intake/test_volumes.py",
)
TESTS = Path(__file__).parent


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """For `-n auto`."""
    return len(os.sched_getaffinity(0)) + 1 if own_network.enter() else 2


def pytest_configure(config: pytest.Config) -> None:
    """Beside others, an intake that is told no number of readers starts one, as on a machine of one processor: most of
    a small intake is the start of its readers. Several at once are what the tests that name a number look at, those
    that start `clew` itself, and those that run alone.
    """
    if hasattr(config, "workerinput"):
        os.cpu_count = lambda: 1


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the tests of the longest files first; all others stay as they are."""
    rank = {TESTS / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))
