"""An Extractor as hostile bytes would have it: it crashes, hangs or eats memory on demand. Never shipped."""

import ctypes
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from clew.intake.api import Example, Extractor, Probe, Value

MARK = b"NASTY:"


class Nasty:
    """Does what the content says after the mark."""

    name = "nasty"
    version = "1"

    def wants(self, media_type: str) -> bool:
        return True

    def traits(self, probe: Probe) -> Iterator[tuple[str, Value]]:
        data = bytes(probe.data or b"")
        if not data.startswith(MARK):
            yield "nasty.harmless", 1
            return
        deed = data.removeprefix(MARK).split(b"\n")[0].decode()
        yield from getattr(self, deed)()

    def crash(self) -> Iterator[tuple[str, Value]]:
        yield "nasty.before", 1
        ctypes.string_at(0)

    def leave(self) -> Iterator[tuple[str, Value]]:
        yield "nasty.before", 1
        os._exit(0)

    def hang(self) -> Iterator[tuple[str, Value]]:
        yield "nasty.before", 1
        while True:
            pass

    def dawdle(self) -> Iterator[tuple[str, Value]]:
        time.sleep(3)
        yield "nasty.after", 1

    def eat(self) -> Iterator[tuple[str, Value]]:
        held = []
        while True:
            held.append(bytearray(32 << 20))
        yield "nasty.never", len(held)

    def recurse(self) -> Iterator[tuple[str, Value]]:
        yield from self.recurse()

    def flood(self) -> Iterator[tuple[str, Value]]:
        yield from (("nasty.flood", "x" * 4096) for _ in range(200_000))

    def fail(self) -> Iterator[tuple[str, Value]]:
        yield "nasty.before", 1
        raise ValueError("as any parser may")

    def lie(self) -> Iterator[tuple[str, Value]]:
        yield "nasty.nan", float("nan")
        yield "nasty.huge", 1 << 80

    def reach(self) -> Iterator[tuple[str, Value]]:
        """Tries to get out; what it could do comes back as traits."""
        for name, deed in {
            "nasty.read": Path("/etc/passwd").read_bytes,
            "nasty.write": Path("/tmp/clew-was-here").touch,
            "nasty.run": lambda: os.posix_spawn(sys.executable, [sys.executable, "-V"], {}),
        }.items():
            try:
                deed()
                yield name, "done"
            except OSError:
                yield name, "denied"

    def examples(self) -> Iterator[Example]:
        yield Example("harmless", b"x", "text/plain", {"nasty.harmless": 1})


PLUGIN: Extractor = Nasty()
