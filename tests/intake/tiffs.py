"""TIFF structures made by code: EXIF blocks with maker notes, and files laid out as camera raws are."""

import io
import struct
from dataclasses import dataclass, field

from PIL import Image

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, SIGNED = 1, 2, 3, 4, 5, 7, 9
CODES = {BYTE: "B", ASCII: "s", SHORT: "H", LONG: "I", RATIONAL: "II", UNDEFINED: "s", SIGNED: "i"}


@dataclass
class Here:
    """A value that is where the bytes it names will lie: `data` follows the directories."""

    data: bytes


@dataclass
class Ifd:
    """tag -> (type, values). A value may be another Ifd, a Here, or bytes."""

    fields: dict[int, tuple] = field(default_factory=dict)
    after: "Ifd | None" = None


class Block:
    """Lays directories out one after another, values behind each. Offsets count from `origin`."""

    def __init__(self, order: str = "<", magic: int = 42, head: bytes = b"", header: bool = True) -> None:
        self.order = order
        mark = b"II" if order == "<" else b"MM"
        self.out = bytearray((mark + struct.pack(order + "HI", magic, 8 + len(head)) + head) if header else b"")

    def add(self, ifd: Ifd, base: int = 0) -> int:
        """Writes it, and returns where it lies. `base` is added to every offset."""
        at = len(self.out)
        entries = sorted(ifd.fields.items())
        self.out += bytes(2 + 12 * len(entries) + 4)
        struct.pack_into(self.order + "H", self.out, at, len(entries))
        for number, (tag, (kind, *values)) in enumerate(entries):
            count, raw = self._raw(kind, values, base)
            place = at + 2 + 12 * number
            struct.pack_into(self.order + "HHI", self.out, place, tag, kind, count)
            if len(raw) <= 4:
                self.out[place + 8 : place + 8 + len(raw)] = raw
            else:
                struct.pack_into(self.order + "I", self.out, place + 8, len(self.out) + base)
                self.out += raw + bytes(len(raw) % 2)
        if ifd.after:
            link = self.add(ifd.after, base) + base
            struct.pack_into(self.order + "I", self.out, at + 2 + 12 * len(entries), link)
        return at

    def _raw(self, kind: int, values: list, base: int) -> tuple[int, bytes]:
        if isinstance(values[0], Ifd):
            return len(values), b"".join(struct.pack(self.order + "I", self.add(v, base) + base) for v in values)
        if isinstance(values[0], Here):
            place = len(self.out)
            self.out += values[0].data + bytes(len(values[0].data) % 2)
            return 1, struct.pack(self.order + "I", place + base)
        if kind in (ASCII, UNDEFINED):
            raw = values[0].encode() + b"\x00" if isinstance(values[0], str) else values[0]
            return len(raw), raw
        if kind == RATIONAL:
            return len(values), b"".join(struct.pack(self.order + "II", *value) for value in values)
        return len(values), struct.pack(self.order + CODES[kind] * len(values), *values)


def tiff(first: Ifd, order: str = "<", magic: int = 42, head: bytes = b"") -> bytes:
    block = Block(order, magic, head)
    block.add(first)
    return bytes(block.out)


def jpeg(image: Image.Image, exif: bytes = b"", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", **({"exif": b"Exif\x00\x00" + exif} if exif else {}), **options)
    return out.getvalue()


def boxes(*parts: tuple[bytes, bytes]) -> bytes:
    return b"".join(struct.pack(">I4s", 8 + len(body), kind) + body for kind, body in parts)


def raws(preview: Image.Image, small: Image.Image) -> dict[str, tuple[str, bytes]]:
    """name -> (media type, bytes): each kind of raw, with a small picture and the large `preview` of itself."""
    large, thumb = jpeg(preview, quality=90), jpeg(small)
    camera = {0x010F: (ASCII, "Lumen"), 0x0110: (ASCII, "L-1"), 0x0112: (SHORT, 1)}
    lossless = b"\xff\xd8\xff\xc3\x00\x0e\x0e" + struct.pack(">HHB", 3000, 4000, 2) + bytes(60)  # T.81, SOF3

    def named(data: bytes, at: int = 0x0201, size: int = 0x0202) -> dict:
        return {at: (LONG, Here(data)), size: (LONG, len(data))}

    def strips(data: bytes, compression: int) -> dict:
        return {0x0103: (SHORT, compression), **named(data, 0x0111, 0x0117)}

    sensor = {0x0106: (SHORT, 32803), **strips(lossless, 34713)}
    made = {
        "cr2": ("image/x-canon-cr2", tiff(
            Ifd(camera | strips(large, 6), Ifd(named(thumb), Ifd(sensor))), head=b"CR\x02\x00" + bytes(4))),
        "nef": ("image/tiff", tiff(
            Ifd(camera | {0x00FE: (LONG, 1), 0x014A: (LONG, Ifd(named(large)), Ifd(sensor))}), ">")),
        "arw": ("image/tiff", tiff(
            Ifd(camera | named(large) | {0x014A: (LONG, Ifd(strips(bytes(50), 32767)))}, Ifd(named(thumb))))),
        "dng": ("image/tiff", tiff(
            Ifd(camera | {0xC612: (BYTE, 1, 4, 0, 0), 0x0106: (SHORT, 2),
                0x014A: (LONG, Ifd(strips(lossless, 7)), Ifd({0x00FE: (LONG, 1)} | strips(large, 7)))}))),
        "rw2": ("image/x-panasonic-rw2", tiff(
            Ifd(camera | {0x002E: (UNDEFINED, large)}), magic=0x55)),
        "raf": ("image/x-fuji-raf", b"FUJIFILMCCD-RAW 0201".ljust(84, b"\x00") + struct.pack(">II", 160, len(large))
                + bytes(68) + large + bytes(200)),
        "cr3": ("image/x-canon-cr3", cr3(large, thumb, tiff(Ifd(camera)))),
    }  # fmt: skip
    made["orf"] = ("image/x-olympus-orf", orf(camera, large))
    return made


def orf(camera: dict, large: bytes) -> bytes:
    """The preview is named in the maker note, with offsets that count from the note."""
    note = Block("<", header=False)
    note.out += b"OLYMPUS\x00II\x03\x00"
    note.add(Ifd({0x2020: (LONG, Ifd({0x0101: (LONG, Here(large)), 0x0102: (LONG, len(large))}))}))
    # the settings are laid before the directory's own fields are filled in, the directory stays at 12
    return tiff(Ifd(camera | {0x8769: (LONG, Ifd({0x927C: (UNDEFINED, bytes(note.out))}))}), magic=0x4F52)


def cr3(large: bytes, thumb: bytes, first: bytes) -> bytes:
    canon = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
    prvw = bytes.fromhex("eaf42b5e1c984b88b9fbb7dc406e4d16")
    head = struct.pack(">IHHHHI", 0, 1, 160, 120, 1, len(thumb))
    small = (b"uuid", prvw + bytes(8) + boxes((b"PRVW", head + thumb)))
    kind = (b"ftyp", b"crx \x00\x00\x00\x01crx isom")

    def moov(at: int) -> tuple[bytes, bytes]:
        sizes = (b"stsz", bytes(4) + struct.pack(">II", 0, 1) + struct.pack(">I", len(large)))
        places = (b"co64", bytes(4) + struct.pack(">IQ", 1, at))
        track = boxes((b"mdia", boxes((b"minf", boxes((b"stbl", boxes(sizes, places)))))))
        return b"moov", boxes((b"uuid", canon + boxes((b"CMT1", first))), (b"trak", track))

    before = len(boxes(kind, moov(0), small)) + 8
    return boxes(kind, moov(before), small, (b"mdat", large))
