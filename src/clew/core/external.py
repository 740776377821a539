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
ENDING = 5.0  # seconds that it has to end in when it writes no more
TOO_MUCH = Missing(Reason.LIMIT_REACHED, f"the program wrote more than {MOST_OUTPUT:,} bytes")
TOO_LONG = Missing(Reason.LIMIT_REACHED, "the program took too long")


@dataclass(frozen=True, slots=True)
class Ran:
    """What a program answered: stdout, its exit status, and the isolation reached, layer by layer."""

    output: bytes
    status: int
    isolation: dict[str, Any] = field(default_factory=dict)


def installed(name: str) -> str | None:
    """Where that program lies, or None."""
    return shutil.which(name, path=ENVIRONMENT["PATH"])


class Running:
    """A program that goes on. Who started it hears it until it is `over`, and ends it in any case."""

    def __init__(self, process: "subprocess.Popen[bytes]", saying: int, seconds: float) -> None:
        self.isolation: dict[str, Any] = {}
        self._process, self._saying = process, os.fdopen(saying, "rb")
        self._output = bytearray()
        self._until = time.monotonic() + seconds
        self._silent = False

    def fileno(self) -> int:
        """Of what it writes, for a selector."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    @property
    def left(self) -> float:
        """Seconds until it takes too long."""
        return max(0.0, self._until - time.monotonic())

    def hear(self) -> None:
        """Waits until it writes, and keeps that."""
        chunk = os.read(self.fileno(), 1 << 16)
        self._output += chunk
        self._silent = not chunk

    @property
    def over(self) -> bool:
        """Whether nothing more is to be heard of it, since it writes no more or went beyond a bound."""
        return self._silent or self._beyond is not None

    @property
    def _beyond(self) -> Missing | None:
        if len(self._output) > MOST_OUTPUT:
            return TOO_MUCH
        return None if self._silent or self.left else TOO_LONG

    def end(self) -> Ran | Missing:
        """Kills it where it goes on still, and may be called again. Missing(refused) where it was never started, or
        isolation is weak and not accepted; Missing(limit reached) for time or output beyond bounds.
        """
        beyond = self._beyond
        if self._silent and not self._ended(min(ENDING, self.left)):
            beyond = TOO_LONG
        self._process.kill()
        status = self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        if not self._saying.closed:
            self.isolation = json.loads(self._saying.read() or b"{}")
            self._saying.close()
        if beyond:
            return beyond
        if not self.isolation:
            return Missing(Reason.REFUSED, f"the program was not started (exit status {status})")
        weak = [f"{name}: {layer['detail']}" for name, layer in self.isolation.items() if not layer["reached"]]
        if status == WEAK and weak and not self._output:
            return Missing(Reason.REFUSED, f"isolation is weak: {'; '.join(weak)}"[:400])
        return Ran(bytes(self._output), status, self.isolation)

    def _ended(self, seconds: float) -> bool:
        """Whether it ends by itself within that time."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(max(0.1, seconds))
        return self._process.returncode is not None


def run(
    command: Sequence[str], data: bytes, *, runnable: Sequence[str], seconds: float = 60.0, accept_weak: bool = False
) -> Ran | Missing:
    """Runs it on `data`. `command[0]` and `runnable` (an interpreter, say) are absolute paths that it may run.

    What is Missing is so for the reasons of `Running.end`.
    """
    running = start(command, data, runnable=runnable, seconds=seconds, accept_weak=accept_weak)
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(running, selectors.EVENT_READ)
            while not running.over:
                for _ in selector.select(running.left):
                    running.hear()
    finally:
        ran = running.end()
    return ran


def start(
    command: Sequence[str], data: bytes, *, runnable: Sequence[str], seconds: float, accept_weak: bool
) -> Running:
    """Starts it, see `run`."""
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
    running = Running(process, saying[0], seconds)
    try:
        with os.fdopen(asking[1], "wb") as pipe, contextlib.suppress(BrokenPipeError):
            pipe.write(_asked(command, runnable, seconds, accept_weak))
    except BaseException:
        running.end()
        raise
    return running


def _asked(command: Sequence[str], runnable: Sequence[str], seconds: float, accept_weak: bool) -> bytes:
    return json.dumps(
        {
            "command": list(command), "runnable": [command[0], *runnable], "readable": [*SYSTEM, command[0]],
            "memory": MEMORY, "cpu_seconds": math.ceil(seconds), "accept_weak": accept_weak, "supervisor": os.getpid(),
        }
    ).encode()  # fmt: skip


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
