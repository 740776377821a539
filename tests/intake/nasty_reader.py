"""`nasty_extractor` for contents that are too large to be held: it reads the deed from the Probe's source."""

from collections.abc import Iterator
from dataclasses import replace

from nasty_extractor import Nasty

from clew.intake.api import Extractor, Probe, Value


class NastyReader(Nasty):
    """Reads the whole content, as a demuxer does, and then does what it says."""

    name = "nasty_reader"

    def traits(self, probe: Probe) -> Iterator[tuple[str, Value]]:
        assert probe.source is not None
        for offset in range(0, probe.size, 1 << 20):
            assert probe.source.read(offset, 1 << 20)
        yield "nasty.held", int(probe.data is not None)
        yield from super().traits(replace(probe, data=memoryview(probe.source.read(0, 64))))


PLUGIN: Extractor = NastyReader()
