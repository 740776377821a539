"""A folder of files that mean harm, made by code and harmless to keep. Each is named after what it does."""

import os
import struct
import zlib
from pathlib import Path

from PIL import Image

DEEDS = ("crash", "leave", "hang", "eat", "recurse", "flood", "fail", "lie", "reach")
SIDE = 30_000


def png_bomb(path: Path) -> None:
    """A PNG of 30,000 x 30,000 grey pixels, all black, in about a tenth of a MiB."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(9)
    rows = packer.compress(bytes((SIDE + 1) * 300)) + packer.flush(zlib.Z_FULL_FLUSH)
    again = zlib.compressobj(9, wbits=-15)  # blocks after a full flush depend on nothing before: the same ones repeat
    more = again.compress(bytes((SIDE + 1) * 300)) + again.flush(zlib.Z_FULL_FLUSH)
    check = 1
    for _ in range(SIDE // 300):
        check = zlib.adler32(bytes((SIDE + 1) * 300), check)
    data = rows + more * (SIDE // 300 - 1) + b"\x03\x00" + struct.pack(">I", check)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 8, 0, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", data) + chunk(b"IEND", b""))


def good_picture(path: Path, number: int) -> None:
    """A picture that anything can decode."""
    noise = Image.frombytes("RGB", (8, 6), bytes((number * 31 + i * 7) % 256 for i in range(144)))
    noise.resize((320, 240), Image.Resampling.BICUBIC).save(path, quality=90)


def write(root: Path) -> None:
    """Everything, among files that are good."""
    root.mkdir()
    for number in range(4):
        good_picture(root / f"good-{number}.jpg", number)
        (root / f"good-{number}.txt").write_text(f"a plain file, number {number}\n")
    whole = (root / "good-0.jpg").read_bytes()
    Image.new("L", (300, 200), 90).save(root / "good.png")
    (root / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (root / "cut-header.jpg").write_bytes(whole[:40])
    (root / "cut.png").write_bytes((root / "good.png").read_bytes()[:60])
    (root / "zero-length.jpg").write_bytes(b"")
    (root / "text-named.jpg").write_text("no picture at all\n")
    (root / "picture-named.txt").write_bytes(whole)
    png_bomb(root / "bomb.png")
    for deed in DEEDS:
        (root / f"{deed}.bin").write_bytes(b"NASTY:" + deed.encode() + b"\n")
    Path(os.fsdecode(os.fsencode(root) + b"/\xff\xfe\x80.bin")).write_bytes(b"no UTF-8 in my name")
    (root / "out").symlink_to("/etc/passwd")
    (root / "round").symlink_to(root)
    os.mkfifo(root / "pipe")
    here = os.open(root, os.O_RDONLY)
    for _ in range(1005):  # too deep for one path
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("bottom", os.O_WRONLY | os.O_CREAT, dir_fd=here))
    os.close(here)
