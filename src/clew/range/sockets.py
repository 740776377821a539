"""Sockets that stand on one port of every address of `lo`, and of no other interface.

A process of tens of thousands of peers needs one socket a port: for TCP getsockname() tells who is called, for UDP
IP_PKTINFO (ip(7)) does, and lets the answer leave from the address that was called.
"""

import asyncio
import socket
import struct
from collections.abc import Callable

SO_BINDTODEVICE = 25  # linux/include/uapi/asm-generic/socket.h; Python names it from 3.14 on
IP_PKTINFO = 8  # linux/include/uapi/linux/in.h; `struct in_pktinfo` is interface, local address, header's address
PKTINFO_BYTES = 12
LARGEST_DATAGRAM = 1 << 16
DATAGRAMS_A_TURN = 64  # read before others get their turn
RECEIVE_BUFFER = 4 << 20  # bytes wished; the system's limit may be lower

Endpoint = tuple[str, int]
Heard = Callable[[bytes, str, Endpoint], None]


def wildcard(port: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
    """A socket on one port of every address of `lo`, listening if it is TCP's. Raises OSError where it is taken."""
    # asyncio sets TCP_NODELAY only on what names its protocol; without it each exchange of MSE takes 40 ms more
    protocol = socket.IPPROTO_TCP if kind is socket.SOCK_STREAM else socket.IPPROTO_UDP
    sock = socket.socket(socket.AF_INET, kind, protocol)
    try:
        if kind is socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, b"lo\0")
        sock.bind(("0.0.0.0", port))  # noqa: S104 — bound to the device lo, one line above
        if kind is socket.SOCK_STREAM:
            sock.listen(1024)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


class Datagrams:
    """UDP on one port of every address of `lo`. `heard(data, local address, sender)` gets each datagram."""

    def __init__(self, port: int, heard: Heard) -> None:
        """Raises OSError where the port is taken. Has to be made inside a running loop."""
        self._heard = heard
        self._socket = wildcard(port, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket.fileno(), self._readable)

    def send(self, data: bytes, local: str, to: Endpoint) -> None:
        """Sends one datagram from a local address. One that the system takes no more of is lost, as on any line."""
        info = struct.pack("=i4s4s", 0, socket.inet_aton(local), bytes(4))
        try:
            self._socket.sendmsg([data], [(socket.IPPROTO_IP, IP_PKTINFO, info)], 0, to)
        except (BlockingIOError, ConnectionRefusedError):
            return

    def close(self) -> None:
        """Stops listening."""
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()

    def _readable(self) -> None:
        for _ in range(DATAGRAMS_A_TURN):
            try:
                data, ancillary, _, sender = self._socket.recvmsg(LARGEST_DATAGRAM, socket.CMSG_SPACE(PKTINFO_BYTES))
            except (BlockingIOError, ConnectionRefusedError):
                return
            for level, kind, value in ancillary:
                if level == socket.IPPROTO_IP and kind == IP_PKTINFO and len(value) >= PKTINFO_BYTES:
                    self._heard(data, socket.inet_ntoa(value[8:12]), sender)
