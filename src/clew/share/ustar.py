"""A small, strict tar: POSIX ustar (IEEE Std 1003.1, "pax", ustar Interchange Format), plain files alone.

A size of 8 GiB or more, for which ustar has no digits, stands in base 256, as GNU tar writes it and others read it.

The writer is deterministic: same names, bytes and time give the same archive. The reader takes only what the writer
makes, because a sender is not trusted before the signature is checked: no links, no devices, no extensions but that
one, no names that lead elsewhere, nothing twice, and no more than the limits say.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from clew.core.errors import Damaged

BLOCK = 512
CHUNK = 1 << 20
NAME_BYTES = 100
OCTAL_DIGITS = 11
BASE_256 = 0x80  # the first byte of a number that is no octal text (GNU tar's manual, "Basic Tar Format")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a reader is ready to unpack: number of files, and bytes of all of them together."""

    members: int = 1_000
    bytes: int = 1 << 40


def pack(target: BinaryIO, entries: Iterable[tuple[str, Path]], *, mtime: int) -> None:
    """Writes (name, file) pairs in the order given; `mtime` in seconds since 1970. Raises Damaged for an unfit name."""
    for name, path in entries:
        size = path.stat().st_size
        target.write(_header(name, size, mtime))
        with path.open("rb") as file:
            while block := file.read(CHUNK):
                target.write(block)
        target.write(bytes(-size % BLOCK))
    target.write(bytes(2 * BLOCK))


def unpack(source: BinaryIO, folder: Path, limits: Limits) -> list[str]:
    """Unpacks into the empty `folder`; returns the names in order. Raises Damaged naming the first bad place."""
    names: dict[str, None] = {}
    room = limits.bytes
    while True:
        where = f"after {next(reversed(names))}" if names else "at its beginning"
        header = source.read(BLOCK)
        if header == bytes(BLOCK):
            _check_end(source, where)
            return list(names)
        name, size = _parse(header, where)
        if name in names:
            raise Damaged(f"the archive holds {name} twice", "ask the sender for the bundle again")
        room -= size
        if len(names) >= limits.members or room < 0:
            raise Damaged(
                f"the archive is larger than the limit, {where} ({limits.members} files, {limits.bytes} bytes)",
                "a bundle of clew is smaller; ask the sender what this is",
            )
        _copy(source, folder / name, size, name)
        names[name] = None


def _header(name: str, size: int, mtime: int) -> bytes:
    raw = name.encode("ascii")
    if len(raw) > NAME_BYTES:
        raise Damaged(f"{name} does not fit into a ustar archive", "a file may have 100 characters of name")
    fields = b"".join(
        (
            raw.ljust(100, b"\0"),
            b"0000644\0" + b"0000000\0" * 2,
            _size(size),
            b"%011o\0" % mtime,
            b" " * 8,
            b"0",
            bytes(100),
            b"ustar\00000",
            bytes(64),
            b"0000000\0" * 2,
            bytes(167),
        )
    )
    return fields[:148] + b"%06o\0 " % sum(fields) + fields[156:]


def _size(size: int) -> bytes:
    if size < 8**OCTAL_DIGITS:
        return b"%011o\0" % size
    return bytes([BASE_256]) + size.to_bytes(OCTAL_DIGITS, "big")


def _parse(header: bytes, where: str) -> tuple[str, int]:
    """Name and size of one member, where it is exactly what `_header` writes."""
    if len(header) != BLOCK:
        raise Damaged(f"the archive is cut {where}", "ask the sender for the bundle again")
    try:
        name = header[:NAME_BYTES].rstrip(b"\0").decode("ascii")
        long = header[124] == BASE_256
        size = int.from_bytes(header[125:136], "big") if long else int(header[124:135], 8)
        mtime = int(header[136:147], 8)
        good = size >= 0 and mtime >= 0 and header == _header(name, size, mtime)
    except ValueError:
        good = False
    if not good:
        raise Damaged(
            f"the archive holds something other than a plain file {where}",
            "links, folders, devices and extended headers are refused",
        )
    if not _safe(name):
        raise Damaged(f"the archive names a place outside itself {where}: {name!r}", "do not unpack it by hand")
    return name, size


def _safe(name: str) -> bool:
    parts = name.split("/")
    plain = all(c.isalnum() or c in "._-/" for c in name)
    return plain and len(parts) <= 8 and all(part and part not in (".", "..") for part in parts)


def _copy(source: BinaryIO, target: Path, size: int, name: str) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            left = size
            while left:
                block = source.read(min(left, CHUNK))
                if not block:
                    raise Damaged(f"the archive is cut inside {name}", "ask the sender for the bundle again")
                file.write(block)
                left -= len(block)
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise Damaged(f"the archive has {name} both as a file and as a folder", "do not unpack it by hand") from error
    padding = -size % BLOCK
    if source.read(padding) != bytes(padding):
        raise Damaged(f"the archive is cut or altered at the end of {name}", "ask the sender for the bundle again")


def _check_end(source: BinaryIO, where: str) -> None:
    if source.read(BLOCK) != bytes(BLOCK):
        raise Damaged(f"the archive's end mark is cut or altered, {where}", "ask the sender for the bundle again")
    if source.read(1):
        raise Damaged(f"something follows the archive's end mark, {where}", "ask the sender for the bundle again")
