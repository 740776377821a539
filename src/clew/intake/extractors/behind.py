"""Extractor: a zip behind something that is opened as no archive: a film, a picture, a text, noise. Tools for zips open
such a file, as they begin at its end; here it is typed by its beginning. The last part of a zip in several volumes too.

Known by an end record at whose place a directory lies. JPEGs and programs are looked at by `appended` and `unopened`.
"""

import io
import zipfile
from collections.abc import Iterator

from clew.core.absent import Absent
from clew.intake.api import ByteSource, Example, Extractor, Probe, Value
from clew.intake.archives.kinds import kind_of
from clew.intake.archives.members import Held
from clew.intake.archives.zipped import Zipped, last_volume
from clew.intake.extractors._picture import JPEG
from clew.intake.families import EMPTY, PROGRAMS, family
from clew.model import Missing, Reason

NAME = "unopened"
OTHERWISE = "open it with its own tool and take in what comes out as an exhibit of its own"
ZIP = f"something with a zip archive behind it, which is not opened: {OTHERWISE}"
VOLUME = "the last of several volumes of a zip, which is not opened: put all of them together with its own tool, and "
VOLUME += "take in what comes out as an exhibit of its own"


class Behind:
    """Trait "unopened": what lies there, and what the operator can do. What is unpacked on the way, and too large to be
    held, would be unpacked once more for it, and is passed over.
    """

    name = "behind"
    version = "1"

    def wants(self, media_type: str) -> bool:
        """All that nothing else opens or looks behind."""
        apart = media_type == JPEG or family(media_type) in {EMPTY, PROGRAMS}
        return not apart and kind_of(media_type) is None

    def traits(self, probe: Probe) -> Iterator[tuple[str, Value]]:
        """At most one."""
        source: ByteSource | None = probe.source if probe.data is None else Held(probe.data)
        if source is None:
            yield NAME, Missing(Reason.TOO_LARGE, "not held, and nothing to read it from")
        elif not getattr(source, "onward", False) and (said := _what(source)):
            yield NAME, said

    def examples(self) -> Iterator[Example]:
        """A text, with a zip behind it and without."""
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("a.txt", "made by code")
        text = b"a benign text, made by code\n" * 9
        yield Example("text and zip", text + out.getvalue(), "text/plain", {NAME: ZIP})
        yield Example("text", text, "text/plain")


def _what(source: ByteSource) -> str:
    """What lies there, "" for nothing: a zip without a member hides none."""
    try:
        archive = Zipped(source)
        return ZIP if archive.start(0) is not None else ""
    except Absent:
        return VOLUME if last_volume(source) else ""


PLUGIN: Extractor = Behind()
