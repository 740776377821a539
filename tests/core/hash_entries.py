"""Entries that workers run in the tests of the three hashes."""

import ctypes
import errno

from clew.core import one_pass
from clew.core.channel import Reply

PROTECTIONS = {"write and run": 7, "write": 3, "run again": 5}  # PROT_READ 1, PROT_WRITE 2, PROT_EXEC 4


def digests(payload, fds):
    hashes = one_pass.three()
    hashes.update(payload["text"].encode())
    return Reply(hashes.hexdigests())


def protect(payload, fds):
    """Asks for other rights on the code's memory."""
    libc = ctypes.CDLL(None, use_errno=True)
    code = one_pass._mapped[0]
    if libc.mprotect(ctypes.c_void_p(code.base), ctypes.c_size_t(4096), PROTECTIONS[payload["deed"]]):
        return Reply(errno.errorcode[ctypes.get_errno()])
    return Reply("done")
