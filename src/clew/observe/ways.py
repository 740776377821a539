"""Whether it is this machine that has no network, or one address alone to which there is no way from here.

connect(2) says ENETUNREACH at once of both. Over TCP it also says so of every broadcast and multicast address (which a
list may name), on any machine; and a machine may have routes to some networks only. A second opinion is a look at the
routes: connect(2) of a datagram socket, which sends nothing (udp(7)).
"""

import errno
from collections.abc import Callable

from clew.observe.policy import inside_loopback

# Told at once; later it is a router's word of one address (RFC 792). EADDRNOTAVAIL: what we bind to is not ours now.
GONE = (errno.ENETDOWN, errno.ENETUNREACH, errno.EADDRNOTAVAIL)

Look = Callable[[str], bool]  # whether there is a route to this address now


class Ways:
    """Where calls to peers got out of this machine over IPv4: one address of each /8; no list crowds out others."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._been: dict[str, str] = {}

    def left(self, address: str) -> None:
        """A call to this peer got out."""
        if ":" not in address:
            self._been[address.partition(".")[0]] = address

    def gone(self, address: str, error: OSError) -> bool:
        """Whether this error, told at once of a call, means that this machine has no network.

        Not where only TCP has no way there, nor where there still is a way to everybody who was called before. A
        machine may have IPv4 alone for good: without IPv6 it is not the network that is gone.
        """
        if error.errno not in GONE or ":" in address:
            return False
        if error.errno == errno.EADDRNOTAVAIL:
            return True
        if self._look(address):
            return False
        here = inside_loopback(address)
        others = [each for each in self._been.values() if inside_loopback(each) == here]
        return not others or not all(map(self._look, others))
