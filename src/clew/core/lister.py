"""Who listed an endpoint, as it may leave the case: no endpoint of somebody else's, and no secret of a tracker."""

import re

MANY = ("dht", "pex")  # its nodes, and peers that tell of others (BEP 5, BEP 11): each is an endpoint of its own
PATH = re.compile(r"[/?#]")  # RFC 3986 3.2: what ends the authority


def lister(source: str) -> str:
    """Of a Sighting's `source`: a tracker by scheme, host and port, every node and every peer by their kind alone.

    A tracker's path or query may hold a passkey, and a node or peer that named an endpoint is on no lead of whoever
    receives that endpoint.
    """
    scheme, found, rest = source.partition("://")
    if not found:
        return source
    if scheme in MANY:
        return scheme
    return f"{scheme}://{PATH.split(rest, 1)[0].rpartition('@')[2]}"
