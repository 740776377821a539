"""Camera, time and place as the file's EXIF states them (Exif 2.32). They can be edited: statements, not proof."""

import io
from collections.abc import Iterator, Mapping
from typing import Any

from PIL import Image

from clew.intake.api import Example, Extractor, Probe, Value
from clew.intake.extractors import _picture
from clew.model import Missing, Reason

EXIF_IFD, GPS_IFD = 0x8769, 0x8825
FIRST = {"camera.make": 0x010F, "camera.model": 0x0110}  # Exif 2.32, 4.6.4 tables 4 and 7
INSIDE = {"camera.serial": 0xA431, "time.original": 0x9003, "time.offset": 0x9011}
PLACE = {"gps.latitude": (1, 2, "S", 90.0), "gps.longitude": (3, 4, "W", 180.0)}  # reference, value, negative, most


class Exif:
    """Traits camera.make, .model, .serial; time.original, .offset as written; gps.latitude, .longitude in degrees."""

    name = "exif"
    version = "1"

    def wants(self, media_type: str) -> bool:
        """Pictures."""
        return _picture.wants(media_type)

    def traits(self, probe: Probe) -> Iterator[tuple[str, Value]]:
        """What is there, and no more; an EXIF block that breaks off is said."""
        if probe.data is None:
            yield self.name, Missing(Reason.TOO_LARGE, "not held in memory")
            return
        exif = _picture.open_header(probe.data, probe.media_type).getexif()
        yield from _texts(exif, FIRST)
        yield from _texts(exif.get_ifd(EXIF_IFD), INSIDE)
        place = exif.get_ifd(GPS_IFD)
        for name, (reference, value, negative, most) in PLACE.items():
            if value in place:
                yield name, _degrees(place[value], place.get(reference), negative, most)

    def examples(self) -> Iterator[Example]:
        """A grey card with a made-up camera's statements."""
        exif = Image.Exif()
        exif[FIRST["camera.make"]], exif[FIRST["camera.model"]] = "Lumen", "L-1"
        inside = exif.get_ifd(EXIF_IFD)
        inside[INSIDE["camera.serial"]], inside[INSIDE["time.original"]] = "0042", "2026:01:31 12:00:00"
        exif.get_ifd(GPS_IFD).update({1: "S", 2: (12.0, 30.0, 0.0), 3: "E", 4: (7.0, 0.0, 36.0)})
        out = io.BytesIO()
        Image.new("L", (64, 64), 128).save(out, "JPEG", exif=exif)
        said: dict[str, Value | None] = {"camera.make": "Lumen", "camera.model": "L-1", "camera.serial": "0042"}
        said |= {"time.original": "2026:01:31 12:00:00", "gps.latitude": -12.5, "gps.longitude": 7.01}
        yield Example("card.jpg", out.getvalue(), "image/jpeg", said)


def _texts(block: Mapping[int, Any], wanted: Mapping[str, int]) -> Iterator[tuple[str, Value]]:
    for name, tag in wanted.items():
        value = block.get(tag)
        text = value.decode("latin-1") if isinstance(value, bytes) else str(value) if value is not None else ""
        text = text.strip("\x00 ")
        if text:
            yield name, text


def _degrees(value: Any, reference: Any, negative: str, most: float) -> float | Missing:
    """Degrees, minutes and seconds as one signed number."""
    try:
        degrees, minutes, seconds = (float(part) for part in value)
    except (TypeError, ValueError, ZeroDivisionError):
        return Missing(Reason.UNPARSABLE, "not degrees, minutes and seconds")
    total = degrees + minutes / 60 + seconds / 3600
    if not 0 <= total <= most:
        return Missing(Reason.UNPARSABLE, f"{total} is no place on earth")
    return round(-total if str(reference).upper().startswith(negative) else total, 7)


PLUGIN: Extractor = Exif()
