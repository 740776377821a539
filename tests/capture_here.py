"""A capture of the loopback interface by another process: tcpdump, started before and ended by its own pid."""

import getpass
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_SECONDS = 20.0
QUIET_SECONDS = 0.3  # what is under way reaches the file
BUFFER_KIB = "131072"  # 1,023 packets of any size wait in it for a tcpdump that gets no processor


@contextmanager
def capturing(path: Path, what: str) -> Iterator[Path]:
    """Captures what the filter `what` (pcap-filter(7)) lets through into `path`, for the block. Nothing may be lost."""
    command = ["tcpdump", "-i", "lo", "-n", "-U", "-B", BUFFER_KIB, "--immediate-mode", "-s", "0"]
    command += ["-Z", getpass.getuser(), "-w", str(path), what]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        deadline = time.monotonic() + START_SECONDS
        while "listening on" not in (line := process.stderr.readline()):
            assert line, "tcpdump did not start: it needs the right to capture (CAP_NET_RAW)"
            assert time.monotonic() < deadline
        yield path
        time.sleep(QUIET_SECONDS)
    finally:
        process.terminate()
        told = process.communicate(timeout=20)[1]
    dropped = re.search(r"(\d+) packets dropped by kernel", told)
    assert dropped is not None, told
    assert int(dropped[1]) == 0, told
