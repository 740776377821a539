"""A browser that answers nothing is ended, so that no test waits for it."""

import contextlib
import signal

import psutil
import pytest
from playwright.sync_api import Error

import headless

pytestmark = headless.LAST_RESORT


def test_a_browser_that_hangs_is_ended() -> None:
    with headless.chromium() as browser:
        page = browser.new_page()
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if "chromium" in process.name():
                    process.send_signal(signal.SIGSTOP)
        with headless.within(1), pytest.raises(Error, match="closed"):
            page.evaluate("1")
