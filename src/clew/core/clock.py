"""Times that a court can weigh: UTC for people, monotonic for durations, and how wrong the clock may be."""

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Instant:
    """One moment on both clocks, in nanoseconds. Durations come from `mono_ns`, order from sequence numbers."""

    utc_ns: int
    mono_ns: int


def now() -> Instant:
    """This moment."""
    return Instant(time.time_ns(), time.monotonic_ns())


def iso(ns: int) -> str:
    """UTC with milliseconds, as 2026-01-31T23:59:59.123Z."""
    seconds, rest = divmod(ns, 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest // 1_000_000:03d}Z"
