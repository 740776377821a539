"""Landlock by ctypes: after `restrict` this process opens no path at all, or those alone that are named (kernel
documentation, userspace-api/landlock).

Rights are used up to the ABI that the kernel has, or up to a lower one that a test asks for.
"""

import ctypes
import os
import stat
from collections.abc import Iterable

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on x86_64 and aarch64
_VERSION_FLAG = 1
# Rights on files by the ABI that brought them: 1 all the basic ones, 2 refer, 3 truncate, 5 ioctl on devices.
_FILES = {1: (1 << 13) - 1, 2: 1 << 13, 3: 1 << 14, 5: 1 << 15}
_EXECUTE, _READ_FILE, _READ_FOLDER = 1 << 0, 1 << 2, 1 << 3
_BENEATH = 1  # the kind of rule that grants rights on a path and all below it
_NETWORK = {4: 0b11}  # bind and connect of TCP
_SCOPES = {6: 0b11}  # abstract unix sockets, signals


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def _call(number: int, *arguments: object) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    result = int(libc.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def abi() -> int:
    """The version this kernel has. Raises OSError where it has none or was started without it."""
    return _call(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION_FLAG))


def restrict(most: int | None = None, readable: Iterable[str] = (), runnable: Iterable[str] = ()) -> int:
    """Takes every path away from this process for good, and returns the ABI used. Needs no_new_privs.

    `most` holds it to an older ABI. What lies at or below `readable` can still be read, `runnable` files read and run;
    those that do not exist are passed over. Raises OSError where the kernel refuses.
    """
    used = min(abi(), max((*_FILES, *_NETWORK, *_SCOPES)), most or 99)
    rules = _Ruleset(
        *(sum(bits for since, bits in table.items() if since <= used) for table in (_FILES, _NETWORK, _SCOPES))
    )
    # A kernel refuses a structure longer than it knows unless the rest is zero, which it is; so the whole one is sent.
    ruleset = _call(_CREATE_RULESET, ctypes.byref(rules), ctypes.c_size_t(ctypes.sizeof(rules)), ctypes.c_uint32(0))
    try:
        for paths, rights in ((readable, _READ_FILE | _READ_FOLDER), (runnable, _READ_FILE | _EXECUTE)):
            for path in paths:
                _grant(ruleset, path, rights)
        _call(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    finally:
        os.close(ruleset)
    return used


def _grant(ruleset: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        rule = _Beneath(rights if folder else rights & ~_READ_FOLDER, descriptor)
        _call(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_BENEATH), ctypes.byref(rule), ctypes.c_uint32(0))
    finally:
        os.close(descriptor)
