"""What leaves in datagrams: the UDP tracker's two requests (BEP 15, 41) and the DHT's one query (BEP 5, 32, 43).

Closed and frozen as all that can be sent (`_messages`). There is no scrape here, and of the DHT nothing but get_peers:
no announce_peer, no ping, no find_node, no answer to anybody.
"""

from dataclasses import dataclass

# BEP 15, "Connect" and "Announce"; the events from the announce request's table, offset 80.
PROTOCOL_ID = 0x41727101980.to_bytes(8, "big")
CONNECT, ANNOUNCE, ERROR = 0, 1, 3
EVENTS = {"": 0, "started": 2, "stopped": 3}
# BEP 41, "Option Types": URLData carries the path and query, at most 255 bytes each time.
URL_DATA, MAX_OPTION = 2, 255


@dataclass(frozen=True, slots=True)
class UdpConnect:
    """BEP 15's connect request. `transaction` is 4 bytes."""

    transaction: bytes
    name: str = "udp connect"

    def encode(self) -> bytes:
        """16 bytes."""
        return PROTOCOL_ID + CONNECT.to_bytes(4, "big") + self.transaction


@dataclass(frozen=True, slots=True)
class UdpAnnounce:
    """BEP 15's announce request. `event` is stopped or started; `left` is never 0; `key` is 4 bytes.

    Nothing is said of having uploaded or downloaded, and no address: the tracker takes the datagram's.
    """

    connection: bytes
    transaction: bytes
    infohash: bytes
    peer_id: bytes
    left: int
    event: str
    key: bytes
    want: int
    port: int
    path: str = ""
    name: str = "udp announce"

    def encode(self) -> bytes:
        """98 bytes, and the URL's path as BEP 41's option."""
        before, infohash, after = self.parts()
        return before + infohash + after

    def parts(self) -> tuple[bytes, bytes, bytes]:
        """The request with the infohash apart, so that a transcript can leave it out."""
        path = self.path.encode("ascii")
        chunks = (path[at : at + MAX_OPTION] for at in range(0, len(path), MAX_OPTION))
        return (
            self.connection + ANNOUNCE.to_bytes(4, "big") + self.transaction,
            self.infohash,
            self.peer_id
            + bytes(8)  # downloaded
            + self.left.to_bytes(8, "big")
            + bytes(8)  # uploaded
            + EVENTS[self.event].to_bytes(4, "big")
            + bytes(4)  # address
            + self.key
            + self.want.to_bytes(4, "big")
            + self.port.to_bytes(2, "big")
            + b"".join(bytes((URL_DATA, len(chunk))) + chunk for chunk in chunks),
        )


@dataclass(frozen=True, slots=True)
class DhtGetPeers:
    """BEP 5's get_peers, of a read-only node (BEP 43), for nodes of both address families (BEP 32)."""

    node_id: bytes
    infohash: bytes
    transaction: bytes
    name: str = "dht get_peers"

    def encode(self) -> bytes:
        """The query."""
        before, infohash, after = self.parts()
        return before + infohash + after

    def parts(self) -> tuple[bytes, bytes, bytes]:
        """The query with the infohash apart, so that a transcript can leave it out."""
        return (
            b"d1:ad2:id20:%b9:info_hash20:" % self.node_id,
            self.infohash,
            b"4:wantl2:n42:n6ee1:q9:get_peers2:roi1e1:t4:%b1:y1:qe" % self.transaction,
        )
