"""The commands of docs/formats.md for a case, run as they are printed, on a good archive and on tampered ones."""

import re
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from case_for_tests import MANDATE

from clew.core import blobs, checkpoint, keys, mandate, shards, watch
from clew.core.archive import archive
from clew.core.case import Case
from clew.core.compact import compact
from clew.model import Watch

DOCS = Path(__file__).parents[2] / "docs" / "formats.md"


def commands() -> str:
    """Every `sh` block of the section, verbatim, in order."""
    section = DOCS.read_text("utf-8").split("## Check a case without clew\n")[1].split("\n## ")[0]
    blocks = re.findall(r"^```sh\n(.*?)^```$", section, flags=re.S | re.M)
    assert len(blocks) == 5
    return "".join(blocks)


@pytest.fixture
def archived(case: Case, key_folder: Path, tmp_path: Path) -> Path:
    """A folder with an archive `case`, `authority.pub` and `outside.note`, as the section asks for."""
    key = keys.signing_key("authority")
    body = watch.to_body(Watch("1" * 32, "W-1", bytes(20), None, 16, 1, 0, 16, "s", "1", "ö", 0, MANDATE["id"]))
    watch.add(case, mandate.sign_document("watch", body, key))
    pending = shards.write(case, "traits", [{"content": b"x", "name": "pdq", "data": b"1"}])
    with case.write("intake") as tx:
        shards.commit(tx, stage="intake", batch="b", versions="1", config="c", pending=[pending])
        tx.record("batch.done", subject={"path": "a 'quoted' \\ näme\n"}, counts={"items": 1})
    blobs.put(case.folder, b"a thumbnail")
    checkpoint.checkpoint(case, key, "AT")
    outside = checkpoint.checkpoint(case, key, "AT")
    target = tmp_path / "handed over"
    target.mkdir()
    archive(case, target / "case")
    shutil.copyfile(key_folder / "authority.pub", target / "authority.pub")
    (target / "outside.note").write_text(outside.note, "utf-8")
    return target


def run(archived: Path) -> "subprocess.CompletedProcess[str]":
    command = ["bash", "-c", commands()]
    return subprocess.run(command, cwd=archived / "case", capture_output=True, text=True, check=False, timeout=60)


def test_a_good_archive_passes(archived: Path) -> None:
    done = run(archived)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("the case holds\n")
    assert done.stdout.count("Signature Verified Successfully") == 4  # two checkpoints, a Mandate, a Watch


def test_without_a_checkpoint_from_outside_and_without_openings_it_passes_too(archived: Path) -> None:
    (archived / "outside.note").unlink()
    alter(archived, "DELETE FROM ledger_openings")
    done = run(archived)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_case_whose_shards_were_merged_passes(archived: Path) -> None:
    """Their rows stay in the table, their files are gone."""
    with closing(Case.open(archived / "case", actor="wren")) as case:
        pending = shards.write(case, "traits", [{"content": b"y", "name": "pdq", "data": b"2"}])
        with case.write("intake") as tx:
            shards.commit(tx, stage="intake", batch="c", versions="1", config="c", pending=[pending])
        assert compact(case, enough=2).before == 2
    done = run(archived)
    assert done.returncode == 0, done.stdout + done.stderr


def alter(archived: Path, sql: str) -> None:
    with closing(sqlite3.connect(archived / "case" / "case.db")) as conn:
        assert conn.execute(sql).rowcount > 0
        conn.commit()


ATTACKS = {
    "an edited entry": "UPDATE ledger SET line = replace(line, 'batch.done', 'batch.gone')",
    "a deleted entry": "DELETE FROM ledger WHERE seq = 2",
    "a cut tail": "DELETE FROM ledger WHERE seq > 3",
    "an edited opening": "UPDATE ledger_openings SET opening = '{}' WHERE seq = 1",
    "a checkpoint's size": "UPDATE checkpoints SET note = replace(note, char(10) || '4', char(10) || '3')",
    "a checkpoint's signature": "UPDATE checkpoints SET signature = zeroblob(64)",
    "a Mandate": "UPDATE mandates SET document = CAST(replace(document, '127.0.0.0/8', '0.0.0.0/0') AS BLOB)",
    "a Watch": "UPDATE watches SET document = CAST(replace(document, 'W-1', 'W-2') AS BLOB)",
    "a shard's row": "UPDATE shards SET sha256 = zeroblob(32)",
}


@pytest.mark.parametrize("sql", ATTACKS.values(), ids=ATTACKS)
def test_what_was_altered_is_refused(archived: Path, sql: str) -> None:
    alter(archived, sql)
    done = run(archived)
    assert done.returncode != 0
    assert "the case holds" not in done.stdout


def test_a_cut_tail_without_the_cases_checkpoints_shows_against_the_one_outside(archived: Path) -> None:
    alter(archived, "DELETE FROM checkpoints")
    alter(archived, "DELETE FROM ledger WHERE seq > 3")
    done = run(archived)
    assert done.returncode != 0
    assert "the tail is cut" in done.stdout


def test_an_altered_blob_is_refused(archived: Path) -> None:
    (path,) = [p for p in (archived / "case" / "blobs").rglob("*") if p.is_file()]
    path.write_bytes(b"another")
    assert run(archived).returncode != 0
