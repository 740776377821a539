"""Times that a court can weigh: UTC for people, monotonic for durations, and how wrong the clock may be."""

import ctypes
import math
import time
from dataclasses import dataclass

from clew.model import Missing, Reason

STA_UNSYNC = 0x0040  # adjtimex(2): the clock is not synchronised
STA_NANO = 0x2000  # adjtimex(2): `offset` is in nanoseconds, else in microseconds
# By how many microseconds `maxerror` grows each second until it is set again (kernel/time/ntp.c, MAXFREQ).
GROWTH_PPM = 500
TIME_ERROR = 5  # adjtimex(2): return value of a clock that is not synchronised


@dataclass(frozen=True, slots=True)
class Instant:
    """One moment on both clocks, in nanoseconds. Durations come from `mono_ns`, order from sequence numbers.

    `mono_ns` is that of CLOCK_BOOTTIME (clock_gettime(2)): nobody can set it, and it goes on while the machine is
    suspended. CLOCK_MONOTONIC stands still then, and would make a weekend of no time.
    """

    utc_ns: int
    mono_ns: int


def now() -> Instant:
    """The present moment."""
    return Instant(time.time_ns(), mono_ns())


def mono_ns() -> int:
    """`now().mono_ns`, for who asks thousands of times a second and needs no date."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def iso(ns: int) -> str:
    """UTC with milliseconds, as 2026-01-31T23:59:59.123Z."""
    seconds, rest = divmod(ns, 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest // 1_000_000:03d}Z"


@dataclass(frozen=True, slots=True)
class Quality:
    """How wrong UTC may be here: the offset known to the kernel, and the largest error it states, in nanoseconds."""

    offset_ns: int
    error_ns: int
    source: str

    def error_after(self, age_ns: int) -> int:
        """The largest error so long after, or before, this was read: it grows as the kernel lets it grow."""
        return self.error_ns + math.ceil(age_ns * GROWTH_PPM / 1_000_000)


class _Timex(ctypes.Structure):
    """struct timex as far as adjtimex(2) describes it, and its padding."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_long * 40),
    )


def quality() -> Quality | Missing:
    """What the kernel knows of its clock (adjtimex(2), read only). Missing where nothing keeps it in time.

    Missing, too, where nobody ever stated an error: systemd-timesyncd sets both errors to 0 whenever it adjusts the
    clock (manager_adjust_clock), however far its server is, and what stands there is that 0 and the kernel's growth.
    chrony and ntpd set `maxerror` to half the root delay and the root dispersion (RFC 5905 11.3), and estimate.
    """
    timex = _Timex()  # modes = 0: read, change nothing
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    if state < 0:
        return Missing(Reason.REFUSED, "the kernel does not tell the state of its clock")
    if state == TIME_ERROR or timex.status & STA_UNSYNC:
        return Missing(Reason.UNKNOWN, "nothing keeps this clock in time (no NTP synchronisation)")
    if timex.esterror == 0 and timex.maxerror % GROWTH_PPM == 0:
        return Missing(Reason.UNKNOWN, "what keeps this clock in time states no error of it (use chrony or ntpd)")
    unit = 1 if timex.status & STA_NANO else 1_000
    return Quality(timex.offset * unit, timex.maxerror * 1_000, "adjtimex")
