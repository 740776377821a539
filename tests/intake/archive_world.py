"""Archives for the tests: by ordinary tools where these exist, by hand (from the formats' notes) where they do not."""

import io
import struct
import subprocess
import tarfile
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

from clew.core.absent import Absent
from clew.intake.api import Range
from clew.intake.archives.members import Archive, Header
from clew.intake.archives.opening import open_archive
from clew.intake.mediatype import typer
from clew.model import Missing

TEXT = b"a benign text, made by code\n" * 40
PAST = (1995, 6, 17, 10, 20, 30)


class Bytes:
    """A ByteSource over bytes; what it was asked for is counted."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)
        self.bad: list[Range] = []
        self.read_bytes = 0

    def read(self, offset: int, length: int) -> bytes:
        data = self._data[offset : offset + length]
        self.read_bytes += len(data)
        return data


def opened(data: bytes, media_type: str | None = None, stem: bytes = b"stem") -> Archive:
    return open_archive(Bytes(data), media_type or typer().from_buffer(data[: 1 << 20]), stem)


def listed(archive: Archive, first: int = 0) -> tuple[list[Header], Missing | None]:
    """The members, and why there are no more."""
    found: list[Header] = []
    try:
        for header in archive.headers(first):
            found.append(header)
    except Absent as absent:
        return found, absent.missing
    return found, None


def content(archive: Archive, number: int) -> tuple[bytes, Missing | None]:
    """The good bytes of one member, and why there are no more."""
    data = b""
    try:
        for chunk in archive.chunks(number):
            data += chunk
    except Absent as absent:
        return data, absent.missing
    return data, None


def everything(data: bytes, media_type: str | None = None) -> tuple[list[tuple[bytes, bytes]], list[str]]:
    """(path, good bytes) of every member in order, and every reason that was given on the way."""
    archive = opened(data, media_type)
    headers, end = listed(archive)
    found, reasons = [], [str(end)] if end else []
    for header in headers:
        got, why = content(archive, header.number)
        found.append((header.path, got))
        reasons += [str(why)] if why else []
    archive.close()
    return found, reasons


def zipped(files: Iterable[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in files:
            info = zipfile.ZipInfo(name, PAST)
            info.compress_type = method
            archive.writestr(info, data)
    return out.getvalue()


def turned(packed: bytes) -> bytes:
    """The same zip, with its directory in the opposite order."""
    begin = struct.unpack_from("<I", packed, len(packed) - 6)[0]
    entries, at = list[bytes](), begin
    while packed.startswith(b"PK\x01\x02", at):
        length = 46 + sum(struct.unpack_from("<3H", packed, at + 28))
        entries.append(packed[at : at + length])
        at += length
    return packed[:begin] + b"".join(reversed(entries)) + packed[at:]


def tarred(files: Iterable[tuple[str, bytes]], mode: str = "w") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), 800_000_000
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def by_tool(folder: Path, files: Iterable[tuple[str, bytes]], *command: str, out: str) -> bytes:
    """What a packer writes: `command` is run in a folder with these files, their names behind it."""
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for name, data in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
        names.append(name)
    subprocess.run([*command, *names], cwd=folder, check=True, capture_output=True)
    return (folder / out).read_bytes()


def rar4(files: Iterable[tuple[bytes, bytes]], *, closed: bool = False, hidden: bool = False) -> bytes:
    """A RAR 4 archive of stored files (technote.txt of RAR 4.x: marker, archive header, file headers, end)."""

    def block(body: bytes) -> bytes:
        return struct.pack("<H", zlib.crc32(body) & 0xFFFF) + body

    parts = [b"Rar!\x1a\x07\x00", block(struct.pack("<BHHHI", 0x73, 0x80 if hidden else 0, 13, 0, 0))]
    for name, data in files:
        flags = 0x8000 | (0x04 if closed else 0)
        head = struct.pack(
            "<IIBIIBBHI", len(data), len(data), 3, zlib.crc32(data), 0x1EF152CF, 20, 0x30, len(name), 0o100644
        )
        size = 7 + len(head) + len(name)
        parts += [block(struct.pack("<BHH", 0x74, flags, size) + head + name), data]
    return b"".join([*parts, block(struct.pack("<BHH", 0x7B, 0x4000, 7))])


def rar5(files: Iterable[tuple[bytes, bytes]], *, closed: bool = False, hidden: bool = False) -> bytes:
    """A RAR 5 archive of stored files (technote.txt of RAR 5.0: signature, main, file and end headers)."""

    def number(value: int) -> bytes:
        out = bytearray()
        while value > 0x7F:
            out.append(value & 0x7F | 0x80)
            value >>= 7
        return bytes([*out, value])

    def block(body: bytes) -> bytes:
        sized = number(len(body)) + body
        return struct.pack("<I", zlib.crc32(sized)) + sized

    parts = [b"Rar!\x1a\x07\x01\x00"]
    if hidden:  # an archive encryption header: version 0, flags 0, 2^15 iterations, salt
        return parts[0] + block(number(4) + number(0) + number(0) + number(0) + bytes([15]) + bytes(16)) + bytes(200)
    parts.append(block(number(1) + number(0) + number(0)))
    for name, data in files:
        encryption = b""
        if closed:  # extra record 1: version 0, flags 0, 2^15 iterations, salt, vector
            record = number(1) + number(0) + number(0) + bytes([15]) + bytes(16) + bytes(16)
            encryption = number(len(record)) + record
        head = number(2) + number(0x02 | (0x01 if closed else 0))
        head += number(len(encryption)) if closed else b""
        head += number(len(data)) + number(0x02 | 0x04) + number(len(data)) + number(0o100644)
        head += struct.pack("<II", 800_000_000, zlib.crc32(data)) + number(0) + number(1) + number(len(name)) + name
        parts += [block(head + encryption), data]
    return b"".join([*parts, block(number(5) + number(0) + number(0))])
