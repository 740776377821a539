"""What is going on: bytes and items per second, time left by bytes (by items where no bytes are counted), errors by
kind, the oldest item in hand.

On a terminal one live panel; elsewhere a plain line now and then. It only ever tells; the account is in the case.
"""

import sys
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.text import Text

from clew.core.printable import printable

PLAIN_EVERY_S = 10.0
LIVE_PER_S = 4
WINDOW_S = 60.0  # of the rate that is told beside the overall one, and that the time left is made of
SAMPLE_S = 1.0
OLD_S = 1.0  # from when on it is worth telling for how long an item has been in hand


class Progress:
    """A context manager around one long piece of work. Totals may be set later, or grow while they are `counting`."""

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
        self.counting = False
        self.errors: Counter[str] = Counter()
        self._hand, self._hand_since, self._isolation = "", 0.0, ""
        self._began = self._told = time.monotonic()
        self._samples: deque[tuple[float, int, int]] = deque()
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

    def begin(self, *, items: int | None = None, bytes: int, counting: bool = False) -> None:
        """A new stretch of the work, of so much; while `counting`, more may be `found`."""
        self.items = self.bytes = 0
        self.total_items, self.total_bytes, self.counting = items, bytes, counting
        self._began = time.monotonic()
        self._samples = deque()

    @contextmanager
    def aside(self, text: str, *, items: int) -> Iterator[None]:
        """Another stretch meanwhile, of so many items whose bytes are not counted; then all is told as before it."""
        told = self.items, self.bytes, self.total_items, self.total_bytes, self.counting, self._began, self._samples
        hand = self._hand, self._hand_since
        self.begin(items=items, bytes=0)
        self._hand, self._hand_since = printable(text), self._began
        try:
            yield
        finally:
            self._hand, self._hand_since = hand
            self.items, self.bytes, self.total_items, self.total_bytes, self.counting, self._began, self._samples = told

    def found(self, *, items: int, bytes: int) -> None:
        """So much more there is to do."""
        self.total_items = (self.total_items or 0) + items
        self.total_bytes = (self.total_bytes or 0) + bytes
        self._perhaps_tell()

    def counted(self) -> None:
        """The totals are known now."""
        self.counting = False

    def advance(self, *, items: int = 0, bytes: int = 0) -> None:
        """So much more is done."""
        self.items += items
        self.bytes += bytes
        now = time.monotonic()
        if not self._samples or now - self._samples[-1][0] >= SAMPLE_S:
            self._samples.append((now, self.items, self.bytes))
            while now - self._samples[0][0] > WINDOW_S:
                self._samples.popleft()
        self._perhaps_tell()

    def error(self, kind: str) -> None:
        """One more item that could not be read, by kind."""
        self.errors[kind] += 1

    def in_hand(self, text: str, seconds: float = 0.0) -> None:
        """What is being worked on, the oldest first, and for how long already. Names of evidence are hostile: no
        terminal gets their controls.
        """
        self._hand = printable(text)
        self._hand_since = time.monotonic() - seconds

    def isolation(self, text: str) -> None:
        """The isolation level that the workers reached."""
        self._isolation = text

    def line(self) -> str:
        """The state of things, as one line."""
        now = time.monotonic()
        seconds = max(now - self._began, 1e-9)
        of_items = f" of {self.total_items:,}" if self.total_items is not None else ""
        of_bytes = f" of {size(self.total_bytes)}" if self.total_bytes else ""
        lately = self._lately(now)
        parts = [f"{self.title}: {self.items:,}{of_items}", f"{self.items / seconds:,.0f}/s"]
        if self.bytes:
            parts += [f"{size(self.bytes)}{of_bytes}", f"{size(self.bytes / seconds)}/s"]
        if lately is not None:
            parts.append(f"last minute {lately[0]:,.0f}/s" + (f", {size(lately[1])}/s" if self.bytes else ""))
        if self.counting:
            parts.append("still enumerating")
        elif self.total_bytes and 0 < self.bytes < self.total_bytes:
            rate = lately[1] if lately and lately[1] else self.bytes / seconds
            parts.append(f"about {duration((self.total_bytes - self.bytes) / rate)} left")
        elif not self.total_bytes and self.total_items and 0 < self.items < self.total_items:
            rate = lately[0] if lately and lately[0] else self.items / seconds
            parts.append(f"about {duration((self.total_items - self.items) / rate)} left")
        if self.total_items is None and self.total_bytes is None:
            parts.append("still counting")
        parts += [f"{kind}: {count}" for kind, count in sorted(self.errors.items())]
        held = now - self._hand_since
        hand = f"{self._hand} ({held:.0f} s)" if self._hand and held >= OLD_S else self._hand
        parts += [text for text in (self._isolation, hand) if text]
        return " · ".join(parts)

    def _lately(self, now: float) -> tuple[float, float] | None:
        """Items and bytes a second over the last minute; None before there is enough to tell."""
        samples = self._samples  # the panel is drawn by another thread
        if not samples or now - samples[0][0] < 2 * SAMPLE_S:
            return None
        began, items, size = samples[0]
        return (self.items - items) / (now - began), (self.bytes - size) / (now - began)

    def _perhaps_tell(self) -> None:
        if self._live is None and not self._quiet and time.monotonic() - self._told >= PLAIN_EVERY_S:
            self._told = time.monotonic()
            self._console.print(self._text(), highlight=False, soft_wrap=True)

    def _text(self) -> Text:
        return Text(f"{self.line()} · safe to stop" if self._live else self.line())


def size(count: float) -> str:
    """Bytes, for people."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.2f} TiB"


def duration(seconds: float) -> str:
    """Seconds, for people."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
