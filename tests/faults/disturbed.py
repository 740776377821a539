"""A small exhibit, and what every disturbed run must come to in the end."""

import os
import random
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from PIL import Image

from clew.cli.main import cli
from clew.core.case import Case
from clew.core.verify import verify_case
from clew.intake.account import account, facts_digest

SOAK = bool(os.environ.get("CLEW_SOAK"))
BATCH = 6
FILES, PICTURES = (72, 8) if SOAK else (48, 6)
CLEW = "from clew.cli.main import main; main()"


def write_evidence(root: Path) -> Path:
    """Small files, pictures among them, some equal, one that no decoder can read, one link."""
    draw = random.Random(5)
    for number in range(FILES - PICTURES):
        folder = root / f"d{number % 4}" / f"e{number % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"f{number}.bin").write_bytes(draw.randbytes(draw.randrange(3000)) if number % 11 else b"equal")
    for number in range(PICTURES):
        noise = Image.frombytes("RGB", (16, 12), draw.randbytes(16 * 12 * 3)).resize((160, 120))
        noise.save(root / f"d{number % 4}" / f"p{number}.jpg", quality=85)
    cut = root / "d0" / "p0.jpg"
    cut.write_bytes(cut.read_bytes()[:300])
    (root / "link").symlink_to("/etc/hostname")
    return root


def options(case: Path, exhibit: Path) -> list[str]:
    """An intake with small batches."""
    return ["intake", str(case), str(exhibit), "--label", "F", "--workers", "1", "--batch-items", str(BATCH), "--json"]


def words(case: Path, exhibit: Path, *more: str, code: str = CLEW) -> list[str]:
    """Its command line; `code` may disturb it from inside."""
    return [sys.executable, "-c", code, *options(case, exhibit), *more]


def take_in(case: Path, exhibit: Path, *more: str, code: str = CLEW) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(words(case, exhibit, *more, code=code), capture_output=True, check=False)


def go_on(case: Path, exhibit: Path) -> int:
    """The same command in this process, undisturbed; its status. An interpreter of its own costs more than its work."""
    return int(cli.main(options(case, exhibit), standalone_mode=False))


def finished(case: Path) -> str:
    """The digest of all facts, once the account balances and the Ledger's chain holds."""
    opened = Case.open(case)
    try:
        exhibit = opened.read().execute("SELECT id FROM exhibits").fetchone()["id"]
        assert account(opened, exhibit).balanced
        verify_case(opened)
        return facts_digest(opened)
    finally:
        opened.close()


def receipts(case: Path) -> int:
    """How many batches have been read for good."""
    with closing(sqlite3.connect(case / "case.db")) as conn:
        sql = "SELECT count(*) FROM receipts WHERE config='fast' AND batch IN (SELECT id FROM batches)"
        return int(conn.execute(sql).fetchone()[0])


def undisturbed(empty: Path, exhibit: Path, folder: Path) -> str:
    """The digest of a run that nobody disturbed."""
    shutil.copytree(empty, folder)
    ended = take_in(folder, exhibit)
    assert ended.returncode in {0, 3}, ended.stderr
    return finished(folder)
