"""Our EXIF and XMP readers beside exiftool, on files that exiftool wrote tags into and on maker notes made by code."""

import json
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

import pillow_heif
import pytest
import tiffs
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tiffs import ASCII, LONG, RATIONAL, SIGNED, UNDEFINED, Block, Here, Ifd

from clew.intake import exiftool_runs
from clew.intake.api import Probe, Value
from clew.intake.extractors import _makernote, _metadata, exif, xmp
from clew.intake.extractors._tiff import Tiff
from clew.model import Missing, Reason

CARD = Image.new("RGB", (64, 48), (90, 120, 60))
KINDS = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP", "tif": "TIFF", "avif": "AVIF", "heic": "HEIF"}
# exiftool's tag, what it writes there, our trait
WRITTEN = {
    "IFD0:Make": ("Lumen", "camera.make"),
    "IFD0:Model": ("L-1 été", "camera.model"),
    "IFD0:Software": ("firmware 2", "camera.software"),
    "IFD0:Artist": ("nobody", "artist"),
    "IFD0:ModifyDate": ("2026:02:01 10:11:12", "time.modified"),
    "ExifIFD:SerialNumber": ("00042", "camera.serial"),
    "ExifIFD:OwnerName": ("A. Person", "camera.owner"),
    "ExifIFD:LensMake": ("Lumen", "lens.make"),
    "ExifIFD:LensModel": ("Standard 50", "lens.model"),
    "ExifIFD:LensSerialNumber": ("L77", "lens.serial"),
    "ExifIFD:DateTimeOriginal": ("2026:01:31 12:00:00", "time.original"),
    "ExifIFD:CreateDate": ("2026:01:31 12:00:01", "time.digitized"),
    "ExifIFD:OffsetTimeOriginal": ("+02:00", "time.offset"),
    "ExifIFD:ImageUniqueID": ("0123456789abcdef0123456789abcdef", "image.unique_id"),
}
PACKET = {
    "XMP-xmp:CreatorTool": ("Lumen Studio", "xmp.tool"),
    "XMP-xmpMM:DocumentID": ("xmp.did:1", "xmp.document"),
    "XMP-xmpMM:OriginalDocumentID": ("xmp.did:0", "xmp.document.original"),
    "XMP-aux:SerialNumber": ("00042", "xmp.serial"),
    "XMP-aux:OwnerName": ("A. Person", "xmp.owner"),
    "XMP-dc:Creator": ("nobody", "xmp.author"),
    "XMP-microsoft:DateAcquired": ("2026:02:03 04:05:06", "xmp.acquired"),
}


def traits(data: bytes, plugin: object = exif.PLUGIN) -> dict[str, Value]:
    return dict(plugin.traits(Probe(memoryview(data), len(data), "image/x")))


def exiftool(path: Path, *options: str) -> str:
    assert shutil.which("exiftool"), "exiftool is needed as the oracle (tools/system-packages)"
    return subprocess.run(["exiftool", *options, str(path)], capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module", params=KINDS)
def tagged(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("exif") / f"card.{request.param}"
    if request.param == "heic":
        pillow_heif.from_pillow(CARD).save(path)
    else:
        CARD.save(path, KINDS[request.param])
    options = [f"-{tag}={value}" for tag, (value, _) in (WRITTEN | PACKET).items()]
    place = ["-GPSLatitude=48.1234567", "-GPSLatitudeRef=S", "-GPSLongitude=11.5", "-GPSLongitudeRef=E"]
    place += ["-GPSAltitude=31.5", "-GPSAltitudeRef=1", "-GPSDateStamp=2026:01:31", "-GPSTimeStamp=10:00:01"]
    exiftool(path, "-overwrite_original", "-n", "-q", *options, *place)
    return path.read_bytes()


def test_what_exiftool_wrote_is_read(tagged: bytes) -> None:
    said = traits(tagged)
    assert {trait: said.get(trait) for _, trait in WRITTEN.values()} == {t: v for v, t in WRITTEN.values()}
    assert said["gps.latitude"] == pytest.approx(-48.1234567, abs=1e-6)
    assert said["gps.longitude"] == pytest.approx(11.5, abs=1e-6)
    assert (said["gps.altitude"], said["gps.time"]) == (-31.5, "2026:01:31 10:00:01")
    assert not [value for value in said.values() if isinstance(value, Missing)]


@pytest.mark.parametrize(
    ("clock", "said"),
    [
        (((12, 1), (34, 1), (596, 10)), "2026:01:31 12:34:59"),
        (((12, 1), (597, 10), (0, 1)), "2026:01:31 12:59:42"),
        (((23, 1), (59, 1), (59999, 1000)), "2026:01:31 23:59:59"),
        (((99, 1), (0, 1), (0, 1)), None),
    ],
)
def test_the_time_of_a_place_is_one_that_a_clock_shows(clock, said) -> None:
    place = Ifd({7: (RATIONAL, *clock), 29: (ASCII, "2026:01:31")})
    found = traits(tiffs.jpeg(CARD, tiffs.tiff(Ifd({0x8825: (LONG, place)}))))["gps.time"]
    assert found == said if said else isinstance(found, Missing)


def test_what_exiftool_wrote_into_xmp_is_read(tagged: bytes) -> None:
    said = traits(tagged, xmp.PLUGIN)
    expected = {trait: value for value, trait in PACKET.values()} | {"xmp.acquired": "2026-02-03T04:05:06"}
    assert said == expected


def test_a_long_text_of_xmp_is_handed_on_whole() -> None:
    """What holds its Trait cuts it, and says so: leading blanks do not push it out."""
    text = "kite & heron " * 5_000
    packet = f"<a xmlns:t='{xmp.TIFF[:-1]}'><t:Make>{' ' * 5_000}{text.replace('&', '&amp;')}</t:Make></a>"
    assert xmp.values(packet.encode()) == [("xmp.make", text.strip())]


def noted(make: str, note: bytes, order: str) -> bytes:
    """A JPEG whose EXIF block has that maker note."""
    block = tiffs.tiff(Ifd({0x010F: (ASCII, make), 0x8769: (LONG, Ifd({0x927C: (UNDEFINED, note)}))}), order)
    return tiffs.jpeg(CARD, block)


def nikon() -> bytes:
    inside = tiffs.tiff(Ifd({0x0001: (UNDEFINED, b"0211"), 0x001D: (ASCII, "3001234"), 0x00A7: (LONG, 45678)}), ">")
    return noted("NIKON CORPORATION", b"Nikon\x00\x02\x10\x00\x00" + inside, ">")


def canon() -> bytes:
    """Offsets count from the EXIF block, so the note is laid out twice: to learn where it lies, and for good."""
    fields = Ifd({0x0006: (ASCII, "Canon EOS"), 0x000C: (LONG, 420001234), 0x0096: (ASCII, "ZA0012345678")})

    def laid(base: int) -> bytes:
        block = Block("<", header=False)
        block.add(fields, base)
        return bytes(block.out)

    draft = noted("Canon", laid(0), "<")
    where = draft.index(laid(0)) - draft.index(b"Exif\x00\x00") - 6
    return noted("Canon", laid(where), "<")


def fuji() -> bytes:
    block = Block("<", header=False)
    block.out += b"FUJIFILM\x0c\x00\x00\x00"
    block.add(Ifd({0x0000: (UNDEFINED, b"0130"), 0x0010: (ASCII, "FFDT22334455 592D31323334 2013:05:06 5E3020718A2B")}))
    return noted("FUJIFILM", bytes(block.out), "<")


def apple(order: str = ">") -> bytes:
    """The note says its own byte order; whoever writes the EXIF block anew may use another one for that."""
    block = Block(">", header=False)
    block.out += b"Apple iOS\x00\x00\x01MM"
    fields = {
        0x0001: (SIGNED, 14),
        0x0004: (SIGNED, 1),
        0x0008: (RATIONAL, (1, 2), (3, 4), (5, 6)),
        0x0014: (SIGNED, 10),
    }
    fields[0x0011] = (ASCII, "3A1F0B52-6C5D-4E0B-9E8B-0F3C2D1A4B5C")
    fields[0x0015] = (ASCII, "7E57C0DE-0000-4000-8000-00000000BEEF")
    block.add(Ifd(fields))
    return noted("Apple", bytes(block.out), order)


def test_of_an_apple_note_exiftool_knows_nothing_more_that_is_kept(tmp_path: Path) -> None:
    """So it is not asked. Its name for the content identifier changed twice (12.19 on: MediaGroupUUID)."""
    for order in "<>":
        (tmp_path / "card.jpg").write_bytes(apple(order))
        written = (f"-ExifIFD:{tag}={value}" for tag, value in (("SerialNumber", "S-1"), ("LensSerialNumber", "L-2")))
        exiftool(tmp_path / "card.jpg", *written, "-overwrite_original")
        data = (tmp_path / "card.jpg").read_bytes()
        ours = traits(data)
        assert "makernote" not in ours
        kept = (f"-{tag}" for tag in (*exiftool_runs.TAGS, "MediaGroupUUID"))
        (theirs,) = json.loads(exiftool(tmp_path / "card.jpg", "-j", "-n", *kept))
        theirs.pop("SourceFile")
        assert len(theirs) == 5
        assert set(map(str, theirs.values())) <= set(map(str, ours.values()))


def test_an_apple_note_that_breaks_off_is_left_to_exiftool() -> None:
    said = traits(
        noted("Apple", b"Apple iOS\x00\x00\x01MM\x00\x01\x00\x15\x00\x02\x00\x00\x00\x25\x00\x00\x40\x00", ">")
    )
    assert isinstance(said["makernote"], Missing)
    assert said["makernote"].reason is Reason.UNPARSABLE


MAKERS = {
    "apple": (apple(), {"note.version": "Apple:MakerNoteVersion", "note.image_unique_id": "Apple:ImageUniqueID"}),
    "nikon": (nikon(), {"camera.serial": "Nikon:SerialNumber", "camera.shutter_count": "Nikon:ShutterCount"}),
    "canon": (canon(), {"camera.serial": "Canon:SerialNumber", "camera.serial.internal": "Canon:InternalSerialNumber"}),
    "fuji": (fuji(), {"camera.serial.internal": "FujiFilm:InternalSerialNumber"}),
}


@pytest.mark.parametrize("maker", MAKERS)
def test_maker_notes_say_to_us_what_they_say_to_exiftool(maker: str, tmp_path: Path) -> None:
    data, shared = MAKERS[maker]
    (tmp_path / "card.jpg").write_bytes(data)
    (theirs,) = json.loads(exiftool(tmp_path / "card.jpg", "-j", "-G1", "-n", "-MakerNotes:all"))
    ours = traits(data)
    for trait, tag in shared.items():
        value = str(theirs[tag])
        assert str(ours[trait]) == (value.zfill(10) if tag == "Canon:SerialNumber" else value)


def test_an_unknown_maker_note_is_said() -> None:
    said = traits(noted("Sony", b"SONY DSC \x00\x00\x00" + bytes(40), "<"))["makernote"]
    assert isinstance(said, Missing)
    assert said.reason is Reason.UNKNOWN


def test_a_directory_that_leads_into_itself_ends() -> None:
    data = bytearray(tiffs.tiff(Ifd({0x0100: (LONG, 1)})))
    data[22:26] = (8).to_bytes(4, "little")  # the next directory is this one
    tiff = Tiff(memoryview(bytes(data)))
    assert len(list(tiff.chain(tiff.first))) == 1


def test_a_value_outside_the_block_and_a_cut_directory_are_said() -> None:
    whole = tiffs.tiff(Ifd({0x010F: (ASCII, "Lumen of many words"), 0x0110: (ASCII, "L")}))
    assert isinstance(traits(tiffs.jpeg(CARD, whole[:-8]))["camera.make"], Missing)
    assert isinstance(traits(tiffs.jpeg(CARD, whole[:24]))["exif"], Missing)


@pytest.mark.parametrize("value", [((1, 0), (0, 1), (0, 1)), ((200, 1), (0, 1), (0, 1)), ((1, 1),)])
def test_a_place_that_is_none_is_said(value: tuple) -> None:
    block = tiffs.tiff(Ifd({0x8825: (LONG, Ifd({1: (ASCII, "N"), 2: (RATIONAL, *value)}))}))
    assert isinstance(traits(tiffs.jpeg(CARD, block))["gps.latitude"], Missing)


SYDNEY = ((33, 1), (52, 1), (12, 1)), ((151, 1), (12, 1), (36, 1))


@pytest.mark.parametrize(
    ("latitude", "longitude", "place"),
    [
        ("S", "E", (-33.87, 151.21)), ("N", "W", (33.87, -151.21)), (" South", "e", (-33.87, 151.21)),
        (None, None, (None, None)), ("", "?", (None, None)), ("E", "S", (None, None)), ("S", None, (-33.87, None)),
    ],
)  # fmt: skip
def test_a_place_without_a_hemisphere_is_none(latitude, longitude, place) -> None:
    stated = {1: latitude, 3: longitude}
    references = {tag: (ASCII, each) for tag, each in stated.items() if each is not None}
    values = {2 * n: (RATIONAL, *value) for n, value in enumerate(SYDNEY, 1)}
    said = traits(tiffs.jpeg(CARD, tiffs.tiff(Ifd({0x8825: (LONG, Ifd(references | values))}))))
    for name, digits, degrees in zip(("latitude", "longitude"), ("33.8700000", "151.2100000"), place, strict=True):
        found = said[f"gps.{name}"]
        if degrees is None:
            assert (found.reason, f"{digits} degrees, with" in found.detail) == (Reason.UNKNOWN, True)
        else:
            assert found == degrees


BOMB = b'<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;">]><x:xmpmeta xmlns:x="adobe:ns:meta/">&c;</x:xmpmeta>'


@pytest.mark.parametrize("packet", [BOMB, BOMB.decode().encode("utf-16"), b"<a>" * 5000, b"<a><b></a>", b"\xff\xfe<"])
def test_xmp_that_could_grow_or_is_none_is_refused(packet: bytes) -> None:
    with pytest.raises(ValueError, match="XMP"):
        xmp.values(packet)


@given(st.binary(max_size=300), st.sampled_from("<>"), st.integers(0, 40))
def test_junk_in_a_block_is_an_error_with_words_or_nothing(junk: bytes, order: str, first: int) -> None:
    head = (b"II" if order == "<" else b"MM") + (42).to_bytes(2, "little" if order == "<" else "big")
    block = head + first.to_bytes(4, "little" if order == "<" else "big") + junk
    found = _metadata.find(memoryview(block))
    for name, value in exif.PLUGIN.traits(Probe(memoryview(block), len(block), "image/tiff")):
        assert name
        assert isinstance(value, str | int | float | Missing)
    if found.note is not None:
        with suppress(ValueError):
            list(_makernote.traits(*found.note, "Canon") or ())


@given(st.sampled_from(sorted(MAKERS)), st.lists(st.tuples(st.integers(20, 260), st.integers(0, 255)), max_size=9))
def test_flipped_maker_notes_cost_themselves(maker: str, flips: list[tuple[int, int]]) -> None:
    data = bytearray(MAKERS[maker][0])
    for at, value in flips:
        data[at] = value
    for name, value in exif.PLUGIN.traits(Probe(memoryview(bytes(data)), len(data), "image/jpeg")):
        assert isinstance(name, str)
        assert isinstance(value, str | int | float | Missing)


def test_here_is_where_the_bytes_lie() -> None:
    """The builder itself: what a Here names begins at the offset that stands in the field."""
    data = tiffs.tiff(Ifd({0x0201: (LONG, Here(b"\xff\xd8abc"))}))
    tiff = Tiff(memoryview(data))
    at = tiff.number(tiff.directory(tiff.first).entries[0x0201])
    assert data[at : at + 5] == b"\xff\xd8abc"


def test_a_second_exif_block_is_said_and_not_attributed() -> None:
    first, second = Image.Exif(), Image.Exif()
    first[exif.FIRST["camera.make"]] = "Lumen"
    second.get_ifd(_metadata.EXIF_IFD)[exif.INSIDE["camera.serial"]] = "B-2"
    blocks = [b"Exif\x00\x00" + each.tobytes().removeprefix(b"Exif\x00\x00") for each in (first, second)]
    parts = [b"\xff\xe1" + (len(block) + 2).to_bytes(2) + block for block in blocks]
    scan = b"\xff\xda\x00\x02"
    found = traits(b"\xff\xd8" + parts[0] + parts[1] + scan)
    assert "camera.serial" not in found
    said = found["exif"]
    assert isinstance(said, Missing)
    assert said.reason is Reason.UNKNOWN
    assert "a second EXIF block" in said.detail
    assert "'B-2'" in said.detail
    assert "exif" not in traits(b"\xff\xd8" + parts[0] + parts[0] + scan), "the same once more"
