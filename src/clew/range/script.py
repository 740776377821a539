"""What all fakes of an operation share: who is where at which second, what they hold, and who counts what is heard."""
# ruff: noqa: S311 — a scenario wants a generator that can be seeded; nothing secret comes from it

import random
import time
from collections import Counter
from dataclasses import dataclass

from clew.range.audit import Audit
from clew.range.listings import Listings
from clew.range.scenario import Carrier, Holding, Manner, Party, Saying, Scenario, Source
from clew.range.sockets import Endpoint
from clew.range.torrents import Torrent

FLOOD_PREFIX = "127.100."  # what a flood of PEX makes up beside documentation addresses: nobody is there


@dataclass(frozen=True, slots=True)
class Call:
    """One connection to a fake: who is called where, by whom."""

    party: Party
    local: Endpoint
    caller: Endpoint
    utp: bool

    @property
    def sender(self) -> str:
        """The caller, for the audit."""
        return self.caller[0]

    @property
    def to(self) -> str:
        """Who was called, for the audit."""
        return f"{self.local[0]}:{self.local[1]}"

    def carrier(self, *, mse: bool) -> Carrier:
        """What a scenario calls this way to connect."""
        if self.utp:
            return Carrier.MSE_UTP if mse else Carrier.UTP
        return Carrier.MSE_TCP if mse else Carrier.TCP


class Script:
    """The scenario as its fakes play it. `start_at` (seconds since 1970) is the second 0 of the operation."""

    def __init__(self, scenario: Scenario, canary: bytes) -> None:
        self.scenario, self.canary = scenario, canary
        self.audit = Audit(revisit=scenario.timing.revisit)
        self.start_at = time.time()
        self.rng = random.Random()
        self.pex = Listings(scenario, Source.PEX)
        self._torrents = {t.infohash: t for t in scenario.torrents}
        self._spoofed = {(address, port) for _, address, port in scenario.spoofed}
        self._visits: Counter[str] = Counter()
        self._peer_ids: dict[str, bytes] = {}
        self._at: dict[str, tuple[Party, ...]] = {}  # by address: no key of its own for each of 50,000 endpoints
        for party in scenario.parties:
            for address in dict.fromkeys(stay.address for stay in party.stays):
                self._at[address] = (*self._at.get(address, ()), party)

    @property
    def second(self) -> float:
        """The second of the operation that it is now."""
        return time.time() - self.start_at

    def who(self, endpoint: Endpoint) -> Party | None:
        """The fake that stays at an endpoint now."""
        second = self.second
        for party in self._at.get(endpoint[0], ()):
            if party.manner in (Manner.REAL, Manner.REFUSES):
                continue
            if any((s.address, s.port) == endpoint and s.begin <= second < s.end for s in party.stays):
                return party
        return None

    def listed(self, endpoint: Endpoint) -> bool:
        """Whether any source tells this endpoint: of a party, made up, or out of a flood."""
        if endpoint in self._spoofed or endpoint[0].startswith(FLOOD_PREFIX):
            return True
        parties = (p for p in self._at.get(endpoint[0], ()) if p.listed and p.listed_by)
        return any((s.address, s.port) == endpoint for p in parties for s in p.stays)

    def watched(self, infohash: bytes) -> bool | None:
        """Whether a file of this torrent is on the watch list, None where the operation knows no such torrent."""
        torrent = self._torrents.get(infohash)
        return None if torrent is None else torrent.watched is not None

    def keys(self, party: Party) -> list[bytes]:
        """The infohashes that a party can be called for over MSE."""
        if party.manner is Manner.ECHOES:
            return list(self._torrents)
        return [self.scenario.torrents[h.torrent].infohash for h in party.holdings]

    def holding(self, party: Party, infohash: bytes) -> tuple[Holding, Torrent] | None:
        """What a party says that it holds of a torrent, None where it knows nothing of it."""
        torrents = self.scenario.torrents
        for holding in party.holdings:
            if torrents[holding.torrent].infohash == infohash:
                return holding, torrents[holding.torrent]
        if party.manner in (Manner.ECHOES, Manner.OTHER):
            torrent = self._torrents.get(infohash, torrents[party.holdings[0].torrent])
            return Holding(torrent.index, Saying.WHOLE), torrent
        return None

    def told(self, party: Party, holding: Holding) -> Holding:
        """What of it a party tells now: one that lies tells less at every visit."""
        self._visits[party.id] += 1
        return holding.at_visit(self._visits[party.id])

    def echo(self, party: Party, infohash: bytes) -> bytes:
        """The infohash that a party answers with."""
        if party.manner is not Manner.OTHER:
            return infohash
        return next(t.infohash for t in self.scenario.torrents[::-1] if t.infohash != infohash)

    def peer_id(self, party: Party) -> bytes:
        """The same one every time, but for clients that change theirs at every connection."""
        if party.client.per_connection:
            return party.client.peer_id(self.rng)
        known = self._peer_ids.get(party.id)
        if known is None:
            known = party.client.peer_id(random.Random(f"{self.scenario.seed} {party.id}"))
            self._peer_ids[party.id] = known
        return known
