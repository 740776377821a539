"""Carving a whole disk image: deleted files come back, no worse than by other tools, and the account says what for."""

import gzip
import hashlib
import os
import shutil
from pathlib import Path

import ntfs_volume
import pytest
from cases import items, sha256
from recovery import PEERS, by_clew, by_peer, hits, photographs, removed_as_by_linux, tool
from test_disk_intake import gpt

from case_made import new_case
from clew.intake import refs
from clew.intake.account import NOT_CARVED
from clew.intake.api import Note, Part
from clew.intake.carving.carver import Carver
from clew.intake.disk import carve as worker
from clew.intake.options import Options
from clew.intake.report import Report
from clew.intake.run import intake
from clew.intake.sources import _carving, _doubts, _said
from clew.intake.sources._sifted import Sifted
from clew.model import ContentState, ItemState, Missing, NameState, Reason
from clew.range import filesystems

OPTIONS = Options(extractors=())
PLACE = (4096, 1 << 20)


def take(folder: Path, image: Path) -> tuple[dict[bytes, dict], Report]:
    case = new_case(folder / "case")
    summary = intake(case, path=image, label="D", workers=1, options=OPTIONS)
    return items(case), summary


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return photographs()


@pytest.mark.parametrize("kind", ["fat32", "ntfs", "ext4"])
def test_24_deleted_files_come_back_and_never_fewer_than_by_others(kind, files, tmp_path):
    image = tmp_path / "disk.img"
    if kind == "fat32":
        filesystems.fat32(image, files, list(files), tmp_path / "files")
    elif kind == "ntfs":
        with ntfs_volume.written(ntfs_volume.blank(image, 40 << 20)) as volume:
            for name, data in files.items():
                volume.create(f"/{name}", data)
            for name in files:
                volume.delete(f"/{name}")
    else:
        filesystems.ext4(image, files, [], tmp_path / "files")
        removed_as_by_linux(image, files)
    ours = by_clew(image, tmp_path)
    count = hits(files, ours)
    assert count >= (24 if kind == "fat32" else 23)
    assert hits({"film.mp4": files["film.mp4"]}, ours) == 1
    for peer in PEERS:
        assert count >= hits(files, by_peer(peer, image, tmp_path)), peer


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["fat16_deleted", "ntfs_deleted", "ext4_deleted"])
def test_on_images_that_no_one_here_wrote_no_other_tool_finds_more(name, tmp_path):
    """Deleted by the running kernel and by ntfs-3g."""
    corpus = Path(os.environ["CLEW_CORPUS"])
    image = tmp_path / name
    with gzip.open(corpus / "generated/images" / f"{name}.raw.gz") as packed, image.open("wb") as out:
        shutil.copyfileobj(packed, out)
    wanted = ("pdq/data/bridge-mods/aaa-orig.jpg", "pdq/data/misc-images/modes/1.png")
    wanted += ("tmk/sample-videos/doorknob-hd-no-bar.mp4",)
    lost = {path: (corpus / "threatexchange" / path).read_bytes() for path in wanted}
    assert hits(lost, by_clew(image, tmp_path)) == 3
    assert all(hits(lost, by_peer(peer, image, tmp_path)) <= 3 for peer in PEERS)


@pytest.mark.corpus
def test_every_real_picture_and_film_of_the_corpus_is_carved_to_the_byte():
    corpus = Path(os.environ["CLEW_CORPUS"]) / "threatexchange"
    kinds = {".jpg", ".jpeg", ".png", ".webp", ".mp4", ".gif"}
    media = [path.read_bytes() for path in sorted(corpus.rglob("*")) if path.suffix.lower() in kinds]
    disk = b"".join(data + bytes(-len(data) % 4096) for data in media)
    source = Holed(disk, (0, 0))
    finds = [step.found for step in Carver(source, iter([(0, len(disk))]), 4096).steps() if step.found]
    assert [disk[found.runs[0][0] :][: found.size] for found in finds] == media
    assert not [found for found in finds if found.state == ContentState.PARTIAL]


def test_a_find_names_its_runs_and_is_read_through_them(files, tmp_path):
    image = tmp_path / "disk.img"
    filesystems.ext4(image, files, [], tmp_path / "files")
    removed_as_by_linux(image, files)
    found, summary = take(tmp_path, image)
    carved = {item["sha256"]: (path, item) for path, item in found.items() if item["name_state"] == "carved"}
    raw = image.read_bytes()
    path, item = carved[sha256(files["q00.png"])]
    at, length = (int(number) for number in item["ref"].removeprefix("carved@").split("-"))
    assert raw[at : at + length] == files["q00.png"]
    assert path == b"$Carved/%x.png" % at
    assert (item["content_state"], item["state"]) == ("complete", "done")
    _, movie = carved[sha256(files["film.mp4"])]
    assert movie["content_state"] == "overwritten possible"
    said = next(part for part in summary.account.searched if part["kind"] == "carving of free space")
    assert said["bytes"] > 20 << 20
    assert f"{said['bytes']:,} bytes searched" in summary.words()
    assert NOT_CARVED in summary.words()
    assert "does not search" not in summary.words()


def test_space_outside_partitions_and_partitions_of_no_known_kind_are_carved(files, tmp_path):
    lone = files["p01.jpg"]
    image = bytearray(gpt(bytes(8192) + files["q01.png"].ljust(1 << 20, b"\0")))
    image[40 * 512 : 40 * 512 + len(lone)] = lone
    (tmp_path / "disk.img").write_bytes(image)
    found, summary = take(tmp_path, tmp_path / "disk.img")
    assert {item["sha256"] for item in found.values()} >= {sha256(lone), sha256(files["q01.png"])}
    kinds = {part["kind"] for part in summary.account.searched}
    assert kinds == {"carving of a whole partition", "carving outside partitions"}


def test_free_clusters_of_exfat_are_carved_at_their_boundaries(files, tmp_path):
    """As a camera's card is used: a file in free space, in two fragments around a cluster that is taken."""
    image, data = tmp_path / "card.img", files["q04.png"]
    image.write_bytes(bytes(64 << 20))
    tool("mkfs.exfat", "-c", "4K", image)
    raw = bytearray(image.read_bytes())
    heap = int.from_bytes(raw[88:92], "little") * 512
    entry = next(at for at in range(heap, len(raw), 32) if raw[at] == 0x81 and raw[at + 1] == 0)
    bitmap = heap + (int.from_bytes(raw[entry + 20 : entry + 24], "little") - 2) * 4096
    raw[bitmap + 1001 // 8] |= 1 << 1001 % 8
    first, second = heap + 1000 * 4096, heap + 1002 * 4096
    raw[first : first + 4096] = data[:4096]
    raw[second : second + len(data) - 4096] = data[4096:]
    image.write_bytes(raw)
    found, _ = take(tmp_path, image)
    item = found[b"$Carved/%x.png" % first]
    assert item["ref"] == f"carved@{first}-4096,{second}-{len(data) - 4096}"
    assert (item["sha256"], item["content_state"]) == (sha256(data), "complete")


def test_encrypted_volumes_are_not_carved_and_live_files_never(files, tmp_path):
    (tmp_path / "luks.img").write_bytes(b"LUKS\xba\xbe\x00\x02".ljust(8192, b"\0") + files["q01.png"])
    found, summary = take(tmp_path / "l", tmp_path / "luks.img")
    assert not found
    assert not summary.account.searched
    filesystems.fat32(tmp_path / "fat.img", {"a.png": files["q01.png"]}, [], tmp_path / "files")
    found, summary = take(tmp_path / "f", tmp_path / "fat.img")
    assert set(found) == {b"a.png"}


def test_a_file_system_whose_free_space_is_unknown_is_said_not_to_be_carved(tmp_path):
    """As of UFS."""
    details = {"file_system": "UFS", "first_inode": 0, "last_inode": 1, "block_bytes": 2048, "free_known": False}
    details["held_bytes"] = 1 << 20
    from clew.intake.sources._disk import Disk

    (tmp_path / "x").write_bytes(bytes(1 << 20))
    disk = Disk([tmp_path / "x"], "clew.intake.containers.raw:open_raw")
    answers = {"size": {"size": 1 << 20, "said": []}, "table": {"scheme": None, "parts": []}, "describe": details}
    parts = list(disk.parts(lambda entry, *_: answers[entry.rpartition(":")[2]]))
    disk.close()
    assert parts[-1].name == "fs@0/carve"
    assert parts[-1].missing is not None
    assert parts[-1].missing.reason == Reason.UNKNOWN


# ---- a worker that dies, a worker that lies


def test_the_sector_that_kills_its_worker_is_named_and_the_rest_is_carved():
    deadly, asked = 40 * 512, []

    def ask(_entry, payload, _fds, _size):
        asked.append(payload)
        if payload["after"] <= deadly < payload["end"]:
            return Missing(Reason.UNREADABLE, "the reader died")
        find = {"runs": [[payload["after"], 10]], "state": "complete", "why": "", "extension": "png"}
        return {"finds": [find | {"next": payload["end"]}], "next": payload["end"], "notes": {}}

    part = Part("gap@0", {"offset": 0, "length": 1 << 20})
    found = list(_carving.items(part, "", {}, ask, Sifted()))
    lost = [each for each in found if each.state == ItemState.UNREADABLE]
    assert [each.ref for each in lost] == [f"carved@{deadly}-512"]
    assert "reader died" in lost[0].missing.detail
    covered = {(p["after"], p["end"]) for p in asked if not p["after"] <= deadly < p["end"]}
    assert sum(end - start for start, end in covered) == (1 << 20) - 512
    assert len(asked) < 60
    resumed = list(_carving.items(part, lost[0].cursor, {}, ask, Sifted()))
    assert all(each.state == ItemState.OPEN for each in resumed)


def test_a_worker_that_always_fails_does_not_cost_a_line_a_sector():
    asked = []

    def ask(_entry, payload, _fds, _size):
        asked.append(payload)
        return Missing(Reason.UNKNOWN, "never")

    part = Part("gap@0", {"offset": 0, "length": 1 << 30})
    found = list(_carving.items(part, "", {}, ask, Sifted()))
    assert len(found) == _carving.MOST_LOST
    assert sum(each.size for each in found) == 1 << 30
    assert len(asked) < 100


def test_a_carved_file_inside_the_clusters_of_a_deleted_one_puts_that_in_doubt():
    spans = [(8192, 16384, "a"), (32768, 40960, "a"), (49152, 57344, "b"), (65536, 69632, "c")]
    assert _doubts.begun_inside([8192, 49152, 65536], spans, 4096) == set()
    assert _doubts.begun_inside([12288], spans, 4096) == {"a"}
    assert _doubts.begun_inside([32768, 53248 + 512], spans, 4096) == {"a"}
    assert _doubts.begun_inside([53248 + 512], spans, 512) == {"b"}
    assert _doubts.begun_inside([57344, 16384, 69632], spans, 512) == set()


def test_a_deleted_file_whose_clusters_hold_the_beginning_of_another_is_not_called_complete(files, tmp_path):
    """The name of the second one is gone; only carving knows of it."""
    image, data, other = tmp_path / "fat.img", b"text of no kind\n" * 9000, files["q03.png"]
    filesystems.fat32(image, {"a.txt": data}, ["a.txt"], tmp_path / "files")
    raw = bytearray(image.read_bytes())
    at = raw.find(data[:4096])
    raw[at + 8192 : at + 8192 + len(other)] = other
    image.write_bytes(raw)
    found, _ = take(tmp_path, image)
    states = {path: item["as_read"] for path, item in found.items()}
    assert states == {b"_.txt": "overwritten possible", b"$Carved/%x.png" % (at + 8192): "complete"}


GOOD = {"runs": [[5000, 10], [9000, 5]], "state": "partial", "why": "cut", "extension": "jpg", "next": 5120}


def test_what_a_worker_says_of_a_find_becomes_an_item():
    answer = {"finds": [GOOD], "next": 6000, "notes": {"what": 3}}
    events, following = _said.carved(answer, {}, 4096, PLACE)
    assert following == 6000
    assert events[1] == Note({"what": 3}, "6000")
    found = events[0]
    assert (found.ref, found.path, found.size) == ("carved@5000-10,9000-5", b"$Carved/1388.jpg", 15)
    assert (found.name_state, found.content_state) == (NameState.CARVED, ContentState.PARTIAL)
    assert (found.found_by, found.runs, found.cursor) == ("carver: cut", ((5000, 10), (9000, 5)), "5120")
    assert refs.parse_carved(found.ref) == {"runs": [[5000, 10], [9000, 5]]}
    inside = _said.carved(answer, {"lv": [1048576, 2]}, 4096, PLACE)[0][0].ref
    assert refs.parse_carved(inside) == {"runs": [[5000, 10], [9000, 5]], "lv": [1048576, 2]}


@pytest.mark.parametrize(
    "lie",
    [
        {"runs": []}, {"runs": [[0, 10]]}, {"runs": [[5000, 1 << 40]]}, {"runs": [[5000, 0]]}, {"runs": [[5000, -1]]},
        {"runs": [[5000, 1]] * 300}, {"runs": "x"}, {"extension": "../x"}, {"extension": ""}, {"extension": "a" * 40},
        {"state": "fine"}, {"why": 7}, {"next": -1}, {"next": "1"}, {"runs": [[5000.5, 1]]},
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(lie):
    heard = _said.carved({"finds": [GOOD | lie], "next": 6000, "notes": {}}, {}, 4096, PLACE)
    assert isinstance(heard, Missing)


def test_a_worker_that_does_not_get_on_is_refused():
    assert isinstance(_said.carved({"finds": [], "next": 4096, "notes": {}}, {}, 4096, PLACE), Missing)
    assert isinstance(_said.carved({"finds": [], "next": 1 << 70, "notes": {}}, {}, 4096, PLACE), Missing)
    assert isinstance(_said.carved(None, {}, 4096, PLACE), Missing)


class Holed:
    """An image of which one cluster cannot be read."""

    def __init__(self, data: bytes, bad: tuple[int, int]) -> None:
        self.data, self.size, self.bad = data, len(data), [bad]

    def read(self, offset: int, length: int) -> bytes:
        return self.data[offset : offset + length]


def test_free_space_that_cannot_be_read_is_counted_and_a_find_in_it_knows(monkeypatch, files):
    data = bytes(4096) + files["q02.png"] + bytes(1 << 20)
    image = type("Image", (), {"source": Holed(data, (8192, 512))})()
    monkeypatch.setattr(worker, "image", lambda payload: image)
    payload = {"offset": 0, "length": len(data), "which": "all", "after": 0, "end": len(data), "most": 5}
    answer = worker.carve(payload, []).value
    assert answer["notes"] == {worker.UNREADABLE: 512}
    assert answer["next"] == len(data)
    again = worker.reopen({"runs": answer["finds"][0]["runs"]}, [])
    assert hashlib.sha256(again.read(0, again.size)).digest() == sha256(files["q02.png"])
    assert again.bad == [(8192, 512)]
