"""A search for lost entries that carving has prepared finds what the search of all free space finds, and reads little.

The Sleuth Kit's own search of the whole volume is the oracle.
"""

import json
import os
import random
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exfat_image import File, make

from clew.core import held
from clew.intake.api import Range
from clew.intake.disk import carve, entries, image, stretch
from clew.intake.sources._sifted import MOST, Sifted

BASE = {"container": "clew.intake.containers.raw:open_raw", "offset": 0}
SECTOR = 512


class Counted:
    """The image's source, and how often each of its sectors was read."""

    def __init__(self, path: Path) -> None:
        self.data, self.bad = path.read_bytes(), list[Range]()
        self.size = len(self.data)
        self.times = np.zeros(self.size // SECTOR, np.int64)

    def read(self, offset: int, length: int) -> bytes:
        data = self.data[offset : offset + length]
        self.times[offset // SECTOR : -(-(offset + len(data)) // SECTOR)] += 1
        return data


pytestmark = pytest.mark.usefixtures("none_held")


def opened_anew(path: Path) -> tuple[image.FileSystem, Counted]:
    """As by a worker that was just born."""
    for descriptor in held.descriptors:
        os.close(descriptor)
    held.descriptors = (os.open(path, os.O_RDONLY),)
    image._opened.clear()
    image._images.clear()
    stretch._kept.update(key=None)
    counted = Counted(path)
    image.image(BASE).source = counted
    return image.file_system(BASE), counted


def lost_entries(opened: image.FileSystem, **more: Any) -> list[dict[str, Any]]:
    root = [b"$OrphanFiles".hex(), int(opened.fs.info.last_inum)]
    found, cursor = [], ""
    while True:
        task = {"root": root, "most": 7, "cursor": cursor, "directories": None}
        said = entries.walk(BASE | task | more, []).value
        found += said["items"]
        if said["done"]:
            return found
        cursor = said["cursor"]


def carved(path: Path) -> tuple[dict[str, list[Range]], Counted]:
    """What carving says for the search, as the supervisor passes it on."""
    opened, counted = opened_anew(path)
    assert opened.taken is not None
    counted.times[:] = 0
    task = {"length": counted.size, "which": "free", "after": 0, "end": counted.size, "most": 10_000}
    said = carve.carve(BASE | task, []).value
    assert said["next"] >= counted.size // SECTOR * SECTOR
    sifted = Sifted()
    sifted.take(json.loads(json.dumps(said)))
    return json.loads(json.dumps(sifted.told())), counted


def compare(path: Path) -> tuple[list[dict[str, Any]], Counted, Counted]:
    """What both searches list, which must be the same; the reads of carving and of the search behind it."""
    whole = lost_entries(opened_anew(path)[0])
    sifted, by_carving = carved(path)
    opened, by_search = opened_anew(path)
    by_search.times[:] = 0
    assert lost_entries(opened, sifted=sifted) == whole
    return whole, by_carving, by_search


def tool(*words: object) -> None:
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    program = shutil.which(str(words[0]), path=path)
    assert program, f"{words[0]} is not installed; see tools/system-packages"
    environment = {"PATH": path, "MTOOLS_SKIP_CHECK": "1"}
    subprocess.run([program, *map(str, words[1:])], check=True, capture_output=True, env=environment)


def short(name: bytes, cluster: int, *, attributes: int = 0x20, size: int = 700) -> bytes:
    """One entry of FAT, last changed in 2026."""
    date = 46 << 9 | 3 << 5 | 4
    numbers = (date, date, cluster >> 16, 0x5000, date, cluster & 0xFFFF, size)
    return name.ljust(11) + bytes([attributes]) + bytes(4) + struct.pack("<6HI", *numbers)


def long(dice: random.Random) -> bytes:
    return bytes([dice.choice([0x41, 1, 2, 0x4F, 0x50, 0xE5, 0xFF])]) + b"n\0a\0m\0e\0s\0" + b"\x0f\0" + bytes(19)


def odd(dice: random.Random, entry: bytes) -> bytes:
    """An entry of which one byte is another: what The Sleuth Kit says of it is for it to know."""
    at = dice.randrange(32)
    return entry[:at] + bytes([dice.choice([0, 1, 0x0F, 0x18, 0x40, 0xC8, 0xC9, 0xE5, 0xFF])]) + entry[at + 1 :]


def sector(dice: random.Random) -> bytes:
    """Sixteen entries, of which some are none."""
    kind = dice.choice(["zeros", "noise", "directory", "mixed", "mixed", "mixed"])
    if kind == "zeros":
        return bytes(SECTOR)
    if kind == "noise":
        return dice.randbytes(SECTOR)
    found = []
    for number in range(16):
        attributes = dice.choice([0x20, 0x10, 0x08, 0x01, 0x28, 0x3F])
        name = dice.choice([b"A", b"\xe5", b".", b"..", b" ", b"\x05"]) + b"%X" % dice.randrange(1 << 20)
        entry = short(name, dice.randrange(2, 3000), attributes=attributes, size=dice.choice([0, 700, 1 << 31]))
        choices = (
            [entry] if kind == "directory" else [entry, odd(dice, entry), long(dice), bytes(32), entry[:31] + b"\xff"]
        )
        found.append(dice.choice(choices) if number or dice.random() < 0.8 else dice.randbytes(32))
    return b"".join(found)


@pytest.mark.parametrize("words", ["-F 32 -s 1", "-F 16 -s 8", "-F 12 -s 32", "-F 16 -S 2048 -s 1"])
@pytest.mark.parametrize("seed", range(2))
def test_of_fat(words, seed, tmp_path):
    """A volume whose free space is strewn with entries, and with what only looks like them."""
    dice, volume, size = random.Random(f"{seed} {words}"), tmp_path / "fat.img", 36 << 20
    with volume.open("wb") as out:
        out.truncate(size)
    tool("mkfs.fat", *words.split(), volume)
    raw = bytearray(volume.read_bytes())
    for _ in range(300):
        at = dice.randrange(size // 2, size // SECTOR * SECTOR - 4096) // SECTOR * SECTOR
        piece = b"".join(sector(dice) for _ in range(dice.randrange(1, 5)))
        raw[at : at + len(piece)] = piece
    volume.write_bytes(raw)
    found, by_carving, by_search = compare(volume)
    gave_up = [item["detail"] for item in found if item.get("state") == "unreadable" and len(found) == 1]
    assert len(found) > 100 or gave_up  # some such entries end The Sleuth Kit's search: then both, and it is said
    assert by_carving.times[len(by_carving.times) // 2 :].max() == 1
    assert by_search.times.sum() < 0.2 * len(by_search.times)


def test_of_exfat(tmp_path):
    """Entries of files that lie in free clusters, some of them over the end of a sector."""
    names = [f"picture-{number:03}.jpg" for number in range(30)]
    volume = make(tmp_path / "exfat.img", [File(name, b"x" * 5000, [20, 21], deleted=True) for name in names], 8 << 20)
    raw, dice = bytearray(volume.read_bytes()), random.Random(5)
    at = raw.find(b"p\0i\0c\0t\0u\0r\0e\0") - 66
    assert at > 0
    assert raw[at] & 0x7F == 5
    lost = bytes(raw[at : at + 30 * 128])
    raw[at : at + len(lost)] = bytes(len(lost))
    for place in range(3 << 20, 7 << 20, 1 << 19):
        shift = 32 * dice.randrange(16)
        raw[place : place + len(lost) - shift] = lost[shift:]
        raw[place + 8192 : place + 8192 + 4096] = dice.randbytes(4096)
    volume.write_bytes(raw)
    found, by_carving, by_search = compare(volume)
    assert len(found) > 50
    assert by_carving.times[len(by_carving.times) // 2 :].max() == 1
    assert by_search.times.sum() < 0.2 * len(by_search.times)


def test_what_could_not_be_read_while_carving_is_searched_again(tmp_path):
    volume = tmp_path / "fat.img"
    with volume.open("wb") as out:
        out.truncate(36 << 20)
    tool("mkfs.fat", "-F", "32", volume)
    opened, counted = opened_anew(volume)
    counted.bad.append((20 << 20, 512))
    sieve = image.sift.Sieve(counted, opened, opened.taken)
    for at in range(0, counted.size, 1 << 20):
        sieve.read(at, 1 << 20)
    assert sieve.passed.list == [(0, 20 << 20), (21 << 20, 15 << 20)]


def test_an_answer_about_it_that_makes_no_sense_is_not_believed():
    for said in (None, {}, {"sifted": None}, {"sifted": {"passed": [[0, 5]], "found": [[0, -1]]}}):
        sifted = Sifted()
        sifted.take(said)
        assert sifted.told() == {"passed": [], "found": []}


def test_of_too_many_stretches_the_rest_is_searched():
    """What was not read is never taken for read."""
    sifted, ranges = Sifted(), [[number * 100, 10] for number in range(MOST + 50)]
    sifted.take({"sifted": {"passed": ranges, "found": ranges}})
    told = sifted.told()
    assert [list(each) for each in told["passed"]] == ranges[:MOST]
    assert len(told["found"]) <= MOST
    assert all(any(at <= start and start + 10 <= at + size for at, size in told["found"]) for start, _ in ranges[::97])
