"""Containers of disk images for tests: by qemu-img where it writes them, by hand where no tool here does (DMG)."""

import bz2
import lzma
import os
import plistlib
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

# Name of the container -> what qemu-img calls its format, and its options.
QEMU = {
    "vmdk": ("vmdk", "subformat=monolithicSparse"),
    "vmdk flat": ("vmdk", "subformat=monolithicFlat"),
    "vmdk split": ("vmdk", "subformat=twoGbMaxExtentSparse"),
    "vmdk split flat": ("vmdk", "subformat=twoGbMaxExtentFlat"),
    "vmdk stream": ("vmdk", "subformat=streamOptimized"),
    "vhd": ("vpc", "subformat=dynamic,force_size=on"),
    "vhd fixed": ("vpc", "subformat=fixed,force_size=on"),
    "vhdx": ("vhdx", "subformat=dynamic,block_size=1048576"),
    "vhdx fixed": ("vhdx", "subformat=fixed"),
    "qcow": ("qcow2", "compat=1.1"),
    "qcow v2": ("qcow2", "compat=0.10"),
    "qcow small": ("qcow2", "cluster_size=512"),
    "qcow packed": ("qcow2", "compat=1.1"),
}
ALL = [*QEMU, "dmg", "dmg bzip2", "dmg lzma", "dmg adc", "dmg raw", "dmg lzfse"]
CHUNK = 128 << 10
RAW, ADC, ZLIB, BZIP2, LZFSE, LZMA, ZERO, END = 1, *range(0x80000004, 0x80000009), 0, 0xFFFFFFFF
PACKINGS = {"dmg": ZLIB, "dmg bzip2": BZIP2, "dmg lzma": LZMA, "dmg adc": ADC, "dmg raw": RAW, "dmg lzfse": LZFSE}


def tool(*words: object, folder: Path | None = None) -> str:
    """Runs a program, also out of /usr/sbin; what it says."""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    program = shutil.which(str(words[0]), path=path)
    assert program, f"{words[0]} is not installed; see tools/system-packages"
    command = [program, *map(str, words[1:])]
    environment = {"PATH": path, "MTOOLS_SKIP_CHECK": "1", "LC_ALL": "C"}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment, cwd=folder).stdout


def wrap(raw: Path, container: str, folder: Path) -> Path:
    """The image in that container; its other files lie beside it."""
    out = folder / f"{container.replace(' ', '-')}.image"
    if container in PACKINGS:
        out.write_bytes(dmg(raw.read_bytes(), PACKINGS[container]))
        return out
    form, options = QEMU[container]
    packed = ["-c"] if container == "qcow packed" else []
    tool("qemu-img", "convert", *packed, "-f", "raw", "-O", form, "-o", options, raw, out)
    return out


def dmg(raw: bytes, packing: int) -> bytes:
    """A UDIF image of one table: zeros as nothing, every fourth chunk as it is, the others packed."""
    packed, chunks = bytearray(), []
    for number, at in enumerate(range(0, len(raw), CHUNK)):
        chunk = raw[at : at + CHUNK]
        kind = ZERO if not any(chunk) else RAW if number % 4 == 3 else packing
        data = b"" if kind == ZERO else _packed(chunk, kind)
        place = (at // 512, len(chunk) // 512, len(packed), len(data))
        chunks.append(struct.pack(">IIQQQQ", kind, 0, *place))
        packed += data
    chunks.append(struct.pack(">IIQQQQ", END, 0, len(raw) // 512, 0, len(packed), 0))
    head = struct.pack(">4sIQQQII24x", b"mish", 1, 0, len(raw) // 512, 0, CHUNK // 512, len(chunks))
    table = head + struct.pack(">II128xI", 2, 32, len(chunks)) + b"".join(chunks)
    entry = {"Attributes": "0x0050", "CFName": "whole disk", "Data": table, "ID": "0", "Name": "whole disk"}
    xml = plistlib.dumps({"resource-fork": {"blkx": [entry]}})
    trailer = struct.pack(">4sIIIQQQQQII16s", b"koly", 4, 512, 1, 0, 0, len(packed), 0, 0, 1, 1, bytes(range(16)))
    trailer = trailer.ljust(216, b"\0") + struct.pack(">QQ", len(packed), len(xml))
    trailer = trailer.ljust(488, b"\0") + struct.pack(">IQ", 1, len(raw) // 512)
    return bytes(packed) + xml + trailer.ljust(512, b"\0")


def _packed(chunk: bytes, kind: int) -> bytes:
    match kind:
        case 0x80000005:
            return zlib.compress(chunk)
        case 0x80000006:
            return bz2.compress(chunk)
        case 0x80000007:  # one block that is not packed, as LZFSE writes what it cannot pack, and the end
            return b"bvx-" + struct.pack("<I", len(chunk)) + chunk + b"bvx$"
        case 0x80000008:
            return lzma.compress(chunk)
        case 0x80000004:
            return _adc(chunk)
    return chunk


def _adc(chunk: bytes) -> bytes:
    """Literals, with runs of one byte as copies: of both lengths of command."""
    found, at = bytearray(), 0
    while at < len(chunk):
        run = 1
        while at + run < len(chunk) and run < 67 and chunk[at + run] == chunk[at]:
            run += 1
        if at and run >= 4 and chunk[at - 1] == chunk[at]:
            long = [0x40 | (run - 4), 0, 0]
            found += bytes(long if run > 18 else [(run - 3) << 2, 0])
        else:
            run = 1
            found += bytes([0x80, chunk[at]])
        at += run
    return bytes(found)
