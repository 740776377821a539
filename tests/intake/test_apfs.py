"""APFS: live entries with their attributes, the container's own books, and what is only said."""

import os
import random
import struct
from pathlib import Path
from types import SimpleNamespace

import pytest
from cases import items, sha256

from case_made import new_case
from clew.core import shards
from clew.core.absent import Absent
from clew.intake.containers.raw import Raw
from clew.intake.disk import apfs, apfs_books
from clew.intake.options import Options
from clew.intake.run import intake
from clew.intake.sources import _disk, _said
from clew.model import Missing, Reason

OPTIONS = Options(extractors=())


@pytest.fixture
def image() -> Path:
    return Path(os.environ["CLEW_CORPUS"]) / "dfvfs/test_data/apfs.raw"


@pytest.mark.corpus
def test_contents_attributes_and_runs_in_a_partition(image, tmp_path):
    raw = image.read_bytes()
    entry = struct.pack("<B3sB3sII", 0, b"\xfe\xff\xff", 0xAF, b"\xfe\xff\xff", 2048, len(raw) // 512)
    disk = bytearray(2048 * 512) + raw
    disk[446:462], disk[510:512] = entry, b"\x55\xaa"
    (tmp_path / "disk.img").write_bytes(disk)
    case = new_case(tmp_path / "case")
    summary = intake(case, path=tmp_path / "disk.img", label="D", workers=1, options=OPTIONS)
    found = items(case)
    assert found[b"a_directory/a_resourcefork:com.apple.ResourceFork"]["sha256"] == sha256(b"My resource fork\n")
    assert found[b"a_directory/a_file:myxattr"]["parent"] == found[b"a_directory/a_file"]["item"]
    assert found[b"passwords.txt"]["ref"] == "apfs@1048576.0/18/0-0/passwords.txt"
    assert found[b"a_link"]["state"] == "skipped"
    (row,) = shards.query(case, "SELECT * FROM listings WHERE path = 'passwords.txt'::BLOB").to_pylist()
    at = int(row["runs"].strip("[]").split(",")[0])
    assert sha256(disk[at : at + row["size"]]) == found[b"passwords.txt"]["sha256"]
    assert row["modified_ns"] == 1642144781213333494
    assert summary.account.complete
    assert [each.said.partition(";")[0] for each in summary.account.recounts] == ["they agree"]


@pytest.mark.corpus
def test_the_books_of_a_container(image):
    with image.open("rb") as file:
        source = Raw([file.fileno()])
        assert apfs_books.of(source, 0) == [apfs_books.Books(7, 2, 1, 0, 0)]
        assert apfs_books.of(source, 4096) == []
        block = source.read(0, 4096)
    assert apfs_books.fletcher(block[8:]) == block[:8]
    assert apfs_books.fletcher(block[8:-1] + b"\1") != block[:8]


class Bytes:
    """A ByteSource in memory."""

    def __init__(self, data: bytes) -> None:
        self.data, self.size, self.bad = data, len(data), []

    def read(self, offset: int, length: int) -> bytes:
        return self.data[offset : offset + length] if offset >= 0 else b""


@pytest.mark.corpus
def test_books_that_make_no_sense_are_no_books(image):
    whole, draw = image.read_bytes(), random.Random(2)
    used = [at for at in range(0, 1 << 20, 4096) if any(whole[at : at + 4096])]
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(40):
            at = draw.choice(used) + draw.randrange(300)
            data[at] = draw.randrange(256)
        assert all(each is None or each.files >= 0 for each in apfs_books.of(Bytes(bytes(data)), 0))


@pytest.mark.corpus
def test_a_damaged_container_costs_what_it_costs_and_the_account_balances(image, tmp_path):
    """libfsapfs meets it in a locked worker alone, which may die of it."""
    whole, draw = image.read_bytes(), random.Random(4)
    used = [at for at in range(4096, len(whole), 4096) if any(whole[at : at + 4096])]
    for number in range(4):
        data = bytearray(whole)
        for _ in range(25):
            at = draw.choice(used) + draw.randrange(4096)
            data[at] ^= 1 << draw.randrange(8)
        path = tmp_path / f"{number}.img"
        path.write_bytes(data[: len(data) if number else len(data) // 3])
        case = new_case(tmp_path / f"case-{number}")
        assert intake(case, path=path, label="D", workers=1, options=OPTIONS).account.balanced


# ---- what the supervisor makes of a worker's words


def parts(volumes: object) -> dict[str, Missing | None]:
    def ask(entry, _payload, _fds, _size):
        if entry.endswith(":size"):
            return {"size": 1 << 20, "said": [["unknown", "a remark"]]}
        return {"scheme": None, "parts": []} if entry.endswith(":table") else volumes

    disk = _disk.Disk([Path("/dev/null")], "clew.intake.containers.raw:open_raw")
    found = {part.name: part.missing for part in disk.parts(ask)}
    disk.close()
    return found


def test_locked_volumes_and_snapshots_are_parts_that_were_not_read():
    names = [{"name": "Data", "locked": True, "snapshots": 0}, {"name": "System", "locked": False, "snapshots": 3},
             {"name": "Old", "locked": False, "snapshots": None}]  # fmt: skip
    found = parts({"apfs_volumes": names})
    assert found["container/0"].detail == "a remark"
    assert found["apfs@0.0"].reason == Reason.ENCRYPTED
    for way in ("(FileVault)", "with the passphrase or recovery key", "`fsapfsmount`; take in the opened volume"):
        assert way in found["apfs@0.0"].detail
    assert found["apfs@0.1/walk"] is None
    assert "3 snapshots" in found["apfs@0.1/snapshots"].detail
    assert "unknown number" in found["apfs@0.2/snapshots"].detail


@pytest.mark.parametrize("said", [{"apfs_volumes": [5]}, {"apfs_volumes": None}, {"logical_volumes": [{"name": 1}]},
                                  {"logical_volumes": 7}, {"apfs_volumes": []}, 5, None])  # fmt: skip
def test_an_answer_that_makes_no_sense_is_a_part_that_was_not_read(said):
    assert isinstance(parts(said)["fs@0"], Missing)


@pytest.mark.parametrize("said", [{}, {"size": -1, "said": []}, {"size": 1, "said": [["no reason", ""]]}, 5])
def test_a_size_that_makes_no_sense(said):
    assert isinstance(_said.size(said), Missing)


@pytest.mark.parametrize(
    ("foreign", "state"), [([], "complete"), ([(160, 9)], "complete"), ([(159, 9)], "overwritten possible")]
)
def test_a_content_that_others_may_have_written_over_is_not_complete(foreign, state):
    """A container whose stretch ends before it does: the extents count from where it begins."""
    names = ("modification", "access", "inode_change", "creation")
    entry = SimpleNamespace(
        get_identifier=lambda: 7,
        get_size=lambda: 60,
        get_number_of_extents=lambda: 1,
        get_extent=lambda _: (0, 60, 0),
        **{f"get_{name}_time_as_integer": lambda: 0 for name in names},
    )
    opened = SimpleNamespace(name="apfs@100.0", offset=100, foreign=foreign, striped=False)
    item = apfs._content(opened, entry, entry, (0, 0), b"x")
    assert (item["content_state"], item["runs"]) == (state, [(100, 60)])


@pytest.mark.parametrize(("kind", "elsewhere"), [(3, False), (8, False), (12, False), (5, True), (0x80000001, True)])
def test_zeros_are_not_taken_for_a_file_whose_bytes_are_elsewhere(kind, elsewhere):
    """libfsapfs gives as many zeros as a file that macOS packed in the way 5 has bytes."""
    head = SimpleNamespace(read_buffer=lambda size: struct.pack("<4sIQ", b"fpmc", kind, 1000)[:size])
    entry = SimpleNamespace(
        get_size=lambda: 1000,
        get_number_of_extents=lambda: 0,
        get_extended_attribute_by_name={"com.apple.decmpfs": head}.get,
        read_buffer_at_offset=lambda length, _offset: bytes(length),
    )
    volume = SimpleNamespace(get_file_entry_by_identifier=lambda _record: entry)
    opened = SimpleNamespace(volume=volume, behind=SimpleNamespace(failed=False))
    if elsewhere:
        with pytest.raises(Absent, match="bytes are elsewhere"):
            apfs.Stream(opened, 23, apfs.DATA, 0)
    else:
        assert len(apfs.Stream(opened, 23, apfs.DATA, 0).read(0, 2000)) == 1000
