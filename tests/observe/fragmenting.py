"""`python fragmenting.py FILE`: datagrams that the kernel fragments, captured. For a network namespace of its own."""

import socket
import struct
import subprocess
import sys
from pathlib import Path

from capture_files import INFOHASH, OURS

from capture_here import capturing

TRANSACTION = b"\0\1\2\3"
ENDPOINTS = 400
ANNOUNCE = struct.pack("!QI4s20s20sQQQIIIiH", 1, 1, TRANSACTION, INFOHASH, OURS, 0, 1, 0, 0, 0, 0, -1, 0)  # BEP 15


def response(family: socket.AddressFamily) -> bytes:
    """A tracker's, which none would send in one piece."""
    addresses = (
        b"\x7f\x0a" + n.to_bytes(2, "big") if family == socket.AF_INET else b"\xfd" + n.to_bytes(15, "big")
        for n in range(1, ENDPOINTS + 1)
    )
    return struct.pack("!I4sIII", 1, TRANSACTION, 1800, 0, 0) + b"".join(each + b"\x1a\xe1" for each in addresses)


def exchange(family: socket.AddressFamily, tracker: tuple[str, int], asker: tuple[str, int]) -> None:
    with socket.socket(family, socket.SOCK_DGRAM) as there, socket.socket(family, socket.SOCK_DGRAM) as here:
        there.bind(tracker)
        here.bind(asker)
        here.sendto(ANNOUNCE, tracker)
        assert there.recv(1 << 16) == ANNOUNCE
        there.sendto(response(family), asker)
        assert here.recv(1 << 16) == response(family)


if __name__ == "__main__":
    subprocess.run(["ip", "link", "set", "lo", "up", "mtu", "1500"], check=True)
    with capturing(Path(sys.argv[1]), "ip or ip6"):
        exchange(socket.AF_INET, ("127.1.0.1", 6969), ("127.9.0.1", 40_000))
        exchange(socket.AF_INET6, ("::1", 6969), ("::1", 40_000))
