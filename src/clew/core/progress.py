"""What is going on: bytes and items per second, time left by bytes, errors by kind, the oldest item in hand.

On a terminal one live panel; elsewhere a plain line now and then. It only ever tells; the account is in the case.
"""

import sys
import time
from collections import Counter
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.text import Text

PLAIN_EVERY_S = 10.0
LIVE_PER_S = 4


class Progress:
    """A context manager around one long piece of work. Totals may be set later, once they are known."""

    def __init__(
        self,
        title: str,
        *,
        total_bytes: int | None = None,
        total_items: int | None = None,
        quiet: bool = False,
        console: Console | None = None,
    ) -> None:
        self.title, self.total_bytes, self.total_items = title, total_bytes, total_items
        self.items = self.bytes = 0
        self.errors: Counter[str] = Counter()
        self._hand, self._isolation = "", ""
        self._began = self._told = time.monotonic()
        self._console = console or Console(file=sys.stderr)
        self._quiet = quiet
        self._live: Live | None = None

    def __enter__(self) -> "Progress":
        if not self._quiet and self._console.is_terminal:
            self._live = Live(get_renderable=self._text, console=self._console, refresh_per_second=LIVE_PER_S)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
        elif not self._quiet:
            self._console.print(self._text(), highlight=False, soft_wrap=True)

    def advance(self, *, items: int = 0, bytes: int = 0) -> None:
        """So much more is done."""
        self.items += items
        self.bytes += bytes
        if self._live is None and not self._quiet and time.monotonic() - self._told >= PLAIN_EVERY_S:
            self._told = time.monotonic()
            self._console.print(self._text(), highlight=False, soft_wrap=True)

    def error(self, kind: str) -> None:
        """One more item that could not be read, by kind."""
        self.errors[kind] += 1

    def in_hand(self, text: str) -> None:
        """What is being worked on, the oldest first. Names of evidence are hostile: no terminal gets their controls."""
        self._hand = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)

    def isolation(self, text: str) -> None:
        """The isolation level that the workers reached."""
        self._isolation = text

    def line(self) -> str:
        """The state of things, as one line."""
        seconds = max(time.monotonic() - self._began, 1e-9)
        of_items = f" of {self.total_items:,}" if self.total_items is not None else ""
        parts = [f"{self.title}: {self.items:,}{of_items}", f"{self.items / seconds:,.0f}/s"]
        if self.bytes:
            parts += [_size(self.bytes), f"{_size(self.bytes / seconds)}/s"]
        if self.total_bytes and 0 < self.bytes < self.total_bytes:
            parts.append(f"about {_duration((self.total_bytes - self.bytes) * seconds / self.bytes)} left")
        if self.total_items is None and self.total_bytes is None:
            parts.append("still counting")
        parts += [f"{kind}: {count}" for kind, count in sorted(self.errors.items())]
        parts += [text for text in (self._isolation, self._hand) if text]
        return " · ".join(parts)

    def _text(self) -> Text:
        return Text(f"{self.line()} · safe to stop" if self._live else self.line())


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.2f} TiB"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
