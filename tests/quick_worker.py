"""The template of `quick_workers`: imports what workers need, then is forked for each of them.

`python -P quick_worker.py DESCRIPTOR PRELOAD`: each request is the numbers at which a worker wants the descriptors that
come with it; the answer is its process id. It is the fork of a fork, so that it becomes the child of who asked.
"""

import contextlib
import fcntl
import importlib
import json
import os
import socket
import sys

from clew.core import worker

MOST_NUMBERS, MOST = 253, 65_536  # of descriptors, SCM_MAX_FD of Linux; of bytes


def main(descriptor: int, preload: list[str]) -> None:
    """Serves until who started it closes the pipe."""
    for name in preload:
        module, _, function = name.partition(":")
        found = importlib.import_module(module)
        if function:
            getattr(found, function)()
    with socket.socket(fileno=descriptor) as pipe:
        while True:
            asked, given, _, _ = socket.recv_fds(pipe, MOST, MOST_NUMBERS)
            if not asked:
                return
            told, tell = os.pipe()
            if (between := os.fork()) == 0:
                if (born := os.fork()) == 0:
                    be_one(json.loads(asked), given)
                os.write(tell, str(born).encode())
                os._exit(0)
            os.waitpid(between, 0)  # from now on it is the child of who asked
            pipe.send(os.read(told, MOST))
            for each in (told, tell, *given):
                os.close(each)


def be_one(wanted: list[int], given: list[int]) -> None:
    """Becomes a worker as `python -m clew.core.worker` is one. Never returns."""
    status = 1
    with contextlib.suppress(BaseException):
        os.setsid()
        beyond = max(*wanted, *given, 64) + 1
        high = [fcntl.fcntl(each, fcntl.F_DUPFD, beyond) for each in given]
        for number, here in zip(wanted, high, strict=True):
            os.dup2(here, number)
        begin = 3
        for number in [*sorted(wanted), beyond + len(high)]:
            os.closerange(begin, number)
            begin = number + 1
        worker.main(wanted[0])
        status = 0
    os._exit(status)


if __name__ == "__main__":
    main(int(sys.argv[1]), json.loads(sys.argv[2]))
