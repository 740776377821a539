"""`python _peers.py N A_REPLY INFOHASH PIECES`: N light BitTorrent peers on 127.x and a tracker that lists them.

One wildcard listener on `lo`: getsockname() tells who is called. Prints the tracker's URL, and ends with its
standard input. Shares no code with clew.
"""

import asyncio
import socket
import struct
import sys

SO_BINDTODEVICE = 25
PORT, TRACKER = 6881, "127.1.0.9"
A_NETWORK = 62_500
PROTOCOL = b"\x13BitTorrent protocol"
RESERVED = bytes((0, 0, 0, 0, 0, 0x10, 0, 0))  # BEP 10 and no more, so that everybody gets a bitfield
EXTENSION = b"\x00d1:md11:ut_metadatai2ee1:v11:Bench 1.0.0e"
STAYS_S = 1.5  # how long a peer waits before it hangs up, as real ones do whom nobody wants anything from


def address(number: int) -> str:
    """Of peer `number`."""
    network, rest = divmod(number, A_NETWORK)
    return f"127.{10 + network}.{rest // 250}.{1 + rest % 250}"


class Peer(asyncio.Protocol):
    """One connection to whichever peer it is."""

    def __init__(self, infohash: bytes, said: bytes) -> None:
        self._infohash, self._said, self._held = infohash, said, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if len(self._held) >= 68:
            return
        self._held += data
        if len(self._held) < 68:
            return
        if self._held[28:48] != self._infohash:
            self._transport.close()
            return
        self._transport.write(self._said)
        asyncio.get_running_loop().call_later(STAYS_S, self._transport.close)


def wildcard() -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, b"lo")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("", PORT))
    return sock


async def serve(count: int, a_reply: int, infohash: bytes, pieces: int) -> None:
    bits = bytearray(b"\xff" * (-(-pieces // 8)))
    bits[-1] &= 0xFF << (-pieces % 8) & 0xFF
    said = PROTOCOL + RESERVED + infohash + b"-BE1000-benchbenchbe"
    said += struct.pack(">IB", len(EXTENSION) + 1, 20) + EXTENSION + struct.pack(">IB", len(bits) + 1, 5) + bits
    listed = b"".join(socket.inet_aton(address(n)) + PORT.to_bytes(2, "big") for n in range(count))
    at = 0

    async def tracker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal at
        await reader.readuntil(b"\r\n\r\n")
        peers = (listed * 2)[6 * at : 6 * (at + min(a_reply, count))]
        at = (at + a_reply) % count
        body = b"d8:completei%de10:incompletei0e8:intervali1800e5:peers%d:%se" % (count, len(peers), peers)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()

    loop = asyncio.get_running_loop()
    peers = await loop.create_server(lambda: Peer(infohash, said), sock=wildcard(), backlog=4096)
    asked = await asyncio.start_server(tracker, TRACKER, 0)
    print(f"http://{TRACKER}:{asked.sockets[0].getsockname()[1]}/announce", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    peers.close()
    asked.close()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2]), bytes.fromhex(sys.argv[3]), int(sys.argv[4])))
