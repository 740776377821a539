"""What was acknowledged is there after kill -9 at any moment; a full disk is an error that loses nothing."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from clew.core import blobs, db, shards
from clew.core.case import Case
from clew.core.lease import lease
from clew.core.verify import verify_case

WRITER = """
import sys
from pathlib import Path
from clew.core import blobs, shards
from clew.core.case import Case
case = Case.open(Path(sys.argv[1]))
batch = 0
while True:
    if not shards.done(case, stage="intake", batch=str(batch), versions="1", config=""):
        thumbnail = blobs.put(case.folder, b"thumbnail %d" % batch)
        row = {"content": b"%d" % batch, "name": "thumbnail", "data": thumbnail}
        pending = shards.write(case, "traits", [row])
        with case.write("intake") as tx:
            shards.commit(tx, stage="intake", batch=str(batch), versions="1", config="", pending=[pending])
            tx.record("batch.done", counts={"batch": batch})
        sys.stdout.write("%d\\n" % batch)
        sys.stdout.flush()
    batch += 1
"""
KILLS = 12
HOLDER = """
import sys, time
from pathlib import Path
from clew.core.case import Case
from clew.core.lease import lease
with lease(Case.open(Path(sys.argv[1])), "intake", "E-1"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_kill_9_at_random_moments_loses_nothing_that_was_acknowledged(case: Case) -> None:
    dice, acknowledged = random.Random(), []
    for _ in range(KILLS):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(case.folder)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        acknowledged.append(int(process.stdout.readline()))  # it is at work: let it die within the next batches
        timer = threading.Timer(dice.uniform(0, 0.05), process.kill)
        timer.start()
        acknowledged += [int(line) for line in process.stdout]
        assert process.wait() == -signal.SIGKILL
        timer.join()
        seen = shards.query(case, "SELECT content, data FROM traits ORDER BY CAST(content AS VARCHAR)::INT").to_pylist()
        assert [int(row["content"]) for row in seen] == list(range(len(seen))), "each batch once, in order"
        assert len(seen) in (len(acknowledged), len(acknowledged) + 1), "at most one commit was not acknowledged yet"
        acknowledged = list(range(len(seen)))
        for row in seen:
            assert blobs.get(case.folder, row["data"]) == b"thumbnail " + row["content"]
        verify_case(case)


def test_a_killed_holder_whose_parent_has_not_looked_yet_holds_no_lease(case: Case) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(case.folder)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        os.kill(holder.pid, signal.SIGKILL)
        os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)  # dead, and still a zombie
        with lease(case, "intake", "E-1"):
            pass


def test_processes_that_open_an_old_case_at_once_upgrade_it_once(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    versions = [
        *db.migrations(),
        (db.migrations()[-1][0] + 1, "CREATE TABLE later (id INTEGER); INSERT INTO later VALUES (1);"),
    ]
    monkeypatch.setattr(db, "migrations", lambda: versions)
    case.close()
    failed: list[BaseException] = []

    def run() -> None:
        try:
            Case.open(case.folder).close()
        except sqlite3.Error as error:
            failed.append(error)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert Case.open(case.folder).read().execute("SELECT count(*) FROM later").fetchone()[0] == 1


LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limit = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
from clew.cli.main import main
main()
"""


def limited(limit: int, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """A verb on a disk that takes no file beyond `limit` bytes (write(2) is short, then fails)."""
    command = [sys.executable, "-c", LIMITED, str(limit), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_full_disk_is_told_in_two_lines(case: Case, tmp_path: Path) -> None:
    target = tmp_path / "copy"
    full = limited(20_000, "archive", str(case.folder), str(target))
    assert full.returncode == 1
    assert full.stderr.startswith("clew: error: ")
    assert "clew: hint: " in full.stderr
    assert "Traceback" not in full.stderr
    assert not target.exists(), "no half of an archive under the archive's name"
    verify_case(case)
    free = limited(1 << 30, "archive", str(case.folder), str(target))
    assert free.returncode == 0, free.stderr
    verify_case(Case.open(target))


def test_a_ledger_that_does_not_fit_is_not_exported_under_its_name(case: Case, tmp_path: Path) -> None:
    full = limited(300, "ledger", "export", str(case.folder), "--out", str(tmp_path / "ledger.jsonl"))
    assert full.returncode == 1
    assert "Traceback" not in full.stderr
    assert not (tmp_path / "ledger.jsonl").exists()
