"""For how long no list came: from one tracker, from the DHT, and from any of them at all (`core.questions`).

A source is silent while everything it is asked for is in vain: each Watch, by each of its infohashes. That begins with
the first question in vain, as nobody is to be asked before its interval is over, and ends with the next list. While it
is not, it may be silent for a Watch alone, by each of its infohashes.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from clew.core.clock import Instant
from clew.core.lister import lister
from clew.core.questions import ALL, Alone, Questions
from clew.model import Watch
from clew.observe.announces import Round, infohashes
from clew.observe.api import SECOND, Tracker

# Nodes of one lookup do not all answer: it goes on for less than this, and has brought a list if one of them told any.
LOOKUP_NS = 300 * SECOND
# All Watches are asked for about the same time: for less than this one alone is ahead of the others, or behind them.
APART_NS = LOOKUP_NS
Asked = tuple[str, str, bytes]  # a source, by `lister`, a Watch by its label, and one of its infohashes
Whose = tuple[str, str]  # a source or ALL, and a Watch, or "" for all of them together


@dataclass(slots=True)
class _Silence:
    """The times in which one source, or all of them, told nothing; the last of them is open until a list comes.

    One that lasted less than `least_ns` is none.
    """

    least_ns: int = 0
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
        if lasted_ns < self.least_ns:
            return self.total_ns, self.longest
        span = self.since.utc_ns, self.since.utc_ns + lasted_ns
        longer = self.longest is None or self.longest[1] - self.longest[0] < lasted_ns
        return self.total_ns + lasted_ns, span if longer else self.longest


def _by_watch() -> dict[str, _Silence]:
    return defaultdict(lambda: _Silence(APART_NS))


@dataclass(slots=True)
class Unlisted:
    """Of one run. `asked` is all that it asks for; what it asks nobody for stands in no other place."""

    asked: Iterable[Asked] = ()
    _all: dict[Whose, set[Asked]] = field(default_factory=lambda: defaultdict(set))
    _in_vain: dict[Whose, set[Asked]] = field(default_factory=lambda: defaultdict(set))
    _counts: Counter[tuple[str, bool]] = field(default_factory=Counter)
    _listed: dict[Asked, Instant] = field(default_factory=dict)  # when the last list came
    _last_ns: dict[str, int] = field(default_factory=dict)
    _silences: dict[str, _Silence] = field(default_factory=lambda: defaultdict(_Silence))
    _alone: dict[str, dict[str, _Silence]] = field(default_factory=lambda: defaultdict(_by_watch))  # by name, by Watch

    def __post_init__(self) -> None:
        for each in self.asked:
            self._is_asked(each)

    def take(self, one: Round, began: Instant, ended: Instant, *, listed: bool) -> None:
        """A question is over. One that this machine's network or the end of the run cut off is none."""
        source = lister(one.tracker.url)
        self._counts[source, listed] += 1
        if listed:
            self._last_ns[source] = ended.utc_ns
        for watch in one.watches:
            self._take((source, watch.label, one.infohash), began, ended, listed=listed)

    def _take(self, asked: Asked, began: Instant, ended: Instant, *, listed: bool) -> None:
        self._is_asked(asked)
        if listed:
            self._listed[asked] = ended
            for name in (asked[0], ALL):
                self._told(name, asked, ended)
            return
        last = self._listed.get(asked)
        if last is not None and began.mono_ns - last.mono_ns < LOOKUP_NS:
            return
        for name in (asked[0], ALL):
            self._told_nothing(name, asked, began, ended)

    def _told(self, name: str, asked: Asked, at: Instant) -> None:
        """A list came from this source, or from any: the others that it was silent for, it is silent for alone now."""
        watches = {watch for _, watch, _ in self._all[name, ""]} if self._silent((name, "")) else set()
        self._silences[name].ends(at)
        for whose in ((name, ""), (name, asked[1])):
            self._in_vain[whose].discard(asked)
        if asked[1] in self._alone[name]:
            self._alone[name][asked[1]].ends(at)
        for watch in watches - {asked[1]}:
            self._alone[name][watch].goes_on(at, at)

    def _told_nothing(self, name: str, asked: Asked, began: Instant, ended: Instant) -> None:
        """A question was in vain: this source, or all of them, may be silent by now, or for this Watch alone."""
        for whose in ((name, ""), (name, asked[1])):
            self._in_vain[whose].add(asked)
        if self._silent((name, "")):
            if self._silences[name].since is None:
                for each in self._alone[name].values():
                    each.ends(began)
            self._silences[name].goes_on(began, ended)
        elif self._silent((name, asked[1])):
            self._alone[name][asked[1]].goes_on(began, ended)

    def over(self, at: Instant) -> None:
        """The run ends: so do the times that are open."""
        alone = (each for watches in self._alone.values() for each in watches.values())
        for each in (*self._silences.values(), *alone):
            each.ends(at)

    def told(self) -> dict[str, Any]:
        """As it is kept with the run."""
        found = [self._of(source) for source in sorted({source for source, _ in self._counts})]
        every = self._of(ALL)
        if every.silent_ns or every.alone:
            found.append(every)
        return {each.source: each.kept() for each in found}

    def _of(self, source: str) -> Questions:
        failed = self._counts[source, False]
        asked = failed + self._counts[source, True]
        total_ns, longest = self._silences[source].told()
        told = ((watch, *each.told()) for watch, each in sorted(self._alone[source].items()))
        alone = tuple(Alone(watch, ns, span) for watch, ns, span in told if span is not None)
        return Questions(source, asked, failed, self._last_ns.get(source), total_ns, longest, alone)

    def _is_asked(self, asked: Asked) -> None:
        for name in (asked[0], ALL):
            for watch in ("", asked[1]):
                self._all[name, watch].add(asked)

    def _silent(self, whose: Whose) -> bool:
        return len(self._in_vain[whose]) == len(self._all[whose])


def asked_for(trackers: Iterable[Tracker], watches: Iterable[Watch]) -> list[Asked]:
    """What a run with these trackers and nodes asks for."""
    hashes = [(watch.label, infohash) for watch in watches for infohash, _ in infohashes(watch)]
    return [(source, *each) for source in {lister(tracker.url) for tracker in trackers} for each in hashes]
