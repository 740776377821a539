"""What a run asked of the kernel: `strace` around the real command, and its lines as facts.

Every string comes in hexadecimal (-xx) and every descriptor with its path (-y), so that arguments can be split safely.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

LINE = re.compile(r"(?:\d+ )?\s*(\w+)\((.*)\)\s+= (-?\d+|0x[0-9a-f]+)(?:<([^>]*)>(?:\(deleted\))?)?(?: .*)?")
NO_CALL = re.compile(r"(?:\d+ )?(?:\+\+\+ .*|--- .*|.*\)\s+= \?.*|.* <unfinished \.\.\.>)")  # ends, signals, died in it
OF_PATHS = {
    "ftruncate", "truncate", "fallocate", "rename", "renameat", "renameat2", "unlink", "unlinkat", "mkdir", "mkdirat",
    "rmdir", "link", "linkat", "symlink", "symlinkat", "chmod", "fchmod", "fchmodat", "chown", "fchown", "lchown",
    "fchownat", "utime", "utimes", "utimensat", "futimesat", "setxattr", "lsetxattr", "fsetxattr", "removexattr",
    "lremovexattr", "fremovexattr", "mknod", "mknodat",
}  # fmt: skip
READS = {"read", "pread64", "readv", "preadv", "preadv2"}
CHANGES = {"write", "pwrite64", "writev", "pwritev", "pwritev2"} | OF_PATHS
COMMAND = [sys.executable, "-c", "from clew.cli.main import main; main()"]


@dataclass(frozen=True)
class Call:
    """One system call that returned: its arguments as strace writes them, and its result."""

    name: str
    arguments: tuple[str, ...]
    result: int

    def path(self, index: int) -> str:
        """The path behind argument `index`: of a descriptor, or a string."""
        return text(self.arguments[index])

    def data(self, index: int) -> bytes:
        """A buffer."""
        return unhex(self.arguments[index])


def unhex(word: str) -> bytes:
    """Raises ValueError for a string that strace cut short."""
    return bytes.fromhex(word.strip('"').replace("\\x", ""))


def text(word: str) -> str:
    inside = word.partition("<")[2].rpartition(">")[0] if "<" in word else word
    return unhex(inside.removesuffix(" (deleted)").removesuffix("(deleted)")).decode("utf-8", "surrogateescape")


def calls(log: Path) -> Iterator[Call]:
    """The calls of one process, in order; those without a result (it died in them) are left out. Raises ValueError for
    a line that cannot be read: what it says would be seen by no test.
    """
    with log.open() as lines:
        for line in (line.rstrip("\n") for line in lines):
            match = LINE.fullmatch(line)
            if match:
                yield Call(match[1], tuple(match[2].split(", ")), int(match[3], 0))
            elif not NO_CALL.fullmatch(line):
                raise ValueError(f"no line of strace that is known: {line[:200]}")


def run(
    folder: Path, options: Sequence[str], command: Sequence[str], **environment: str
) -> tuple[subprocess.CompletedProcess[bytes], list[Path]]:
    """Runs a command under strace, all its processes followed; returns its end and one log a process, its own first."""
    folder.mkdir(parents=True, exist_ok=True)
    prefix = folder / "trace"
    tracer = ["strace", "--seccomp-bpf", "-f", "-ff", "-y", "-xx", "-s", str(1 << 24), "-o", str(prefix), *options]
    environment = {**os.environ, **environment}
    with subprocess.Popen([*tracer, *command], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as ran:
        output, errors = ran.communicate()
    limit = int(Path("/proc/sys/kernel/pid_max").read_text())
    order = after(ran.pid, limit)
    logs = sorted(folder.glob("trace.*"), key=lambda each: order(int(each.suffix[1:])))
    return subprocess.CompletedProcess(command, ran.returncode, output, errors), logs


def after(number: int, limit: int) -> Callable[[int], int]:
    """How many numbers after that of a process another's comes: at its limit the kernel begins anew."""
    return lambda other: (other - number) % limit
