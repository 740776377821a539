"""Entries that workers run in the tests of the engine and the sandbox: well-behaved, poisonous and curious ones."""

# The plain system calls are what is tried here.
# ruff: noqa: PTH102, PTH108, PTH123, PTH208

import ctypes
import errno
import mmap
import os
import signal
import socket
import struct
import sys
import time

from clew.core.absent import Absent
from clew.core.channel import Reply
from clew.model import Missing, Reason


def echo(payload, fds):
    return Reply(payload["n"])


def modules(payload, fds):
    return Reply(sorted(sys.modules))


def environment(payload, fds):
    return Reply([dict(os.environ), os.getpid()])


def content(payload, fds):
    return Reply(None, tuple(os.read(fd, 1 << 20) for fd in fds))


def write_to(payload, fds):
    return Reply(os.write(fds[0], b"x"))


def last_descriptor_read(payload, fds):
    """Leaves the shared file position at its end, and dies."""
    os.read(fds[0], 1 << 20)
    ctypes.string_at(0)


def poison(payload, fds):
    kind = payload.get("kind")
    if kind == "segfault":
        ctypes.string_at(0)
    if kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "exit":
        sys.exit(7)
    if kind == "loop":
        while True:
            pass
    if kind == "memory":
        held = []
        while True:
            held.append(bytearray(1 << 20))
    if kind == "exception":
        raise ValueError("no such \udc80 chunk")
    if kind == "absent":
        raise Absent(Missing(Reason.ENCRYPTED, "a password is needed"))
    if kind == "giant":
        return Reply(None, (bytes(32 << 20),))
    if kind == "giant text":
        return Reply("x" * (12 << 20))
    if kind == "no json":
        return Reply(b"bytes")
    if kind == "nan":
        return Reply(float("nan"))
    if kind == "half character":
        return Reply("\ud800")
    return Reply(payload.get("n"))


def stream(payload, fds):
    for n in range(payload["parts"]):
        yield Reply(n, (b"%d" % n,))
    if payload.get("kind"):
        poison(payload, fds)


def raw(payload, fds):
    """Writes bytes past the protocol, as a parser would that belongs to an attacker."""
    os.write(int(sys.argv[1]), bytes.fromhex(payload["hex"]))
    time.sleep(60)


def closes_its_pipe(payload, fds):
    os.close(int(sys.argv[1]))
    time.sleep(60)


def _syscall(number, *arguments):
    libc = ctypes.CDLL(None, use_errno=True)
    result = libc.syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def _allocate():
    bytearray(600 << 20)


def _fork():
    if os.fork() == 0:
        os._exit(0)
    os.wait()


def _thread():
    import threading

    threading.Thread(target=int).start()


def _write_file(path):
    with open(path, "wb") as file:
        file.write(b"x" * 10)


def _open_many():
    held = []
    try:
        for _ in range(700):
            held.append(os.dup(0))
    finally:
        for descriptor in held:
            os.close(descriptor)


def _executable_memory():
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)


def _run_true():
    os.execv("/bin/true", ["true"])


# Numbers on x86_64; the tests that use them run there alone.
_RAW = {
    "clone3": (435, 0, 0), "io_uring_setup": (425, 1, 0), "bpf": (321, 0, 0, 0), "mount": (165, 0, 0, 0, 0, 0),
    "unshare": (272, 0x10000000), "setns": (308, 0, 0), "keyctl": (250, 0, 0),
    "perf_event_open": (298, 0, 0, -1, -1, 0),
    "process_vm_readv": (310, 1, 0, 0, 0, 0, 0), "open_by_handle_at": (304, 0, 0, 0), "memfd_create": (319, b"x", 0),
    "userfaultfd": (323, 0), "prctl": (157, 4, 1, 0, 0, 0), "x32 getpid": (0x40000000 + 39,), "chmod": (90, b"/", 0),
    "prlimit other": (302, 1, 7, 0, 0), "fcntl F_SETOWN": (72, 0, 8, 1), "setsid": (112,),
    "fcntl F_SETFL": (72, 0, 4, 0o2000),
    "execveat": (322, -1, b"/bin/true", 0, 0, 0), "openat2": (437, -100, b"/etc/passwd", 0, 0),
    "pidfd_open": (434, 1, 0), "pidfd_getfd": (438, 3, 0, 0), "io_uring_enter": (426, 0, 0, 0, 0, 0, 0),
    "process_vm_writev": (311, 1, 0, 0, 0, 0, 0), "rt_sigqueueinfo": (129, 1, 9, 0), "tkill": (200, 1, 0),
    "parent's environment": (2, b"/proc/1/environ", 0), "connect": (42, 0, 0, 0), "ioctl": (16, 0, 0x5412, 0),
    "clone new namespace": (
        56, 0x10000000 | signal.SIGCHLD, 0, 0, 0, 0),
}  # fmt: skip


def attempt(payload, fds):
    """Tries one forbidden thing. Answers "done", or the name of the errno (or MemoryError) that stopped it."""
    what, target = payload["what"], payload.get("target")
    actions = {
        "read file": lambda: os.close(os.open(target, os.O_RDONLY)),
        "write file": lambda: _write_file(target),
        "make folder": lambda: os.mkdir(target),
        "list folder": lambda: os.listdir("/etc"),
        "remove file": lambda: os.unlink(target),
        "socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM).close(),
        "run program": _run_true,
        "fork": _fork,
        "thread": _thread,
        "signal parent": lambda: os.kill(os.getppid(), 0),
        "signal itself": lambda: os.kill(os.getpid(), 0),
        "signal group": lambda: os.kill(0, 0),
        "trace": lambda: _syscall(101, ctypes.c_long(0x4206), ctypes.c_long(target), 0, 0),
        "allocate": _allocate,
        "open many": _open_many,
        "become root": lambda: os.setresuid(0, 0, 0),
        "executable memory": _executable_memory,
        "look at limits": lambda: __import__("resource").getrlimit(7),
        "raise limits": lambda: __import__("resource").setrlimit(7, (4096, 4096)),
    }
    try:
        if what in _RAW:
            number, *arguments = _RAW[what]
            _syscall(number, *(a if isinstance(a, bytes) else ctypes.c_long(a) for a in arguments))
        else:
            actions[what]()
    except OSError as error:
        return Reply(errno.errorcode[error.errno])
    except MemoryError:
        return Reply("MemoryError")
    except RuntimeError as error:
        return Reply(str(error))
    except ValueError:  # what setrlimit makes of EPERM
        return Reply("EPERM")
    return Reply("done")


def status(payload, fds):
    """What the kernel says of this process: no_new_privs and whether it may be traced."""
    libc = ctypes.CDLL(None)
    return Reply([libc.prctl(39, 0, 0, 0, 0), libc.prctl(3, 0, 0, 0, 0), os.getuid(), os.getgid(), os.getgroups()])


def frame(text, blobs=b"", total=None):
    """A frame as the protocol has it, for `raw`."""
    return struct.pack("!II", len(text) + len(blobs) if total is None else total, len(text)) + text + blobs


def slow(payload, fds):
    time.sleep(0.12)
    return Reply(payload["n"])
