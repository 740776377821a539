"""Films and pictures that libmagic has no type for are typed by their boxes and first bytes, and looked at."""

import io
import struct
import zipfile
from pathlib import Path

import av
import films
import numpy as np
import pillow_heif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from case_made import new_case
from clew.intake import boxes, mediatype
from clew.intake.api import Frame, Probe
from clew.intake.archives.kinds import kind_of
from clew.intake.archives.motion import film
from clew.intake.extractors import _picture, video
from clew.intake.options import Options
from clew.intake.run import intake

CHOSEN = Options(workers=1, extractors=("clew.intake.extractors.video:PLUGIN",))


def first_box(kind: bytes) -> bytes:
    """A film of which the first box has that type instead of "ftyp", and everything else stays in its place."""
    film = films._film("mp4, index in front")
    return film[:4] + kind + film[8:]


def branded(brand: bytes) -> bytes:
    """A film of that brand."""
    film = films._film("mp4, index in front")
    return film[:8] + brand + film[12:]


def hashes(data: bytes) -> int:
    """How many frames are hashed of what is typed as in an intake."""
    probe = Probe(memoryview(data), len(data), mediatype.of(data), "fast")
    return sum(isinstance(value, Frame) for _, value in video.PLUGIN.traits(probe))


@pytest.mark.parametrize("brand", [b"XAVC", b"pana", b"CAEP", b"f4v ", b"piff", b"cmfc", b"hvc1", b"\0\0\0\0", b"hik "])
def test_a_film_is_one_whatever_its_brand(brand: bytes) -> None:
    assert mediatype.of(branded(brand)) == "video/mp4"
    assert hashes(branded(brand)) == films.SCENES


@pytest.mark.parametrize("kind", [b"free", b"skip", b"pnot", b"udta", b"uuid"])
def test_quicktime_without_a_brand(kind: bytes) -> None:
    data = first_box(kind)
    assert mediatype.of(data) == "video/quicktime"
    assert hashes(data) == films.SCENES


def test_boxes_that_decide() -> None:
    wide = struct.pack(">I4sI4s", 8, b"wide", 1 << 20, b"mdat") + bytes(64)
    assert mediatype.of(wide) == "video/quicktime"
    assert mediatype.of(struct.pack(">I4s4sI", 16, b"styp", b"msdh", 0) + bytes(64)) == "video/mp4"
    large = struct.pack(">I4sQ", 1, b"free", 24) + bytes(8) + struct.pack(">I4s", 8, b"moov")
    assert mediatype.of(large) == "video/quicktime"


@pytest.mark.parametrize(
    ("brand", "media_type"),
    [(b"mif2", "image/heif"), (b"miaf", "image/heif"), (b"MiHB", "image/heic"), (b"MA1B", "image/avif")],
)
def test_brands_of_pictures(brand: bytes, media_type: str) -> None:
    assert mediatype.of(struct.pack(">I4s4sI", 16, b"ftyp", brand, 0) + bytes(64)) == media_type


@pytest.mark.parametrize(("kind", "profile"), [("HEIF", b"MiHB"), ("AVIF", b"MA1B")])
def test_a_picture_is_decoded_whatever_its_first_brand(kind: str, profile: bytes) -> None:
    image, out = Image.fromarray(films.picture(0)), io.BytesIO()
    if kind == "AVIF":
        image.save(out, kind)
    else:
        pillow_heif.from_pillow(image).save(out)
    data = out.getvalue()
    pixels = [
        _picture.decode(Probe(memoryview(each), len(each), mediatype.of(each))).pixels
        for each in (data, *(data[:8] + brand + data[12:] for brand in (b"mif2", b"miaf", profile)))
    ]
    assert all(np.array_equal(pixels[0], each) for each in pixels)


@pytest.mark.parametrize("data", [
    b"\x01\x02\x03\x04free\xff\xfe" * 90, b"\0\0\0\x05udta" + b"\xf1" * 80,
    b"\0\0\0\x08wide\0\0\0\x08junk" + b"\xf1" * 80, b"\0\0\0\x08skip" * 100, b"\0\0\0\0free" + b"\xf1" * 80,
    b"\0\0\0\x01free", b"\0\0\0\x10fre",
])  # fmt: skip
def test_four_letters_alone_are_no_film(data: bytes) -> None:
    assert mediatype.of(data) == mediatype.UNKNOWN


@pytest.mark.parametrize(("form", "codec", "media_type"), [
    ("h264", "libx264", mediatype.H264), ("hevc", "libx265", mediatype.H265), ("ivf", "libvpx", "video/x-ivf"),
    ("dv", "dvvideo", mediatype.DV), ("nut", "mpeg4", "video/x-nut"), ("wtv", "mpeg2video", "video/x-wtv"),
])  # fmt: skip
def test_streams_of_films_without_a_container(form: str, codec: str, media_type: str) -> None:
    out = io.BytesIO()
    size = (720, 576) if codec == "dvvideo" else (176, 144)
    with av.open(out, "w", format=form) as container:
        stream = container.add_stream(codec, rate=25, options=films.QUIET if codec == "libx265" else {})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for number in range(5):
            frame = av.VideoFrame.from_ndarray(np.full((size[1], size[0], 3), 40 * number, np.uint8), format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert mediatype.of(out.getvalue()) == media_type
    assert hashes(out.getvalue()) > 0


def test_what_only_its_name_calls_a_film_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clew.intake.run.second_types", lambda *_: None)  # which would take seconds
    seized = tmp_path / "seized"
    seized.mkdir()
    (seized / "sony.mp4").write_bytes(branded(b"XAVC"))
    (seized / "recorder.mp4").write_bytes(b"\x01\x02\x03\x04\xfe\xff" * 500)
    (seized / "other.bin").write_bytes(b"\x01\x02\x03\x05\xfe\xff" * 500)
    words = intake(new_case(tmp_path / "case"), path=seized, label="F", options=CHOSEN).words()
    assert "by type, of what was hashed: videos 1, unknown 2" in words
    assert "1 contents of unknown type, videos by their name or the second opinion, were not looked at" in words


@pytest.mark.parametrize(("first", "content"), [
    ("visio/a.txt", b""), ("Payload/x.app/a.txt", b""), ("mimetype", b"application/vnd.kde.kword"),
    ("mimetype", b"application/x-vnd.corel.draw.document+zip"), ("a.iso", bytes(32_733) + b"\1CD001\1" + bytes(2048)),
    ("a.img", bytes(475) + b"\x55\xaa"), ("a.img", bytes(4051) + b"SWAPSPACE2"),
], ids=["Visio", "iOS", "KDE", "Corel", "ISO 9660", "boot sector", "swap"])  # fmt: skip
def test_a_zip_is_opened_whatever_its_first_member_is(first: str, content: bytes) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(first, content)
        archive.writestr("photo.jpg", b"x")
    data = out.getvalue()
    assert mediatype.typer().from_buffer(data) != "application/zip", "else nothing is tried here"
    assert kind_of(mediatype.of(data)) is kind_of("application/zip")


def test_other_archives_with_a_boot_sectors_mark() -> None:
    for magic, media_type in (
        (b"7z\xbc\xaf\x27\x1c\0\4", "application/x-7z-compressed"),
        (b"Rar!\x1a\x07\x01\0", "application/x-rar"),
    ):
        assert mediatype.of(magic.ljust(510, b"\xf1") + b"\x55\xaa" + bytes(600)) == media_type


def test_documents_that_are_zips_keep_their_type() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("mimetype", b"application/vnd.oasis.opendocument.text")
    assert mediatype.of(out.getvalue()) == "application/vnd.oasis.opendocument.text"


@pytest.mark.parametrize("kind", ["mkv", "webm, VP8", "avi", "mov", "3gp", "flv", "rm", "mpeg"])
def test_a_film_with_a_boot_sectors_mark_by_chance(kind: str) -> None:
    film = films._film(kind)
    marked = film[:510] + b"\x55\xaa" + film[512:]
    assert mediatype.typer().from_buffer(marked) == mediatype.UNKNOWN, "else nothing is tried here"
    assert mediatype.of(marked) == films.KINDS[kind][4]


def test_boot_sectors_stay_unknown() -> None:
    for jump in (b"\xeb\x3c\x90mkfs.fat", b"\xeb\x76\x90EXFAT   ", b"\xeb\x52\x90NTFS    ", b"\xfa\x33\xc0", bytes(4)):
        assert mediatype.of(jump.ljust(510, b"\0") + b"\x55\xaa" + bytes(4096)) == mediatype.UNKNOWN
    program = b"MZ\x90\0\3\0\0\0\4\0\0\0\xff\xff".ljust(510, b"\0") + b"\x55\xaa" + bytes(4096)
    assert mediatype.of(program) == mediatype.DOS


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(
    st.sampled_from([b"ftyp", b"moov", b"free", b"wide", b"mpvd", b"XAVC", b"\0\0\0\x08", b"\0\0\0\0", b"\0\0\0\1"]),
    st.binary(max_size=9),
), max_size=30).map(b"".join))  # fmt: skip
def test_no_bytes_are_a_crash(data: bytes) -> None:
    assert boxes.media_type(data) in {None, boxes.MP4, boxes.QUICKTIME, boxes.HEIF, boxes.HEIC, boxes.AVIF}
    for begin in (b"", b"\0\0\0\x10ftypheic\0\0\0\0"):
        found = film(memoryview(begin + data))
        assert found is None or 0 < found[0] < sum(found) <= len(begin + data)


@pytest.mark.parametrize(("third", "is_one"), [(0x90, True), (0x10, True), (0x09, True), (0xB0, False), (0x91, False)])
def test_noise_that_begins_like_compress_is_no_archive(third: int, is_one: bool) -> None:
    """Two bytes are its magic. libarchive hands such noise back as its own member, and that as its own, 8 deep."""
    first = b"\x1f\x9d" + bytes([third]) + np.random.default_rng(1).bytes(500)
    assert (kind_of(mediatype.of(first)) is not None) == is_one


def test_what_compress_is_cut_behind_its_magic_is_no_archive() -> None:
    assert kind_of(mediatype.of(b"\x1f\x9d")) is None
