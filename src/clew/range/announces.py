"""What a tracker does with one announce, whatever protocol brought it: whom it tells, whom it lists, what it audits.

The telling manner answers `stopped` with peers and lists nobody for it (so does npm's bittorrent-tracker). The
opentracker manner tells nothing on `stopped`: one has to say `started`, is listed by it, and stays so until one says
`stopped`. Both tell at most 200 random peers a reply.
"""

import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from clew.range.listings import Listings
from clew.range.scenario import Manner, Scenario, Source
from clew.range.sockets import Endpoint

CAP = 200
INTERVAL, MIN_INTERVAL = 10, 5


@dataclass(frozen=True, slots=True)
class Announce:
    """One announce (BEP 3, BEP 15). `event` is "" where none is told."""

    infohash: bytes
    port: int
    event: str
    left: int
    downloaded: int
    uploaded: int
    wanted: int


@dataclass(frozen=True, slots=True)
class Reply:
    """What an announce gets."""

    seeders: int
    leechers: int
    peers: list[Endpoint]


class Desk:
    """One tracker's books: `index` 0 is the telling manner, 1 the opentracker manner."""

    def __init__(self, scenario: Scenario, index: int, source: Source) -> None:
        self.index, self.source = index, source
        self.start_at = time.time()
        kept = frozenset(t.index for t in scenario.torrents if index in t.trackers)
        self._listings = Listings(scenario, source, kept)
        self._announced: dict[bytes, dict[Endpoint, bool]] = {}
        self._own = {s.address for p in scenario.parties for s in p.stays if p.manner is Manner.REAL}
        self._unwatched = {t.infohash for t in scenario.torrents if t.watched is None}
        self._said_stopped: set[tuple[str, bytes]] = set()
        self._events: Counter[str] = Counter()
        self._forbidden: list[str] = []

    def announce(self, said: Announce, sender: str) -> Reply | str:
        """The reply, or the reason for which there is none; the announcer is listed or removed as the manner has it."""
        self._audit(said, sender)
        if not self._listings.knows(said.infohash):
            return "unregistered torrent"
        if said.port == 0 and self.index == 0:
            return "invalid port"
        listed = self._announced.setdefault(said.infohash, {})
        seed, asker = said.left == 0, (sender, said.port)
        if said.event == "stopped":
            listed.pop(asker, None)
        else:
            listed[asker] = seed
        told: list[Endpoint] = []
        if not seed and (said.event != "stopped" or self.index == 0):
            second = time.time() - self.start_at
            wanted = min(CAP, said.wanted)
            told = self._listings.sample(said.infohash, second, wanted, also=tuple(listed), but=asker)
        return Reply(sum(listed.values()), len(listed) - sum(listed.values()), told)

    def forbid(self, what: str, sender: str) -> None:
        """Notes one thing that no observer may do; the range's own clients may."""
        if sender not in self._own:
            self._forbidden.append(f"{what} from {sender}")

    def listed_outsiders(self) -> list[str]:
        """Who announced itself, is no client of the range, and is still listed: nobody, if the observer behaves."""
        found = (key for listed in self._announced.values() for key in listed)
        return sorted({f"{address}:{port}" for address, port in found if address not in self._own})

    def report(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "announces": dict(self._events),
            "forbidden": self._forbidden,
            "listed_outsiders": self.listed_outsiders(),
            "source": self.source.value,
        }

    def _audit(self, said: Announce, sender: str) -> None:
        self._events[said.event or "none"] += 1
        if said.event not in ("started", "stopped"):
            self.forbid(f"announce with event {said.event!r}", sender)
        if said.infohash in self._unwatched:
            self.forbid("announce for a torrent that is not watched", sender)
        if said.event == "stopped":
            self._said_stopped.add((sender, said.infohash))
        elif said.event == "started" and (sender, said.infohash) not in self._said_stopped:
            self.forbid("announce with event 'started' before any 'stopped'", sender)
        for name, value, wrong in (
            ("left", said.left, said.left <= 0),
            ("downloaded", said.downloaded, said.downloaded != 0),
            ("uploaded", said.uploaded, said.uploaded != 0),
        ):
            if wrong:
                self.forbid(f"announce with {name}={value}", sender)
