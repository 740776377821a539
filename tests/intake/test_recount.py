"""The second parser's count: agreed, explained, or unexplained; and what the account makes of it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cases import copied, items
from ntfs_volume import written

from case_made import new_case
from clew.core.case import Case
from clew.intake import recount
from clew.intake.account import account
from clew.intake.api import Note
from clew.intake.options import Options
from clew.intake.run import intake
from clew.intake.sources import _recount
from clew.model import Missing, Reason
from container_files import tool

OPTIONS = Options(extractors=())


def volume(folder: Path, kind: str) -> Path:
    """A volume of that kind with files in folders; some deleted, one of them a hard link."""
    image, tree = folder / f"{kind}.img", folder / "tree"
    (tree / "docs" / "deep").mkdir(parents=True)
    for number in range(20):
        path = tree / ("docs" if number % 2 else "docs/deep") / f"file {number} with a long name.txt"
        path.write_text(f"content {number}")
    (tree / "empty.txt").write_bytes(b"")
    with image.open("wb") as out:
        out.truncate(40 << 20 if kind == "FAT32" else 8 << 20)
    if kind.startswith("FAT"):
        tool("mkfs.fat", "-F", kind[3:], "-s", "8" if kind == "FAT12" else "1", "-n", "LABEL", image)
        tool("mcopy", "-i", image, "-s", "-Q", *sorted(tree.iterdir()), "::/")
        tool("mdel", "-i", image, "::/docs/file 1 with a long name.txt")
    elif kind == "NTFS":
        tool("mkntfs", "-q", "-F", "-Q", image)
        for number in range(20):
            tool(
                "ntfscp",
                "-q",
                image,
                tree / "empty.txt" if number == 3 else next(tree.rglob(f"file {number} *")),
                f"n{number}",
            )
        tool("ntfscp", "-q", "-N", "stream", image, tree / "docs" / "file 1 with a long name.txt", "n1")
    else:
        tool("mke2fs", "-q", "-F", "-t", kind, "-d", tree, image)
        tool("debugfs", "-w", "-R", 'ln "/docs/file 1 with a long name.txt" /docs/hard', image)
        tool("debugfs", "-w", "-R", 'rm "/docs/file 3 with a long name.txt"', image)
        tool("debugfs", "-w", "-R", "symlink /docs/soft /docs/hard", image)
    return image


def take(folder: Path, image: Path) -> tuple[Case, str]:
    case = new_case(folder / "case")
    summary = intake(case, path=image, label="D", workers=1, options=OPTIONS)
    return case, summary.exhibit


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, str]]:
    """The closed case into which a volume of that kind was taken, and its Exhibit."""
    made: dict[str, tuple[Path, str]] = {}

    def of(kind: str) -> tuple[Path, str]:
        if kind not in made:
            folder = tmp_path_factory.mktemp(kind)
            case, exhibit = take(folder, volume(folder, kind))
            case.close()
            made[kind] = case.folder, exhibit
        return made[kind]

    return of


def opened(taken: tuple[Path, str], folder: Path) -> tuple[Case, str]:
    """A copy of it."""
    return copied(taken[0], folder / "case"), taken[1]


@pytest.mark.parametrize("kind", ["FAT12", "FAT16", "FAT32", "NTFS", "ext2", "ext4"])
def test_the_two_agree_on_what_is_live(kind, taken, tmp_path):
    case, exhibit = opened(taken(kind), tmp_path)
    (found,) = account(case, exhibit).recounts
    live = [item for item in items(case).values() if item["name_state"] == "live"]
    assert found.theirs == found.ours == len(live) >= 20
    assert not found.unexplained
    assert found.parser.startswith("libfs")
    assert "they agree" in account(case, exhibit).words()
    assert account(case, exhibit).as_dict()["recounts"][0]["words"] == found.words()


def change(case: Case, exhibit: str, counts: dict[str, int]) -> None:
    row = (
        case.read()
        .execute("SELECT * FROM exhibit_runs WHERE exhibit=? AND part LIKE '%/recount'", (exhibit,))
        .fetchone()
    )
    detail = json.loads(row["detail"]) | {"notes": counts}
    with case.write("intake") as tx:
        sql = "UPDATE exhibit_runs SET detail=? WHERE exhibit=? AND part=?"
        tx.execute(sql, (json.dumps(detail), exhibit, row["part"]))
        tx.record("test", subject={}, mandate="M-1")


def test_a_difference_that_nothing_explains_is_flagged_and_the_account_is_not_complete(taken, tmp_path):
    case, exhibit = opened(taken("ext2"), tmp_path)
    whole = account(case, exhibit)
    ours = whole.recounts[0].ours
    change(case, exhibit, {recount.CONTENTS: ours + 1})
    found = account(case, exhibit)
    assert found.recounts[0].unexplained
    assert not found.complete
    assert "UNEXPLAINED" in found.words()
    change(case, exhibit, {recount.CONTENTS: ours - 1, recount.UNLISTED: 1})
    found = account(case, exhibit)
    assert found.recounts[0].unexplained  # how much lies in that directory nobody knows
    assert "explained in part at best" in found.words()
    assert not found.complete
    change(case, exhibit, {f"{recount.GAVE_UP}too long": 1})
    found = account(case, exhibit)
    assert found.recounts[0].theirs is None
    assert "NO SECOND COUNT (too long)" in found.words()
    assert not found.complete


@pytest.mark.parametrize("kind", ["ext2", "NTFS"])
def test_as_many_but_others_are_told_from_the_same(kind, taken, tmp_path):
    """One that is missed and one that is not there leave the number as it is."""
    case, exhibit = opened(taken(kind), tmp_path)
    sql = "SELECT detail FROM exhibit_runs WHERE exhibit=? AND part LIKE '%/recount'"
    notes = json.loads(case.read().execute(sql, (exhibit,)).fetchone()["detail"])["notes"]
    assert notes[recount.NUMBERS] > 0
    for name in (recount.NUMBERS, recount.SQUARES):
        change(case, exhibit, notes | {name: notes[name] + 1})
        found = account(case, exhibit)
        assert found.recounts[0].theirs == found.recounts[0].ours
        assert "NOT THE SAME file records" in found.words()
        assert not found.complete
    change(case, exhibit, {recount.CONTENTS: notes[recount.CONTENTS]})  # of a case that was made before
    assert account(case, exhibit).recounts[0].said == "they agree"


def test_a_file_system_without_a_second_reader_is_said_to_have_none(taken, tmp_path):
    case, exhibit = opened(taken("ext2"), tmp_path)
    sql = "SELECT detail FROM exhibit_runs WHERE exhibit=? AND part='fs@0/walk'"
    detail = json.loads(case.read().execute(sql, (exhibit,)).fetchone()["detail"])
    with case.write("intake") as tx:
        told = json.dumps({key: detail[key] for key in detail if key != "second"})
        tx.execute("UPDATE exhibit_runs SET detail=? WHERE exhibit=? AND part='fs@0/walk'", (told, exhibit))
        tx.execute("DELETE FROM exhibit_runs WHERE exhibit=? AND part='fs@0/recount'", (exhibit,))
        tx.record("test", subject={}, mandate="M-1")
    (found,) = account(case, exhibit).recounts
    assert (found.theirs, found.said, found.unexplained) == (None, recount.NO_SECOND, False)
    assert f"clew listed {found.ours} live: no second count: clew had no second" in account(case, exhibit).words()


def many(folder: Path, cluster: int) -> Path:
    """A volume with more file records than are counted at once, further names, streams, what is deleted, and files that
    are NTFS's own or only named so.
    """
    image = folder / "disk.img"
    with image.open("wb") as out:
        out.truncate(32 << 20)
    tool("mkntfs", "-q", "-F", "-Q", "-c", str(cluster), image)
    with written(image) as new:
        new.create("/folder", folder=True)
        new.create("/folder/in", folder=True)
        for number in range(1_200):
            new.create(f"/folder/in/a file {number:04d} of many", b"a")
        for number in range(60):  # which one file record does not hold
            new.link("/folder/in/a file 0000 of many", "/folder" if number % 2 else "/", f"a further name {number:02d}")
        new.write("/folder/in/a file 0001 of many", b"s", stream="beside")
        new.write("/folder", b"s", stream="of a directory")
        new.write("/", b"s", stream="of the root")
        new.write("/$Extend/$Quota", b"s", stream="hidden")
        new.create("/$MFT of a user", b"m")
        new.delete("/folder/in/a file 0002 of many")
    return image


@pytest.mark.parametrize("cluster", [4096, 8192, 65536])
def test_ntfs_is_counted_whatever_its_clusters(tmp_path, cluster):
    """Of clusters that are larger than a block of an index libfsntfs finds none of these blocks."""
    case, exhibit = take(tmp_path, many(tmp_path, cluster))
    (found,) = account(case, exhibit).recounts
    assert (found.theirs, found.ours, found.said) == (1_199 + 60 + 5, 1_199 + 60 + 5, "they agree")
    assert found.parser.endswith(" by file records") is (cluster > 4096)


def record_of(image: Path, name: str) -> int:
    """The byte at which the file record lies that has this name."""
    data, wide, at = image.read_bytes(), name.encode("utf-16-le"), -1
    while (at := data.find(wide, at + 1)) >= 0:
        record = at // 1024 * 1024
        if data[record : record + 4] == b"FILE" and at - record < 256:  # a directory's is farther behind
            return record
    raise AssertionError(name)


# Behind the header of 56 bytes: how long the first attribute is; the flags, in the header: not in use any more. And
# behind that attribute of 72 and a header of 24: the sequence number of the directory, which is another one's now.
@pytest.mark.parametrize(("name", "at", "data", "theirs", "ours", "says"), [
    ("a file 0003 of many", 60, b"\xff\xff", 1_263, 1_264, "could not list 1 directories or file records"),
    ("a file 0003 of many", 56 + 72 + 24 + 6, b"\x09\0", 1_263, 1_264, "UNEXPLAINED"),
    ("in", 22, b"\2\0", 64, 65, "UNEXPLAINED"),
])  # fmt: skip
def test_what_the_index_and_the_file_records_say_differently_is_flagged(tmp_path, name, at, data, theirs, ours, says):
    image = many(tmp_path, 8192)
    record = record_of(image, name)
    with image.open("r+b") as out:
        out.seek(record + at)
        out.write(data)
    case, exhibit = take(tmp_path, image)
    (found,) = account(case, exhibit).recounts
    assert (found.theirs, found.ours, found.unexplained) == (theirs, ours, theirs != ours)
    assert says in found.said


@pytest.mark.parametrize(("theirs", "ours", "unlisted", "lost", "unexplained"), [
    (5, 5, 0, 0, False), (5, 4, 0, 0, True), (4, 5, 0, 0, True), (4, 5, 1, 0, True), (5, 4, 1, 0, True),
    (5, 4, 0, 1, True), (4, 5, 0, 1, True), (5, 5, 1, 1, False),
])  # fmt: skip
def test_what_explains_a_difference(theirs, ours, unlisted, lost, unexplained):
    assert recount._explained(theirs, ours, unlisted, lost, same=True)[1] is unexplained
    said, flagged = recount._explained(theirs, ours, unlisted, lost, same=True, shared=True)
    assert (recount.SHARED in said, "UNEXPLAINED" in said, flagged) == (unexplained, False, unexplained)


def test_extended_attributes_that_are_not_listed_are_counted_and_said(tmp_path):
    image = tmp_path / "ext.img"
    with image.open("wb") as out:
        out.truncate(4 << 20)
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "film.mp4").write_text("film")
    tool("mke2fs", "-q", "-F", "-t", "ext4", "-d", tmp_path / "tree", image)
    for name in ("user.xdg.origin.url", "user.note", "security.selinux"):
        tool("debugfs", "-w", "-R", f"ea_set /film.mp4 {name} https://example.org/film.mp4", image)
    case, exhibit = take(tmp_path, image)
    said = [part["missing"] for part in account(case, exhibit).not_covered if "attributes" in part["missing"]]
    assert said == ["unknown: 2 extended attributes that the walk does not list"]
    assert account(case, exhibit).complete


def test_the_count_goes_on_from_its_cursor_and_distrusts_its_worker():
    answers = [
        {"contents": 3, "unreadable": 0, "pending": [7, 8]},
        {"contents": 2, "unreadable": 1, "pending": []},
    ]
    asked = []

    def ask(_entry, payload, _fds, _size):
        asked.append(payload["pending"])
        return answers[len(asked) - 1]

    notes = list(_recount.items({"offset": 0}, "", ask))
    assert asked == [None, [7, 8]]
    assert [note.counts[recount.CONTENTS] for note in notes] == [3, 2]
    asked.clear()
    answers.pop(0)
    list(_recount.items({"offset": 0}, notes[0].cursor, ask))
    assert asked == [[7, 8]]
    for bad in ({"contents": -1, "unreadable": 0, "pending": []}, {"contents": "x"}, 5, None, [],
                {"contents": 1, "unreadable": 0, "pending": ["x"]}, Missing(Reason.LIMIT_REACHED, "time")):  # fmt: skip
        (note,) = _recount.items({"offset": 0}, "", lambda *_, bad=bad: bad)
        assert isinstance(note, Note)
        assert next(iter(note.counts)).startswith(recount.GAVE_UP)
    endless = {"contents": 0, "unreadable": 0, "pending": [1]}
    assert list(_recount.items({"offset": 0}, "", lambda *_: endless))[-1].counts == {
        f"{recount.GAVE_UP}it takes too long": 1
    }
