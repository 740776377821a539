"""A stream read straight from the image is what The Sleuth Kit gives for it; in doubt, The Sleuth Kit has the word."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from clew.core import held
from clew.intake.disk import content, entries, image
from clew.intake.disk.direct import direct
from clew.intake.refs import parse
from clew.range.disk import SMALL, make_disk

BASE = {"container": "clew.intake.containers.raw:open_raw"}


def opened_at(path: Path, offset: int, monkeypatch: pytest.MonkeyPatch) -> tuple[image.FileSystem, dict]:
    descriptor = os.open(path, os.O_RDONLY)
    monkeypatch.setattr(held, "descriptors", (descriptor,))
    return image.file_system(BASE | {"offset": offset}), BASE | {"offset": offset}


def streams(where: dict) -> list[tuple[content.Stream, Any, Any]]:
    """The contents that a walk finds, each with The Sleuth Kit's file and attribute."""
    said = entries.walk(where | {"root": None, "most": 10_000, "cursor": "", "directories": None}, []).value
    assert said["done"]
    places = [parse(item["ref"]) for item in said["items"] if item.get("state") == "open"]
    opened = image.file_system(where)
    return [
        (content.stream(where | at, []), *content.attribute_of(opened, at["record"], at["type"], at["id"]))
        for at in places
    ]


def test_it_is_what_the_sleuth_kit_reads(tmp_path, monkeypatch):
    disk = make_disk(4, tmp_path, SMALL)
    table = subprocess.run(["mmls", "-a", disk.image], check=True, capture_output=True, text=True).stdout
    offsets = [int(line.split()[2]) * 512 for line in table.splitlines() if line[:3].rstrip(":").isdigit()]
    plain = set()
    for offset in offsets:
        opened, where = opened_at(disk.image, offset, monkeypatch)
        for stream, file, _ in streams(where):
            if stream._direct is None or stream.size == 0:
                continue
            plain.add(opened.family)
            named = (stream._kind, stream._number) if opened.family == "NTFS" else ()
            whole = bytes(file.read_random(0, stream.size, *named))
            assert stream.read(0, stream.size + 5) == whole
            assert stream.read(stream.size // 3, 1000) == whole[stream.size // 3 :][:1000]
        os.close(held.descriptors[0])
    assert plain == {"FAT", "NTFS", "ext"}


def test_what_lies_behind_the_written_end_of_a_stream_is_not_its_own(tmp_path, monkeypatch):
    """Only 5,000 of its 40,000 bytes were ever written, says the record; the clusters behind still hold the rest."""
    volume, data = tmp_path / "ntfs.img", bytes(range(1, 251)) * 160
    with volume.open("wb") as out:
        out.truncate(8 << 20)
    subprocess.run(["/usr/sbin/mkntfs", "-q", "-F", "-Q", volume], check=True, capture_output=True)
    (tmp_path / "f").write_bytes(data)
    subprocess.run(["/usr/sbin/ntfscp", "-q", volume, tmp_path / "f", "f.bin"], check=True, capture_output=True)
    raw = volume.read_bytes()
    sizes = len(data).to_bytes(8, "little") * 2  # real and initialised size, side by side in the attribute's header
    assert raw.count(sizes) == 1
    volume.write_bytes(raw.replace(sizes, sizes[:8] + (5_000).to_bytes(8, "little")))
    opened, where = opened_at(volume, 0, monkeypatch)
    ((stream, file, attribute),) = [each for each in streams(where) if each[0].size == len(data)]
    assert direct(opened, int(file.info.meta.addr), attribute) is None
    assert stream.read(0, 1 << 20) == data[:5_000] + bytes(len(data) - 5_000)
    os.close(held.descriptors[0])
