"""A network of its own for each test process: nothing leaves the machine, and two processes never meet on `lo`.

Where the system does not allow it (no root), tests run on the machine's `lo` as it is.
"""

import ctypes
import fcntl
import functools
import os
import socket
import struct

CLONE_NEWNET = 0x40000000  # unshare(2)
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1  # netdevice(7)


@functools.cache
def enter() -> bool:
    """Moves this process, and all that it starts, into a network of its own, once; says whether it could."""
    if os.geteuid() != 0 or ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        asked = fcntl.ioctl(sock, SIOCGIFFLAGS, struct.pack("16sh14x", b"lo", 0))
        (flags,) = struct.unpack("16xh14x", asked)
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))
    return True
