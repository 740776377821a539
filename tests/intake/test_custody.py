"""An Exhibit is known again: moved, it goes on; replaced or changed, it is refused; held by another, that is said."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from cases import items

from case_made import new_case
from clew.core.case import Case
from clew.core.errors import Held, Refused, Usage
from clew.core.lease import lease
from clew.intake.options import Options
from clew.intake.run import intake

PLAIN = Options(workers=1, extractors=())
MOVED = Options(workers=1, extractors=(), moved=True)


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return new_case(tmp_path / "case")


def make_image(path: Path) -> Path:
    path.write_bytes(random.Random(2).randbytes(300_000))
    return path


def spoil(path: Path, at: int) -> None:
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    with path.open("r+b") as file:
        file.write(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace_file(path: Path) -> None:
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    status = path.stat()
    os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))
    copy.replace(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda path: spoil(path, 5), "its first bytes"),
        (lambda path: spoil(path, 299_999), "its last bytes"),
        (lambda path: path.write_bytes(path.read_bytes() + b"more"), "its size"),
        (lambda path: os.utime(path, (1, 1)), "last written to"),
        (replace_file, "it was replaced"),
    ],
    ids=["head", "tail", "size", "time", "replaced"],
)
def test_an_image_that_is_another_one_is_refused(case: Case, tmp_path: Path, change, said: str) -> None:  # type: ignore[no-untyped-def]
    image = make_image(tmp_path / "disk.img")
    intake(case, path=image, label="D", options=PLAIN)
    intake(case, path=image, label="D", options=PLAIN)
    change(image)
    with pytest.raises(Refused, match=said) as refused:
        intake(case, path=image, label="D", options=PLAIN)
    assert "--moved" in refused.value.hint


def test_a_moved_image_goes_on_where_it_is_said_and_is_the_same(case: Case, tmp_path: Path) -> None:
    image = make_image(tmp_path / "disk.img")
    first = intake(case, path=image, label="D", options=PLAIN)
    (tmp_path / "elsewhere").mkdir()
    there = tmp_path / "elsewhere" / "disk.img"
    there.write_bytes(image.read_bytes())  # a copy: other times, another inode
    with pytest.raises(Usage) as refused:
        intake(case, path=there, label="D", options=PLAIN)
    assert "--moved" in refused.value.hint
    second = intake(case, path=there, label="D", options=MOVED)
    assert (second.exhibit, second.sha256) == (first.exhibit, first.sha256)
    row = case.read().execute("SELECT location FROM exhibits").fetchone()
    assert row["location"] == str(there)
    told = case.read().execute("SELECT count(*) FROM ledger WHERE line LIKE '%exhibit.moved%'").fetchone()[0]
    assert told == 1
    intake(case, path=there, label="D", options=PLAIN)
    spoil(image, 5)
    with pytest.raises(Refused, match="its first bytes"):
        intake(case, path=image, label="D", options=MOVED)


def test_a_moved_folder_goes_on_where_its_files_are_found_again(case: Case, tmp_path: Path) -> None:
    root = tmp_path / "seized"
    root.mkdir()
    for n in range(5):
        (root / f"f{n}").write_bytes(b"%d" % n)
    intake(case, path=root, label="F", options=PLAIN)
    other = tmp_path / "other"
    other.mkdir()
    (other / "f0").write_bytes(b"0")
    with pytest.raises(Refused, match="file/f1"):
        intake(case, path=other, label="F", options=MOVED)
    root.rename(tmp_path / "moved")
    report = intake(case, path=tmp_path / "moved", label="F", options=MOVED)
    assert report.complete
    assert len(items(case)) == 5


def test_an_exhibit_of_an_older_case_is_known_from_its_next_run_on(case: Case, tmp_path: Path) -> None:
    image = make_image(tmp_path / "disk.img")
    intake(case, path=image, label="D", options=PLAIN)
    with case.write("intake") as tx:
        tx.execute("UPDATE exhibits SET identity=NULL")
    intake(case, path=image, label="D", options=PLAIN)
    spoil(image, 5)
    with pytest.raises(Refused):
        intake(case, path=image, label="D", options=PLAIN)


def test_a_second_run_is_refused_and_told_who_holds_it(case: Case, tmp_path: Path) -> None:
    """A real second process that is in the middle of its run."""
    root = tmp_path / "seized"
    root.mkdir()
    (root / "f").write_bytes(b"x")
    code = (
        "import sys, time; from pathlib import Path; from clew.core.case import Case\n"
        "from clew.intake.telling import Telling\n"
        "from clew.intake.run import intake\n"
        "Telling.listed = lambda *_: (print('here', flush=True), time.sleep(60))\n"
        "intake(Case.open(Path(sys.argv[1]), actor='heron'), path=Path(sys.argv[2]), label='F', workers=1)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, case.folder, root], stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == b"here\n"
            with pytest.raises(Held, match=rf"held by process {other.pid} .*heron"):
                intake(case, path=root, label="F", options=PLAIN)
        finally:
            other.kill()
    report = intake(case, path=root, label="F", options=PLAIN)  # its holder is gone: taken over, and the ledger says so
    assert report.complete
    assert case.read().execute("SELECT 1 FROM ledger WHERE line LIKE '%taken over%'").fetchone()


def test_a_lease_of_another_machine_is_not_taken_over(case: Case, tmp_path: Path) -> None:
    (tmp_path / "seized").mkdir()
    with lease(case, "intake", "F"):
        with case.write("core") as tx, tx.gate.core():
            tx.execute("UPDATE leases SET host='elsewhere'")
        with pytest.raises(Held, match="elsewhere"):
            intake(case, path=tmp_path / "seized", label="F", options=PLAIN)
