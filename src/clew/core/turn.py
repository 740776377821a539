"""Whose turn it is to write case.db, decided by the kernel and not by polling.

SQLite's busy handler sleeps and tries again (https://www.sqlite.org/c3ref/busy_timeout.html), so a person's grade
could miss gap after gap between bulk batches. Here every writer queues on three locks in CASE/case.turn first: `bulk`
(one bulk writer at a time), `door` (who is next), `turn` (who writes). A person's write meets at most one bulk batch in
front of it, and a bulk writer only the persons who came before it: neither starves. The locks are open-file-description
locks (fcntl(2), F_OFD_SETLKW): a process that dies holds nothing.
"""

import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BULK, DOOR, TURN = 0, 1, 2
PERSONS = frozenset({"review", "core"})  # short writes that somebody waits for; all others are bulk


def open_locks(folder: Path) -> int:
    """A descriptor of the lock file, for one thread alone."""
    return os.open(folder / "case.turn", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


@contextmanager
def closing_locks(folder: Path) -> Iterator[int]:
    """A descriptor of the lock file for the length of the block."""
    locks = open_locks(folder)
    try:
        yield locks
    finally:
        os.close(locks)


@contextmanager
def turn(locks: int, stage: str) -> Iterator[None]:
    """Waits for this stage's turn to write, and holds it for the block."""
    bulk = stage not in PERSONS
    try:
        if bulk:
            _lock(locks, BULK)
        _lock(locks, DOOR)
        _lock(locks, TURN)
        _unlock(locks, DOOR)
        yield
    finally:
        for which in (DOOR, TURN, BULK) if bulk else (DOOR, TURN):
            _unlock(locks, which)


def _lock(locks: int, which: int) -> None:
    fcntl.fcntl(locks, fcntl.F_OFD_SETLKW, _range(fcntl.F_WRLCK, which))


def _unlock(locks: int, which: int) -> None:
    fcntl.fcntl(locks, fcntl.F_OFD_SETLK, _range(fcntl.F_UNLCK, which))


def _range(kind: int, which: int) -> bytes:
    """One byte at offset `which`, as a struct flock."""
    return struct.pack("hhqqi4x", kind, os.SEEK_SET, which, 1, 0)
