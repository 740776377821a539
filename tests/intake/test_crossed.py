"""Two files in use that have a cluster in common: neither is called complete, and each says which the other is. Names
of one file record, and file systems whose files may share blocks, are no such thing.
"""

import io
import itertools
import json
import struct
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from exfat_image import File, make
from hypothesis import given
from hypothesis import strategies as st
from test_disk_intake import OPTIONS, put, tool

from case_made import new_case
from clew.cli.main import cli
from clew.core import shards
from clew.core.case import Case
from clew.intake import crossed
from clew.intake.crossed import CROSSED, Span, crossing
from clew.intake.report import Report
from clew.intake.run import intake
from clew.intake.sources import rawdisk
from facts_case import put as lay

DOUBT, COMPLETE = "overwritten possible", "complete"
SHARED_BLOCKS = 0x4000


def take(case: Case, image: Path) -> Report:
    return intake(case, path=image, label="D", workers=1, options=OPTIONS)


def said(case: Case) -> dict[bytes, tuple[str, str | None]]:
    """What is claimed of the bytes of each, by the weaker of two rows, and why no more."""
    sql = (
        "SELECT l.path, l.item, max(c.content_state) AS claim FROM listings l JOIN contents c USING (item) GROUP BY ALL"
    )
    why = {row["id"]: row["detail"] for row in case.read().execute("SELECT id, detail FROM items WHERE state='done'")}
    return {row["path"]: (row["claim"], why.get(row["item"])) for row in shards.query(case, sql).to_pylist()}


def crossed_with(name: str) -> tuple[str, str]:
    return DOUBT, f"{CROSSED}{name!r}"


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return new_case(tmp_path / "case")


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """A FAT volume whose file A.BIN goes on in the clusters of B.BIN, in both tables; C.BIN has its own."""
    image = tmp_path / "card.img"
    image.write_bytes(bytes(16 << 20))
    tool("mkfs.fat", "-F", "16", "-s", "4", "-r", "512", image)
    for name, byte in (("A.BIN", b"a"), ("B.BIN", b"b"), ("C.BIN", b"c")):
        put(image, name, byte * 40_000)
    data = bytearray(image.read_bytes())
    reserved, tables, sectors = struct.unpack_from("<HB5xH", data, 14)
    a, b = (struct.unpack_from("<H", data, data.index(b"%c       BIN" % name) + 26)[0] for name in b"AB")
    for table in range(tables):
        struct.pack_into("<H", data, 512 * (reserved + table * sectors) + 2 * (a + 9), b + 10)
    image.write_bytes(data)
    return image


def test_on_fat_both_are_in_doubt_and_say_so(case, card):
    ended = take(case, card)
    found = said(case)
    assert found[b"A.BIN"] == crossed_with("B.BIN")
    assert found[b"B.BIN"] == crossed_with("A.BIN")
    assert found[b"C.BIN"] == (COMPLETE, None)
    assert (ended.doubted, ended.crossed, ended.complete) == (2, 2, True)
    assert "  2 of them lie in clusters that are another file's in use as well" in ended.words()
    shown = CliRunner().invoke(cli, ["show", "doubtful", str(case.folder), "D", "--json"], standalone_mode=False)
    rows = [json.loads(line) for line in shown.output.splitlines()]
    assert [(row["path"], row["crossed"], row["why"]) for row in rows] == [
        ("A.BIN", True, crossed_with("B.BIN")[1]),
        ("B.BIN", True, crossed_with("A.BIN")[1]),
    ]


def test_many_are_taken_back_a_part_at_a_time(case, card, monkeypatch):
    monkeypatch.setattr(crossed, "TOGETHER", 1)
    assert take(case, card).crossed == 2
    found = said(case)
    assert (found[b"A.BIN"], found[b"B.BIN"]) == (crossed_with("B.BIN"), crossed_with("A.BIN"))
    entries = "SELECT line FROM ledger WHERE line LIKE '%files.crossed%'"
    lines = [row["line"] for row in case.read().execute(entries)]
    assert [json.loads(line)["counts"] for line in lines] == [{"items": 1}, {"items": 1}]
    take(case, card)
    assert len(case.read().execute(entries).fetchall()) == 2, "all is said"


def test_a_run_that_was_ended_before_says_it_when_it_goes_on_and_once(case, card, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(crossed, "judge", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            take(case, card)
    assert take(case, card).crossed == 2
    monkeypatch.setattr(rawdisk.RawDisk, "version", "next")  # all is read once more
    assert take(case, card).crossed == 2
    assert said(case)[b"A.BIN"] == crossed_with("B.BIN")
    counted = "SELECT count(*) AS n FROM contents WHERE content_state = 'overwritten possible'"
    assert shards.query(case, counted).to_pylist() == [{"n": 2}]
    entries = "SELECT count(*) FROM ledger WHERE line LIKE '%files.crossed%'"
    assert case.read().execute(entries).fetchone()[0] == 2


def test_on_exfat(case, tmp_path):
    files = [File("a.bin", b"a" * 8192, [100, 101]), File("b.bin", b"b" * 8192, [101, 102])]
    files += [File("c.bin", b"c" * 8192, [103, 104]), File("gone.bin", b"c" * 4096, [104], deleted=True)]
    take(case, make(tmp_path / "card.img", files))
    found = said(case)
    assert [found[name] for name in (b"a.bin", b"b.bin")] == [crossed_with("b.bin"), crossed_with("a.bin")]
    assert found[b"c.bin"] == (COMPLETE, None), "a deleted file does not cast doubt on one in use"


@pytest.fixture
def linux(tmp_path: Path) -> Path:
    """ext2 with two files, of which one has two names, and no block in common."""
    folder, image = tmp_path / "folder", tmp_path / "linux.img"
    folder.mkdir()
    for name in "ab":
        (folder / name).write_bytes(name.encode() * 8192)
    (folder / "again").hardlink_to(folder / "b")
    image.write_bytes(bytes(4 << 20))
    tool("mke2fs", "-q", "-b", "1024", "-d", folder, "-O", "^metadata_csum", image)
    return image


def mixed(image: Path, tmp_path: Path) -> None:
    """Has the file a begin in the third block of b."""
    at, held = image.read_bytes().index(b"b" * 8192) // 1024 + 2, tmp_path / "words"
    held.write_text(f"set_inode_field a block[0] {at}\n")
    tool("debugfs", "-w", "-f", held, image)


def test_on_ext_names_of_one_file_are_one(case, linux):
    ended = take(case, linux)
    assert ended.doubted == 0, "two names of one inode"
    assert said(case)[b"again"] == (COMPLETE, None)


def test_on_ext_all_names_are_in_doubt(case, linux, tmp_path):
    mixed(linux, tmp_path)
    assert take(case, linux).crossed == 3
    found = said(case)
    assert [found[name] for name in (b"a", b"b", b"again")] == [crossed_with("again"), *[crossed_with("a")] * 2]


def test_on_ext_where_files_may_share_blocks(case, linux, tmp_path):
    mixed(linux, tmp_path)
    data = bytearray(linux.read_bytes())
    features = int.from_bytes(data[1124:1128], "little") | SHARED_BLOCKS
    data[1124:1128] = features.to_bytes(4, "little")
    linux.write_bytes(data)
    assert take(case, linux).doubted == 0


def test_what_lies_in_an_archive_is_doubted_with_it(case, card):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("inside.txt", b"mine" * 7_000)
    put(card, "D.ZIP", held.getvalue())
    data = bytearray(card.read_bytes())
    entry, other = data.index(b"D       ZIP"), data.index(b"C       BIN")
    data[other + 26 : other + 28] = data[entry + 26 : entry + 28]  # C.BIN begins where the archive does
    card.write_bytes(data)
    take(case, card)
    found = said(case)
    assert found[b"D.ZIP"] == crossed_with("C.BIN")
    (inside,) = (path for path in found if path.startswith(b"D.ZIP") and path.endswith(b"inside.txt"))
    assert found[inside] == crossed_with("C.BIN")


spans = st.builds(
    lambda begins, length, record, stream: Span(begins, begins + length, f"{record}", f"128-{stream}"),
    st.integers(0, 40),
    st.integers(1, 12),
    st.integers(0, 6),
    st.just(0),
)


@given(st.lists(spans, max_size=14))
def test_all_that_overlap_and_no_others_are_found(some):
    wanted = {
        owner
        for a, b in itertools.combinations(some, 2)
        if a.record != b.record and a.begins < b.ends and b.begins < a.ends
        for owner in (a.owner, b.owner)
    }
    found = crossing(sorted(some))
    assert found.keys() == wanted
    assert all(owner.split("/")[0] != other.split("/")[0] for owner, other in found.items())


def test_on_ntfs(case: Case, tmp_path: Path) -> None:
    """The runs of a.bin become those of b.bin; a stream of b.bin's own, with its own clusters, is in no doubt."""
    image = tmp_path / "disk.img"
    image.write_bytes(bytes(16 << 20))
    tool("mkntfs", "-q", "-F", "-c", "4096", image)
    for name, letter in (("a.bin", b"a"), ("b.bin", b"b"), ("b.bin:more", b"m")):
        (tmp_path / "held").write_bytes(letter * 8192)
        tool("ntfscp", *(["-N", "more"] if ":" in name else []), image, tmp_path / "held", name.partition(":")[0])
    data = image.read_bytes()
    a, b = (b"\x21\x02" + struct.pack("<H", data.index(letter * 8192) // 4096) for letter in (b"a", b"b"))
    assert (data.count(a), data.count(b)) == (1, 1)
    image.write_bytes(data.replace(a, b))
    take(case, image)
    assert said(case) == {
        b"a.bin": crossed_with("b.bin"),
        b"b.bin": crossed_with("a.bin"),
        b"b.bin:more": (COMPLETE, None),
    }


def test_what_no_disk_can_be_as_large_as_costs_no_run(case: Case, tmp_path: Path) -> None:
    """A worker may say anything that has the form of an answer."""
    most = (1 << 63) - 1
    exhibit = intake(case, path=make(tmp_path / "card.img", []), label="D", workers=1, options=OPTIONS).exhibit
    refs = [f"fs@0/{'9' * 19}/1-0/a", f"fs@0/{most}/1-0/b"]
    rows = [
        {"item": f"{number:032x}", "exhibit": exhibit, "ref": ref, "path": ref[-1:].encode(), "name_state": "live"}
        | {"runs": json.dumps([[most - number, most]]), "size": 1}
        for number, ref in enumerate(refs)
    ]
    with case.write("intake") as tx:
        for row in rows:
            tx.execute("INSERT INTO items VALUES (?,?,'b','done',NULL,NULL,1,1)", (row["item"], exhibit))
    lay(case, "listings", rows, "intake")
    assert intake(case, path=tmp_path / "card.img", label="D", workers=1, options=OPTIONS).crossed == 2
