"""Whose turn it is at a place where several Watches are of one torrent: they are called one after another, with a rest.

A client may take nobody back into a torrent as soon as he has left. Transmission 3.00 hears a second handshake for the
same torrent within half a second, and closes; for another of its torrents it answers meanwhile. Control probes take
their turn among those visits, since of other clients nobody knows.
"""

from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping

from clew.model import Watch
from clew.observe.announces import infohashes
from clew.observe.endpoints import Endpoint

Key = tuple[str, int, str]  # address, port, and what the visits there are about


class Turns:
    """Which endpoints are visited or probed just now, one of each place and torrent, and where a rest is not over.

    `torrents` names the torrent of each Watch that shares one (`shared`).
    """

    def __init__(self, rest_ns: int, torrents: Mapping[str, str]) -> None:
        self._rest_ns, self._torrents = rest_ns, torrents
        self._called: dict[Key, tuple[int, str]] = {}  # the endpoint's id, "contact" or "control"
        self._until: OrderedDict[Key, int] = OrderedDict()  # as rests began

    def __contains__(self, endpoint: Endpoint) -> bool:
        """Whether this endpoint is visited just now."""
        return self._called.get(self._key(endpoint)) == (endpoint.id, "contact")

    def begin(self, endpoint: Endpoint, kind: str) -> None:
        """A visit of it ("contact") or its control probe begins."""
        self._called[self._key(endpoint)] = endpoint.id, kind

    def end(self, endpoint: Endpoint, kind: str) -> None:
        """There is no such call any more, if there was one."""
        key = self._key(endpoint)
        if self._called.get(key) == (endpoint.id, kind):
            del self._called[key]

    def visits(self) -> bool:
        """Whether anybody is visited."""
        return any(kind == "contact" for _, kind in self._called.values())

    def rest(self, endpoint: Endpoint, at_ns: int) -> None:
        """A call ended then in which a handshake of ours may have been heard."""
        while self._until and next(iter(self._until.values())) <= at_ns:
            self._until.popitem(last=False)
        key = self._key(endpoint)
        self._until[key] = at_ns + self._rest_ns
        self._until.move_to_end(key)

    def free_ns(self, endpoint: Endpoint, at_ns: int) -> int:
        """From when on it may be called; where another is called just now, when that is to be looked at again."""
        key = self._key(endpoint)
        return at_ns + self._rest_ns if key in self._called else self._until.get(key, 0)

    def _key(self, endpoint: Endpoint) -> Key:
        return endpoint.address, endpoint.port, self._torrents.get(endpoint.watch, endpoint.watch)


def shared(watches: Iterable[Watch]) -> dict[str, str]:
    """Of the Watches that are of one torrent with others, by their ids: which torrent that is.

    Of a hybrid one may have the one infohash, another the other: they are of one torrent where a third has both.
    """
    hashes = {watch.id: [infohash for infohash, _ in infohashes(watch)] for watch in watches}
    together: dict[bytes, set[bytes]] = {}
    for some in hashes.values():
        one = set(some).union(*(together.get(each, ()) for each in some))
        together |= dict.fromkeys(one, one)
    torrents = {watch: min(together[some[0]]).hex() for watch, some in hashes.items()}
    watched = Counter(torrents.values())
    return {watch: torrent for watch, torrent in torrents.items() if watched[torrent] > 1}
