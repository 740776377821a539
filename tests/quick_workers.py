"""Workers that are born by a fork of one that has imported all already: most of a small intake is the start of its
workers.

For tests of what is made of what workers say, beside others (pytest-xdist). How one is started is tested as it is where
that is the subject (REAL), and wherever `clew` itself is run.
"""

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from clew.core import plugins, supervised
from clew.intake import expand, tools

PR_SET_CHILD_SUBREAPER = 36  # prctl(2): whose child is who is born by a fork of a fork
REAL = ("core", "faults", "flow")
TESTS = Path(__file__).parent
TEMPLATE = TESTS / "quick_worker.py"
MOST = 65_536  # bytes of a request, or an answer


class Forked:
    """A worker, with what `core.supervised` does with its Popen."""

    def __init__(self, pid: int) -> None:
        self.pid, self.status = pid, None

    def kill(self) -> None:
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)

    def wait(self, timeout: float = 300.0) -> int:
        deadline, pause = time.monotonic() + timeout, 0.0005
        while self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
            elif time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("a worker", timeout)
            else:
                time.sleep(pause)
                pause = min(2 * pause, 0.02)
        return self.status


class Template:
    """The process that is forked; it ends with its pipe."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self._pipe, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sources = plugins.load_all(tools.SOURCES).values()
        preload = ["clew.intake.reading:preload", *expand.PRELOAD, *(name for each in sources for name in each.preload)]
        preload += [spec.partition(":")[0] for spec in tools.extractors()]
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(TEMPLATE), str(theirs.fileno()), json.dumps(preload)],
                pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, env=supervised._ENVIRONMENT, cwd="/", start_new_session=True,
            )  # fmt: skip

    def fork(self, descriptor: int, held: Sequence[int]) -> Forked:
        """A worker that has these descriptors at these numbers; a child of this process."""
        wanted = [descriptor, *held]
        adopting(1)
        socket.send_fds(self._pipe, [json.dumps(wanted).encode()], wanted)
        pid = int(self._pipe.recv(MOST))
        adopting(0)
        return Forked(pid)

    def close(self) -> None:
        self._pipe.close()
        self._process.wait()


def adopting(on: int) -> None:
    """Whether this process is the parent of whom a process that it started leaves behind."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, on, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


template: list[Template] = []


@pytest.fixture(autouse=True)
def _born_quickly(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.path.relative_to(TESTS).parts[0] in REAL or not hasattr(request.config, "workerinput"):
        return
    spawn = supervised._spawn

    def fork(descriptor: int, held: Sequence[int]) -> Forked | subprocess.Popen[bytes]:
        if not template:
            template.append(Template())
        mine = template[0].owner == os.getpid() and len(held) < 250
        return template[0].fork(descriptor, held) if mine else spawn(descriptor, held)

    monkeypatch.setattr(supervised, "_spawn", fork)


def pytest_unconfigure() -> None:
    while template:
        template.pop().close()
