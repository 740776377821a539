"""Questions who is there: how many brought a list, and for how long none came. The observer writes it, all read it.

Who came while no tracker and no node of the DHT told anything could not be seen, though those who were known were
called as ever. So it is no gap, and nobody may say without it that all was watched.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from clew.core import clock

KEPT = "questions"  # where it stands in `observe_runs.coverage`: by source, and under ALL when every one was silent
ALL = "all"
NONE_LISTED = "no tracker and no node of the DHT told who is there"
UNSEEN = "who came then was not seen, unless a peer told of it"
SECOND_NS = 1_000_000_000
HOUR_NS = 3_600 * SECOND_NS


@dataclass(frozen=True, slots=True)
class Alone:
    """For how long no list came for this Watch, by its label, but for others, and the longest such time."""

    watch: str
    silent_ns: int
    longest: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Questions:
    """Those to one source (by `core.lister`) or, without counts, to all: `failed` of `asked` brought no list.

    `last_ns`: the last list came then, None where none did. `silent_ns`: how long none came though it was asked for,
    `longest` the longest such time; `alone`: of single Watches, beside that. Times are UTC as the clock stood.
    """

    source: str
    asked: int = 0
    failed: int = 0
    last_ns: int | None = None
    silent_ns: int = 0
    longest: tuple[int, int] | None = None
    alone: tuple[Alone, ...] = ()

    @property
    def silent(self) -> bool:
        """Whether none came for as long as is worth a word."""
        return self.silent_ns >= SECOND_NS

    def and_then(self, later: "Questions") -> "Questions":
        """These and those of a later run."""
        spans = [each for each in (self.longest, later.longest) if each is not None]
        return replace(
            self,
            asked=self.asked + later.asked,
            failed=self.failed + later.failed,
            last_ns=self.last_ns if later.last_ns is None else later.last_ns,
            silent_ns=self.silent_ns + later.silent_ns,
            longest=max(spans, key=_length, default=None),
            alone=tuple(_together((*self.alone, *later.alone))),
        )

    def kept(self) -> dict[str, Any]:
        """As it stands in `observe_runs.coverage`, under its source."""
        numbers = {"asked": self.asked, "failed": self.failed, "silent_ns": self.silent_ns}
        alone = {each.watch: [each.silent_ns, *each.longest] for each in self.alone}
        return numbers | {"last_ns": self.last_ns, "longest": self.longest} | ({"alone": alone} if alone else {})

    def as_dict(self) -> dict[str, Any]:
        """As JSON for `--json`, times in ISO 8601."""
        span = None if self.longest is None else _iso(self.longest)
        told = {"source": self.source, "asked": self.asked, "failed": self.failed, "longest": span}
        told["alone"] = [
            {"watch": each.watch, "silent_seconds": each.silent_ns / SECOND_NS, "longest": _iso(each.longest)}
            for each in self.alone
        ]
        last = None if self.last_ns is None else clock.iso(self.last_ns)
        return told | {"silent_seconds": self.silent_ns / SECOND_NS, "last": last}

    def __str__(self) -> str:
        """For people."""
        if self.source == ALL:
            return f"{NONE_LISTED} for {_how_long(self.silent_ns, self.longest)}: {UNSEEN}"
        said = f"{self.source}: {self.failed} of {self.asked} questions who is there brought no list"
        if self.silent:
            said += f"; none came for {_how_long(self.silent_ns, self.longest)}"
        return said + ("; none ever came" if self.last_ns is None else f"; the last came at {clock.iso(self.last_ns)}")

    def of_watches(self, only: Collection[str] | None = None) -> Iterator[str]:
        """For people, of single Watches; of those with these labels alone, where any are given."""
        found = [each for each in self.alone if only is None or each.watch in only]
        if not found:
            return
        labels = ", ".join(each.watch for each in found)
        longest = max((each.longest for each in found), key=_length)
        lasted = ("up to " if len(found) > 1 else "") + _how_long(max(each.silent_ns for each in found), longest)
        if self.source == ALL:
            yield f"{NONE_LISTED} for {labels}, but for others, for {lasted}: {UNSEEN}"
        else:
            yield f"{self.source}: no list came for {labels}, but for others, for {lasted}"


def read(told: Iterable[str]) -> tuple[Questions, ...]:
    """Of a case: from `observe_runs.coverage` of its runs in their order."""
    return of(json.loads(text).get(KEPT, {}) for text in told)


def of(runs: Iterable[Mapping[str, Any]]) -> tuple[Questions, ...]:
    """Of these runs in their order, each by source as it is `kept`; by source, ALL last."""
    found: dict[str, Questions] = {}
    for run in runs:
        for source, kept in run.items():
            span = kept["longest"] and tuple(kept["longest"])
            alone = tuple(Alone(watch, ns, (a, b)) for watch, (ns, a, b) in kept.get("alone", {}).items())
            one = Questions(source, **(kept | {"longest": span, "alone": alone}))
            found[source] = found[source].and_then(one) if source in found else one
    return tuple(found[source] for source in sorted(found, key=lambda each: (each == ALL, each)))


def _length(span: tuple[int, int]) -> int:
    return span[1] - span[0]


def _together(alone: Iterable[Alone]) -> Iterator[Alone]:
    """Each Watch once, by label."""
    found: dict[str, list[Alone]] = {}
    for each in alone:
        found.setdefault(each.watch, []).append(each)
    for watch, those in sorted(found.items()):
        yield Alone(watch, sum(each.silent_ns for each in those), max((each.longest for each in those), key=_length))


def _how_long(silent_ns: int, longest: tuple[int, int] | None) -> str:
    assert longest is not None
    start, end = _iso(longest)
    return f"{silent_ns / HOUR_NS:.2f} h in all, the longest time from {start} to {end}"


def _iso(span: tuple[int, int]) -> list[str]:
    return [clock.iso(each) for each in span]
