"""For how long no list came: from one tracker, from the DHT, and from any of them at all (`core.questions`).

A source is silent while everything it is asked for is in vain: each Watch, by each of its infohashes. That begins with
the first question in vain, as nobody is to be asked before its interval is over, and ends with the next list.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from clew.core.clock import Instant
from clew.core.lister import lister
from clew.core.questions import ALL, Questions
from clew.model import Watch
from clew.observe.announces import Round, infohashes
from clew.observe.api import SECOND, Tracker

# Nodes of one lookup do not all answer: it goes on for less than this, and has brought a list if one of them told any.
LOOKUP_NS = 300 * SECOND
Asked = tuple[str, str, bytes]  # a source, by `lister`, a Watch and one of its infohashes


@dataclass(slots=True)
class _Silence:
    """The times in which one source, or all of them, told nothing; the last of them is open until a list comes."""

    total_ns: int = 0
    longest: tuple[int, int] | None = None
    since: Instant | None = None
    until_ns: int = 0  # monotonic

    def goes_on(self, since: Instant, until: Instant) -> None:
        self.since = self.since or since
        self.until_ns = max(self.until_ns, until.mono_ns)

    def ends(self, at: Instant) -> None:
        if self.since is not None:
            self.until_ns = max(self.until_ns, at.mono_ns)
            self.total_ns, self.longest = self.told()
            self.since, self.until_ns = None, 0

    def told(self) -> tuple[int, tuple[int, int] | None]:
        """All of them together in nanoseconds and the longest, with the one that is open, as far as it is known."""
        if self.since is None:
            return self.total_ns, self.longest
        # Measured by the monotonic clock, so that a clock set meanwhile cannot hide or stretch it.
        lasted_ns = max(0, self.until_ns - self.since.mono_ns)
        span = self.since.utc_ns, self.since.utc_ns + lasted_ns
        longer = self.longest is None or self.longest[1] - self.longest[0] < lasted_ns
        return self.total_ns + lasted_ns, span if longer else self.longest


@dataclass(slots=True)
class Unlisted:
    """Of one run. `asked` is all that it asks for; what it asks nobody for stands in no other place."""

    asked: Iterable[Asked] = ()
    _all: dict[str, set[Asked]] = field(default_factory=lambda: defaultdict(set))
    _in_vain: dict[str, set[Asked]] = field(default_factory=lambda: defaultdict(set))
    _counts: Counter[tuple[str, bool]] = field(default_factory=Counter)
    _listed: dict[Asked, Instant] = field(default_factory=dict)  # when the last list came
    _last_ns: dict[str, int] = field(default_factory=dict)
    _silences: dict[str, _Silence] = field(default_factory=lambda: defaultdict(_Silence))

    def __post_init__(self) -> None:
        for each in self.asked:
            self._all[each[0]].add(each)

    def take(self, one: Round, began: Instant, ended: Instant, *, listed: bool) -> None:
        """A question is over. One that this machine's network or the end of the run cut off is none."""
        source = lister(one.tracker.url)
        asked = source, one.watch.id, one.infohash
        self._all[source].add(asked)
        self._counts[source, listed] += 1
        if listed:
            self._listed[asked], self._last_ns[source] = ended, ended.utc_ns
            self._in_vain[source].discard(asked)
            for name in (source, ALL):
                self._silences[name].ends(ended)
            return
        last = self._listed.get(asked)
        if last is not None and began.mono_ns - last.mono_ns < LOOKUP_NS:
            return
        self._in_vain[source].add(asked)
        if self._silent(source):
            self._silences[source].goes_on(began, ended)
            if all(map(self._silent, self._all)):
                self._silences[ALL].goes_on(began, ended)

    def over(self, at: Instant) -> None:
        """The run ends: so do the times that are open."""
        for each in self._silences.values():
            each.ends(at)

    def told(self) -> dict[str, Any]:
        """As it is kept with the run."""
        found = [self._of(source) for source in sorted({source for source, _ in self._counts})]
        total_ns, longest = self._silences[ALL].told()
        if total_ns:
            found.append(Questions(ALL, silent_ns=total_ns, longest=longest))
        return {each.source: each.kept() for each in found}

    def _of(self, source: str) -> Questions:
        failed = self._counts[source, False]
        asked = failed + self._counts[source, True]
        total_ns, longest = self._silences[source].told()
        return Questions(source, asked, failed, self._last_ns.get(source), total_ns, longest)

    def _silent(self, source: str) -> bool:
        return len(self._in_vain[source]) == len(self._all[source])


def asked_for(trackers: Iterable[Tracker], watches: Iterable[Watch]) -> list[Asked]:
    """What a run with these trackers and nodes asks for."""
    hashes = [(watch.id, infohash) for watch in watches for infohash, _ in infohashes(watch)]
    return [(source, *each) for source in {lister(tracker.url) for tracker in trackers} for each in hashes]
