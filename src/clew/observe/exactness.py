"""How wrong the clock is, which goes into every Sighting: measured again each minute, and at once after it was set.

A measurement holds for the clock that it was made of, and the error grows from there as the kernel lets it grow. A call
that began or ended by another clock, since somebody set it meanwhile, bears none: its times stand there as they were
read, and no page for a provider rests on them.
"""

from dataclasses import dataclass

from clew.core import clock
from clew.core.clock import Instant, Quality
from clew.model import Missing
from clew.observe.api import SECOND
from clew.observe.gaps import STEP_NS, step_ns

AGAIN_NS = 60 * SECOND
Known = tuple[int | None, int | None]
UNKNOWN: Known = (None, None)


@dataclass(slots=True)
class Exactness:
    """Offset and error in nanoseconds, as `core.clock.quality` states them; None where nobody knows."""

    _measured: Instant | None = None
    _quality: Quality | None = None

    def of(self, began: Instant, ended: Instant) -> Known:
        """What holds for a call between these moments."""
        at = self._measured
        if at is None or ended.mono_ns >= at.mono_ns + AGAIN_NS or _set(at, ended):
            at = self.measure()
            if _set(at, ended):
                return UNKNOWN
        found = self._quality
        if found is None or _set(at, began):
            return UNKNOWN
        age_ns = max(abs(each.mono_ns - at.mono_ns) for each in (began, ended))
        return found.offset_ns, found.error_after(age_ns)

    def measure(self) -> Instant:
        """Asks the kernel now; returns when that was."""
        found = clock.quality()
        self._measured = clock.now()
        self._quality = None if isinstance(found, Missing) else found
        return self._measured


def _set(before: Instant, after: Instant) -> bool:
    return abs(step_ns(before, after)) > STEP_NS
