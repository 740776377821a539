"""Camera, time and place as the file's EXIF states them (Exif 2.32), and its maker note where that is plain.

They can be edited: statements, not proof.
"""

import io
import math
import struct
from collections.abc import Iterator, Mapping

from PIL import Image

from clew.intake.api import Example, Extractor, Probe, Value
from clew.intake.extractors import _makernote, _metadata, _picture
from clew.intake.extractors._metadata import Place
from clew.intake.extractors._tiff import Tiff
from clew.model import Missing, Reason

# Exif 2.32, 4.6.4 (TIFF) and 4.6.5 (Exif)
FIRST = {
    "camera.make": 0x010F,
    "camera.model": 0x0110,
    "camera.software": 0x0131,
    "artist": 0x013B,
    "time.modified": 0x0132,
}
INSIDE = {
    "camera.serial": 0xA431,
    "camera.owner": 0xA430,
    "lens.make": 0xA433,
    "lens.model": 0xA434,
    "lens.serial": 0xA435,
    "time.original": 0x9003,
    "time.digitized": 0x9004,
    "time.offset": 0x9011,
    "image.unique_id": 0xA420,
}
# Of DNG 1.6, for bodies without the above
DNG_SERIAL = 0xC62F
# Reference, value, references of positive and negative ones, most degrees (4.6.6: neither reference has a default).
PLACE = {"gps.latitude": (1, 2, "NS", 90.0), "gps.longitude": (3, 4, "EW", 180.0)}
ALTITUDE_BELOW, ALTITUDE, GPS_TIME, GPS_DATE = 5, 6, 7, 29
DAY = 86_400  # seconds


class Exif:
    """Traits camera.make, .model, .owner, .serial, .serial.internal, .shutter_count; lens.make, .model, .serial;
    camera.software; artist; time.original, .digitized, .modified, .offset as written; image.unique_id; gps.latitude,
    .longitude in degrees, .altitude in metres, .time in UTC; of Apple's notes note.version, .content_identifier
    (of a live photo), .image_unique_id.

    "makernote" is Missing(unknown) where there is a maker note that this reader does not know, "exif" where there is a
    second EXIF block.
    """

    name = "exif"
    version = "5"

    def wants(self, media_type: str) -> bool:
        """Pictures."""
        return _picture.wants(media_type)

    def traits(self, probe: Probe) -> Iterator[tuple[str, Value]]:
        """What is there, and no more; an EXIF block that breaks off is said."""
        if probe.data is None:
            yield self.name, Missing(Reason.TOO_LARGE, "not held in memory")
            return
        found = _metadata.read(probe)
        said: set[str] = set()
        for name, value in self._all(found):
            if name not in said:
                said.add(name)
                yield name, value
        if found.second:
            yield self.name, Missing(Reason.UNKNOWN, "; ".join(map(_second, found.second))[:400])
        if found.broken:
            yield self.name, Missing(Reason.UNPARSABLE, "; ".join(found.broken)[:400])

    def examples(self) -> Iterator[Example]:
        """A grey card with a made-up camera's statements."""
        exif = Image.Exif()
        exif[FIRST["camera.make"]], exif[FIRST["camera.model"]] = "Lumen", "L-1"
        inside = exif.get_ifd(_metadata.EXIF_IFD)
        inside[INSIDE["camera.serial"]], inside[INSIDE["time.original"]] = "0042", "2026:01:31 12:00:00"
        exif.get_ifd(_metadata.GPS_IFD).update({1: "S", 2: (12.0, 30.0, 0.0), 3: "E", 4: (7.0, 0.0, 36.0)})
        said: dict[str, Value | None] = {"camera.make": "Lumen", "camera.model": "L-1", "camera.serial": "0042"}
        said |= {"time.original": "2026:01:31 12:00:00", "gps.latitude": -12.5, "gps.longitude": 7.01}
        for kind, media_type in (("JPEG", "image/jpeg"), ("PNG", "image/png"), ("WEBP", "image/webp")):
            out = io.BytesIO()
            Image.new("L", (64, 64), 128).save(out, kind, exif=exif)
            yield Example(f"card.{kind.lower()}", out.getvalue(), media_type, said)

    def _all(self, found: _metadata.Metadata) -> Iterator[tuple[str, Value]]:
        yield from _texts(found.first, FIRST)
        yield from _texts(found.inside, INSIDE)
        yield from _texts(found.first, {"camera.serial": DNG_SERIAL})
        yield from _place(found.gps)
        if found.note is None:
            return
        try:
            make = found.first.tiff.text(found.first.directory.entries.get(FIRST["camera.make"])) if found.first else ""
            noted = _makernote.traits(*found.note, make)
            if noted is None:
                yield "makernote", Missing(Reason.UNKNOWN, f"a maker note that clew does not read ({make})"[:200])
            else:
                yield from noted
        except ValueError as error:
            yield "makernote", Missing(Reason.UNPARSABLE, str(error))


def _second(block: memoryview) -> str:
    """In words alone: what another block states may be of another camera, or of another picture."""
    told = f"a second EXIF block of {len(block):,} bytes is not read"
    try:
        tiff = Tiff(block)
        inside = tiff.number(tiff.directory(tiff.first).entries.get(_metadata.EXIF_IFD))
        serial = tiff.text(tiff.directory(inside).entries.get(INSIDE["camera.serial"])) if inside else ""
    except (ValueError, struct.error):
        serial = ""
    return f"{told}, which states the serial number {serial[:80]!r}" if serial else told


def _texts(place: Place | None, wanted: Mapping[str, int]) -> Iterator[tuple[str, Value]]:
    if place is None:
        return
    for name, tag in wanted.items():
        entry = place.directory.entries.get(tag)
        if entry is None:
            continue
        try:
            text = place.tiff.text(entry)
        except ValueError as error:
            yield name, Missing(Reason.UNPARSABLE, str(error))
            continue
        if text:
            yield name, text


def _place(place: Place | None) -> Iterator[tuple[str, Value]]:
    if place is None:
        return
    tiff, entries = place.tiff, place.directory.entries
    for name, (reference, value, signs, most) in PLACE.items():
        if value in entries:
            try:
                yield name, _degrees(tiff.numbers(entries[value]), tiff.text(entries.get(reference)), signs, most)
            except ValueError as error:
                yield name, Missing(Reason.UNPARSABLE, str(error))
    try:
        height = tiff.numbers(entries.get(ALTITUDE))
        if len(height) == 1 and math.isfinite(height[0]):
            yield "gps.altitude", -height[0] if tiff.number(entries.get(ALTITUDE_BELOW)) == 1 else height[0]
        clock, date = tiff.numbers(entries.get(GPS_TIME)), tiff.text(entries.get(GPS_DATE))
        if len(clock) == 3 and date and all(map(math.isfinite, clock)):
            yield "gps.time", _clock(date, *clock)
    except ValueError as error:
        yield "gps", Missing(Reason.UNPARSABLE, str(error))


def _degrees(value: tuple[float, ...], reference: str, signs: str, most: float) -> float | Missing:
    """Degrees, minutes and seconds as one number, its sign by the reference: one of the two of `signs`."""
    if len(value) != 3:
        return Missing(Reason.UNPARSABLE, "not degrees, minutes and seconds")
    degrees, minutes, seconds = value
    total = degrees + minutes / 60 + seconds / 3600
    if not 0 <= total <= most:
        return Missing(Reason.UNPARSABLE, f"{total} is no place on earth")
    hemisphere = reference.strip().upper()[:1]
    if not hemisphere or hemisphere not in signs:
        stated = f"the reference {reference[:20]!r}" if reference else "no reference"
        return Missing(Reason.UNKNOWN, f"{total:.7f} degrees, with {stated}: {' or '.join(signs)} is not known")
    return round(-total if hemisphere == signs[1] else total, 7)


def _clock(date: str, hours: float, minutes: float, seconds: float) -> str | Missing:
    """The whole second that it is in; each part may have a fraction, and rounded for itself would come to 60."""
    total = math.floor(hours * 3600 + minutes * 60 + seconds + 1e-6)
    if not 0 <= total <= DAY:
        return Missing(Reason.UNPARSABLE, f"{hours:g}:{minutes:g}:{seconds:g} is no time of day")
    return f"{date} {total // 3600:02}:{total // 60 % 60:02}:{total % 60:02}"


PLUGIN: Extractor = Exif()
