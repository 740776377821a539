"""Becomes one program of others, locked up: `python -m clew.core.launch ASKED SAID`, two pipes. See
`clew.core.external`.

What to run comes as JSON out of the first; into the second goes which layers were reached, before it is run.
"""

import json
import os
import platform
import sys
from collections.abc import Callable
from typing import Any

from clew.core import landlock, seccomp
from clew.core.sandbox import Layer, Policy, lock_down

FIRST = ("user", "limits", "no_new_privs", "dies_with_supervisor")
WEAK = 3  # exit status: isolation is weaker than what was accepted
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"}


def main(asking: int, saying: int) -> None:
    """Never returns where all is well."""
    with os.fdopen(asking, "rb") as pipe:
        asked: dict[str, Any] = json.load(pipe)
    policy = Policy(layers=FIRST, cpu_seconds=asked["cpu_seconds"])
    layers = lock_down(policy, asked["memory"], asked["supervisor"])
    layers["landlock"] = _tried(lambda: f"reads alone, ABI {_paths(asked)}")
    layers["seccomp"] = _tried(lambda: f"no network, no process born; {seccomp.restrict_tool()} instructions")
    report = {name: {"reached": layer.reached, "detail": layer.detail} for name, layer in layers.items()}
    with os.fdopen(saying, "wb") as pipe:
        pipe.write(json.dumps(report).encode())
    if not asked["accept_weak"] and not all(layer.reached for layer in layers.values()):
        raise SystemExit(WEAK)
    os.execve(asked["command"][0], asked["command"], ENVIRONMENT)  # noqa: S606  the one exec there is


def _paths(asked: dict[str, Any]) -> int:
    loader = (f"/lib64/ld-linux-{platform.machine().replace('_', '-')}.so.2", "/lib/ld-linux-aarch64.so.1")
    return landlock.restrict(readable=asked["readable"], runnable=(*asked["runnable"], *loader))


def _tried(step: Callable[[], str]) -> Layer:
    try:
        return Layer(True, step())
    except OSError as error:
        return Layer(False, str(error))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
