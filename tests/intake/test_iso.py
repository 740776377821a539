"""ISO 9660 by clew's own reader: every name of every tree and session, files of several extents, times with their
distance to UTC; and discs that were made to mislead it. Oracles: what went in, isoinfo, bsdtar.
"""

import random
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cases import items, sha256
from hypothesis import given, settings
from hypothesis import strategies as st

from case_made import new_case
from clew.core import held, shards
from clew.core.absent import Absent, CutShort
from clew.intake.containers.raw import Raw
from clew.intake.disk import iso, iso_disc, iso_records, iso_tree, signatures, volumes
from clew.intake.options import Options
from clew.intake.refs import parse
from clew.intake.report import Report
from clew.intake.run import intake
from clew.intake.sources import _said
from clew.intake.sources._disk import Disk
from clew.model import Missing, Reason

OPTIONS = Options(extractors=())
S = iso_records.SECTOR
NOON = bytes([120, 6, 1, 12, 0, 0])  # 2020-06-01 12:00:00, without its distance to UTC


def make(image: Path, files: dict[str, bytes], *options: str) -> Path:
    """A disc with these files."""
    tree = image.with_suffix(".tree")
    tree.mkdir()
    for name, data in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(data)
    command = ["genisoimage", "-quiet", "-input-charset", "utf-8", *options, "-o", image, tree]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return image


def take(folder: Path, image: Path) -> tuple[dict[bytes, dict[str, Any]], Report]:
    folder.mkdir(exist_ok=True)
    case = new_case(folder / "case")
    summary = intake(case, path=image, label="D", workers=1, options=OPTIONS)
    return items(case), summary


@pytest.fixture
def reader(monkeypatch):
    """Runs the worker's entries in this process."""

    def run(entry: Any, image: Path, **payload: Any) -> Any:
        with image.open("rb") as file:
            monkeypatch.setattr(held, "descriptors", (file.fileno(),))
            iso_tree._opened.clear()
            here = {"container": "clew.intake.containers.raw:open_raw", "offset": 0, "length": image.stat().st_size}
            return entry({**here, **payload}, [])

    return run


def listed(reader: Any, image: Path, sector: int = 16, **more: Any) -> list[dict[str, Any]]:
    """What the walk of one tree says."""
    found, cursor = [], ""
    while True:
        said = reader(iso.walk, image, iso=sector, cursor=cursor, most=50, directories=None, **more).value
        found += said["items"]
        cursor = said["cursor"]
        if said["done"]:
            return found


def paths(found: list[dict[str, Any]]) -> set[bytes]:
    return {bytes.fromhex(each["path"]) for each in found if "path" in each}


def change(image: Path, at: int, data: bytes) -> None:
    with image.open("r+b") as file:
        file.seek(at)
        file.write(data)


def record_of(image: Path, name: bytes, *, last: bool = False) -> int:
    """The byte at which the first (or last) directory record of that name lies."""
    data = image.read_bytes()
    mark = bytes([len(name)]) + name
    return (data.rindex(mark) if last else data.index(mark)) - 32


# ---- names


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
    told = subprocess.run(["bsdtar", "-tf", image], check=True, capture_output=True, timeout=60).stdout.split(b"\n")
    assert set(found) == {each for each in told if each and each != b"." and (each in found or b"." in each)}
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


def test_directories_that_lead_in_circles_are_listed_once(tmp_path, reader):
    image = make(tmp_path / "d.iso", {"A.TXT": b"a", "D/B.TXT": b"b", "D/E/C.TXT": b"c"})
    data = image.read_bytes()
    root = data[16 * S + 156 + 2 : 16 * S + 156 + 18]
    change(image, record_of(image, b"E", last=True) + 2, root)
    found = listed(reader, image)
    assert paths(found) == {b"A.TXT", b"D/B.TXT", b"$OrphanFiles/E/C.TXT"}
    assert sum(each["notes"].get(iso.LINKED_TWICE, 0) for each in found if "notes" in each) == 1


def test_directories_that_share_their_bytes_lead_in_no_circle(tmp_path, reader):
    """One that begins with the root and goes on over those below it: it has the very records that lead to it."""
    image = make(tmp_path / "d.iso", {"A/B/X.TXT": b"x", "A/Y.TXT": b"y"})
    root = struct.unpack_from("<I", image.read_bytes(), 16 * S + 158)[0]
    at = record_of(image, b"B", last=True)
    change(image, at + 2, struct.pack("<I", root))
    change(image, at + 10, struct.pack("<I", 3 * S))
    assert {b"A/Y.TXT", b"A/B/Y.TXT"} <= paths(listed(reader, image))


def test_records_that_make_no_sense_are_said(tmp_path):
    image = make(tmp_path / "d.iso", {f"F{each}.TXT": b"f%d" % each for each in range(9)})
    change(image, record_of(image, b"F5.TXT;1") + 32, b"\xff")
    found, summary = take(tmp_path, image)
    assert {path for path, item in found.items() if item["sha256"]} == {b"F%d.TXT" % each for each in range(5)}
    assert found[b"/"]["state"] == "unreadable"
    assert "a record of it makes no sense" in found[b"/"]["detail"]
    assert not summary.account.complete


def test_what_is_behind_the_limits_is_said_and_no_tree_relies_on_it(tmp_path, reader, monkeypatch):
    files = {f"D{each}/{name}.TXT": b"x%d" % each for each in range(3) for name in "ABC"}
    image = make(tmp_path / "d.iso", files, "-J")
    monkeypatch.setattr(iso_tree, "MOST_RECORDS", 7)
    first = listed(reader, image, 17)
    lost = [each for each in first if each.get("reason") == str(Reason.LIMIT_REACHED)]
    assert {bytes.fromhex(each["path"]) for each in lost} == {b"D1/", b"D2/"}
    assert paths(first) == {b"D0/A.TXT", b"D0/B.TXT", b"D0/C.TXT", b"D1/", b"D2/"}
    assert b"D0/A.TXT" in paths(listed(reader, image, 16))  # although the first tree lists it
    monkeypatch.setattr(iso_tree, "MOST_RECORDS", 1000)
    monkeypatch.setattr(iso_tree, "MOST_BYTES", 2 * S)
    assert {b"D1/", b"D2/"} <= paths(listed(reader, image, 17))


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
def test_a_directory_in_a_bad_sector_is_said(tmp_path, reader, monkeypatch, fails):
    image = make(tmp_path / "d.iso", {"D/A.TXT": b"a", "E/B.TXT": b"b"})
    monkeypatch.setattr(Lossy, "lost", record_of(image, b"B.TXT;1") // S * S)
    monkeypatch.setattr(Lossy, "fails", fails)
    found = listed(reader, image, container=f"{__name__}:Lossy")
    assert paths(found) == {b"D/A.TXT", b"E/"}
    assert "a sector of it could not be read" in found[-1]["detail"]


def test_entries_of_a_directory_behind_the_most_are_said(tmp_path, reader, monkeypatch):
    image = make(tmp_path / "d.iso", {f"F{each}.TXT": b"x%d" % each for each in range(5)})
    monkeypatch.setattr(iso_tree, "MOST_ENTRIES", 4)
    found = listed(reader, image)
    assert paths(found) == {b"F0.TXT", b"F1.TXT", b"/"}
    assert "no more than 4 entries" in found[-1]["detail"]


def test_a_directory_is_listed_once_however_many_stretches_its_files_take(tmp_path, reader, monkeypatch):
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

    stretches, *listings = reader(walk, image, iso=16, most=5, directories=None)
    assert stretches > 10
    assert len(listings) == len(set(listings)) == 3  # the root and two below it


def test_a_disc_that_shares_its_place_with_another_file_system_is_said():
    head = bytes(32769) + b"CD001"
    assert "ISO 9660" in signatures.beside("FAT", head)
    assert not signatures.beside("ISO 9660", head)


def test_a_directory_that_is_none_is_said(tmp_path, reader):
    image = make(tmp_path / "d.iso", {"D/A.TXT": b"a", "E/B.TXT": b"b"})
    change(image, record_of(image, b"B.TXT;1") // S * S, bytes(S))
    found = listed(reader, image)
    assert paths(found) == {b"D/A.TXT", b"E/"}
    assert iso_tree.STRANGE in found[-1]["detail"]


def test_an_associated_file_is_no_second_file_of_that_name(tmp_path, reader):
    image = make(tmp_path / "d.iso", {"A.BIN": b"fork", "B.BIN": b"data"})
    change(image, record_of(image, b"A.BIN;1") + 25, bytes([iso_records.ASSOCIATED]))
    change(image, record_of(image, b"B.BIN;1") + 33, b"A.BIN;1")
    assert paths(listed(reader, image)) == {b"A.BIN:associated", b"A.BIN"}


# ---- contents


def test_the_extents_of_one_file_are_joined_and_never_called_whole_alone(tmp_path):
    image = make(tmp_path / "d.iso", {"A.BIN": b"a" * 2048, "B.BIN": b"b" * 100, "C.BIN": b"c"})
    for name in (b"A.BIN;1", b"C.BIN;1"):
        change(image, record_of(image, name) + 25, b"\x80")
    change(image, record_of(image, b"B.BIN;1") + 33, b"A.BIN;1")
    found, summary = take(tmp_path, image)
    assert set(found) == {b"A.BIN", b"C.BIN"}
    whole, part = found[b"A.BIN"], found[b"C.BIN"]
    assert (whole["sha256"], whole["size"], whole["as_read"]) == (sha256(b"a" * 2048 + b"b" * 100), 2148, "complete")
    assert (part["sha256"], part["content_state"], part["as_read"]) == (sha256(b"c"), "partial", "partial")
    assert "an extent that no directory record names" in part["detail"]
    assert parse(whole["ref"]) == {"offset": 0, "iso": 16, "record": parse(whole["ref"])["record"], "type": 0, "id": 2}
    assert not summary.account.complete


def test_what_is_not_the_whole_file_is_said(tmp_path):
    image = make(tmp_path / "d.iso", {"A.BIN": b"a" * 5000, "B.BIN": b"b", "C.BIN": b"c", "ZZ.BIN": b"z" * 5000})
    change(image, record_of(image, b"B.BIN;1") + 26, b"\1\1")  # interleaved
    data = image.read_bytes()
    at = struct.unpack_from("<I", data, record_of(image, b"ZZ.BIN;1") + 2)[0] * S
    image.write_bytes(data[: at + 3000])
    found, _ = take(tmp_path, image)
    assert (found[b"A.BIN"]["as_read"], found[b"A.BIN"]["sha256"]) == ("complete", sha256(b"a" * 5000))
    assert (found[b"B.BIN"]["state"], found[b"B.BIN"]["sha256"]) == ("unreadable", None)
    assert "interleaved" in found[b"B.BIN"]["detail"]
    assert (found[b"ZZ.BIN"]["as_read"], found[b"ZZ.BIN"]["sha256"]) == ("partial", sha256(b"z" * 3000))
    assert "beyond the image's end" in found[b"ZZ.BIN"]["detail"]


def test_a_disc_of_another_writer_and_what_it_packed(tmp_path, reader):
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "a name.txt").write_bytes(b"a")
    (tree / "zeros.bin").write_bytes(bytes(100_000))
    options = ["--format=iso9660", "--options", "zisofs=direct"]
    command = ["bsdtar", *options, "-cf", tmp_path / "d.iso", "-C", tree, "."]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    found = {bytes.fromhex(each["path"]): each for each in listed(reader, tmp_path / "d.iso")}
    assert set(found) == {b"a name.txt", b"zeros.bin"}
    assert (found[b"a name.txt"]["content_state"], found[b"zeros.bin"]["content_state"]) == ("complete", "partial")

    def read(place: dict[str, Any], _: list[int]) -> bytes:
        stream = iso.stream(place, [])
        return stream.read(0, 8) + stream.read(stream.size, 1)

    with pytest.raises(CutShort, match="zisofs"):
        reader(read, tmp_path / "d.iso", **parse(found[b"zeros.bin"]["ref"]))


def test_files_of_another_disc_of_the_set_are_not_read_from_this_one(tmp_path, reader):
    image = make(tmp_path / "d.iso", {"A.BIN": b"a", "B.BIN": b"b"})
    change(image, 16 * S + 120, struct.pack("<H2xH", 2, 1))
    change(image, record_of(image, b"B.BIN;1") + 28, struct.pack("<H", 2))
    found = {bytes.fromhex(each["path"]): each for each in listed(reader, image)}
    assert (found[b"A.BIN"]["state"], found[b"B.BIN"]["state"]) == ("open", "unreadable")


def test_raw_sectors_are_read(tmp_path, reader):
    content = random.Random(1).randbytes(9000)
    image = make(tmp_path / "d.iso", {"A.BIN": content, "D/B.TXT": b"b"})
    data = image.read_bytes()
    for each, before in ((2352, 16), (2448, 24)):
        raw = tmp_path / f"{each}.img"
        raw.write_bytes(
            b"".join(bytes(before) + data[at:][:S] + bytes(each - S - before) for at in range(0, len(data), S))
        )
        assert reader(volumes.describe, raw).value == {"disc": True, "beside": ""}
        said = reader(iso.found, raw, sessions=True).value
        assert [tree["sector"] for tree in said["trees"]] == [16]
        assert all(at % each == 0 and length % each == 0 for at, length in said["left"])
        found = {bytes.fromhex(item["path"]): item for item in listed(reader, raw)}
        assert set(found) == {b"A.BIN", b"D/B.TXT"}
        ((at, length),) = found[b"A.BIN"]["runs"]
        assert (at % each, length) == (0, 5 * each)

        def pieces(place: dict[str, Any], _: list[int]) -> list[bytes]:
            stream = iso.stream(place, [])
            return [stream.read(0, 10_000), stream.read(3000, 5000)]

        assert reader(pieces, raw, **parse(found[b"A.BIN"]["ref"])) == [content, content[3000:8000]]


# ---- sessions


def follow(image: Path, second: Path, sector: int, between: int) -> None:
    """Puts a session behind the first, at that sector; a picture begins between them."""
    with image.open("ab") as file:
        file.truncate(sector * S)
    change(image, between * S, b"GIF89a")
    with image.open("ab") as file:
        file.write(second.read_bytes())


def test_every_session_is_listed_and_what_lies_between_them_carved(tmp_path):
    image = make(tmp_path / "d.iso", {"one.txt": b"one", "gone.txt": b"gone"}, "-R", "-J")
    second = make(
        tmp_path / "2.iso", {"two.txt": b"two", "gone.txt": b"new"}, "-R", "-J", "-C", "0,1000", "-M", str(image)
    )
    follow(image, second, 1000, 500)
    case = new_case(tmp_path / "case")
    summary = intake(case, path=image, label="D", workers=1, options=OPTIONS)
    sql = "SELECT l.*, c.sha256, c.content_state AS as_read FROM listings l JOIN contents c USING (item)"
    rows = shards.query(case, sql).to_pylist()
    found = {(parse(row["ref"])["iso"], row["path"]): row["sha256"] for row in rows}
    deleted = [
        (parse(row["ref"])["iso"], row["path"], row["as_read"]) for row in rows if row["name_state"] == "deleted"
    ]
    assert deleted == [(16, b"gone.txt", "complete")]  # what the session before the last alone still lists
    assert found[1016, b"two.txt"] == sha256(b"two")
    assert found[1016, b"one.txt"] == found[16, b"one.txt"] == sha256(b"one")
    assert found[16, b"gone.txt"] == sha256(b"gone")
    assert "the Rock Ridge tree 'CDROM' of session 2 of 2, at sector 1,016" in summary.words()
    assert "what was deleted, but what an earlier session of it lists: it is not looked for" in summary.words()
    assert any(part["offset"] <= 500 * S < part["offset"] + part["length"] for part in summary.account.searched)
    assert summary.account.complete


def sessions(tmp_path: Path, *options: str) -> Path:
    """A disc of two sessions. In the second one, which goes on from the first where `options` say so ("IT"), a file was
    written anew.
    """
    image = make(tmp_path / "d.iso", {"ONE.TXT": b"one", "GONE.TXT": b"gone", "EMPTY": b""})
    more = [str(image) if each == "IT" else each for each in options]
    second = make(tmp_path / "2.iso", {"TWO.TXT": b"two", "GONE.TXT": b"new"}, "-C", "0,1000", *more)
    image.write_bytes(image.read_bytes().ljust(1000 * S, b"\0") + second.read_bytes())
    return image


def of_sessions(reader: Any, image: Path) -> tuple[dict[tuple[int, bytes], str], int]:
    """What is claimed of the names in each tree; and how many of an earlier session may not be shown."""
    states, noted = {}, 0
    for tree in reader(iso.found, image, sessions=True).value["trees"]:
        more = {key: tree[key] for key in ("last",) if key in tree}
        for each in listed(reader, image, tree["sector"], **more):
            noted += each.get("notes", {}).get(iso.NOT_SHOWN, 0)
            if "path" in each:
                states[tree["sector"], bytes.fromhex(each["path"])] = each["name_state"]
    return states, noted


def test_what_the_last_session_has_left_out_is_deleted(tmp_path, reader):
    image = sessions(tmp_path, "-M", "IT")
    first = {(16, b"ONE.TXT"): "live", (16, b"GONE.TXT"): "deleted", (16, b"EMPTY"): "live"}
    second = {(1016, name): "live" for name in (b"ONE.TXT", b"TWO.TXT", b"GONE.TXT", b"EMPTY")}
    assert of_sessions(reader, image) == (first | second, 0)
    # As on media that can be written again: the first descriptors are those of the last session.
    data = image.read_bytes()
    change(image, 500 * S, data[16 * S : 19 * S])
    change(image, 16 * S, data[1016 * S : 1019 * S])
    moved = {(500, path): state for (_, path), state in first.items()}
    assert of_sessions(reader, image) == (moved | {(16, path): state for (_, path), state in second.items()}, 0)
    assert "session 2 of 2" in reader(iso.found, image, sessions=True).value["trees"][0]["words"]


def test_a_last_session_that_cannot_be_read_whole_deletes_nothing(tmp_path, reader):
    """A file below a directory of it that is lost may still be shown."""
    image = make(tmp_path / "d.iso", {"ONE.TXT": b"one", "D/KEPT.TXT": b"kept"})
    second = make(tmp_path / "2.iso", {"TWO.TXT": b"two"}, "-C", "0,1000", "-M", str(image))
    data = bytearray(image.read_bytes().ljust(1000 * S, b"\0") + second.read_bytes())
    root = int.from_bytes(data[1016 * S + 158 :][:4], "little")
    place = data.index(b"\x01D", root * S) - 32
    at = int.from_bytes(data[place + 2 : place + 6], "little") * S
    assert at > 1000 * S
    data[at : at + S] = bytes(S)
    image.write_bytes(data)
    states, _ = of_sessions(reader, image)
    assert states[16, b"D/KEPT.TXT"] == "live"


@pytest.mark.parametrize("dated", [True, False])
def test_a_session_that_may_be_of_another_disc_deletes_nothing(tmp_path, reader, dated):
    """One that has taken over nothing; or one dated before the first, as what is left of a disc that lay there."""
    image = sessions(tmp_path, *(["-M", "IT"] if dated else []))
    if dated:
        change(image, 1016 * S + 813, b"1999")
    states, noted = of_sessions(reader, image)
    assert set(states.values()) == {"live"}
    assert noted == (1 if dated else 2)


def test_a_disc_with_a_partition_table_on_it_is_one_to_the_image_s_end(tmp_path):
    """The first entry of a Mac's begins behind byte 0: the disc begins in a gap of one sector."""
    first = {f"f{each}.jpg": random.Random(each).randbytes(9000) for each in range(4)}
    image = make(tmp_path / "d.iso", first, "-R", "-J", "-hfs", "-part", "-input-charset", "iso8859-1")
    second = make(tmp_path / "2.iso", {"two.jpg": b"two"}, "-R", "-J", "-C", "0,1000", "-M", str(image))
    follow(image, second, 1000, 900)
    case = new_case(tmp_path / "case")
    summary = intake(case, path=image, label="D", workers=1, options=OPTIONS)
    sql = "SELECT l.ref, l.path, c.sha256, c.content_state FROM listings l JOIN contents c USING (item)"
    rows = shards.query(case, f"{sql} WHERE l.name_state='live'").to_pylist()
    found = {(parse(row["ref"])["iso"], row["path"]): (row["sha256"], row["content_state"]) for row in rows}
    held_by = {(16, name.encode()): (sha256(data), "complete") for name, data in first.items()}
    held_by |= {(1016, path): each for (_, path), each in held_by.items()}
    assert found == held_by | {(1016, b"two.jpg"): (sha256(b"two"), "complete")}
    searched = [(each["offset"], each["offset"] + each["length"]) for each in summary.account.searched]
    assert sum(at <= 900 * S < end for at, end in searched) == 1  # not a second time as a gap of the table


def partition(at: int, length: int, kind: int) -> bytes:
    """An entry of a partition table of MBR, for bytes of the disk."""
    return struct.pack("<8B2I", 0, 0, 0, 0, kind, 0, 0, 0, at // 512, length // 512)


def test_what_lies_in_a_partition_of_something_else_is_never_whole(tmp_path):
    """But what is that partition, as the image that a disc boots is."""
    fat = tmp_path / "fat.img"
    fat.write_bytes(bytes(1 << 20))
    subprocess.run(["mkfs.fat", fat], check=True, capture_output=True, timeout=60)
    files = {"BOOT.IMG": fat.read_bytes(), "FILM.AVI": random.Random(1).randbytes(3 << 20), "A.TXT": b"a"}
    image = make(tmp_path / "d.iso", files)
    boot, film = (
        struct.unpack_from("<I", image.read_bytes(), record_of(image, name) + 2)[0] * S
        for name in (b"BOOT.IMG;1", b"FILM.AVI;1")
    )
    over = film + S
    change(image, over, fat.read_bytes())
    change(image, 446, partition(boot, 1 << 20, 0xEF) + partition(over, 1 << 20, 0x0C) + bytes(32) + b"\x55\xaa")
    found, summary = take(tmp_path, image)
    of_disc = {path: item for path, item in found.items() if item["ref"].startswith("iso@")}
    assert {path: item["as_read"] for path, item in of_disc.items()} == {
        b"BOOT.IMG": "complete", b"FILM.AVI": "partial", b"A.TXT": "complete",
    }  # fmt: skip
    assert summary.account.notes[iso.SHARED] == 1
    assert f"{1 << 20:,} bytes of a disc lie in partitions of something else" in summary.words()
    assert not summary.account.complete


def test_a_gap_in_which_something_else_begins_is_no_disc_s(tmp_path):
    """As on a stick that once held a disc."""
    fat = tmp_path / "fat.img"
    fat.write_bytes(bytes(1 << 20))
    subprocess.run(["mkfs.fat", fat], check=True, capture_output=True, timeout=60)
    image = make(tmp_path / "d.iso", {"A.BIN": bytes(1000), "FILM.AVI": random.Random(1).randbytes(4 << 20)})
    at = 2 << 20
    change(image, at, fat.read_bytes() * 2)  # the first in a partition, the second in the gap behind it
    change(image, 446, partition(at, 1 << 20, 0x0C) + bytes(48) + b"\x55\xaa")
    case = new_case(tmp_path / "case")
    intake(case, path=image, label="D", workers=1, options=OPTIONS)
    rows = {row["part"] for row in case.read().execute("SELECT part FROM exhibit_runs")}
    assert {f"fs@{at}/walk", f"fs@{at + (1 << 20)}/walk"} <= rows
    states = {path: item["content_state"] for path, item in items(case).items() if item["ref"].startswith("iso@")}
    assert states == {b"A.BIN": "complete", b"FILM.AVI": "partial"}


def test_a_disc_behind_a_disc_counts_from_its_own_beginning(tmp_path, reader):
    image = make(tmp_path / "d.iso", {"A.TXT": b"a"})
    other = make(tmp_path / "2.iso", {"B.TXT": b"b"})
    start = image.stat().st_size // S
    image.write_bytes(image.read_bytes() + other.read_bytes())
    trees = reader(iso.found, image, sessions=True).value["trees"]
    assert [each["sector"] for each in trees] == [16, start + 16]
    assert paths(listed(reader, image, start + 16)) == {b"B.TXT"}


def test_descriptors_without_a_root_are_said_and_many_of_them_are_no_more_work(tmp_path, reader, monkeypatch):
    image = make(tmp_path / "d.iso", {"A.TXT": b"a"})
    fake = bytearray(image.read_bytes()[16 * S : 17 * S])
    fake[158:162] = struct.pack("<I", 17)
    start = image.stat().st_size
    image.write_bytes(image.read_bytes() + (bytes(fake) + bytes(S)) * 20)
    said = reader(iso.found, image, sessions=True).value
    assert [each["sector"] for each in said["trees"]] == [16]
    why = f"20 volume descriptors of a disc, the first in sector {start // S:,}, whose root directory was not found"
    assert said["said"] == [why]
    monkeypatch.setattr(iso, "MOST_TRIED", 3)
    assert "more than 3 volume descriptors" in reader(iso.found, image, sessions=True).value["said"][-1]


def unpadded(tmp_path: Path, *gaps: int) -> Path:
    """A CD of as many sessions and one, each of which goes on from the one before, in an image without what lies
    between them.
    """
    whole = make(tmp_path / "d.iso", {"ONE.BIN": b"one" * 3000, "GONE.BIN": b"gone" * 2000}, "-R", "-J")
    joined, start = whole.read_bytes(), 0
    for number, gap in enumerate(gaps, 2):
        size = whole.stat().st_size // S
        files = {f"{number}.BIN": f"{number}".encode() * 5000, "GONE.BIN": b"new" * number}
        options = ["-R", "-J", "-C", f"{start},{size + gap}", "-M", str(whole)]
        more = make(tmp_path / f"{number}.iso", files, *options).read_bytes()
        start = size + gap
        whole.write_bytes(whole.read_bytes().ljust(start * S, b"\0") + more)
        joined += more
    image = tmp_path / "cd.iso"
    image.write_bytes(joined)
    return image


ONE, GONE, TWO, THREE = b"one" * 3000, b"gone" * 2000, b"2" * 5000, b"3" * 5000


def contents(reader: Any, image: Path) -> dict[tuple[int, bytes], tuple[str, bytes]]:
    """(session, path) -> (name state, content; nothing where it has none) in an image of a CD."""

    def whole(place: dict[str, Any], _: list[int]) -> bytes:
        return iso.stream(place, []).read(0, 1 << 20)

    found = {}
    for number, tree in enumerate(reader(iso.found, image, sessions=True).value["trees"]):
        more = {key: tree[key] for key in ("last",) if key in tree}
        for each in listed(reader, image, tree["sector"], **more):
            if "path" in each:
                opens = each["state"] == "open"
                data = reader(whole, image, **parse(each["ref"])) if opens else b""
                found[number // 2 + 1, bytes.fromhex(each["path"])] = each["name_state"], data
    return found


@pytest.mark.parametrize("each", [S, 2352])
def test_a_session_is_found_in_an_image_that_leaves_out_what_lies_before_it(tmp_path, reader, each):
    image = unpadded(tmp_path, 11_400)
    if each != S:
        data = image.read_bytes()
        image.write_bytes(b"".join(bytes(16) + data[at:][:S] + bytes(each - S - 16) for at in range(0, len(data), S)))
    assert contents(reader, image) == {
        (1, b"ONE.BIN"): ("live", ONE),
        (1, b"GONE.BIN"): ("deleted", GONE),
        (2, b"ONE.BIN"): ("live", ONE),
        (2, b"GONE.BIN"): ("live", b"new" * 2),
        (2, b"2.BIN"): ("live", TWO),
    }
    said = reader(iso.found, image, sessions=True).value
    assert said["said"] == []
    assert (
        "of session 2 of 2, at sector 206, before which the image leaves out 11,400 sectors"
        in said["trees"][2]["words"]
    )


@pytest.mark.parametrize("known", [True, False])
def test_of_three_sessions_none_gives_bytes_of_another_for_a_file(tmp_path, reader, known):
    """The third one tells where the others lie by how many sectors each says that it has."""
    image = unpadded(tmp_path, 11_400, 6_900)
    if not known:
        change(image, 206 * S + 80, struct.pack("<I", 77_000))
    found = contents(reader, image)
    assert {key: data for key, (_, data) in found.items()} == {
        (1, b"ONE.BIN"): ONE,
        (1, b"GONE.BIN"): GONE,
        (2, b"ONE.BIN"): ONE,
        (2, b"GONE.BIN"): b"new" * 2,
        (2, b"2.BIN"): TWO,
        (3, b"ONE.BIN"): ONE if known else b"",
        (3, b"GONE.BIN"): b"new" * 3,
        (3, b"2.BIN"): TWO if known else b"",
        (3, b"3.BIN"): THREE,
    }
    deleted = {key for key, (state, _) in found.items() if state == "deleted"}
    assert deleted == ({(1, b"GONE.BIN"), (2, b"GONE.BIN")} if known else set())


# ---- times


def test_times_with_their_distance_to_utc(tmp_path, reader):
    image = make(tmp_path / "d.iso", {"A.TXT": b"a", "B.TXT": b"b"})
    change(image, record_of(image, b"A.TXT;1") + 18, NOON + bytes([36]))
    change(image, record_of(image, b"B.TXT;1") + 18, NOON + struct.pack("b", -20))
    found = {bytes.fromhex(each["path"]): each["times"] for each in listed(reader, image)}
    assert found[b"A.TXT"] == [1590980400 * 10**9, None, None, None]  # 03:00 UTC
    assert found[b"B.TXT"][0] == 1591030800 * 10**9  # 17:00 UTC


@pytest.mark.parametrize(("data", "seconds"), [
    (bytes(7), None), (bytes([120, 13, 1, 0, 0, 0, 0]), None), (NOON + b"\0", 1591012800), (b"", None),
    (b"2020060112000050" + bytes([4]), 1591009200.5), (b"0" * 16 + b"\0", None), (b"1x" * 8 + b"\0", None),
])  # fmt: skip
def test_recorded_times(data, seconds):
    assert iso_records.recorded_ns(data) == (None if seconds is None else int(seconds * 10**9))


# ---- what Rock Ridge says


def field(kind: bytes, data: bytes) -> bytes:
    return kind + bytes([len(data) + 4, 1]) + data


def both(*numbers: int) -> bytes:
    """Numbers as they stand there, twice each."""
    return b"".join(struct.pack("<I", each) + struct.pack(">I", each) for each in numbers)


def test_the_fields_of_a_record():
    area = field(b"NM", b"\1ab") + field(b"PX", both(0o120777, 1, 0, 0)) + field(b"CE", both(7, 3, 40))
    more = (
        field(b"NM", b"\0cd") + field(b"TF", b"\x82" + b"2020060112000050" + bytes([4])) + field(b"CE", both(7, 3, 40))
    )
    asked = []

    def read(block: int, at: int, length: int) -> bytes:
        asked.append((block, at, length))
        return more

    found = iso_records.rock(b"skip" + area, 4, read)
    assert found.name is not None
    assert found.name.startswith(b"abcd")
    assert len(found.name) <= iso_records.MOST_NAME
    assert set(asked) == {(7, 3, 40)}
    assert len(asked) <= iso_records.MOST_HOPS  # although it leads back to itself
    assert found.mode == 0o120777
    assert found.times == {"modified": 1591009200 * 10**9 + 500_000_000}
    for kind in (b"ZF", b"SF"):
        assert iso_records.rock(field(kind, bytes(8)), 0, read).altered
    assert iso_records.rock(field(b"NM", b"\2x") + b"NM\xffx", 0, read).name is None


def test_what_xa_says_of_a_file():
    for attributes, odd in ((0x0D55, False), (0x1555, True), (0x2D55, True), (0x4000, True)):
        assert bool(iso_records.xa(struct.pack(">HHH2s6x", 0, 0, attributes, b"XA"))) is odd
    assert not iso_records.xa(bytes(14))


def test_a_file_that_is_said_to_be_a_moved_directory_is_listed(tmp_path, reader):
    image = make(tmp_path / "d.iso", {"a.txt": b"hidden"}, "-R")
    data = image.read_bytes()
    at = record_of(image, b"A.TXT;1")
    (root,) = struct.unpack_from("<I", data, 16 * S + 158)
    change(image, data.index(b"TF", at), field(b"CL", both(root)))
    assert paths(listed(reader, image)) == {b"a.txt"}


# ---- hostile bytes


def test_any_bytes_give_an_end_and_no_error(tmp_path, reader):
    files = {f"{name}/{each}.txt": b"x" * each for name in ("a", "b/c") for each in range(5)}
    whole = make(tmp_path / "d.iso", files, "-R", "-J").read_bytes()
    used = [at for at in range(16 * S, 60 * S) if whole[at]]

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.tuples(st.sampled_from(used), st.integers(0, 255)), min_size=1, max_size=30))
    def read(changes: list[tuple[int, int]]) -> None:
        data = bytearray(whole)
        for at, value in changes:
            data[at] = value
        (tmp_path / "x.img").write_bytes(data)
        try:
            said = reader(iso.found, tmp_path / "x.img", sessions=True).value
        except Absent:
            return
        assert not isinstance(_said.disc_trees(said), Absent)
        for each in said["trees"]:
            last = {key: each[key] for key in ("last",) if key in each}
            for item in listed(reader, tmp_path / "x.img", each["sector"], **last)[:40]:
                _said._event(item, item["cursor"], "directory walk")
                place = parse(item["ref"]) if "ref" in item else None
                if place is not None and "id" in place and item["size"] < 1 << 20:
                    stream = reader(iso.stream, tmp_path / "x.img", **place)
                    assert stream.size <= len(whole)

    read()


def test_a_ref_that_names_no_record_is_unreadable(tmp_path, reader):
    image = make(tmp_path / "d.iso", {"A.TXT": b"a"})
    for record, count in ((S * 5, 1), (record_of(image, b"A.TXT;1"), 2_000), (1 << 40, 1)):
        with pytest.raises(Absent):
            reader(iso.stream, image, iso=16, record=record, id=count, type=0)
    with pytest.raises(Absent):
        reader(iso.stream, image, iso=99, record=record_of(image, b"A.TXT;1"), id=1, type=0)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=12))
def test_what_is_taken_and_what_is_free_are_all(spans):
    taken = iso_disc.Taken()
    for at, length in spans:
        taken.add([(at * S, length * S)])
    held_by = {each for at, length in spans for each in range(at, at + length)}
    free = {each for at, length in taken.free(100 * S) for each in range(at // S, (at + length) // S)}
    assert free == set(range(100)) - held_by
    for at in range(90):
        start, end = taken.free_from(at * S)
        assert start // S == next(each for each in range(at, 200) if each not in held_by)
        assert not any(each in held_by for each in range(start // S, min(end // S, 200)))


def test_a_disc_whose_reader_fails_is_listed_without_its_sessions_or_carved_whole(tmp_path):
    (tmp_path / "x").write_bytes(bytes(1 << 20))
    disk = Disk([tmp_path / "x"], "clew.intake.containers.raw:open_raw")
    died = Missing(Reason.LIMIT_REACHED, "it took too long")
    tree = {
        "trees": [{"sector": 16, "words": "the primary tree 'A'"}] * 2,
        "left": [[4096, 2048]],
        "small": 5,
        "said": [],
    }
    known = {"size": {"size": 1 << 20, "said": []}, "table": {"scheme": None, "parts": []}, "gap": {"noise": False}}
    known["describe"] = {"disc": True, "beside": ""}

    def parts(answer: Any) -> dict[str, Any]:
        def ask(entry: str, payload: dict[str, Any], *_: Any) -> Any:
            name = entry.rpartition(":")[2]
            return answer(payload) if name == "found" else known[name]

        return {part.name: part.missing for part in disk.parts(ask)}

    found = parts(lambda payload: died if payload["sessions"] else tree)
    assert list(found) == ["fs@0/sessions", "iso@0.16/walk", "fs@0/left@4096/carve", "fs@0/small/carve"]
    assert "were not looked for" in found["fs@0/sessions"].detail
    assert "5 bytes" in found["fs@0/small/carve"].detail
    assert parts(lambda _: died) == {"fs@0": died, "fs@0/carve": None}
    for lie in (5, {}, tree | {"trees": [{"sector": -1, "words": ""}]}, tree | {"small": "x"}):
        assert list(parts(lambda _, lie=lie: lie)) == ["fs@0", "fs@0/carve"]
    disk.close()
