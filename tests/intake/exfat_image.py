"""A small exFAT volume with files, live and deleted: mkfs.exfat makes it, and the entries are written by hand, since no
tool puts files into one without mounting it (Microsoft, exFAT file system specification, sections 6 and 7).
"""

import os
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

NOON = 46 << 25 | 5 << 21 | 7 << 16 | 12 << 11  # 2026-05-07


@dataclass
class File:
    """`clusters` are where it lies, in order; `chained` whether the table is used; deleted ones free their clusters.
    `written` is how much of it was ever written, where that is not all; `times` are those of creation, of the last
    writing and of the last access, `zones` the bytes that say of each how far it is from UTC.
    """

    name: str
    data: bytes
    clusters: list[int]
    chained: bool = False
    deleted: bool = False
    written: int | None = None
    times: tuple[int, int, int] = (NOON, NOON, NOON)
    zones: bytes = b"\0\0\0"


def make(path: Path, files: list[File], size: int = 4 << 20) -> Path:
    """The volume, with clusters of 4 KiB."""
    with path.open("wb") as out:
        out.truncate(size)
    tool = shutil.which("mkfs.exfat", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    assert tool, "mkfs.exfat is not installed; see tools/system-packages"
    subprocess.run([tool, "-c", "4K", path], check=True, capture_output=True)
    raw = bytearray(path.read_bytes())
    fat, _, heap, _, root = struct.unpack_from("<5I", raw, 80)
    fat, heap, cluster = fat * 512, heap * 512, 4096
    at = heap + (root - 2) * cluster
    bitmap = 0
    while raw[at]:
        if raw[at] == 0x81:
            bitmap = heap + (struct.unpack_from("<I", raw, at + 20)[0] - 2) * cluster
        at += 32
    for each in files:
        entries = _entries(each)
        raw[at : at + len(entries)] = entries
        at += len(entries)
        for number, here in enumerate(each.clusters):
            piece = each.data[number * cluster : (number + 1) * cluster]
            begin = heap + (here - 2) * cluster
            raw[begin : begin + len(piece)] = piece
            after = each.clusters[number + 1] if number + 1 < len(each.clusters) else 0xFFFFFFFF
            if each.chained:
                struct.pack_into("<I", raw, fat + here * 4, after)
            if not each.deleted:
                raw[bitmap + (here - 2) // 8] |= 1 << ((here - 2) % 8)
    path.write_bytes(raw)
    return path


def _entries(each: File) -> bytes:
    name = each.name.encode("utf-16-le")
    names = -(-len(each.name) // 15)
    file = bytearray(32)
    file[0], file[1] = 0x85, 1 + names
    struct.pack_into("<H", file, 4, 0x20)
    struct.pack_into("<3I", file, 8, *each.times)
    file[22:25] = each.zones
    stream = bytearray(32)
    stream[0], stream[1], stream[3] = 0xC0, 1 | (0 if each.chained else 2), len(each.name)
    struct.pack_into("<H", stream, 4, _name_hash(each.name))
    struct.pack_into("<Q", stream, 8, len(each.data) if each.written is None else each.written)
    struct.pack_into("<IQ", stream, 20, each.clusters[0] if each.clusters else 0, len(each.data))
    parts = [file, stream]
    for number in range(names):
        parts.append(bytearray(b"\xc1\0" + name[number * 30 : number * 30 + 30].ljust(30, b"\0")))
    check = 0
    for number, byte in enumerate(b"".join(parts)):
        if number not in {2, 3}:
            check = ((check << 15 | check >> 1) + byte) & 0xFFFF
    struct.pack_into("<H", file, 2, check)
    if each.deleted:
        for part in parts:
            part[0] &= 0x7F
    return b"".join(parts)


def _name_hash(name: str) -> int:
    value = 0
    for byte in name.upper().encode("utf-16-le"):
        value = ((value << 15 | value >> 1) + byte) & 0xFFFF
    return value
