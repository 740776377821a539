"""Hands a content's first bytes to the supervisor, for a program of others that it starts (`clew.intake.exiftool`)."""

from collections.abc import Iterator

from clew.core.absent import absent
from clew.intake.api import Blob, Example, Extractor, Probe, Value
from clew.model import Reason

MOST = 24 << 20  # bytes: metadata lies before the pixels, in raws too


class Whole:
    """One Blob, "bytes", that is never stored."""

    name = "exiftool"
    version = "1"

    def wants(self, _media_type: str) -> bool:
        """Anything: who asks has chosen."""
        return True

    def traits(self, probe: Probe) -> Iterator[tuple[str, Value]]:
        """The one Blob."""
        if probe.data is None:
            raise absent(Reason.TOO_LARGE, "not held in memory")
        yield "bytes", Blob(bytes(probe.data[:MOST]))

    def examples(self) -> Iterator[Example]:
        """A few bytes."""
        yield Example("bytes", b"bytes", "text/plain", {"bytes": None})


PLUGIN: Extractor = Whole()
