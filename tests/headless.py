"""The browser that the tests of pages use, bounded in time: one that hangs is ended and never waited for.

What pytest's own time limit raises is lost inside Playwright's loop, and a browser was seen that took both processors
for an hour and answered nothing.
"""

import contextlib
import threading
from collections.abc import Iterator

import psutil
import pytest
from playwright.sync_api import Browser, Error, Playwright, sync_playwright

PROGRAM = "/usr/bin/chromium"
ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
START_SECONDS = 60.0
TEST_SECONDS = 200.0  # below pytest's own limit
STARTS = 3
LAST_RESORT = pytest.mark.timeout(300, method="thread")  # ends the whole test process, should the driver itself hang


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A browser that has shown its first page."""
    with sync_playwright() as playwright:
        browser = _answering(playwright)
        yield browser
        with within(START_SECONDS), contextlib.suppress(Error):
            browser.close()


def _answering(playwright: Playwright) -> Browser:
    """Starts it anew where it hangs before any test had it: that says nothing about our pages."""
    for attempt in range(STARTS):
        with within(START_SECONDS):
            try:
                return _started(playwright)
            except Error:
                if attempt == STARTS - 1:
                    raise
    raise AssertionError


def _started(playwright: Playwright) -> Browser:
    browser = playwright.chromium.launch(executable_path=PROGRAM, args=ARGUMENTS.split())
    context = browser.new_context()
    assert context.new_page().evaluate("6 * 7") == 42
    context.close()
    return browser


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """Ends the browsers of this process where the block takes longer: what waits for them raises playwright's Error."""
    timer = threading.Timer(seconds, _end)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _end() -> None:
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "chromium" in process.name():
                process.kill()
