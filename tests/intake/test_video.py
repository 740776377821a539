"""Videos made by code, in a worker that is locked up as in a real run: each key frame has the hash of its picture."""

import io
import os
import struct
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import films
import numpy as np
import pytest
from PIL import Image

from clew.core import pdq
from clew.core.absent import Absent
from clew.core.engine import Limits, Policy, Pool, Reply, Task
from clew.intake import mediatype, reading
from clew.intake.api import EXACT, Blob, Frame, Probe
from clew.intake.extractors import _video_walk, video
from clew.intake.extractors._video_frames import picture_hash, pixels
from clew.intake.extractors._video_walk import open_container
from clew.model import Missing, Reason

EXTRACTORS = ("clew.intake.extractors.video:PLUGIN", "clew.intake.extractors.animation:PLUGIN")
PRELOAD = ("clew.intake.reading:preload", "clew.intake.sources.folder", *(each.split(":")[0] for each in EXTRACTORS))
NEAR = 10  # PDQ's own rule for another way to the same hash


@pytest.fixture(scope="module")
def pool():
    with Pool(1, PRELOAD, Limits(60, 0, 1536 << 20, 16 << 20), Policy(landlock_abi=2)) as started:
        yield started


def locked(pool: Pool, path: Path, **payload: Any) -> list[dict[str, Any]]:
    """The trait rows of a file, from a locked worker."""
    asked = {"opener": "clew.intake.sources.folder:file", "size": path.stat().st_size, "mode": "fast"}
    task = Task(
        "0", "clew.intake.reading:read", asked | {"extractors": EXTRACTORS} | payload, (os.open(path, os.O_RDONLY),)
    )
    rows: list[dict[str, Any]] = []
    for outcome in pool.run([task]):
        assert isinstance(outcome.reply, Reply), outcome.reply
        rows += outcome.reply.value.get("traits", ())
    return rows


def here(data: bytes, media_type: str = "video/mp4", mode: str = "fast", every: float = 0.0) -> dict[str, list[Any]]:
    """What the extractor says in this process: values by trait, a Missing of the whole under "video"."""
    found: dict[str, list[Any]] = {}
    try:
        for name, value in video.PLUGIN.traits(Probe(memoryview(data), len(data), media_type, mode, every=every)):
            found.setdefault(name, []).append(value)
    except Absent as absent:
        found["video"] = [absent.missing]
    return found


def nearest(value: bytes, size: tuple[int, int] = (films.WIDTH, films.HEIGHT)) -> tuple[int, int]:
    """(bits, number) of the picture that lies nearest."""
    return min((pdq.distance(value, pdq.hash_rgb(films.picture(n, size))[0]), n) for n in range(films.SCENES))


def frames(found: dict[str, list[Any]], trait: str = "video.pdq") -> list[Frame]:
    return [value for value in found.get(trait, ()) if isinstance(value, Frame)]


def why(found: dict[str, list[Any]], trait: str = "video.pdq") -> list[Missing]:
    return [value for value in found.get(trait, ()) if isinstance(value, Missing)]


@lru_cache
def plain() -> bytes:
    return film()


def film(**options: Any) -> bytes:
    """Four seconds of MP4, H.264, index at the end."""
    out = io.BytesIO()
    films.make(out, options.pop("form", "mp4"), **options)
    return out.getvalue()


@pytest.mark.parametrize("kind", films.KINDS)
def test_key_frames_have_the_hashes_of_their_pictures_in_a_locked_worker(pool, tmp_path, kind):
    data, size = films.film(kind, tmp_path), films.SIZES.get(kind, (films.WIDTH, films.HEIGHT))
    assert mediatype.of(data[: mediatype.TYPED_BYTES]) == films.KINDS[kind][4]
    rows = locked(pool, tmp_path / "film.bin")
    said = {row["name"]: row for row in rows if "missing" not in row}
    hashed = [row for row in rows if "frame" in row]
    for row in hashed:
        assert nearest(bytes.fromhex(row["frame"]), size) <= (NEAR, int(row["seconds"])), row
        assert row["quality"] >= 80
        assert nearest(bytes.fromhex(row["frame"]), size)[1] == int(row["seconds"])
    assert {int(row["seconds"]) for row in hashed} == set(range(films.SCENES))
    assert [said[f"video.{name}"]["integer"] for name in ("width", "height", "damaged", "rotation")] == [*size, 0, 0]
    assert said["video.duration"]["number"] == pytest.approx(films.SCENES, abs=0.3)
    assert said["video.keyframes.hashed"]["integer"] == len(hashed)
    assert "blob" in said["video.sheet"]
    thinned = [row["detail"] for row in rows if "missing" in row]
    assert not thinned or (said["video.keyframes"]["integer"] == 40 and "at least 0.4 s apart" in thinned[0])


@pytest.mark.parametrize("kind", films.KINDS)
def test_a_cut_video_says_how_far_it_came_or_that_nothing_can_be_seen(pool, tmp_path, kind):
    data = films.film(kind, tmp_path)
    size = films.SIZES.get(kind, (films.WIDTH, films.HEIGHT))
    (tmp_path / "cut.bin").write_bytes(data[: len(data) * 35 // 100])
    rows = locked(pool, tmp_path / "cut.bin")
    missing = [row for row in rows if "missing" in row and "apart" not in row["detail"]]
    whole = [row for row in rows if "frame" in row and nearest(bytes.fromhex(row["frame"]), size)[0] <= NEAR]
    if kind in ("mp4, index at the end", "mov", "mov, ProRes", "3gp", "mp4, HEVC of 10 bits", "mp4, AV1"):
        assert [row["name"] for row in missing] == ["video"]
    elif kind in ("mp4, fragments", "ts", "mpeg"):  # these state no duration: they end where they end
        assert len(whole) >= 1
    else:
        assert missing, rows
        assert len(whole) >= 1


def test_nothing_of_the_file_but_grey_pixels_is_in_the_contact_sheet() -> None:
    found = here(film(codec="mpeg4", scenes=(0, 1, 2, 3) * 5))
    blob = found["video.sheet"][0]
    assert isinstance(blob, Blob)
    picture = Image.open(io.BytesIO(blob.data))
    assert picture.size == (4 * 160, 4 * 120)
    grey = np.asarray(picture.convert("RGB"), int)
    assert np.ptp(grey, axis=2).max() <= 2
    first = Image.fromarray(films.picture(0)).convert("L").resize((160, 120), Image.Resampling.BOX)
    assert np.abs(grey[:120, :160, 0] - np.asarray(first, int)).mean() < 12


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_hashes_are_of_frames_as_stored_and_the_sheet_stands_upright(turn: int) -> None:
    found = here(film(turn=turn, scenes=(2,)))
    assert found["video.rotation"] == [turn]
    assert nearest(frames(found)[0].pdq) <= (NEAR, 2)
    upright = Image.fromarray(films.picture(2)).convert("L").rotate(-turn, expand=True)
    picture = Image.open(io.BytesIO(found["video.sheet"][0].data)).convert("L")
    assert picture.size == ((160, 120) if turn in (0, 180) else (120, 160))
    assert np.abs(np.asarray(picture, int) - np.asarray(upright.resize(picture.size), int)).mean() < 15


def test_what_the_container_states_is_told_as_it_stands() -> None:
    tags = {"creation_time": "2026-01-31T12:00:00.000000Z", "location": "-12.5000+007.0100/", "title": "Lumen"}
    found = here(film(tags=tags))
    assert found["video.created"] == ["2026-01-31T12:00:00.000000Z"]
    assert (found["gps.latitude"], found["gps.longitude"]) == ([-12.5], [7.01])
    assert found["video.title"] == ["Lumen"]
    assert found["video.codec"] == ["h264"]
    assert found["video.frame_rate"] == [films.RATE]
    assert why(here(film(form="matroska", tags={"location": "somewhere"})), "gps.latitude")


def test_sound_alone_is_described_and_has_no_picture() -> None:
    import av

    out = io.BytesIO()
    with av.open(out, "w", format="wav") as file:
        stream = file.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        file.mux(stream.encode(frame))
    found = here(out.getvalue(), "audio/x-wav")
    assert (found["audio.codec"], found["audio.sample_rate"], found["video.duration"]) == (["pcm_s16le"], [8000], [1.0])
    assert not [name for name in found if name in ("video.pdq", "video.keyframes", "video.sheet", "video.damaged")]


def test_exact_mode_is_the_hash_of_the_rgb_that_ffmpeg_makes() -> None:
    data = film(form="matroska", codec="mpeg4")
    with open_container(Probe(memoryview(data), len(data), "video/x-matroska")) as container:
        expected = [pdq.hash_rgb(frame.to_ndarray(format="rgb24"))[0] for frame in container.decode(video=0)][::10]
    assert [frame.pdq for frame in frames(here(data, mode=EXACT))] == expected


LAYOUTS = ("yuv420p", "yuvj420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv420p10be", "nv12", "gray", "gray10le",
           "rgb24", "bgr0", "gbrp", "yuyv422", "uyvy422", "p010le")  # fmt: skip


@pytest.mark.parametrize("form", LAYOUTS)
@pytest.mark.parametrize("size", [(320, 240), (1000, 564)], ids=str)
def test_every_layout_of_pixels_is_near_the_picture(form: str, size: tuple[int, int]) -> None:
    import av

    frame = av.VideoFrame.from_ndarray(films.picture(1, size), format="rgb24").reformat(format=form)
    value, quality = picture_hash(frame, pixels(frame))
    expected, best = pdq.hash_rgb(films.picture(1, size))
    assert pdq.distance(value, expected) <= NEAR
    assert abs(quality - best) <= 3


def test_a_video_without_marked_key_frames_shows_its_first_frame() -> None:
    found = here(film(form="asf", codec="wmv2", marked=False), "video/x-ms-asf")
    assert found["video.keyframes"] == [0]
    assert [nearest(frame.pdq)[1] for frame in frames(found)] == [0]
    assert "the first frame" in why(found)[0].detail


def test_frames_that_are_wrongly_marked_as_key_frames_are_not_hashed() -> None:
    found = here(film(form="mov", codec="mpeg4", marked=False), "video/quicktime")  # without marks, all are key frames
    assert found["video.keyframes"] == [40]
    assert {nearest(frame.pdq) <= (NEAR, int(frame.seconds)) for frame in frames(found)} == {True}
    assert [int(frame.seconds) for frame in frames(found)] == [0, 1, 2, 3]


def test_a_stream_without_a_frame_is_no_error_and_no_silence() -> None:
    found = here(film(scenes=()))
    assert found.get("video.keyframes", [0]) == [0]
    assert "video.container" in found or why(found, "video")


def test_a_duration_that_is_a_lie_costs_no_frame() -> None:
    data = film(form="matroska", codec="mpeg4")
    at = data.index(b"\x44\x89\x88") + 3  # Duration, RFC 9559, 5.1.2.10: a float of eight bytes, in milliseconds
    lying = data[:at] + struct.pack(">d", 1e12) + data[at + 8 :]
    found = here(lying, "video/x-matroska")
    assert found["video.duration"] == [1e9]
    assert [nearest(frame.pdq)[1] for frame in frames(found)] == [0, 1, 2, 3]
    assert [missing.reason for missing in why(found)] == [Reason.UNPARSABLE]
    assert "states 1000000000.0 s, its frames end at 4.0 s" in why(found)[0].detail


def later(kind: str, form: str, seconds: int) -> bytes:
    """That film with all its times later, as one cut with -copyts has them, or one recorded from a stream."""
    out = io.BytesIO()
    with av.open(io.BytesIO(films._film(kind))) as source, av.open(out, "w", format=form) as file:
        stream = file.add_stream_from_template(source.streams.video[0])
        for packet in source.demux():
            if packet.size and packet.dts is not None:
                packet.pts, packet.dts = (at + int(seconds / packet.time_base) for at in (packet.pts, packet.dts))
                packet.stream = stream
                file.mux(packet)
    return out.getvalue()


@pytest.mark.parametrize(
    ("kind", "form"),
    [("mov", "matroska"), ("mp4, index in front", "matroska"), ("webm, VP8", "webm"), ("mov", "mov"), ("ts", "mpegts")],
)
def test_times_that_do_not_begin_at_zero_are_no_damage(kind: str, form: str) -> None:
    data = later(kind, form, 10)
    found = here(data, mediatype.of(data))
    assert found["video.damaged"] == [0]
    assert why(found) == []
    times = [frame.seconds for frame in frames(found)]
    assert np.diff(times) == pytest.approx([1, 1, 1], abs=0.1)
    cut = here(data[: len(data) * 6 // 10], mediatype.of(data))
    assert form == "mpegts" or cut.get("video.damaged", [1]) == [1], "a stream of packets states no end"


def test_absurd_dimensions_cost_the_frames_that_claim_them() -> None:
    data = bytearray(film(form="avi", codec="mjpeg", pixels="yuvj420p"))
    at = 0
    while (at := data.find(b"\xff\xc0\x00\x11\x08", at + 1)) > 0:  # SOF0: ISO/IEC 10918-1, B.2.2
        data[at + 5 : at + 9] = struct.pack(">HH", 65500, 65500)
    found = here(bytes(data), "video/x-msvideo")
    assert not frames(found)
    assert found["video.damaged"] == [1]
    assert any("broken" in missing.detail for missing in why(found))


def test_flipped_bytes_are_never_a_crash_and_mostly_damage() -> None:
    data, damaged = plain(), 0
    rng = np.random.default_rng(5)
    for _ in range(12):
        broken = bytearray(data)
        for at in rng.integers(48, len(data), 60):
            broken[at] ^= int(rng.integers(1, 256))
        found = here(bytes(broken))
        assert "video" in found or "video.damaged" in found
        damaged += found.get("video.damaged") == [1] or "video" in found
    assert damaged >= 10


@pytest.mark.parametrize(("name", "value", "said"), [("FRAMES", 3, "3 in all"), ("SECONDS", -9.0, "of computing")])
def test_limits_are_told_with_how_far_it_came(monkeypatch, name: str, value: float, said: str) -> None:
    monkeypatch.setattr(video, name, value)
    monkeypatch.setattr(_video_walk, "FIRST", 0)
    data = film(form="avi", codec="mjpeg", pixels="yuvj420p", scenes=(0, 1, 2, 3) * 5)
    found = here(data, "video/x-msvideo")
    assert [missing.reason for missing in why(found)] == [Reason.LIMIT_REACHED]
    assert said in why(found)[0].detail
    assert found["video.damaged"] == [0]
    if name == "FRAMES":  # spread over the whole, not the first three
        assert max(frame.seconds for frame in frames(found)) > 10


def test_every_stream_of_pictures_is_hashed() -> None:
    import av

    out = io.BytesIO()
    with av.open(out, "w", format="matroska") as file:
        for _ in range(2):
            stream = file.add_stream("mpeg4", rate=1)
            stream.width, stream.height, stream.pix_fmt = films.WIDTH, films.HEIGHT, "yuv420p"
        for stream, scene in zip(file.streams.video, (0, 3), strict=True):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(films.picture(scene), format="rgb24")))
            file.mux(stream.encode())
    found = here(out.getvalue(), "video/x-matroska")
    assert found["video.codec"] == ["mpeg4", "mpeg4"]
    assert {nearest(frame.pdq)[1] for frame in frames(found)} == {0, 3}


def test_playlists_that_name_other_files_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.mp4").write_bytes(plain())
    for text in (
        f"ffconcat version 1.0\nfile '{tmp_path}/secret.mp4'\n",
        f"#EXTM3U\n#EXTINF:4,\n{tmp_path}/secret.mp4\n",
    ):
        found = here(text.encode())
        assert list(found) == ["video"]
        assert why(found, "video")[0].reason is Reason.UNPARSABLE


@pytest.mark.parametrize("kind", ["mp4, index at the end", "mp4, index in front", "mp4, fragments", "mkv", "avi", "ts"])
def test_what_is_too_large_to_hold_says_the_same_as_what_is_held(tmp_path: Path, kind: str) -> None:
    data = films.film(kind, tmp_path)
    held, streamed = (sorted(examined(Counted(data), hold), key=str) for hold in (len(data), len(data) - 1))
    assert held == streamed


@pytest.mark.parametrize(("form", "container"), [("mov", {}), ("mov", {"movflags": "faststart"}), ("matroska", {}),
                                                 ("avi", {})], ids=str)  # fmt: skip
def test_what_is_too_large_to_hold_is_read_once(tmp_path: Path, form: str, container: dict[str, str]) -> None:
    path = tmp_path / "large.bin"
    pixels = "uyvy422" if form == "mov" else "yuv420p"
    films.make(path, form, "rawvideo", pixels, container, scenes=(0, 1, 2, 3) * 4)
    source = Counted(path.read_bytes())
    found = examined(source, hold=1 << 20)
    assert sum("frame" in trait for reply in found for trait in reply.get("traits", ())) == 40
    assert source.size > 17_000_000
    again = int(source.times.astype(int).sum()) - source.size
    assert again < 4 * _video_walk.BUFFER + mediatype.TYPED_BYTES, "its type, the index, and what FFmpeg tries first"
    assert source.times.min() == 1


def examined(source: "Counted", hold: int) -> list[dict[str, Any]]:
    asked = {"size": source.size, "extractors": EXTRACTORS[:1], "mode": "fast", "hold": hold}
    return [reply.value for reply in reading.examine(source, asked)]


class Counted:
    """A ByteSource that counts how often each byte was read."""

    def __init__(self, data: bytes) -> None:
        self._data, self.size, self.bad = data, len(data), []
        self.times = np.zeros(len(data), np.uint8)

    def read(self, offset: int, length: int) -> bytes:
        self.times[offset : offset + length] += 1
        return self._data[offset : offset + length]
