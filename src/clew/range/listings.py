"""Which endpoints a source tells for each torrent, and from which second of the operation on."""
# ruff: noqa: S311 — a scenario wants a generator that can be seeded; nothing secret comes from it

import random
from bisect import bisect_right
from math import inf
from operator import attrgetter

from clew.range.scenario import Scenario, Source, Stay
from clew.range.sockets import Endpoint

_BEGIN = attrgetter("begin")


class Listings:
    """What one source knows: the parties that it lists, and what somebody made up and gave it."""

    def __init__(self, scenario: Scenario, source: Source, torrents: frozenset[int] | None = None) -> None:
        """`torrents`: the numbers of those that the source keeps; None for all of them."""
        self._rng = random.Random()
        kept = [t for t in scenario.torrents if torrents is None or t.index in torrents]
        found: dict[int, list[Stay]] = {t.index: [] for t in kept}
        self.has_parties = False
        for party in scenario.parties:
            if not party.listed or source not in party.listed_by:
                continue
            self.has_parties = True
            for number in {h.torrent for h in party.holdings} & found.keys():
                found[number] += party.stays
        for number, address, port in scenario.spoofed:
            if number in found:
                found[number].append(Stay(address, port, -inf, inf))
        for told in found.values():
            told.sort(key=_BEGIN)
        self._told = {scenario.torrents[number].infohash: told for number, told in found.items()}

    def knows(self, infohash: bytes) -> bool:
        """Whether this source keeps that torrent."""
        return infohash in self._told

    def sample(
        self,
        infohash: bytes,
        second: float,
        wanted: int,
        *,
        also: tuple[Endpoint, ...] = (),
        but: Endpoint | None = None,
    ) -> list[Endpoint]:
        """At most `wanted` random endpoints of those listed at that second and those `also` there, each once."""
        told = self._told.get(infohash, [])
        until = bisect_right(told, second, key=_BEGIN)
        # one more than wanted for `but`, and some for endpoints that several parties share one after another
        drawn = self._rng.sample(range(until + len(also)), min(until + len(also), 2 * max(0, wanted) + 1))
        found = dict.fromkeys((told[at].address, told[at].port) if at < until else also[at - until] for at in drawn)
        found.pop(but, None) if but else None
        return list(found)[: max(0, wanted)]
