"""The address at which peers see us, behind a router another than our own (`yourip`, BEP 10).

What a peer says of it is a hint, and may be anybody's address. So it is used for counting alone: nobody is left out, or
not called, because peers say that an address is ours. Those who lie together could hide whom they like.
"""

from clew.observe.lookups import network

ENOUGH = 3  # networks whose peers must say the same
MOST = 1_000  # addresses that are remembered


class Reflexive:
    """What peers said, by address."""

    def __init__(self) -> None:
        self._said: dict[str, set[str]] = {}

    def hear(self, address: str, peer: str) -> None:
        """This peer says that it sees us at that address."""
        if address not in self._said and len(self._said) >= MOST:
            return
        networks = self._said.setdefault(address, set())
        if len(networks) < ENOUGH:
            networks.add(network(peer))

    def ours(self, address: str) -> bool:
        """Whether peers of enough networks agree that this address is ours."""
        return len(self._said.get(address, ())) >= ENOUGH
