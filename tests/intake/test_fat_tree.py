"""Directories of FAT and exFAT that refer to each other: each is listed once, each entry in them once, and what is not
entered is said. Without that, a dozen of them have more paths than anybody can walk.
"""

import os
import random
import struct
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from cases import items
from exfat_image import File, _entries, make
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from case_made import new_case
from clew.core import held
from clew.intake import crossed as crossed_files
from clew.intake.disk import entries, fat_tree, image, recount, stretch
from clew.intake.disk.unsound import WIPED
from clew.intake.options import Options
from clew.intake.run import intake

BASE = {"container": "clew.intake.containers.raw:open_raw", "offset": 0}
DATE, TIME = 46 << 9 | 3 << 5 | 4, 0x5000
FREE, END = 0, 0xFFFF
CONTENT = 9  # the cluster that all files share: what is in them is not the matter here
SAID = "where they are listed"


pytestmark = pytest.mark.usefixtures("none_held", "plain")


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """The directories here begin without "." and "..", of which `test_unsound.py` is."""
    monkeypatch.setattr(entries, "unsound", lambda *_: "")


def entry(name: str, cluster: int, attributes: int = 0x10, *, deleted: bool = False) -> bytes:
    raw = name.encode().ljust(11)
    numbers = (DATE, DATE, 0, TIME, DATE, cluster, 0 if attributes & 0x10 else 5)
    return (b"\xe5" + raw[1:] if deleted else raw) + bytes([attributes]) + bytes(4) + struct.pack("<6HI", *numbers)


def fat16(path: Path, root: Sequence[bytes], clusters: Mapping[int, Sequence[bytes]], table: Mapping[int, int]) -> Path:
    """A volume with those entries in its root directory and in those clusters of 512 bytes, and that table."""
    with path.open("wb") as out:
        out.truncate(4 << 20)
    subprocess.run(["/usr/sbin/mkfs.fat", "-F", "16", "-s", "1", path], check=True, capture_output=True)
    raw = bytearray(path.read_bytes())
    reserved, tables, slots, size = (struct.unpack_from("<H", raw, at)[0] for at in (14, 16, 17, 22))
    tables &= 0xFF
    begin = (reserved + tables * size) * 512
    places = {begin: root} | {begin + slots * 32 + (at - 2) * 512: inside for at, inside in clusters.items()}
    for place, inside in places.items():
        raw[place : place + 32 * len(inside)] = b"".join(inside)
    for number in range(tables):
        for cluster, following in (table | {CONTENT: END}).items():
            struct.pack_into("<H", raw, (reserved + number * size) * 512 + 2 * cluster, following)
    path.write_bytes(raw)
    return path


def crossed(path: Path, count: int, *, deleted: bool = False) -> Path:
    """So many directories that all hold each other, and a file each."""
    every = range(20, 20 + count)
    inside = {
        here: [entry(".", here), entry("..", 0)]
        + [entry(f"D{other}", other, deleted=deleted) for other in every if other != here]
        + [entry(f"F{here}", CONTENT, 0x20)]
        for here in every
    }
    return fat16(path, [entry("TOP", 20, deleted=deleted)], inside, dict.fromkeys(every, FREE if deleted else END))


def walked(path: Path, *, anew: bool = False, lost: bool = False) -> list[dict[str, Any]]:
    """All that a walk says, in short stretches; with `anew`, each by a worker of its own."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        if anew or not cursor:
            for descriptor in held.descriptors:
                os.close(descriptor)
            held.descriptors = (os.open(path, os.O_RDONLY),)
            image._opened.clear()
            image._images.clear()
            stretch._kept.update(key=None)
        root = [b"$OrphanFiles".hex(), int(image.file_system(BASE).fs.info.last_inum)] if lost else None
        task = {"root": root, "most": 7, "cursor": cursor, "directories": None}
        said = entries.walk(BASE | task, []).value
        found += said["items"]
        cursor = said["cursor"]
        if said["done"]:
            return found
        assert len(found) < 10_000


def names(found: list[dict[str, Any]]) -> list[str]:
    """The last part of every path, of files alone."""
    paths = [bytes.fromhex(item["path"]) for item in found if "path" in item and SAID not in (item["detail"] or "")]
    return [path.rpartition(b"/")[2].decode() for path in paths]


def said_of(found: list[dict[str, Any]]) -> list[str]:
    """The entries of which it is said that their directory is listed elsewhere."""
    paths = [bytes.fromhex(item["path"]) for item in found if SAID in (item.get("detail") or "")]
    return [path.rpartition(b"/")[2].decode() for path in paths]


def test_thirteen_that_all_hold_each_other_are_listed_once(tmp_path):
    """There are six thousand million paths through them."""
    volume = crossed(tmp_path / "fat.img", 13)
    found = walked(volume)
    assert sorted(names(found)) == sorted(f"F{here}" for here in range(20, 33))
    assert len(said_of(found)) == 13 * 12 - 12
    assert walked(volume, anew=True) == found
    assert not names(walked(volume, lost=True))


def test_the_second_count_of_them_ends(tmp_path):
    walked(crossed(tmp_path / "fat.img", 13))
    said = recount.count(BASE | {"file_system": "FAT", "length": 4 << 20, "pending": None, "modulus": 7}, []).value
    assert said["pending"] == []
    assert said["contents"] >= 13


def test_deleted_ones_too(tmp_path):
    found = walked(crossed(tmp_path / "fat.img", 13, deleted=True))
    listed = Counter(names(found))
    assert set(listed) == {f"F{here}" for here in range(20, 33)}
    assert max(listed.values()) == 1


def test_the_whole_intake_of_such_a_volume_says_what_was_not_entered(tmp_path, monkeypatch):
    monkeypatch.setattr(crossed_files, "judge", lambda *_: None)  # that all files share a cluster is not the matter
    case = new_case(tmp_path / "case")
    volume = crossed(tmp_path / "fat.img", 13)
    summary = intake(case, path=volume, label="D", workers=1, options=Options(extractors=()))
    found = items(case)
    assert sum(path.rpartition(b"/")[2].startswith(b"F") for path in found) == 13
    again = [item for item in found.values() if SAID in (item["detail"] or "")]
    assert len(again) == 13 * 12 - 12
    assert {item["state"] for item in again} == {"unreadable"}
    assert summary.account.unreadable == len(again) + sum(item["detail"] == WIPED for item in found.values())


def test_chains_that_run_into_each_other(tmp_path):
    """Thirty directories, each of which begins one cluster further in the same chain: two to the thirty paths."""
    every = range(20, 50)
    inside = {here: [entry(f"F{here}", CONTENT, 0x20), entry(f"D{here + 1}", here + 1)] for here in every}
    inside[50] = [entry("F50", CONTENT, 0x20)]
    table = {here: here + 1 for here in every} | {50: END}
    found = walked(fat16(tmp_path / "fat.img", [entry("TOP", 20)], inside, table))
    assert sorted(names(found)) == [f"F{here}" for here in range(20, 51)]
    assert len(said_of(found)) == 30  # each begins in a cluster of the first


def test_a_directory_that_ends_in_the_chain_of_another_keeps_what_is_its_own(tmp_path):
    inside = {here: [entry(f"F{here}{slot:02}", CONTENT, 0x20) for slot in range(16)] for here in (20, 21, 30)}
    table = {20: 21, 21: END, 30: 21}
    found = walked(fat16(tmp_path / "fat.img", [entry("A", 20), entry("B", 30)], inside, table))
    assert Counter(names(found)) == Counter(f"F{here}{slot:02}" for here in inside for slot in range(16))
    assert {"notes": {entries.ELSEWHERE: 16}}.items() <= next(i for i in found if entries.ELSEWHERE in str(i)).items()


def test_a_live_directory_goes_before_a_deleted_one_with_its_clusters(tmp_path):
    inside = {20: [entry("F", CONTENT, 0x20)], 30: [entry("NEW", 20)]}
    root = [entry("OLD", 20, deleted=True), entry("UP", 30)]
    found = walked(fat16(tmp_path / "fat.img", root, inside, {20: END, 30: END}))
    paths = [bytes.fromhex(item["path"]) for item in found if "path" in item and not item["detail"]]
    assert paths == [b"UP/NEW/F"]


def test_a_deleted_directory_has_the_cluster_in_which_it_begins(tmp_path):
    """Of a deleted one on exFAT the clusters in a row are taken for its own, though another may begin in the second."""
    first = b"".join(_entries(File(f"A{number:02}", b"12345", [40])) for number in range(42))  # 4,032 bytes
    longer = File("D1", first.ljust(8192, b"\0"), [20, 21], deleted=True)
    other = File("D2", _entries(File("MINE", b"12345", [40])).ljust(4096, b"\0"), [21], deleted=True)
    volume = make(tmp_path / "exfat.img", [longer, other, File("F40", b"12345", [40])])
    as_directories(volume, [longer, other])
    found = walked(volume)
    paths = {bytes.fromhex(item["path"]) for item in found if "path" in item}
    assert b"D2/MINE" in paths
    assert b"D1/MINE" not in paths


@pytest.mark.parametrize("deleted", [False, True])
def test_what_lies_behind_the_limit_is_not_entered_and_that_is_said(tmp_path, monkeypatch, deleted):
    monkeypatch.setattr(fat_tree, "MOST_ENTRIES", 30)
    volume = crossed(tmp_path / "fat.img", 7, deleted=deleted)
    found = walked(volume)
    barred = [item for item in found if item.get("detail") == fat_tree.CUT.detail]
    assert barred
    assert {item["reason"] for item in barred} == {"limit reached"}
    files = [name for name in names(found) if name.startswith("F")]
    assert files
    assert len(files) == len(set(files))
    assert walked(volume, anew=True) == found
    lost = walked(volume, lost=True)
    assert [item["reason"] for item in lost] == ["limit reached"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1 << 32))
def test_every_file_that_can_be_reached_is_listed_once(seed, tmp_path):
    """Directories of one or two clusters, their chains and entries at random, compared with a search of its own."""
    dice = random.Random(seed)
    every = range(20, 20 + dice.randrange(2, 9))
    table = {here: dice.choice([END, *range(here + 1, every[-1] + 1)]) for here in every}
    holds = {here: [dice.choice(every) for _ in range(dice.randrange(4))] for here in every}
    inside = {
        here: [entry(f"F{here}", CONTENT, 0x20)]
        + [entry(f"D{number}{to}", to) for number, to in enumerate(holds[here])]
        for here in every
    }
    full = {here: found + [entry(f"G{here}{slot:02}", CONTENT, 0x20) for slot in range(16 - len(found))]
            for here, found in inside.items()}  # fmt: skip
    found = walked(fat16(tmp_path / "fat.img", [entry("TOP", 20)], full, table))
    listed = Counter(name for name in names(found) if name.startswith("F"))
    reached, waiting = set[int](), [20]
    while waiting:
        here = waiting.pop()
        if here not in reached:
            reached.add(here)
            waiting += holds[here] + ([table[here]] if table[here] != END else [])
    assert listed == Counter(f"F{here}" for here in reached)


def test_of_exfat(tmp_path):
    every = range(20, 32)

    def directory(here: int) -> bytes:
        others = [File(f"D{other}", bytes(4096), [other]) for other in every if other != here]
        held_ = b"".join(_directory(_entries(other)) for other in others)
        return held_ + _entries(File(f"F{here}", b"12345", [40]))

    files = [File(f"D{here}", directory(here).ljust(4096, b"\0"), [here]) for here in every]
    volume = make(tmp_path / "exfat.img", [*files, File("F40", b"12345", [40])])
    as_directories(volume, files)
    found = walked(volume)
    assert sorted(names(found)) == sorted(f"F{here}" for here in [*every, 40])
    assert len(said_of(found)) == 12 * 11
    assert walked(volume, anew=True) == found


def as_directories(volume: Path, files: Sequence[File]) -> None:
    """Makes directories of those files in the root."""
    raw = bytearray(volume.read_bytes())
    for each in files:
        at = raw.find(_entries(each))
        raw[at : at + 32] = _directory(_entries(each))[:32]
    volume.write_bytes(raw)


def _directory(entry_set: bytes) -> bytes:
    """The same entry set, of a directory."""
    return entry_set[:4] + b"\x10" + entry_set[5:]
