"""EWF images for the tests: by ewfacquirestream where it writes the form, else by a writer of our own.

The writer follows the same public specification, section by section, for forms that no tool here writes: SMART,
EnCase 1, tables beyond 2 GiB, images of optical discs and of media with read errors.
"""

import os
import random
import struct
import subprocess
import weakref
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from string import ascii_uppercase

from hypothesis import HealthCheck, settings

from clew.core.resumable import NAMES
from clew.intake.containers.ewf import Ewf, open_ewf
from clew.intake.containers.ewf_acquisition import verify

SECTOR = 512
MAGIC = b"EVF\x09\x0d\x0a\xff\x00"
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def mixture(size: int, seed: int = 1) -> bytes:
    """Text, noise and zeros, in stretches of some kilobytes."""
    draw, out = random.Random(seed), bytearray()
    while len(out) < size:
        length = draw.randrange(1000, 30_000)
        words = b" ".join(draw.choice([b"sector", b"chunk", b"table", b"image"]) for _ in range(length // 6))
        out += draw.choice([words, draw.randbytes(length), bytes(length)])
    return bytes(out[:size])


def acquire(folder: Path, data: bytes, **options: str | int) -> list[Path]:
    """The files of an E01 by ewfacquirestream; options as its own: c(ompression), b (sectors a chunk), f(ormat), S."""
    flags = [text for name, value in {"c": "fast", "d": "sha1", **options}.items() for text in (f"-{name}", str(value))]
    command = ["ewfacquirestream", "-q", "-t", str(folder / "image"), *flags]
    subprocess.run(command, input=data, check=True, capture_output=True)
    return sorted(folder.glob("image.[E-Z]*"))


def fat(folder: Path, files: dict[str, bytes]) -> bytes:
    """A FAT volume with those files."""
    image = folder / "volume.raw"
    with image.open("wb") as out:
        out.truncate(6 << 20)
    environment = {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin", "MTOOLS_SKIP_CHECK": "1"}
    subprocess.run(["mkfs.fat", image], check=True, capture_output=True, env=environment)
    for name, data in files.items():
        (folder / name).write_bytes(data)
        subprocess.run(["mcopy", "-i", image, folder / name, "::/"], check=True, capture_output=True, env=environment)
    return image.read_bytes()


def opened(paths: list[Path]) -> Ewf:
    """The image behind those files, which are closed once it is gone."""
    descriptors = [os.open(path, os.O_RDONLY) for path in paths]
    try:
        image = open_ewf(descriptors)
    except BaseException:
        _close(descriptors)
        raise
    weakref.finalize(image, _close, descriptors)
    return image


def _close(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def chain(data: bytes) -> list[tuple[str, int, int]]:
    """(kind, first byte, end) of each section of a sound segment."""
    found, at = [], 13
    while True:
        name, end = struct.unpack_from("<16sQ", data, at)
        kind = name.rstrip(b"\x00").decode()
        found.append((kind, at, max(end, at + 76)))
        if kind in {"next", "done"}:
            return found
        at = end


def section(data: bytes, kind: str) -> tuple[int, int]:
    """The first byte of the data of the first section of that kind, and its end."""
    return next((at + 76, end) for name, at, end in chain(data) if name == kind)


def checked(data: bytes) -> bytes:
    """With its Adler-32 behind it."""
    return data + struct.pack("<I", zlib.adler32(data))


def patched(data: bytes, at: int, value: bytes, covers: tuple[int, int]) -> bytes:
    """`value` written at `at`, and the Adler-32 that ends the bytes `covers` made to agree."""
    changed = bytearray(data)
    changed[at : at + len(value)] = value
    start, end = covers
    changed[end - 4 : end] = struct.pack("<I", zlib.adler32(bytes(changed[start : end - 4])))
    return bytes(changed)


@dataclass
class Writer:
    """One segment, section by section. `chunk` bytes a chunk; `skipped` bytes of it are written elsewhere."""

    chunk: int = 4096
    skipped: int = 0
    number: int = 1
    out: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        if not self.skipped:
            self.out += MAGIC + struct.pack("<BHH", 1, self.number, 0)

    def section(self, kind: str, data: bytes) -> None:
        at = self.skipped + len(self.out)
        end = at + 76 + len(data)
        self.out += checked(struct.pack("<16sQQ40x", kind.encode(), at if kind in {"next", "done"} else end, end - at))
        self.out += data

    def volume(self, size: int, kind: str = "volume", identity: bytes = bytes(16)) -> None:
        """EnCase's form of the volume section."""
        chunks, sectors = -(-size // self.chunk), size // SECTOR
        head = struct.pack("<B3xIIIQ12xB15xB3xI4x", 1, chunks, self.chunk // SECTOR, SECTOR, sectors, 2, 1, 64)
        self.section(kind, checked((head + identity).ljust(1048, b"\x00")))

    def smart_volume(self, size: int) -> None:
        chunks, sectors = -(-size // self.chunk), size // SECTOR
        head = struct.pack("<5I", 1, chunks, self.chunk // SECTOR, SECTOR, sectors)
        self.section("volume", checked(head.ljust(85, b"\x00") + b"SMART"))

    def chunks(self, data: bytes, compressed: bool, base: int) -> tuple[bytes, list[int]]:
        """The chunks of `data`, and their table entries if the first one lies `base` bytes into the segment."""
        packed, entries = bytearray(), []
        for at in range(0, len(data), self.chunk):
            piece = data[at : at + self.chunk]
            entries.append(base + len(packed) | (0x80000000 if compressed else 0))
            packed += zlib.compress(piece) if compressed else checked(piece)
        return bytes(packed), entries

    def table(self, entries: list[int], base: int = 0, footer: bool = True) -> bytes:
        array = struct.pack(f"<{len(entries)}I", *entries)
        return checked(struct.pack("<I4xQ4x", len(entries), base)) + (checked(array) if footer else array)

    def old(self, data: bytes, *, compressed: bool, footer: bool) -> None:
        """A table section that holds its chunks, as SMART (no footer) and EnCase 1 write it."""
        count = -(-len(data) // self.chunk)
        packed, entries = self.chunks(data, compressed, len(self.out) + 76 + 24 + 4 * count + 4 * footer)
        self.section("table", self.table(entries, footer=footer) + packed)

    def new(self, data: bytes, compressed: bool = False) -> None:
        """Sectors, table and table2."""
        packed, entries = self.chunks(data, compressed, len(self.out) + 76)
        self.section("sectors", packed)
        self.section("table", self.table(entries))
        self.section("table2", self.table(entries))

    def save(self, path: Path, last: str = "done") -> Path:
        self.section(last, b"")
        path.write_bytes(self.out)
        return path


SIZE = 40 * SECTOR * 64 + 7 * SECTOR  # the last chunk is a short one
DATA = mixture(SIZE)


def whole(image: Ewf) -> bytes:
    return b"".join(image.read(at, 1 << 20) for at in range(0, image.size, 1 << 20))


def verified(image: Ewf) -> dict:
    """The last word of the verification, with all hashes, and which of the stored ones agree."""
    *progress, last = (reply.value for reply in verify(image, NAMES, {}))
    assert all(set(each) == {"read"} for each in progress)
    return last | {"agree": {name: last[name] == value for name, value in last["stored"].items()}}


def wrong(data: bytes, truth: bytes, bad: list[tuple[int, int]]) -> list[int]:
    """The first bytes that differ from the truth and lie in no bad range."""
    covered = bytearray(truth)
    for offset, length in bad:
        covered[offset : offset + length] = data[offset : offset + length]
    return [at for at in range(len(truth)) if covered[at] != data[at]][:5] if covered != data else []


def one_chunk_a_segment(folder: Path, data: bytes, chunk: int) -> list[Path]:
    """An image in as many segments as it has chunks (up to 775)."""
    names = [f"E{number:02}" for number in range(1, 100)]
    names += [f"E{one}{two}" for one in ascii_uppercase for two in ascii_uppercase]
    count, paths = -(-len(data) // chunk), []
    for number, name in zip(range(count), names, strict=False):
        writer = Writer(chunk, number=number + 1)
        writer.volume(len(data), "data" if number else "volume")
        writer.new(data[number * chunk : (number + 1) * chunk], compressed=True)
        paths.append(writer.save(folder / f"many.{name}", "done" if number == count - 1 else "next"))
    return paths


def split_image(folder: Path) -> tuple[bytes, list[Path]]:
    """Five segments of 1 MiB, nothing compressed."""
    data = mixture(4_500_000 // SECTOR * SECTOR, 2)
    paths = acquire(folder, data, c="none", S=1 << 20)
    assert len(paths) == 5
    return data, paths


def saved(folder: Path, data: bytes) -> Ewf:
    path = folder / "changed.E01"
    path.write_bytes(data)
    return opened([path])
