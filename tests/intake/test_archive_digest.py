"""An archive that is the Exhibit has the digests of its Item, and no others."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from archive_world import zipped

from case_made import new_case
from clew.core.case import Case
from clew.intake.identity import ENDS
from clew.intake.options import Options
from clew.intake.run import intake

PLAIN = Options(workers=1, extractors=())
CHILD = "import sys; from clew.cli.main import main; main(sys.argv[1:])"
FIRST, OTHER = (random.Random(n).randbytes(50_000) for n in (1, 2))


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "phone.zip"
    path.write_bytes(zipped([("a.bin", FIRST), ("b.bin", OTHER)], 0))
    return path


def killed(tmp_path: Path, archive: Path, point: str) -> Case:
    folder = tmp_path / "case"
    new_case(folder).close()
    words = ["intake", str(folder), str(archive), "--label", "Z", "--workers", "1"]
    command = [sys.executable, "-c", CHILD, *words]
    ended = subprocess.run(command, env=os.environ | {"CLEW_FAILPOINT": point}, capture_output=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    return Case.open(folder, actor="wren")


def row(case: Case) -> Any:
    return case.read().execute("SELECT * FROM exhibits").fetchone()


def acquired(case: Case) -> list[dict[str, Any]]:
    sql = "SELECT l.line, o.opening FROM ledger l JOIN ledger_openings o USING (seq) ORDER BY l.seq"
    return [json.loads(each["opening"]) for each in case.read().execute(sql) if '"exhibit.acquired"' in each["line"]]


def holds(case: Case, data: bytes) -> bool:
    names = ("sha256", "sha1", "md5")
    return [row(case)[name] for name in names] == [hashlib.new(name, data).digest() for name in names]


def test_its_digests_are_those_of_its_item_and_told_once(tmp_path: Path, archive: Path) -> None:
    case = new_case(tmp_path / "case")
    assert intake(case, path=archive, label="Z", options=PLAIN).complete
    assert holds(case, archive.read_bytes())
    assert row(case)["size"] == archive.stat().st_size
    assert intake(case, path=archive, label="Z", options=PLAIN).complete
    assert [each["sha256"] for each in acquired(case)] == [row(case)["sha256"].hex()]


@pytest.mark.parametrize("point", ["intake.receipt.after:1", "acquisition.end.before"])
def test_they_are_taken_by_the_next_run_where_one_was_killed(tmp_path: Path, archive: Path, point: str) -> None:
    case = killed(tmp_path, archive, point)
    if "acquisition" not in point:
        assert row(case)["sha256"] is None
    assert intake(case, path=archive, label="Z", options=PLAIN).complete
    assert holds(case, archive.read_bytes())
    assert len(acquired(case)) == 1


def known_as(case: Case, data: bytes) -> None:
    """What it is known by tells nothing of its bytes: as if they were others at places where nothing looks."""
    ends = {"head": hashlib.sha256(data[:ENDS]).hexdigest(), "tail": hashlib.sha256(data[-ENDS:]).hexdigest()}
    known = [each | ends | {"samples": []} for each in json.loads(row(case)["identity"])]
    with case.write("intake") as tx:
        tx.execute("UPDATE exhibits SET identity=?", (json.dumps(known),))


def test_an_item_of_an_earlier_state_gives_no_digest(tmp_path: Path, archive: Path) -> None:
    """It was read, then written to, with the time set back: the digest is of what lies there now, and that is told."""
    case = killed(tmp_path, archive, "intake.receipt.after:1")
    status, data = archive.stat(), bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 1
    archive.write_bytes(data)
    os.utime(archive, ns=(status.st_atime_ns, status.st_mtime_ns))
    known_as(case, bytes(data))
    ended = intake(case, path=archive, label="Z", options=PLAIN)
    assert holds(case, bytes(data))
    assert ended.account.image_unread, "items were read of a state that has no digest"
