"""The time by which intervals are counted: one that nobody can set.

UTC may jump while a case is observed: set by hand, or by the first answer of a time server. Were the revisit interval
counted by it, two claims seconds apart could look like a repeated one. So intervals are counted by the monotonic clock,
which goes on while the machine is suspended, put on top of what UTC was at the first run since this machine started;
later runs take the same base. Over a restart of the machine there is no better clock than UTC. Sightings are dated by
UTC as it was; this time is in the queue alone.
"""

from dataclasses import dataclass
from pathlib import Path

from clew.core.case import Case
from clew.core.clock import Instant

BOOTTIME = " boottime"  # to an id: runs of first versions counted by a clock that stood still with the machine


@dataclass(frozen=True, slots=True)
class Steady:
    """`base_ns` is what is added to monotonic nanoseconds; it holds for one start of the machine, `boot`."""

    boot: str
    base_ns: int

    def at(self, moment: Instant) -> int:
        """Nanoseconds that look like UTC and never jump."""
        return moment.mono_ns + self.base_ns


def steady(case: Case, moment: Instant) -> Steady:
    """The steady time of this case on this machine since it started."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip() + BOOTTIME
    row = case.read().execute("SELECT steady_ns FROM observe_runs WHERE boot=? LIMIT 1", (boot,)).fetchone()
    return Steady(boot, int(row["steady_ns"]) if row else moment.utc_ns - moment.mono_ns)
