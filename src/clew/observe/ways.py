"""Whether this machine has no network, or no IPv4 or no IPv6 alone, or whether there is no way to one address.

connect(2) says ENETUNREACH at once of all. Over TCP it also says so of every broadcast and multicast address (which a
list may name), on any machine; and a machine may have routes to some networks only. A second opinion is a look at the
routes: connect(2) of a datagram socket, which sends nothing (udp(7)).
"""

import errno

from clew.model import Missing
from clew.observe.gaps import NO_IPV4, NO_IPV6, NO_NETWORK, HasWay
from clew.observe.policy import inside_loopback, near

# Told at once; later it is a router's word of one address (RFC 792). EADDRNOTAVAIL: what we bind to is not ours now.
GONE = (errno.ENETDOWN, errno.ENETUNREACH, errno.EADDRNOTAVAIL)
NO_SUCH = errno.EAFNOSUPPORT  # of socket(2): this system has no IPv6 at all


class Ways:
    """Where calls to peers got out of this machine: one address of each /8; no list crowds out others."""

    def __init__(self, look: HasWay) -> None:
        self._look = look
        self._been: dict[str, str] = {}

    def left(self, address: str) -> None:
        """A call to this peer got out."""
        self._been[_eight(address)] = address

    def gone(self, address: str, error: OSError) -> Missing | None:
        """What this machine has not, if that is what this error, told at once of a call, means.

        Nothing where only TCP has no way there, nor where there still is a way to everybody of its family who was
        called before. A machine may have either family alone, for good or for a while: without IPv6 it is not the
        network that is gone, nor without IPv4 where calls over IPv6 got out and still would.
        """
        six = ":" in address
        if error.errno not in GONE and not (six and error.errno == NO_SUCH):
            return None
        if self._look(address) and not (error.errno == errno.EADDRNOTAVAIL and not six):
            return None
        here = inside_loopback(address)
        alike = [each for each in self._been.values() if inside_loopback(each) == here]
        family = [each for each in alike if (":" in each) == six]
        if error.errno not in (errno.EADDRNOTAVAIL, NO_SUCH) and family and all(map(self._look, family)):
            return None
        if six:
            return NO_IPV6
        beyond = [each for each in alike if ":" in each and not near(each)]  # a neighbour has a way without any network
        return NO_IPV4 if any(map(self._look, beyond)) else NO_NETWORK


def _eight(address: str) -> str:
    """The first 8 bits of an address, as its family writes them."""
    first, colon, _ = address.partition(":")
    return f"{first.zfill(4)[:2]}{colon}" if colon else address.partition(".")[0]
