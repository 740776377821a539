"""ISO 9660: every name of every tree is listed once, or said to be lost. Oracles: what went in, isoinfo, bsdtar."""

import struct
import subprocess
from pathlib import PurePosixPath
from typing import Any

import pytest
from cases import sha256
from discs import S, change, listed, make, paths, record_of, run_here, take

from clew.intake.containers.raw import Raw
from clew.intake.disk import iso, iso_records, iso_tree
from clew.model import Reason

JAPANESE, FOLDER = "\u3042" * 50, "\u3044" * 50  # 150 bytes of UTF-8 each


def test_every_name_of_both_trees_is_listed(tmp_path):
    files = {f"a{each}.txt": b"a%d" % each for each in range(3)} | {f"{JAPANESE}.jpg": b"long"}
    files |= {f"z{each}.txt": b"z%d" % each for each in range(10)} | {
        "secret.jpg": b"secret",
        f"{FOLDER}/in": b"in",
    }
    image = make(tmp_path / "d.iso", files, "-J", "-hide-joliet", "secret.jpg")
    found, summary = take(tmp_path, image)
    assert {path: item["sha256"] for path, item in found.items()} == {
        (name if name != "secret.jpg" else "SECRET.JPG").encode(): sha256(data) for name, data in files.items()
    }
    assert found[b"SECRET.JPG"]["ref"].startswith("iso@0.16/")
    assert found[b"a0.txt"]["ref"].startswith("iso@0.17/")
    assert {item["name_state"] for item in found.values()} == {"live"}
    assert summary.account.notes[iso.ELSEWHERE] == len(files) - 1
    assert summary.account.complete
    assert "ISO 9660 (the primary tree 'CDROM') iso@0.16: clew listed 1 live" in summary.words()


def test_names_and_links_of_rock_ridge(tmp_path):
    files = {"a name with Capitals.txt": b"a", "deep/b/c/d/e/f/g/h/i/j/x.txt": b"deep", "z" * 200: b"z"}
    tree = tmp_path / "d.tree"
    tree.mkdir()
    (tree / "link").symlink_to("a name with Capitals.txt")
    tree.rename(tmp_path / "link.tree")
    image = tmp_path / "d.iso"
    for name, data in files.items():
        (tmp_path / "link.tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "link.tree" / name).write_bytes(data)
    command = ["genisoimage", "-quiet", "-R", "-J", "-o", image, tmp_path / "link.tree"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    found, summary = take(tmp_path, image)
    told = subprocess.run(["bsdtar", "-tf", image], check=True, capture_output=True, timeout=60).stdout.splitlines()
    folders = {str(each).encode() for name in files for each in PurePosixPath(name).parents}  # the root, b".", too
    # A folder is no item. `rr_moved` is where genisoimage puts those that lie too deep for ISO 9660.
    assert set(found) == {each.rstrip(b"/") for each in told} - folders - {b"rr_moved"}
    assert {path: item["sha256"] for path, item in found.items() if path != b"link"} == {
        name.encode(): sha256(data) for name, data in files.items()
    }
    assert (found[b"link"]["state"], found[b"link"]["detail"]) == ("skipped", "a symbolic link, which is not followed")
    assert summary.account.complete


def test_a_disc_of_the_plainest_kind(tmp_path):
    image = make(tmp_path / "d.iso", {"A.TXT": b"a", "DIR/B": b"b", "EMPTY": b""})
    told = subprocess.run(["isoinfo", "-f", "-i", image], check=True, capture_output=True, timeout=60).stdout
    found, _ = take(tmp_path, image)
    assert set(found) == {b"A.TXT", b"DIR/B", b"EMPTY"}
    assert {each.removesuffix(b";1").removesuffix(b".")[1:] for each in told.splitlines()} == {*found, b"DIR"}


def test_a_directory_that_no_directory_names(tmp_path):
    """Nor does a wrong volume size hide anything: descriptors are often wrong there."""
    image = make(tmp_path / "d.iso", {"A.TXT": b"a", "ZDIR/B.TXT": b"b"})
    change(image, record_of(image, b"ZDIR", last=True), b"\0")
    change(image, 16 * S + 80, struct.pack("<I", 20))
    found, summary = take(tmp_path, image)
    assert {path: item["sha256"] for path, item in found.items()} == {
        b"A.TXT": sha256(b"a"), b"$OrphanFiles/ZDIR/B.TXT": sha256(b"b"),
    }  # fmt: skip
    assert summary.account.notes[iso.UNNAMED] == 1
    assert summary.account.notes[iso_records.REST] == 1


def test_directories_that_lead_in_circles_are_listed_once(tmp_path):
    image = make(tmp_path / "d.iso", {"A.TXT": b"a", "D/B.TXT": b"b", "D/E/C.TXT": b"c"})
    data = image.read_bytes()
    root = data[16 * S + 156 + 2 : 16 * S + 156 + 18]
    change(image, record_of(image, b"E", last=True) + 2, root)
    found = listed(image)
    assert paths(found) == {b"A.TXT", b"D/B.TXT", b"$OrphanFiles/E/C.TXT"}
    assert sum(each["notes"].get(iso.LINKED_TWICE, 0) for each in found if "notes" in each) == 1


def test_directories_that_share_their_bytes_lead_in_no_circle(tmp_path):
    """One that begins with the root and goes on over those below it: it has the very records that lead to it."""
    image = make(tmp_path / "d.iso", {"A/B/X.TXT": b"x", "A/Y.TXT": b"y"})
    root = struct.unpack_from("<I", image.read_bytes(), 16 * S + 158)[0]
    at = record_of(image, b"B", last=True)
    change(image, at + 2, struct.pack("<I", root))
    change(image, at + 10, struct.pack("<I", 3 * S))
    assert {b"A/Y.TXT", b"A/B/Y.TXT"} <= paths(listed(image))


def test_records_that_make_no_sense_are_said(tmp_path):
    image = make(tmp_path / "d.iso", {f"F{each}.TXT": b"f%d" % each for each in range(9)})
    change(image, record_of(image, b"F5.TXT;1") + 32, b"\xff")
    found, summary = take(tmp_path, image)
    assert {path for path, item in found.items() if item["sha256"]} == {b"F%d.TXT" % each for each in range(5)}
    assert found[b"/"]["state"] == "unreadable"
    assert "a record of it makes no sense" in found[b"/"]["detail"]
    assert not summary.account.complete


def test_what_is_behind_the_limits_is_said_and_no_tree_relies_on_it(tmp_path, monkeypatch):
    files = {f"D{each}/{name}.TXT": b"x%d" % each for each in range(3) for name in "ABC"}
    image = make(tmp_path / "d.iso", files, "-J")
    monkeypatch.setattr(iso_tree, "MOST_RECORDS", 7)
    first = listed(image, 17)
    lost = [each for each in first if each.get("reason") == str(Reason.LIMIT_REACHED)]
    assert {bytes.fromhex(each["path"]) for each in lost} == {b"D1/", b"D2/"}
    assert paths(first) == {b"D0/A.TXT", b"D0/B.TXT", b"D0/C.TXT", b"D1/", b"D2/"}
    assert b"D0/A.TXT" in paths(listed(image, 16))  # although the first tree lists it
    monkeypatch.setattr(iso_tree, "MOST_RECORDS", 1000)
    monkeypatch.setattr(iso_tree, "MOST_BYTES", 2 * S)
    assert {b"D1/", b"D2/"} <= paths(listed(image, 17))


class Lossy(Raw):
    """One sector that cannot be read: zeros stand for it, or an error comes."""

    lost, fails = 0, False

    def __init__(self, descriptors: list[int]) -> None:
        super().__init__(descriptors)
        self.bad = [] if self.fails else [(self.lost, S)]

    def read(self, offset: int, length: int) -> bytes:
        data = bytearray(super().read(offset, length))
        first, end = max(self.lost - offset, 0), min(self.lost + S - offset, len(data))
        if first < end and self.fails:
            raise OSError(5, "bad sector")
        data[first:end] = bytes(max(end - first, 0))
        return bytes(data)


@pytest.mark.parametrize("fails", [False, True])
def test_a_directory_in_a_bad_sector_is_said(tmp_path, monkeypatch, fails):
    image = make(tmp_path / "d.iso", {"D/A.TXT": b"a", "E/B.TXT": b"b"})
    monkeypatch.setattr(Lossy, "lost", record_of(image, b"B.TXT;1") // S * S)
    monkeypatch.setattr(Lossy, "fails", fails)
    found = listed(image, container=f"{__name__}:Lossy")
    assert paths(found) == {b"D/A.TXT", b"E/"}
    assert "a sector of it could not be read" in found[-1]["detail"]


def test_entries_of_a_directory_behind_the_most_are_said(tmp_path, monkeypatch):
    image = make(tmp_path / "d.iso", {f"F{each}.TXT": b"x%d" % each for each in range(5)})
    monkeypatch.setattr(iso_tree, "MOST_ENTRIES", 4)
    found = listed(image)
    assert paths(found) == {b"F0.TXT", b"F1.TXT", b"/"}
    assert "no more than 4 entries" in found[-1]["detail"]


def test_a_directory_is_listed_once_however_many_stretches_its_files_take(tmp_path, monkeypatch):
    image = make(tmp_path / "d.iso", {f"{folder}/F{each}.TXT": b"x" for folder in "DE" for each in range(30)})
    looked: list[int] = []
    read = iso.entries
    monkeypatch.setattr(iso, "entries", lambda opened, which: looked.append(which) or read(opened, which))

    def walk(payload: dict[str, Any], _: list[int]) -> list[int]:
        stretches, cursor, done = 0, "", False
        while not done:
            said = iso.walk({**payload, "cursor": cursor}, []).value
            stretches, cursor, done = stretches + 1, said["cursor"], said["done"]
        return [stretches, *looked]

    stretches, *listings = run_here(walk, image, iso=16, most=5, directories=None)
    assert stretches > 10
    assert len(listings) == len(set(listings)) == 3  # the root and two below it


def test_a_directory_that_is_none_is_said(tmp_path):
    image = make(tmp_path / "d.iso", {"D/A.TXT": b"a", "E/B.TXT": b"b"})
    change(image, record_of(image, b"B.TXT;1") // S * S, bytes(S))
    found = listed(image)
    assert paths(found) == {b"D/A.TXT", b"E/"}
    assert iso_tree.STRANGE in found[-1]["detail"]


def test_an_associated_file_is_no_second_file_of_that_name(tmp_path):
    image = make(tmp_path / "d.iso", {"A.BIN": b"fork", "B.BIN": b"data"})
    change(image, record_of(image, b"A.BIN;1") + 25, bytes([iso_records.ASSOCIATED]))
    change(image, record_of(image, b"B.BIN;1") + 33, b"A.BIN;1")
    assert paths(listed(image)) == {b"A.BIN:associated", b"A.BIN"}
