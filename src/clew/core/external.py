"""Programs of others, such as exiftool: the one place that starts them, locked up, on bytes and nothing else.

The program gets its input on stdin, reads what of the system it is made of, and answers on stdout. It has the limits,
the unprivileged user and no_new_privs of a worker; Landlock leaves it read-only paths and lets it run nothing but
itself; the filter takes network and new processes away. Which layers were reached is in the answer.
"""

import contextlib
import json
import math
import os
import selectors
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clew.core.launch import ENVIRONMENT, WEAK
from clew.model import Missing, Reason

SYSTEM = ("/usr/lib", "/usr/lib64", "/usr/share", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/perl", "/dev/null")
MOST_OUTPUT = 8 << 20
MEMORY = 512 << 20


@dataclass(frozen=True, slots=True)
class Ran:
    """What a program answered: stdout, its exit status, and the isolation reached, layer by layer."""

    output: bytes
    status: int
    isolation: dict[str, Any] = field(default_factory=dict)


def installed(name: str) -> str | None:
    """Where that program lies, or None."""
    return shutil.which(name, path=ENVIRONMENT["PATH"])


def run(
    command: Sequence[str], data: bytes, *, runnable: Sequence[str], seconds: float = 60.0, accept_weak: bool = False
) -> Ran | Missing:
    """Runs it on `data`. `command[0]` and `runnable` (an interpreter, say) are absolute paths that it may run.

    Missing(refused) where isolation is weak and not accepted, Missing(limit reached) for time or output beyond bounds.
    """
    asking, saying = os.pipe(), os.pipe()  # (reading end, writing end) each
    with _memory(data) as stdin:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "clew.core.launch", str(asking[0]), str(saying[1])],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=(asking[0], saying[1]),
            env={"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            cwd="/",
            start_new_session=True,
        )
    os.close(asking[0])
    os.close(saying[1])
    try:
        with os.fdopen(asking[1], "wb") as pipe, contextlib.suppress(BrokenPipeError):
            pipe.write(_asked(command, runnable, seconds, accept_weak))
        answer = _output(process, time.monotonic() + seconds)
        with os.fdopen(saying[0], "rb") as pipe:
            isolation = json.loads(pipe.read() or b"{}")
    finally:
        process.kill()  # does nothing where it has ended
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
    if isinstance(answer, Missing):
        return answer
    if not isolation:
        return Missing(Reason.REFUSED, f"the program was not started (exit status {process.returncode})")
    if process.returncode == WEAK and not answer:
        weak = [f"{name}: {layer['detail']}" for name, layer in isolation.items() if not layer["reached"]]
        return Missing(Reason.REFUSED, f"isolation is weak: {'; '.join(weak)}"[:400])
    return Ran(answer, process.returncode, isolation)


def _asked(command: Sequence[str], runnable: Sequence[str], seconds: float, accept_weak: bool) -> bytes:
    return json.dumps(
        {
            "command": list(command), "runnable": [command[0], *runnable], "readable": [*SYSTEM, command[0]],
            "memory": MEMORY, "cpu_seconds": math.ceil(seconds), "accept_weak": accept_weak, "supervisor": os.getpid(),
        }
    ).encode()  # fmt: skip


def _output(process: "subprocess.Popen[bytes]", until: float) -> bytes | Missing:
    """All that it writes before it ends."""
    assert process.stdout is not None
    output = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while selector.select(max(0.0, until - time.monotonic())):
            chunk = os.read(process.stdout.fileno(), 1 << 16)
            output += chunk
            if len(output) > MOST_OUTPUT:
                return Missing(Reason.LIMIT_REACHED, f"the program wrote more than {MOST_OUTPUT:,} bytes")
            if not chunk:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.1, until - time.monotonic()))
                    return bytes(output)
                break
    return Missing(Reason.LIMIT_REACHED, "the program took too long")


@contextlib.contextmanager
def _memory(data: bytes) -> Iterator[int]:
    """A descriptor from which these bytes are read, and no others, by whoever holds it."""
    descriptor = os.memfd_create("clew", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(descriptor), "wb") as out:
            out.write(data)
        read_only = os.open(Path("/proc/self/fd") / str(descriptor), os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(descriptor)
    try:
        yield read_only
    finally:
        os.close(read_only)
