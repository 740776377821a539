"""One benign file of every kind that is carved, made by the libraries that people's files are made by."""

import io
import os
import sqlite3
import tempfile
import zipfile
from pathlib import Path

import av
import numpy as np
import pillow_heif
import py7zr
from PIL import Image


def picture(seed: int = 1, width: int = 320, height: int = 240) -> Image.Image:
    """Shapes and grain, so that it neither compresses to nothing nor not at all."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (height // 16 + 1, width // 16 + 1, 3), np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)).astype(np.int16)
    return Image.fromarray((smooth + rng.integers(-9, 9, smooth.shape)).clip(0, 255).astype(np.uint8))


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def jpeg(seed: int = 1, **options: object) -> bytes:
    return saved(picture(seed), "JPEG", **{"quality": 85, **options})


def jpeg_with_thumbnail() -> bytes:
    """An Exif segment that holds a whole small JPEG."""
    small = saved(picture(9, 96, 72), "JPEG")
    tags = b"\x02\x00\x01\x02\x04\x00\x01\x00\x00\x00\x38\x00\x00\x00\x02\x02\x04\x00\x01\x00\x00\x00"
    body = b"Exif\0\0II*\0\x08\0\0\0" + b"\0\0" + b"\x0e\0\0\0" + tags + len(small).to_bytes(4, "little")
    body = body.ljust(6 + 0x38, b"\0") + small
    whole = jpeg(8)
    return whole[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + whole[2:]


def samsung(*more: bytes, moving: bool = False) -> bytes:
    """A picture with the trailer that telephones of that make append, around a film where there is one."""
    blocks = [b"\0\0\x01\x0a\x0e\0\0\0Image_UTC_Data1510110855770", *more]
    if moving:
        blocks.insert(0, b"\0\0\x30\x0a\x10\0\0\0MotionPhoto_Data" + film("mp4", "libx264", 8))
    back, table = sum(map(len, blocks)), b""
    for block in blocks:
        table += block[:4] + back.to_bytes(4, "little") + len(block).to_bytes(4, "little")
        back -= len(block)
    head = b"SEFH\x67\0\0\0" + len(blocks).to_bytes(4, "little") + table
    return jpeg(8) + b"".join(blocks) + head + len(head).to_bytes(4, "little") + b"SEFT"


def mpo() -> bytes:
    """Two pictures in one file."""
    return saved(picture(5), "MPO", save_all=True, append_images=[picture(6)])


def png(seed: int = 1) -> bytes:
    return saved(picture(seed), "PNG")


def gif() -> bytes:
    return saved(picture(2, 160, 120), "GIF", save_all=True, append_images=[picture(3, 160, 120)])


def heic() -> bytes:
    out = io.BytesIO()
    pillow_heif.from_pillow(picture(4)).save(out, quality=70)
    return out.getvalue()


def film(container: str, codec: str = "mpeg4", frames: int = 30, group: int = 12, **options: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film"
        with av.open(str(path), "w", format=container, options=options) as out:
            stream = out.add_stream(codec, rate=15)
            stream.width, stream.height = 320, 240
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            stream.gop_size = group
            stream.bit_rate = 1_500_000
            for number in range(frames):
                frame = av.VideoFrame.from_image(picture(number % 7)).reformat(format=stream.pix_fmt)
                for packet in stream.encode(frame):
                    out.mux(packet)
            for packet in stream.encode():
                out.mux(packet)
        return path.read_bytes()


class _Pipe(io.RawIOBase):
    """A file that cannot be moved about in: sizes are then written behind the data."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        self.data += bytes(data)  # type: ignore[call-overload]
        return len(bytes(data))  # type: ignore[call-overload]


def archive(method: int = zipfile.ZIP_DEFLATED, *, streamed: bool = False) -> bytes:
    out = _Pipe() if streamed else io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as made:
        for number in range(5):
            made.writestr(
                f"folder/{number}.txt", b"%d line\n" % number * 2000 + np.random.default_rng(number).bytes(900)
            )
        made.writestr("a.jpg", jpeg(3))
        made.comment = b"a comment"
    return bytes(out.data) if isinstance(out, _Pipe) else out.getvalue()


def seven() -> bytes:
    out = io.BytesIO()
    with py7zr.SevenZipFile(out, "w") as made:
        made.writestr(np.random.default_rng(1).bytes(30_000), "a.bin")
    return out.getvalue()


def database(page: int = 4096, secure: bool = False) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.db"
        base = sqlite3.connect(path)
        base.execute(f"PRAGMA page_size = {page}")
        base.execute(f"PRAGMA secure_delete = {secure:d}")
        base.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT, data BLOB)")
        rows = ((f"note {number}", os.urandom(6000 if number % 10 == 0 else 50)) for number in range(300))
        base.executemany("INSERT INTO notes (text, data) VALUES (?, ?)", rows)
        base.commit()
        base.execute("DELETE FROM notes WHERE id < 40")
        base.commit()
        base.close()
        return path.read_bytes()


MADE = {
    "baseline.jpg": jpeg,
    "progressive.jpg": lambda: jpeg(2, progressive=True, optimize=True),
    "restarts.jpg": lambda: jpeg(2, restart_marker_rows=1),
    "grey.jpg": lambda: saved(picture(3).convert("L"), "JPEG"),
    "cmyk.jpg": lambda: saved(picture(3).convert("CMYK"), "JPEG"),
    "thumbnail.jpg": jpeg_with_thumbnail,
    "two.jpg": mpo,
    "samsung.jpg": samsung,
    "samsung-motion.jpg": lambda: samsung(moving=True),
    "motion.jpg": lambda: jpeg(7) + film("mp4", "libx264", 8),
    "a.png": png,
    "a.gif": gif,
    "lossy.webp": lambda: saved(picture(4), "WEBP", quality=70),
    "lossless.webp": lambda: saved(picture(4), "WEBP", lossless=True),
    "moving.webp": lambda: saved(picture(4), "WEBP", save_all=True, append_images=[picture(5)]),
    "a.heic": heic,
    "a.avif": lambda: saved(picture(4), "AVIF"),
    "index-last.mp4": lambda: film("mp4", "libx264"),
    "index-first.mp4": lambda: film("mp4", "libx264", movflags="faststart"),
    "mpeg4.mp4": lambda: film("mp4"),
    "a.mov": lambda: film("mov"),
    "a.avi": lambda: film("avi"),
    "motion-jpeg.avi": lambda: film("avi", "mjpeg"),
    "a.mkv": lambda: film("matroska"),
    "a.webm": lambda: film("webm", "libvpx", 10),
    "deflated.zip": archive,
    "stored.zip": lambda: archive(zipfile.ZIP_STORED),
    "streamed.zip": lambda: archive(streamed=True),
    "a.7z": seven,
    "a.sqlite": database,
}
