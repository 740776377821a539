"""For every test: real inputs only where they are, and under CI no test that quietly does not run."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

import own_network

# A test says what holds, never how long it takes. The soak tries as much as hypothesis does by itself.
settings.register_profile("clew", deadline=None, max_examples=100 if os.environ.get("CLEW_SOAK") else 50)
settings.load_profile("clew")

pytest_plugins = ["command_line", "facts_case", "quick_workers", "shared_out"]


def _corpus() -> bool:
    named = os.environ.get("CLEW_CORPUS")
    if named and not Path(named).is_dir():
        raise pytest.UsageError(f"CLEW_CORPUS names {named}, and there is no such folder")
    return bool(named)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests marked `corpus` are deselected where CLEW_CORPUS is not set, and their number is printed."""
    if _corpus():
        return
    left = [item for item in items if item.get_closest_marker("corpus")]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]
        config.stash[DESELECTED] = len(left)
        if hasattr(config, "workeroutput"):  # one of several processes (pytest-xdist): each of them deselects the same
            config.workeroutput["deselected"] = len(left)


DESELECTED = pytest.StashKey[int]()
ALONE = pytest.StashKey[bool]()


class OfWorkers:
    """What the processes of pytest-xdist say at their end."""

    def pytest_testnodedown(self, node) -> None:
        node.config.stash[DESELECTED] = getattr(node, "workeroutput", {}).get("deselected", 0)


def pytest_configure(config: pytest.Config) -> None:
    config.stash[ALONE] = own_network.enter()
    if config.pluginmanager.hasplugin("dsession"):
        config.pluginmanager.register(OfWorkers())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Says what was not run, and where tests ran on a network that is not theirs alone."""
    if not config.stash[ALONE]:
        terminalreporter.write_line("without root no test has a network of its own: they ran on this machine's lo")
    count = config.stash.get(DESELECTED, 0)
    if count:
        terminalreporter.write_line(f"{count} corpus tests were not run: CLEW_CORPUS names no folder of real inputs")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    """Under CI=true a test that skips itself has failed: nothing there is allowed to be missing."""
    report = yield
    if report.skipped and os.environ.get("CI") == "true" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped under CI: {report.longrepr}"
    return report
