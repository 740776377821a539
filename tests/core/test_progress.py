"""Progress tells what is true, on a terminal and elsewhere, and nothing that a hostile name smuggles in."""

import io

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
    ("state", "status", "known"), [(0, 0x2001, True), (5, 0x40, False), (0, 0x40, False), (-1, 0, False)]
)
def test_a_clock_that_nothing_keeps_in_time_is_a_missing(
    monkeypatch: pytest.MonkeyPatch, state: int, status: int, known: bool
) -> None:
    """adjtimex(2) answered as a kernel would; what this machine's clock is like decides nothing here."""

    class Kernel:
        @staticmethod
        def adjtimex(reference: object) -> int:
            timex = reference._obj  # type: ignore[attr-defined]
            timex.status, timex.offset, timex.maxerror = status, 1_500, 250
            return state

    monkeypatch.setattr(clock.ctypes, "CDLL", lambda *_, **__: Kernel)
    found = clock.quality()
    assert found == Quality(1_500, 250_000, "adjtimex") if known else isinstance(found, Missing)


def test_this_machines_clock_can_be_asked() -> None:
    assert isinstance(clock.quality(), Quality | Missing)
