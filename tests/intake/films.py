"""Videos made by code: four still pictures, one after the other, each beginning with a key frame."""

import io
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import numpy as np
from PIL import Image

WIDTH, HEIGHT, RATE = 320, 240, 10
SCENES, PER_SCENE = 4, 10  # a second each
QUIET = {"x265-params": "log-level=none:pools=none:frame-threads=1"}
# name: format, encoder, pixel format, options of the container, media type
KINDS: dict[str, tuple[str, str, str, dict[str, str], str]] = {
    "mp4, index at the end": ("mp4", "libx264", "yuv420p", {}, "video/mp4"),
    "mp4, index in front": ("mp4", "libx264", "yuv420p", {"movflags": "faststart"}, "video/mp4"),
    "mp4, fragments": ("mp4", "libx264", "yuv420p", {"movflags": "frag_keyframe+empty_moov"}, "video/mp4"),
    "mp4, HEVC of 10 bits": ("mp4", "libx265", "yuv420p10le", {}, "video/mp4"),
    "mp4, AV1": ("mp4", "libsvtav1", "yuv420p", {}, "video/mp4"),
    "mov": ("mov", "mpeg4", "yuv420p", {}, "video/quicktime"),
    "mov, ProRes": ("mov", "prores_ks", "yuv422p10le", {}, "video/quicktime"),
    "mkv": ("matroska", "libx264", "yuv420p", {}, "video/x-matroska"),
    "webm, VP8": ("webm", "libvpx", "yuv420p", {}, "video/webm"),
    "webm, VP9": ("webm", "libvpx-vp9", "yuv420p", {}, "video/webm"),
    "avi": ("avi", "mpeg4", "yuv420p", {}, "video/x-msvideo"),
    "avi, Motion JPEG": ("avi", "mjpeg", "yuvj420p", {}, "video/x-msvideo"),
    "avi, RGB": ("avi", "png", "rgb24", {}, "video/x-msvideo"),
    "ts": ("mpegts", "libx264", "yuv420p", {}, "application/octet-stream"),
    "mpeg": ("mpeg", "mpeg2video", "yuv420p", {}, "video/mpeg"),
    "3gp": ("3gp", "h263", "yuv420p", {}, "video/3gpp"),
    "wmv": ("asf", "wmv2", "yuv420p", {}, "video/x-ms-asf"),
    "flv": ("flv", "flv1", "yuv420p", {}, "video/x-flv"),
    "mxf": ("mxf", "mpeg2video", "yuv420p", {}, "application/mxf"),
    "rm": ("rm", "rv20", "yuv420p", {}, "application/vnd.rn-realmedia"),
}
RATES = {"mpeg": 25, "mxf": 25}  # formats that know certain rates alone
SIZES = {"3gp": (352, 288), "rm": (352, 288)}


@lru_cache
def picture(number: int, size: tuple[int, int] = (WIDTH, HEIGHT)) -> np.ndarray:
    """One of many different pictures: shapes at several scales, RGB."""
    rng = np.random.default_rng(number)
    total = np.zeros((size[1], size[0], 3), np.float32)
    for cells, weight in ((4, 1.0), (9, 0.7), (20, 0.4), (50, 0.15)):
        coarse = rng.uniform(-1, 1, (cells, cells, 3)).astype(np.float32)
        for channel in range(3):
            layer = Image.fromarray(coarse[..., channel]).resize(size, Image.Resampling.BICUBIC)
            total[..., channel] += weight * np.asarray(layer)
    return (127 + 80 * total).clip(0, 255).astype(np.uint8)


def film(kind: str, folder: Path) -> bytes:
    """The four pictures as that kind of video, left in `folder` as film.bin."""
    (folder / "film.bin").write_bytes(_film(kind))
    return _film(kind)


@lru_cache
def _film(kind: str) -> bytes:
    """Through a file: some muxers open once more what they wrote."""
    form, codec, pixels, container, _ = KINDS[kind]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "film.bin"
        make(path, form, codec, pixels, container, RATES.get(kind, RATE), SIZES.get(kind, (WIDTH, HEIGHT)))
        return path.read_bytes()


def make(
    out: Path | io.BytesIO,
    form: str,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    container: dict[str, str] | None = None,
    rate: int = RATE,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    scenes: tuple[int, ...] = tuple(range(SCENES)),
    seconds: int = 1,
    marked: bool = True,
    turn: int = 0,
    tags: dict[str, str] | None = None,
) -> None:
    """Writes one picture for so many seconds, then the next; a key frame for each where the encoder can be told."""
    target = str(out) if isinstance(out, Path) else out
    with av.open(target, "w", format=form, container_options=container or {}) as file:
        file.metadata.update(tags or {})
        stream = file.add_stream(codec, rate=rate, options=QUIET if codec == "libx265" else {})
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        stream.codec_context.gop_size = rate * seconds
        stream.codec_context.thread_count = 1
        stream.bit_rate = 2_000_000
        if turn:
            stream.set_display_rotation(-turn)
        for scene in scenes:
            shown = picture(scene, size)
            for number in range(rate * seconds):
                frame = av.VideoFrame.from_ndarray(shown, format="rgb24").reformat(format=pixels)
                frame.pict_type = 1 if number == 0 else 0
                _mux(file, stream.encode(frame), marked)
        _mux(file, stream.encode(), marked)


def _mux(file: Any, packets: list[Any], marked: bool) -> None:
    for packet in packets:
        packet.is_keyframe = packet.is_keyframe and marked
        file.mux(packet)
