"""kill -9 while archives are expanded, then resume: the facts of an undisturbed run, budgets that end something
included.
"""

import io
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from clew.core.case import Case
from clew.core.verify import verify_case
from clew.intake.account import account, facts_digest

SOAK = bool(os.environ.get("CLEW_SOAK"))
# Listing commits: 1 for the folder, then one or more an archive, in two rounds; receipts likewise.
WHERE = [
    ("intake.listing.before", 4),
    ("intake.listing.after", 7),
    ("intake.receipt.inside", 3),
    ("shards.write.synced", 12),
]
if SOAK:
    names = ("intake.listing.before", "intake.listing.after", "intake.receipt.before", "intake.receipt.inside")
    WHERE = [(name, passage) for name in names for passage in range(1, 12)]

RUN = """
import sys
from pathlib import Path
from clew.core.case import Case
from clew.intake.archives.budget import Budgets
from clew.intake.listing import BatchSize
from clew.intake.run import intake
from clew.intake.options import Options

budgets = Budgets(depth=2, members=40, least=1 << 20, ratio=20, large_ratio=1)
options = Options(extractors=(), batch=BatchSize(items=6), budgets=budgets)
intake(Case.open(Path(sys.argv[1])), path=Path(sys.argv[2]), label="A", workers=1, options=options)
"""


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Archives in archives, a cut one, one with more members than the budget has left, and one that is too large."""
    root = tmp_path_factory.mktemp("evidence")
    draw = random.Random(3)
    (root / "plain.txt").write_bytes(b"not packed")
    inner = _zip([(f"deep-{number}", draw.randbytes(40)) for number in range(25)])
    files = [(f"{number}.bin", draw.randbytes(50)) for number in range(20)]
    (root / "a.zip").write_bytes(_zip([*files, ("inner.zip", inner), ("again.zip", inner), ("zeros", bytes(3 << 20))]))
    whole = _tgz([*files, ("inner.tgz", _tgz(files[:3]))])
    (root / "b.tgz").write_bytes(whole)
    (root / "cut.tgz").write_bytes(whole[: len(whole) * 2 // 3])
    return root


def _zip(files: list[tuple[str, bytes]]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return out.getvalue()


def _tgz(files: list[tuple[str, bytes]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def run(folder: Path, evidence: Path, **environment: str) -> int:
    command = [sys.executable, "-c", RUN, str(folder), str(evidence)]
    return subprocess.run(command, env={**os.environ, **environment}, check=False).returncode


def check(folder: Path) -> str:
    """The digest, once the account balances and the Ledger's chain holds."""
    case = Case.open(folder)
    try:
        found = account(case, case.read().execute("SELECT id FROM exhibits").fetchone()["id"])
        assert found.balanced
        assert found.parts_open == []
        assert found.unreadable_by_reason["limit reached"] >= 3
        assert found.unreadable_by_reason["unparsable"] >= 1
        verify_case(case)
        return facts_digest(case)
    finally:
        case.close()


@pytest.fixture(scope="module")
def undisturbed(empty: Path, evidence: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("undisturbed") / "case"
    shutil.copytree(empty, folder)
    assert run(folder, evidence) == 0
    return check(folder)


@pytest.mark.parametrize(("name", "passage"), WHERE)
def test_killed_while_archives_are_expanded(name, passage, empty, evidence, undisturbed, tmp_path):
    folder = tmp_path / "case"
    shutil.copytree(empty, folder)
    died = run(folder, evidence, CLEW_FAILPOINT=f"{name}:{passage}")
    assert died == -signal.SIGKILL, "this failpoint was not passed so often"
    assert run(folder, evidence) == 0
    assert check(folder) == undisturbed
