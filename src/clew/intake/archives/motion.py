"""The film of a motion photo: telephones put it behind a JPEG's end, or into a HEIC as a box of its own ("mpvd";
Android's Motion Photo format 1.0). It is listed as the one member of that picture.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import islice

from clew.core.absent import Absent
from clew.intake import boxes
from clew.intake.api import ByteSource
from clew.intake.archives.members import CHUNK, Header, Slice, Stated, What, exactly
from clew.model import Missing, Reason

NAME = b"film.mp4"  # a name of ours: in the picture it has none
IN_HEIC = b"mpvd"
MOST_BOXES, MOST_PLACES = 10_000, 256
_FTYP = re.compile(b"ftyp")


def film(data: memoryview) -> tuple[int, int] | None:
    """(byte, bytes) of the first film behind the beginning of a picture; one that is cut goes to the end of `data`."""
    places: Iterable[tuple[int, int]]  # where one may begin, and how far it may go
    if bytes(data[4:8]) == b"ftyp":
        inside = islice(boxes.spans(data), MOST_BOXES)
        places = ((span.content, span.end) if span.kind == IN_HEIC else (span.begin, len(data))
                  for span in inside if span.begin and span.kind in (IN_HEIC, b"ftyp"))  # fmt: skip
    else:
        places = ((found.start() - 4, len(data)) for found in islice(_FTYP.finditer(data, 8), MOST_PLACES))
    for start, most in places:
        end = _end(data[:most], start)
        if end:
            return start, end - start
    return None


def _end(data: memoryview, start: int) -> int:
    """Where the film ends that begins there; 0 where none does."""
    seen, end = set[bytes](), 0
    for span in islice(boxes.spans(data, start), MOST_BOXES):
        if span.kind not in boxes.TOP or (span.kind == b"ftyp" and span.begin > start):
            break
        seen.add(span.kind)
        end = min(span.end, len(data))
    return end if b"ftyp" in seen and seen & {b"mdat", b"moof"} else 0


class MotionPhoto:
    """A picture as an archive of its film. Raises Absent where there is none, or the picture breaks off."""

    def __init__(self, source: ByteSource) -> None:
        self.notes: dict[str, int] = {}
        place = film(memoryview(exactly(source, 0, source.size)))
        if place is None:
            raise Absent(Missing(Reason.UNPARSABLE, "the film that was seen in this picture is not found in it now"))
        self._film = Slice(source, *place)

    def headers(self, first: int) -> Iterator[Header]:
        """As Archive."""
        if first == 0:
            yield Header(0, NAME, What.FILE, self._film.size)

    def chunks(self, number: int) -> Iterator[bytes]:
        """As Archive."""
        self.stated(number)
        for at in range(0, self._film.size, CHUNK):
            yield exactly(self._film, at, min(CHUNK, self._film.size - at))

    def stated(self, number: int) -> Stated:
        """As Archive."""
        if number:
            raise Absent(Missing(Reason.UNREADABLE, f"no member {number}"))
        return Stated(NAME, self._film.size)

    def place(self, _number: int) -> ByteSource | None:
        """As Archive."""
        return self._film

    def close(self) -> None:
        """As Archive."""
