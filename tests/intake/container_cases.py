"""A raw image in every container, how each is opened, and which bytes of it may differ; a differencing VHD."""

import os
import random
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from clew.intake.containers import dmg, qcow, vhd, vhdx, vmdk
from clew.intake.containers._mapped import Mapped
from clew.intake.sources import vhd as vhd_source
from clew.intake.sources import vmdk as vmdk_source
from container_files import wrap

SIZE = 4 << 20
OPENERS = {"vmdk": vmdk.open_vmdk, "vhd": vhd.open_vhd, "vhdx": vhdx.open_vhdx, "qcow": qcow.open_qcow}
OPENERS["dmg"] = dmg.open_dmg
FILES = {"vmdk": vmdk_source.files, "vhd": vhd_source.files}


@dataclass
class Containers:
    """The file of each container by its name, made when it is first asked for."""

    raw: Path
    made: dict[str, Path] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Path:
        if name not in self.made:
            self.made[name] = wrap(self.raw, name, self.raw.parent)
        return self.made[name]


Made = tuple[bytes, Containers]


def make(folder: Path) -> Made:
    """The raw image and every container of it. Its stretches are noise, text, and nothing."""
    draw, raw = random.Random(7), bytearray(SIZE)
    for at in range(0, SIZE, 64 << 10):
        if draw.random() < 0.3:
            raw[at : at + 60_000] = draw.randbytes(30_000) + b"a line of text\n" * 2000
    raw[-512:] = draw.randbytes(512)
    path = folder / "raw"
    path.write_bytes(raw)
    return bytes(raw), Containers(path)


@contextmanager
def opened(paths: list[Path], kind: str) -> Iterator[Mapped]:
    descriptors = [os.open(path, os.O_RDONLY) for path in paths]
    try:
        yield OPENERS[kind](descriptors)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def files(path: Path, kind: str) -> list[Path]:
    return FILES[kind](path) if kind in FILES else [path]


def differing(image: Mapped, raw: bytes) -> int:
    """How many sectors differ; each of them must be in a range that is named as lost, and hold zeros. The image must be
    as long as that which it was made from.
    """
    data, wrong = image.read(0, image.size), 0
    assert image.size == len(data) == len(raw)
    for at in range(0, len(raw), 512):
        if data[at : at + 512] != raw[at : at + 512]:
            wrong += 1
            assert any(start < at + 512 and at < start + length for start, length in image.bad), at
    for start, length in image.bad:
        assert data[start : start + length] == bytes(length)
    return wrong


def difference(parent: Path, path: Path, name: str, sectors: dict[int, bytes]) -> None:
    """A differencing VHD that qemu-img does not write: the footer of its parent, a header, and one block or none."""
    foot, size = bytearray(parent.read_bytes()[-512:]), SIZE
    identifier = bytes(foot[68:84])
    foot[60:64], foot[68:84] = (4).to_bytes(4, "big"), b"a difference, id"
    foot[16:24] = (512).to_bytes(8, "big")
    foot[64:68] = bytes(4)
    foot[64:68] = (~sum(foot) & 0xFFFFFFFF).to_bytes(4, "big")
    head = bytearray(1024)
    struct.pack_into(
        ">8sQQIII4x16s", head, 0, b"cxsparse", (1 << 64) - 1, 1536, 0x10000, size >> 21, 2 << 20, identifier
    )
    wide = name.encode("utf-16-be")
    head[64 : 64 + len(wide)] = wide
    head[36:40] = (~sum(head) & 0xFFFFFFFF).to_bytes(4, "big")
    blocks, body = [0xFFFFFFFF] * (size >> 21), bytearray()
    for number in sorted({sector >> 12 for sector in sectors}):
        blocks[number] = 4 + len(body) // 512
        bitmap, data = bytearray(512), bytearray(b"\xee" * (2 << 20))
        for sector, content in sectors.items():
            if sector >> 12 == number:
                bitmap[(sector & 4095) // 8] |= 0x80 >> (sector % 8)
                data[(sector & 4095) * 512 :][:512] = b""
                data[(sector & 4095) * 512 : (sector & 4095) * 512] = content
        body += bitmap + data
    table = struct.pack(f">{len(blocks)}I", *blocks).ljust(512, b"\xff")
    path.write_bytes(bytes(foot) + bytes(head) + table + bytes(body) + bytes(foot))
