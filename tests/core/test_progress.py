"""Progress tells what is true, on a terminal and elsewhere, and nothing that a hostile name smuggles in."""

import io
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from clew.core import clock
from clew.core.clock import Quality
from clew.core.progress import Progress
from clew.model import Missing


def shown(terminal: bool, **options: object) -> tuple[Progress, io.StringIO]:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=200)
    return Progress("intake of E-1", console=console, **options), out  # type: ignore[arg-type]


def test_the_line_says_all_of_it() -> None:
    progress, out = shown(terminal=False, total_items=10, total_bytes=4096)
    with progress:
        progress.isolation("all layers")
        progress.advance(items=3, bytes=1024)
        progress.error("unreadable")
        progress.error("unreadable")
        progress.in_hand("DCIM/IMG_1.jpg")
    line = out.getvalue()
    for part in ("intake of E-1: 3 of 10", "/s", "1.0 KiB", "left", "unreadable: 2", "all layers", "DCIM/IMG_1.jpg"):
        assert part in line


def test_a_terminal_is_told_that_stopping_is_safe_while_it_is() -> None:
    progress, out = shown(terminal=True)
    with progress:
        progress.advance(items=1)
    assert "safe to stop" in out.getvalue()
    assert "still counting" in out.getvalue()


def test_quiet_says_nothing() -> None:
    progress, out = shown(terminal=False, quiet=True)
    with progress:
        progress.advance(items=1)
    assert out.getvalue() == ""


@given(
    st.text(st.characters(), max_size=40) | st.binary(max_size=40).map(lambda b: b.decode("utf-8", "surrogateescape"))
)
def test_no_name_reaches_the_terminal_as_a_command(name: str) -> None:
    progress, _ = shown(terminal=False)
    progress.in_hand(f"a\x1b]0;owned\x07{name}")
    assert all(c.isprintable() for c in progress.line())
    progress.line().encode("utf-8")


@pytest.mark.parametrize(
    ("state", "status", "errors", "known"),
    [
        *((0, 0x2001, (250, 30), True), (5, 0x40, (250, 30), False), (0, 0x40, (250, 30), False)),
        (-1, 0, (250, 30), False),
        *((0, 0x2001, (0, 0), False), (0, 0x2001, (500, 0), False), (0, 0x2001, (1_024_000, 0), False)),
        *((0, 0x2001, (501, 0), True), (0, 0x2001, (500, 1), True)),
    ],
)
def test_a_clock_that_nothing_keeps_in_time_or_whose_error_nobody_stated_is_a_missing(
    monkeypatch: pytest.MonkeyPatch, state: int, status: int, errors: tuple[int, int], known: bool
) -> None:
    """adjtimex(2) answered as a kernel would; what this machine's clock is like decides nothing here."""

    class Kernel:
        @staticmethod
        def adjtimex(reference: object) -> int:
            timex = reference._obj  # type: ignore[attr-defined]
            timex.status, timex.offset = status, 1_500
            timex.maxerror, timex.esterror = errors
            return state

    monkeypatch.setattr(clock.ctypes, "CDLL", lambda *_, **__: Kernel)
    found = clock.quality()
    assert found == Quality(1_500, errors[0] * 1_000, "adjtimex") if known else isinstance(found, Missing)


@pytest.mark.parametrize(("age_ns", "error_ns"), [(0, 7), (1, 8), (2_000, 8), (2_001, 9), (60 * 10**9, 30_000_007)])
def test_an_error_grows_by_500_millionths_from_when_it_was_read(age_ns: int, error_ns: int) -> None:
    assert Quality(3, 7, "adjtimex").error_after(age_ns) == error_ns


def test_durations_go_on_while_the_machine_is_suspended(monkeypatch: pytest.MonkeyPatch) -> None:
    asleep_ns = 8 * 3_600_000_000_000  # CLOCK_MONOTONIC does not count it
    told = {time.CLOCK_MONOTONIC: 5, time.CLOCK_BOOTTIME: 5 + asleep_ns}
    monkeypatch.setattr("time.clock_gettime_ns", told.__getitem__)
    assert clock.mono_ns() == clock.now().mono_ns == 5 + asleep_ns


def test_this_machines_clock_can_be_asked() -> None:
    assert isinstance(clock.quality(), Quality | Missing)


class Clock:
    """A clock that tests wind."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("clew.core.progress.time.monotonic", lambda: self.now)


def test_totals_that_still_grow_make_no_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    clock_ = Clock(monkeypatch)
    progress, _ = shown(terminal=False, quiet=True)
    progress.begin(items=2, bytes=1000, counting=True)
    progress.found(items=8, bytes=9000)
    clock_.now += 10
    progress.advance(items=1, bytes=1000)
    assert "1 of 10 " in progress.line()
    assert "still enumerating" in progress.line()
    assert "left" not in progress.line()
    progress.counted()
    assert "still enumerating" not in progress.line()
    assert "about 1 min 30 s left" in progress.line()


def test_a_stretch_aside_is_told_by_its_items_and_then_all_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    clock_ = Clock(monkeypatch)
    progress, _ = shown(terminal=False, quiet=True)
    progress.begin(items=7, bytes=700)
    progress.in_hand("a")
    progress.advance(items=7, bytes=700)
    clock_.now += 10
    before = progress.line()
    with progress.aside("maker notes", items=500):
        for _ in range(10):
            clock_.now += 1
            progress.advance(items=10)
        said = progress.line()
    clock_.now -= 10
    assert progress.line() == before
    for part in ("100 of 500 ", "10/s", "last minute 10/s ", "about 40 s left", "maker notes (10 s)"):
        assert part in said
    assert " B" not in said


def test_the_last_minute_makes_the_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fast at first, slow of late: what is left takes as long as the last minute says."""
    clock_ = Clock(monkeypatch)
    progress, _ = shown(terminal=False, quiet=True)
    progress.begin(items=1000, bytes=1_000_000)
    for _ in range(100):
        clock_.now += 1
        progress.advance(items=5, bytes=5_000)
    for _ in range(100):
        clock_.now += 1
        progress.advance(items=1, bytes=1_000)
    assert "3/s" in progress.line()
    assert "last minute 1/s, 1000 B/s" in progress.line()
    assert "about 6 min 40 s left" in progress.line()


def test_for_how_long_the_oldest_item_has_been_in_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    clock_ = Clock(monkeypatch)
    progress, _ = shown(terminal=False, quiet=True)
    progress.in_hand("a.mkv", 3.0)
    clock_.now += 9
    assert progress.line().endswith("a.mkv (12 s)")
