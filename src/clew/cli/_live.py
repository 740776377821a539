"""The live view of `clew observe`, on a terminal: who was found where, how fast, what failed, and what comes next."""

import sys
import time
from collections import deque
from types import TracebackType
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from clew.cli._countries import Countries
from clew.core.case import Case
from clew.core.printable import printable
from clew.core.progress import duration, size
from clew.observe.standing import Standing, standing

WINDOW_S = 60.0
READ_S, READ_SHARE = 2.0, 20  # the case is read every 2 s, and not longer than a twentieth of the time
COUNTRIES_SHOWN, ERRORS_SHOWN = 12, 6


class LiveView:
    """A context manager; `take` is given to the observer as its `progress`. Draws nothing where nobody looks."""

    def __init__(self, case: Case, console: Console | None = None, countries: Countries | None = None) -> None:
        self._case, self._console = case, console or Console(file=sys.stderr)
        self._countries = countries or Countries(case)
        self._samples: deque[tuple[float, int, int]] = deque()
        self._read_next = 0.0
        self._standing: Standing | None = None
        self._by_country: dict[str, dict[str, int]] = {}
        self._live: Live | None = None

    def __enter__(self) -> "LiveView":
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def take(self, state: dict[str, Any]) -> None:
        """Draws how the run stands."""
        if self._live is not None:
            self._live.update(self.view(state), refresh=True)

    def view(self, state: dict[str, Any]) -> RenderableType:
        """What is drawn."""
        now = time.monotonic()
        if self._standing is None or now >= self._read_next:
            self._standing, self._by_country = standing(self._case), self._countries.by_tier()
            took = time.monotonic() - now
            self._read_next = now + max(READ_S, READ_SHARE * took)
        lines = [self._rates(state, now), *next_lines(self._standing), *self._hand(state)]
        errors = sorted(state["errors"].items(), key=lambda pair: -pair[1])[:ERRORS_SHOWN]
        lines += [f"  {number:,}  {printable(kind)}" for kind, number in errors]
        lines.append("safe to stop: Ctrl-C ends it in order, and the same command goes on")
        return Group(self._table(), Text("\n".join(lines)))

    def _table(self) -> Table:
        """Addresses by tier and country."""
        table = Table(title="addresses by tier and country")
        for column in ("tier", "all", "countries"):
            table.add_column(column)
        for tier, counts in self._by_country.items():
            shown = list(counts.items())[:COUNTRIES_SHOWN]
            rest = sum(counts.values()) - sum(number for _, number in shown)
            told = "  ".join(f"{country} {number:,}" for country, number in shown) + (f"  others {rest:,}" * bool(rest))
            table.add_row(tier, f"{sum(counts.values()):,}", told)
        return table

    def _rates(self, state: dict[str, Any], now: float) -> str:
        """Contacts and bytes, in all and a second over the last minute."""
        self._samples.append((now, state["contacts"], state["bytes"]))
        while now - self._samples[0][0] > WINDOW_S:
            self._samples.popleft()
        began, contacts, count = self._samples[0]
        took = max(now - began, 1.0)
        lately = (state["contacts"] - contacts) / took
        return (
            f"{duration(state['seconds'])}: {state['contacts']:,} contacts, {lately:.1f}/s; "
            f"{size(state['bytes'])} both ways, {size((state['bytes'] - count) / took)}/s"
        )

    def _hand(self, state: dict[str, Any]) -> list[str]:
        oldest = f", the oldest {state['oldest']} for {state['oldest_s']:.0f} s" if state["oldest"] else ""
        return [f"{state['in_flight']:,} calls in hand{oldest}"]


def waiting_lines(found: Standing) -> list[str]:
    """Which Watches the last run does not ask for, since they came after it began; nothing where there is none."""
    if not found.waiting:
        return []
    waiting = printable(", ".join(found.waiting))
    return [f"Watches that came since this run began are observed from the next one on: {waiting}"]


def next_lines(found: Standing) -> list[str]:
    """The next visits, Watches that wait, the gaps and a clock that was set, in words."""
    due = found.due
    lines = [f"next visits: {due['now']:,} due now, {due['minute']:,} in a minute, {due['hour']:,} in an hour"]
    if found.earliest_s is not None:
        lines[0] += f"; the first in {duration(found.earliest_s)}"
    lines += waiting_lines(found)
    if found.gaps:
        last = found.last_gaps[-1]
        lines.append(f"{found.gaps:,} gaps; the last from {last['from']} to {last['to']}: {last['why']}")
    if found.clock_set:
        last = found.clock_set[-1]
        lines.append(f"{last['why']}: it read {last['from']}, then {last['to']}")
    return lines
