"""Serial numbers, shutter counts and identifiers in maker notes, where they stand in plain fields at documented places
(https://exiftool.org/makernote_types.html and the tag tables there). Makers encrypt some: those are left to exiftool.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from clew.intake.api import Value
from clew.intake.extractors._tiff import Entry, Tiff, plain

SERIAL, INNER, COUNT = "camera.serial", "camera.serial.internal", "camera.shutter_count"
Read = Callable[[Tiff, Entry], Value]


def _text(tiff: Tiff, entry: Entry) -> Value:
    return tiff.text(entry)


def _count(tiff: Tiff, entry: Entry) -> Value:
    """A whole number; 2^32 - 1 stands for none."""
    number = tiff.number(entry)
    return "" if number is None or number == 0xFFFFFFFF else number


def _number(tiff: Tiff, entry: Entry) -> Value:
    number = tiff.number(entry)
    return "" if number is None else number


def _ten_digits(tiff: Tiff, entry: Entry) -> Value:
    """Canon's body number, as it is engraved; 0 stands for none."""
    number = tiff.number(entry)
    return f"{number:010d}" if number else ""


def _bytes_as_text(tiff: Tiff, entry: Entry) -> Value:
    return plain(tiff.raw(entry))


@dataclass(frozen=True, slots=True)
class Maker:
    """How one maker's note begins, where its directory lies behind that, and which fields are read.

    `own` says that offsets count from the note's byte `base` and not from the block's first byte; `header` that a
    TIFF header stands there, whose order and first directory count. The byte order is `order`, or what two letters at
    `mark` say, or the block's.
    """

    begins: bytes
    directory: int
    own: bool
    fields: Mapping[int, tuple[str, Read]]
    base: int = 0
    header: bool = False
    order: str = ""
    mark: int = 0


APPLE = {0x0001: ("note.version", _number), 0x0011: ("note.content_identifier", _text),
         0x0015: ("note.image_unique_id", _text)}  # fmt: skip
MAKERS = (
    Maker(b"Nikon\x00\x02", 0, True, {0x001D: (SERIAL, _text), 0x00A7: (COUNT, _count)}, base=10, header=True),
    Maker(b"FUJIFILM", 12, True, {0x0010: (INNER, _text)}, order="<"),
    Maker(b"Panasonic\x00\x00\x00", 12, False, {0x0025: (INNER, _bytes_as_text)}),
    Maker(b"AOC\x00", 6, False, {0x0229: (SERIAL, _text)}, mark=4),
    Maker(b"PENTAX \x00", 10, True, {0x0229: (SERIAL, _text)}, mark=8),
    Maker(b"Apple iOS\x00", 14, True, APPLE, mark=12),
)
CANON = {0x000C: (SERIAL, _ten_digits), 0x0096: (INNER, _text)}  # its directory has no heading


def traits(tiff: Tiff, at: int, size: int, make: str) -> Iterator[tuple[str, Value]] | None:
    """What the note of `size` bytes at that offset says; None where it is a kind that is not read here.

    Raises ValueError where it breaks off.
    """
    head = bytes(tiff.data[at : at + 16])
    for maker in MAKERS:
        if head.startswith(maker.begins):
            return _read(*_opened(tiff, at, size, head, maker), maker.fields)
    if make.upper().startswith("CANON"):
        return _read(tiff, at, CANON)
    return None


def _opened(tiff: Tiff, at: int, size: int, head: bytes, maker: Maker) -> tuple[Tiff, int]:
    """The block that the note's offsets count in, and where its directory lies in it."""
    marked = {b"II": "<", b"MM": ">"}.get(head[maker.mark : maker.mark + 2]) if maker.mark else None
    order = maker.order or marked or tiff.order
    if not maker.own:
        return Tiff(tiff.data, order), at + maker.directory
    note = tiff.data[at + maker.base : at + size]
    if maker.header:
        opened = Tiff(note)
        return opened, opened.first
    return Tiff(note, order), maker.directory


def _read(tiff: Tiff, at: int, fields: Mapping[int, tuple[str, Read]]) -> Iterator[tuple[str, Value]]:
    entries = tiff.directory(at).entries
    for tag, (name, read) in fields.items():
        if tag in entries and (value := read(tiff, entries[tag])) != "":
            yield name, value
