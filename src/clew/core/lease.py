"""Leases: one run per stage and subject (an exhibit, a watch run); a second is refused and told who holds it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clew.core import clock
from clew.core.case import Case
from clew.core.errors import Held


@contextmanager
def lease(case: Case, stage: str, subject: str) -> Iterator[None]:
    """Holds (stage, subject) for the block. Raises Held, naming the holder, where a live process has it.

    A lease whose holder is gone (same machine and boot, but no such process, or another one under its number) is taken
    over, and the ledger says so. One of another machine is never taken over silently.
    """
    pid = os.getpid()
    with case.write("core") as tx, tx.gate.core():
        row = tx.execute("SELECT * FROM leases WHERE stage=? AND subject=?", (stage, subject)).fetchone()
        if row is not None:
            if not _gone(row):
                raise Held(
                    f"{stage} of this is held by process {row['pid']} on {row['host']} ({row['holder']}) "
                    f"since {clock.iso(row['taken_ns'])}",
                    "wait for it, or stop it; if that machine is gone for good: clew unlock CASE",
                )
            tx.execute("DELETE FROM leases WHERE stage=? AND subject=?", (stage, subject))
            tx.record("lease.taken over", subject={"stage": stage, "subject": subject, "pid": row["pid"]})
        tx.execute(
            "INSERT INTO leases VALUES (?,?,?,?,?,?,?,?)",
            (stage, subject, case.actor, pid, os.uname().nodename, _boot(), _started(pid), clock.now().utc_ns),
        )
    try:
        yield
    finally:
        with case.write("core") as tx, tx.gate.core():
            tx.execute("DELETE FROM leases WHERE stage=? AND subject=? AND pid=?", (stage, subject, pid))


def held(case: Case) -> list[Any]:
    """The rows of `leases` whose holder is not known to be gone, in order of their stages."""
    return [row for row in case.read().execute("SELECT * FROM leases ORDER BY stage") if not _gone(row)]


def held_since(case: Case, stage: str) -> int | None:
    """Since when (UTC ns) a process has a lease of this stage, the last of them; None where none has, or its holder is
    gone. One of another machine counts as held.
    """
    return max((row["taken_ns"] for row in held(case) if row["stage"] == stage), default=None)


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()


def _started(pid: int) -> str:
    """When a process started, in ticks since boot (proc(5), /proc/pid/stat fields 3 and 22); '' where it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("ascii", errors="replace")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in "ZX" else fields[19]  # a zombie runs no more, though its parent has not looked yet


def _gone(row: Any) -> bool:
    """Whether the holder of a row of `leases` is; nobody can say so of another machine's."""
    if row["host"] != os.uname().nodename:
        return False
    return bool(row["boot"] != _boot() or _started(row["pid"]) != row["started"])
