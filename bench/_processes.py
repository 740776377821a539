"""What a command and everything it starts costs: CPU seconds, and memory as proportional set size."""

import resource
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

EVERY_S = 0.5


@dataclass(frozen=True)
class Cost:
    """Of one run. `peak` is the largest sum of PSS over all its processes, sampled twice a second; bytes."""

    seconds: float
    cpu: float
    peak: int
    status: int


def pss(pid: int) -> int:
    """Proportional set size of one process in bytes; 0 where it is gone. /proc/PID/smaps_rollup (proc(5))."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii")
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:")), 0)


def measure(command: list[str], *, memory: bool = False, stdout: int = subprocess.DEVNULL) -> Cost:
    """Runs it to its end. CPU is user and system time of it and of all its children that it waited for."""
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen(command, stdout=stdout)
    peak = 0
    while memory and process.poll() is None:
        try:
            family = [process.pid, *(child.pid for child in psutil.Process(process.pid).children(recursive=True))]
        except psutil.NoSuchProcess:
            break
        peak = max(peak, sum(map(pss, family)))
        time.sleep(EVERY_S)
    process.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return Cost(time.monotonic() - began, cpu, peak, process.returncode)
