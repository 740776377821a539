"""Pictures of two files: what no checksum vouches for is never complete where a cluster of another may lie in it."""

import io
import struct

import pytest
from carvable import jpeg, picture, png, saved
from carved import CLUSTER, Bytes, carve, content, noise, padded
from cases import items, sha256
from PIL import Image
from test_disk_intake import tool

from case_made import new_case
from clew.intake.carving.carver import INTRUDED, STORED, UNSEEN, Carver
from clew.intake.carving.scan import SECTOR
from clew.intake.doubtful import doubtful
from clew.intake.options import Options
from clew.intake.run import intake
from clew.intake.sources import _disk, _said, rawdisk
from clew.model import ContentState

OPTIONS = Options(extractors=())
COMPLETE, DOUBT, PARTIAL = ContentState.COMPLETE, ContentState.OVERWRITTEN_POSSIBLE, ContentState.PARTIAL


def camera(seed: int, serial: bytes) -> bytes:
    """A photograph whose Exif segment says the serial number in the second cluster."""
    tags = b"II*\0\x08\0\0\0" + struct.pack("<HHHII", 1, 0x8769, 4, 1, 4500)
    tags = tags.ljust(4500, b"\0") + struct.pack("<HHHII", 1, 0xA431, 2, len(serial) + 1, 4800)
    body = b"Exif\0\0" + (tags.ljust(4800, b"\0") + serial).ljust(9000, b"\0")
    whole = jpeg(seed)
    return whole[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + whole[2:]


def gif(seed: int) -> bytes:
    return saved(picture(seed), "GIF")


def spliced(one: bytes, other: bytes, at: int, clusters: int = 1) -> bytes:
    """`one` with that many clusters of another, or of all that is left."""
    end = at + clusters * CLUSTER if clusters else len(other)
    return one[:at] + other[at:end] + (one[end:] if clusters else b"")


def small(side: int = 16) -> bytes:
    """A JPEG of less than a cluster, and more than a sector."""
    made = saved(picture(1, side, side), "JPEG", quality=40)
    assert SECTOR < len(made) < CLUSTER
    return made


SPLICED = {
    "the camera of another": lambda: spliced(camera(1, b"SERIAL-A"), camera(2, b"SERIAL-B"), CLUSTER),
    "a cluster of another GIF": lambda: spliced(gif(1), gif(2), 2 * CLUSTER),
    "the tail of another GIF": lambda: spliced(gif(1), gif(2), 3 * CLUSTER, 0),
    "noise in a GIF": lambda: next(
        made
        for seed in range(100)
        if carve(padded(made := spliced(gif(1), bytes(2 * CLUSTER) + noise(CLUSTER, seed), 2 * CLUSTER)))[0].state
        != PARTIAL
    ),
}


@pytest.mark.parametrize("name", SPLICED)
def test_a_picture_with_a_cluster_of_another_is_carved_whole_and_not_complete(name):
    """Nothing in these breaks off: a JPEG's segments are stepped over, and a GIF's chain of lengths falls in again."""
    data = SPLICED[name]()
    found = carve(padded(data) + bytes(CLUSTER))
    assert content(padded(data), found[0]) == data
    assert (found[0].state, found[0].why) == (DOUBT, UNSEEN)


def test_of_jpegs_with_a_cluster_or_the_tail_of_another_none_is_complete():
    """Of one encoder, at every cluster; some are decoded to their end without a complaint."""
    states = []
    for seed in range(6):
        kinds = {"quality": 75, "restart_marker_blocks": 30} if seed % 2 else {"quality": 75}
        one, other = (saved(picture(at + seed, 480, 360), "JPEG", **kinds) for at in (100, 200))
        for at in range(CLUSTER, min(len(one), len(other)) - CLUSTER, CLUSTER):
            for clusters in (1, 0):
                states.append(carve(padded(spliced(one, other, at, clusters)))[0].state)
    assert set(states) == {DOUBT, PARTIAL}


@pytest.mark.parametrize("data", [png(3), gif(3), jpeg(3)], ids=["png", "gif", "jpeg"])
def test_in_healthy_ones_no_other_file_is_seen(data):
    found = carve(padded(data) + noise(CLUSTER), unit=CLUSTER)
    assert list(found) == [0]
    assert content(data, found[0]) == data
    assert found[0].state == (COMPLETE if data.startswith(b"\x89PNG") else DOUBT)


def test_a_file_that_begins_in_a_picture_is_found_too():
    """In a segment of a JPEG it may be stored; in a GIF nothing is. This one's chain of lengths comes by the PNG's
    first byte to what fills its cluster, and falls in again.
    """
    inner = saved(Image.new("L", (1, 1)), "PNG").ljust(CLUSTER, b"\1")
    flat = b"GIF89a" + struct.pack("<HH", 8, 8) + bytes(3) + b"," + struct.pack("<HHHH", 0, 0, 8, 8) + b"\0\x02"
    flat += b"\x67".ljust(104, b"\1") + b"\x7f".ljust(128, b"\1") * 80 + b"\0;"
    for data, state, why in ((camera(1, b"SERIAL-A"), DOUBT, STORED), (flat, PARTIAL, INTRUDED)):
        assert carve(padded(data))[0].why == UNSEEN
        found = carve(padded(data[:CLUSTER] + inner + data[2 * CLUSTER :]))
        assert (found[0].state, found[0].why) == (state, why)
        assert found[CLUSTER].state == COMPLETE


def test_what_lies_in_one_unit_is_complete():
    """At the beginning of one: what begins elsewhere is of an earlier file system, of which nobody knows."""
    data = padded(small())
    disk = data + bytes(CLUSTER) + bytes(SECTOR) + data
    work = Carver(Bytes(disk), iter([(0, len(disk))]), CLUSTER, unit=CLUSTER)
    assert [step.found.state for step in work.steps() if step.found] == [COMPLETE, DOUBT]
    assert carve(disk)[0].state == DOUBT  # no more than a sector
    out = io.BytesIO()
    Image.new("L", (1, 1)).save(out, "GIF")
    assert len(out.getvalue()) < SECTOR
    assert carve(padded(out.getvalue(), SECTOR))[0].state == COMPLETE


# ---- a disk


def card(path, clusters: int, *placed: bytes) -> None:
    """An empty FAT32 volume with that many sectors a cluster, and files that no entry names, a cluster between them."""
    path.write_bytes(bytes(clusters * SECTOR * 66_000))
    tool("mkfs.fat", "-F", "32", "-s", str(clusters), path)
    raw = bytearray(path.read_bytes())
    reserved, tables, size = raw[14] | raw[15] << 8, raw[16], int.from_bytes(raw[36:40], "little")
    at = (reserved + tables * size) * SECTOR + 8 * clusters * SECTOR
    for data in placed:
        raw[at : at + len(data)] = data
        at += (-(-len(data) // (clusters * SECTOR)) + 1) * clusters * SECTOR
    path.write_bytes(raw)


def carved(case) -> dict[bytes, dict]:
    return {item["sha256"]: item for item in items(case).values() if item["name_state"] == "carved"}


@pytest.mark.parametrize("clusters", [8, 32])
def test_on_a_card_what_may_be_of_two_files_is_named_as_doubtful(tmp_path, clusters):
    """Of clusters of 16 KiB: what lies in one may be of an earlier file system with smaller ones."""
    wrong, tiny, sums = SPLICED["the camera of another"](), small(), png(2)
    card(tmp_path / "card.img", clusters, wrong, tiny, sums)
    case = new_case(tmp_path / "case")
    summary = intake(case, path=tmp_path / "card.img", label="D", workers=1, options=OPTIONS)
    found = carved(case)
    assert {data: found[sha256(data)]["as_read"] for data in (wrong, tiny, sums)} == {
        wrong: "overwritten possible", tiny: "complete", sums: "complete",
    }  # fmt: skip
    (row,) = doubtful(case, summary.exhibit)
    assert (row["sha256"], row["found_by"].partition("carver: ")[2]) == (sha256(wrong).hex(), UNSEEN)
    assert summary.doubted == 1


def test_where_no_file_system_says_a_unit_none_of_more_than_a_sector_is_complete(tmp_path):
    (tmp_path / "disk.img").write_bytes(bytes(1 << 20) + padded(small()) + bytes(1 << 20))
    case = new_case(tmp_path / "case")
    intake(case, path=tmp_path / "disk.img", label="D", workers=1, options=OPTIONS)
    assert carved(case)[sha256(small())]["as_read"] == "overwritten possible"


def test_what_an_earlier_version_carved_as_complete_is_doubted_by_the_next_run(tmp_path, monkeypatch):
    wrong, tiny, sums = SPLICED["a cluster of another GIF"](), small(), png(2)
    card(tmp_path / "card.img", 8, wrong, tiny, sums)
    case, as_found = new_case(tmp_path / "case"), _said._carved
    with monkeypatch.context() as earlier:
        earlier.setattr(rawdisk.RawDisk, "version", "5")
        earlier.setattr(_disk.Disk, "claims", lambda _self, _deleted, _ask: {})
        earlier.setattr(_said, "_carved", lambda *one: as_found(*one)._replace(content_state=COMPLETE))
        before = intake(case, path=tmp_path / "card.img", label="D", workers=1, options=OPTIONS)
    after = intake(case, path=tmp_path / "card.img", label="D", workers=1, options=OPTIONS)
    assert (before.doubted, after.doubted) == (0, 1)
    assert before.account.discovered == after.account.discovered == 3
    (row,) = doubtful(case, after.exhibit)
    assert row["sha256"] == sha256(wrong).hex()
