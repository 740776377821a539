"""The list of system calls that a locked worker may still make, as a filter in classic BPF, loaded by ctypes.

An allow-list: what a parser needs to compute on descriptors it was given, and to answer. No file is opened, no
socket made, no program run, no process or thread born, no other process signalled; calls that a later kernel brings
are denied unseen. Denied is EPERM, but for clone3, where libc expects ENOSYS. (seccomp(2), linux/filter.h,
linux/seccomp.h.)
"""

import ctypes
import errno
import os
import platform

# Name -> number on (x86_64, aarch64); None where the architecture has no such call.
ALLOWED: dict[str, tuple[int | None, int | None]] = {
    # descriptors it already has
    "read": (0, 63), "readv": (19, 65), "pread64": (17, 67), "preadv": (295, 69), "write": (1, 64), "writev": (20, 66),
    "lseek": (8, 62), "close": (3, 57), "dup": (32, 23), "fstat": (5, 80), "newfstatat": (262, 79), "statx": (332, 291),
    "fadvise64": (221, 223), "getdents64": (217, 61), "poll": (7, None), "ppoll": (271, 73),
    # the pipe to the supervisor
    "sendto": (44, 206), "sendmsg": (46, 211), "recvfrom": (45, 207), "recvmsg": (47, 212),
    # memory
    "munmap": (11, 215), "mremap": (25, 216), "brk": (12, 214), "madvise": (28, 233), "futex": (202, 98),
    # time, itself, its end
    "clock_gettime": (228, 113), "clock_getres": (229, 114), "clock_nanosleep": (230, 115), "nanosleep": (35, 101),
    "gettimeofday": (96, 169), "time": (201, None), "times": (100, 153), "getrusage": (98, 165),
    "getrandom": (318, 278),
    "sched_yield": (24, 124), "sched_getaffinity": (204, 123), "getcpu": (309, 168), "sysinfo": (99, 179),
    "uname": (63, 160), "getpid": (39, 172), "gettid": (186, 178), "getppid": (110, 173), "getuid": (102, 174),
    "geteuid": (107, 175), "getgid": (104, 176), "getegid": (108, 177), "getrlimit": (97, 163),
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "sigaltstack": (131, 132),
    "restart_syscall": (219, 128), "set_robust_list": (273, 99), "membarrier": (324, 283), "rseq": (334, 293),
    "exit": (60, 93), "exit_group": (231, 94),
}  # fmt: skip
# Allowed for some arguments only; see `_guarded`.
_KILL, _TGKILL, _FCNTL, _PRLIMIT, _MMAP, _MPROTECT = (62, 129), (234, 131), (72, 25), (302, 261), (9, 222), (10, 226)
_CLONE3 = 435

# No network, no process born or touched, nothing mounted, no door that leads around this filter.
DENIED_TO_TOOLS: dict[str, tuple[int | None, int | None]] = {
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201),
    "accept": (43, 202), "accept4": (288, 242), "sendto": (44, 206), "sendmsg": (46, 211), "sendmmsg": (307, 269),
    "clone": (56, 220), "fork": (57, None), "vfork": (58, None), "kill": (62, 129), "tkill": (200, 130),
    "tgkill": (234, 131), "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "unshare": (272, 97),
    "setns": (308, 268), "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106), "kexec_load": (246, 104),
}  # fmt: skip
_HIGHEST = 450  # set_mempolicy_home_node, Linux 5.17

_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_LOAD, _EQUAL, _GREATER, _BITS, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_NUMBER_AT, _ARCH_AT, _ARGUMENTS_AT = 0, 4, 16
_PR_SET_SECCOMP, _FILTER_MODE = 22, 2
_PROT_EXEC = 4
_F_GETFL, _F_DUPFD_CLOEXEC = 3, 1030

Instruction = tuple[int, int, int, int]


class _Filter(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint16), ("jt", ctypes.c_uint8), ("jf", ctypes.c_uint8), ("k", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("len", ctypes.c_uint16), ("filter", ctypes.POINTER(_Filter)))


def _return(value: int) -> Instruction:
    return (_RETURN, 0, 0, value)


def _argument(index: int, high: bool = False) -> Instruction:
    """Loads one half of an argument. Both architectures are little-endian."""
    return (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * index + (4 if high else 0))


def _guarded(column: int, pid: int) -> list[tuple[int, list[Instruction]]]:
    """Calls allowed for some arguments: (number, what follows). Each ends in a return on every path."""
    allow, deny = _return(_ALLOW), _return(_ERRNO | errno.EPERM)
    itself = [_argument(0), (_EQUAL, 0, 1, pid), allow, deny]
    no_code = [_argument(2), (_BITS, 0, 1, _PROT_EXEC), deny, allow]
    # F_SETOWN and F_SETSIG would let it have signals sent to its supervisor, F_SETFL would change the flags of a
    # descriptor that other workers share: only up to F_GETFL, and duplicating.
    harmless = [_argument(1), (_EQUAL, 1, 0, _F_DUPFD_CLOEXEC), (_GREATER, 1, 0, _F_GETFL), allow, deny]
    # prlimit64 may look at its own limits: pid 0, no new limit.
    looking = [
        _argument(0), (_EQUAL, 0, 5, 0), _argument(2), (_EQUAL, 0, 3, 0),
        _argument(2, True), (_EQUAL, 0, 1, 0), allow, deny,
    ]  # fmt: skip
    rules = ((_KILL, itself), (_TGKILL, itself), (_FCNTL, harmless), (_PRLIMIT, looking), (_MMAP, no_code))
    return [(numbers[column], body) for numbers, body in (*rules, (_MPROTECT, no_code))]


def program(machine: str, pid: int) -> list[Instruction]:
    """The filter for an architecture and the process that will load it. Raises OSError for an unknown architecture."""
    if machine not in _ARCHITECTURES:
        raise OSError(errno.ENOSYS, f"no filter is written for {machine}")
    column, audit = _ARCHITECTURES[machine]
    # Numbers of another architecture's table (32-bit calls, x32 with its high bit) match nothing and are denied.
    lines = [(_LOAD, 0, 0, _ARCH_AT), (_EQUAL, 1, 0, audit), _return(_ERRNO | errno.EPERM), (_LOAD, 0, 0, _NUMBER_AT)]
    for number, body in _guarded(column, pid):
        lines += [(_EQUAL, 0, len(body), number), *body]
    for numbers in ALLOWED.values():
        if (number_here := numbers[column]) is not None:
            lines += [(_EQUAL, 0, 1, number_here), _return(_ALLOW)]
    return [*lines, (_EQUAL, 0, 1, _CLONE3), _return(_ERRNO | errno.ENOSYS), _return(_ERRNO | errno.EPERM)]


def tool_program(machine: str) -> list[Instruction]:
    """The filter for a program of others (`clew.core.launch`): which calls it needs is not known, so it is a list of
    what is denied. Raises OSError for an unknown architecture.
    """
    if machine not in _ARCHITECTURES:
        raise OSError(errno.ENOSYS, f"no filter is written for {machine}")
    column, audit = _ARCHITECTURES[machine]
    deny = _return(_ERRNO | errno.EPERM)
    lines = [(_LOAD, 0, 0, _ARCH_AT), (_EQUAL, 1, 0, audit), deny, (_LOAD, 0, 0, _NUMBER_AT)]
    lines += [(_GREATER, 0, 1, _HIGHEST), deny]  # x32 calls, and those that later kernels bring
    for numbers in DENIED_TO_TOOLS.values():
        if (number := numbers[column]) is not None:
            lines += [(_EQUAL, 0, 1, number), deny]
    return [*lines, (_EQUAL, 0, 1, _CLONE3), _return(_ERRNO | errno.ENOSYS), _return(_ALLOW)]


def restrict() -> int:
    """Loads the filter into this process for good, and returns its length. Needs no_new_privs. Raises OSError."""
    return _load(program(platform.machine(), os.getpid()))


def restrict_tool() -> int:
    """The same with the filter that stays on when this process becomes a program of others."""
    return _load(tool_program(platform.machine()))


def _load(lines: list[Instruction]) -> int:
    code = (_Filter * len(lines))(*(_Filter(*line) for line in lines))
    loaded = _Program(len(lines), code)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_SECCOMP, ctypes.c_ulong(_FILTER_MODE), ctypes.byref(loaded), 0, 0):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return len(lines)
