"""How a worker locks itself up, after its imports and before the first byte of an exhibit. There is no way back.

Layers, each reported as reached or not: the unprivileged user, resource limits, no_new_privs, death with the
supervisor, Landlock without any path, and the system call filter. What a layer denies is tested alone in
tests/core/test_sandbox.py.
"""

import ctypes
import os
import resource
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clew.core import landlock, seccomp

LAYERS: tuple[str, ...] = ("user", "limits", "no_new_privs", "dies_with_supervisor", "landlock", "seccomp")
STRONG: tuple[str, ...] = ("user", "limits", "no_new_privs", "landlock", "seccomp")
NOBODY = 65534
MOST_OPEN_FILES = 512

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38


@dataclass(frozen=True, slots=True)
class Policy:
    """What is asked of the sandbox. `accept_weak` alone lets work go on without Landlock or the filter.

    `layers` and `landlock_abi` exist so that tests can look at one layer alone and at an older kernel.
    `cpu_seconds` bounds a worker's whole life; the supervisor replaces it well before.
    """

    accept_weak: bool = False
    layers: tuple[str, ...] = field(default=LAYERS)
    landlock_abi: int | None = None
    uid: int = NOBODY
    cpu_seconds: int = 21_600


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of isolation: reached or not, and in which manner or why not."""

    reached: bool
    detail: str


def lock_down(policy: Policy, memory: int, supervisor: int, held: int = 0) -> dict[str, Layer]:
    """Locks this process up as far as the policy asks and the system gives, and says how far that was.

    `memory` is what it may allocate from now on, in bytes of address space; `supervisor` the process it must not
    outlive; `held` how many descriptors it was born with.
    """
    steps: dict[str, Callable[[], str]] = {
        "user": lambda: _become(policy.uid),
        "limits": lambda: _limit(memory, policy.cpu_seconds, MOST_OPEN_FILES + held),
        "no_new_privs": lambda: _control(_PR_SET_NO_NEW_PRIVS, 1),
        "dies_with_supervisor": lambda: _die_with(supervisor),
        "landlock": lambda: f"no path at all, ABI {landlock.restrict(policy.landlock_abi)}",
        "seccomp": lambda: f"allow-list of {len(seccomp.ALLOWED)} system calls, {seccomp.restrict()} instructions",
    }
    return {
        name: _try(step) if name in policy.layers else Layer(False, "not asked for") for name, step in steps.items()
    }


def weaknesses(report: dict[str, dict[str, Any]]) -> list[str]:
    """From a worker's report: the layers whose absence makes the isolation weak, as "name: why"."""
    return [f"{name}: {report[name]['detail']}" for name in STRONG if not report[name]["reached"]]


def _try(step: Callable[[], str]) -> Layer:
    try:
        return Layer(True, step())
    except (OSError, ValueError) as error:
        return Layer(False, str(error))


def _control(option: int, value: int) -> str:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return "set"


def _become(uid: int) -> str:
    """Gives up root for good. Where not started as root there is nothing to give up."""
    if os.geteuid() != 0:
        return f"user {os.geteuid()}, not started as root"
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    return f"user {uid}"


def _limit(memory: int, cpu_seconds: int, open_files: int) -> str:
    """Memory counts from here on: how much the interpreter and its libraries map already differs by machine."""
    pages = int(Path("/proc/self/statm").read_bytes().split()[0])
    limits = {
        resource.RLIMIT_AS: pages * resource.getpagesize() + memory,
        resource.RLIMIT_CPU: cpu_seconds,
        resource.RLIMIT_NOFILE: open_files,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NPROC: 0,
    }
    for which, most in limits.items():
        hard = resource.getrlimit(which)[1]
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)  # a stricter limit that is there stays
        resource.setrlimit(which, (least, least))
    return f"{memory} bytes, {cpu_seconds} s of CPU, {open_files} descriptors, no file written, no process born"


def _die_with(supervisor: int) -> str:
    """After the change of user, which clears it. Undumpable: nobody of the same user may trace it or read its
    memory.
    """
    _control(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != supervisor:  # it died before the line above
        raise SystemExit(1)
    return _control(_PR_SET_DUMPABLE, 0)
