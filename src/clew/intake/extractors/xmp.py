"""What a picture's XMP packet states (ISO 16684-1): tool, times, document ids, serial numbers. Statements, not proof.

A packet with a document type is refused: nothing in XMP needs one, and entities could grow without bound.
"""

import io
from collections.abc import Iterator
from xml.parsers import expat

from PIL import Image

from clew.intake.api import Example, Extractor, Probe, Value
from clew.intake.extractors import _metadata, _picture
from clew.model import Missing, Reason

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
MOST_DEPTH = 64
XMP, MM = "http://ns.adobe.com/xap/1.0/}", "http://ns.adobe.com/xap/1.0/mm/}"
AUX, EXIF = "http://ns.adobe.com/exif/1.0/aux/}", "http://ns.adobe.com/exif/1.0/}"
EXIF_EX, TIFF = "http://cipa.jp/exif/1.0/}", "http://ns.adobe.com/tiff/1.0/}"
PHOTOSHOP, DC = "http://ns.adobe.com/photoshop/1.0/}", "http://purl.org/dc/elements/1.1/}"
MICROSOFT = ("http://ns.microsoft.com/photo/1.0/}", "http://ns.microsoft.com/photo/1.0}")
# Namespaces as the parser writes them, with its separator. XMP parts 1 and 2; Exif 2.32 metadata for XMP (CIPA DC-010);
# Microsoft's date is when a computer took the picture over.
WANTED = {
    f"{XMP}CreatorTool": "xmp.tool",
    f"{XMP}CreateDate": "xmp.created",
    f"{XMP}ModifyDate": "xmp.modified",
    f"{MM}DocumentID": "xmp.document",
    f"{MM}OriginalDocumentID": "xmp.document.original",
    f"{MM}InstanceID": "xmp.instance",
    f"{TIFF}Make": "xmp.make",
    f"{TIFF}Model": "xmp.model",
    f"{AUX}SerialNumber": "xmp.serial",
    f"{EXIF_EX}BodySerialNumber": "xmp.serial",
    f"{AUX}LensSerialNumber": "xmp.lens.serial",
    f"{EXIF_EX}LensSerialNumber": "xmp.lens.serial",
    f"{AUX}OwnerName": "xmp.owner",
    f"{EXIF_EX}CameraOwnerName": "xmp.owner",
    f"{AUX}ImageNumber": "xmp.image_number",
    f"{EXIF}DateTimeOriginal": "xmp.original",
    f"{EXIF}GPSLatitude": "xmp.latitude",
    f"{EXIF}GPSLongitude": "xmp.longitude",
    f"{PHOTOSHOP}DateCreated": "xmp.date",
    f"{DC}creator": "xmp.author",
    **{f"{each}DateAcquired": "xmp.acquired" for each in MICROSOFT},
}


class Xmp:
    """Traits "xmp.tool", .created, .modified, .original, .date, .acquired, .document, .document.original, .instance,
    .make, .model, .serial, .lens.serial, .owner, .author, .image_number, .latitude, .longitude, all as written.
    """

    name = "xmp"
    version = "2"

    def wants(self, media_type: str) -> bool:
        """Pictures."""
        return _picture.wants(media_type)

    def traits(self, probe: Probe) -> Iterator[tuple[str, Value]]:
        """The first value of each, over all packets."""
        if probe.data is None:
            yield self.name, Missing(Reason.TOO_LARGE, "not held in memory")
            return
        said: set[str] = set()
        for packet in _metadata.read(probe).xmp:
            try:
                found = values(packet)
            except ValueError as error:
                yield self.name, Missing(Reason.UNPARSABLE, str(error)[:200])
                continue
            for name, value in found:
                if name not in said:
                    said.add(name)
                    yield name, value

    def examples(self) -> Iterator[Example]:
        """A grey card with a packet, values as attributes and as elements."""
        packet = (
            f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:RDF xmlns:r="{RDF[:-1]}"><r:Description '
            f'xmlns:xmp="{XMP[:-1]}" xmlns:aux="{AUX[:-1]}" xmlns:dc="{DC[:-1]}" xmp:CreatorTool="Lumen 1.0">'
            "<aux:SerialNumber>0042</aux:SerialNumber><dc:creator><r:Seq><r:li>nobody</r:li></r:Seq></dc:creator>"
            "</r:Description></r:RDF></x:xmpmeta>"
        ).encode()
        said: dict[str, Value | None] = {"xmp.tool": "Lumen 1.0", "xmp.serial": "0042", "xmp.author": "nobody"}
        for kind, media_type in (("JPEG", "image/jpeg"), ("WEBP", "image/webp")):
            out = io.BytesIO()
            Image.new("L", (64, 64), 128).save(out, kind, xmp=packet)
            yield Example(f"card.{kind.lower()}", out.getvalue(), media_type, said)


def values(packet: bytes) -> list[tuple[str, str]]:
    """Trait names and values of a packet, in its order. Raises ValueError where it has a document type or is no XML."""
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator="}")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = reader.document_type
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    parser.CharacterDataHandler = reader.text
    try:
        parser.Parse(packet.strip(b"\x00 \r\n\t"), True)
    except (expat.ExpatError, LookupError) as error:
        raise ValueError(f"the XMP packet is no XML: {error}") from error
    return reader.found


class _Reader:
    """Listens to the parser. A property stands as an attribute, as an element's text, or as the first of a list."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str]] = []
        self._inside: list[str] = []  # the elements that are open
        self._text: list[str] = []

    def document_type(self, *_said: object) -> None:
        """Entities could grow without bound."""
        raise ValueError("an XMP packet with a document type is not read")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """An element, "namespace}name"."""
        if len(self._inside) == MOST_DEPTH:
            raise ValueError(f"an XMP packet more than {MOST_DEPTH} elements deep")
        self._inside.append(name)
        self._text = []
        for each, value in attributes.items():
            if each in WANTED:
                self._say(WANTED[each], value)

    def text(self, data: str) -> None:
        """Text within it."""
        self._text.append(data)

    def end(self, name: str) -> None:
        """Its end: what stands in it is the value of the innermost property around it."""
        around = next((WANTED[each] for each in reversed(self._inside) if each in WANTED), None)
        if around is not None and (name in WANTED or name == f"{RDF}li"):
            self._say(around, "".join(self._text))
        self._inside.pop()
        self._text = []

    def _say(self, name: str, value: str) -> None:
        if value.strip():
            self.found.append((name, value.strip()))


PLUGIN: Extractor = Xmp()
