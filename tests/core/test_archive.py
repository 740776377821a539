"""An archive is whole and consistent, also while others write."""

import subprocess
import sys
from pathlib import Path

import pytest

from clew.core.archive import archive
from clew.core.case import Case
from clew.core.errors import Usage
from clew.core.verify import verify_case

WRITER = """
import sys
from pathlib import Path
from clew.core import shards
from clew.core.case import Case
case = Case.open(Path(sys.argv[1]))
for batch in range(400):
    pending = shards.write(case, "traits", [{"content": b"%d" % batch, "name": "pdq", "data": b"x"}])
    with case.write("intake") as tx:
        shards.commit(tx, stage="intake", batch=str(batch), versions="1", config="", pending=[pending])
        tx.execute("INSERT INTO batches VALUES (?, 'e', 1, 1, 1, 0)", (str(batch),))
    print(batch, flush=True)
"""


def test_a_copy_made_while_another_process_writes_is_of_one_moment(case: Case, tmp_path: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(case.folder)], stdout=subprocess.PIPE, text=True)
    try:
        for _ in range(5):
            writer.stdout.readline()
        archive(case, tmp_path / "copy")
        assert writer.poll() is None, "the writer must still be at work for this test to mean anything"
    finally:
        writer.kill()
        writer.communicate()
    copy = Case.open(tmp_path / "copy")
    verify_case(copy)
    batches, receipts = (
        copy.read().execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in ("batches", "receipts")
    )
    assert batches == receipts >= 5
    assert len(list((tmp_path / "copy" / "shards" / "traits").iterdir())) == receipts


def test_nothing_is_overwritten(case: Case, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(Usage, match="is there already"):
        archive(case, tmp_path / "there")
