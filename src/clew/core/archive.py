"""`clew archive`: a copy of the whole case, consistent as of one moment, while others go on writing to it.

A live WAL database is never copied as a file (https://www.sqlite.org/howtocorrupt.html section 1.2): `VACUUM INTO`
makes the copy, and then exactly the shards that the copy has receipts for are copied, and every blob, hash set and
received store. Where retention takes one of those shards away meanwhile, it is made anew, of a later moment.
"""

import os
import shutil
from contextlib import closing
from pathlib import Path

from clew.core import compact, db
from clew.core.case import Case
from clew.core.errors import Damaged, Usage
from clew.core.files import sync_folder
from clew.core.lease import lease
from clew.core.verify import RESTORE, Report, listed, verify_case

UNFINISHED = shutil.ignore_patterns(".*")  # what is being written, compiled or received just now


def archive(case: Case, target: Path) -> Report:
    """Copies `case` to the new folder `target`, and verifies the copy; no shards are merged meanwhile.

    Raises Usage where target is there already, Held while another process archives or compacts.
    """
    if target.exists():
        raise Usage(f"{target} is there already", "name a new folder for the archive")
    with lease(case, *compact.LEASE):
        return _archive(case, target)


def _archive(case: Case, target: Path) -> Report:
    with case.write("core") as tx:
        tx.record("case.archived", subject={"target": str(target)})
    partial = target.with_name(f".partial-{target.name}")
    shutil.rmtree(partial, ignore_errors=True)
    for name in ("shards", "blobs", "hashsets", "received"):
        (partial / name).mkdir(parents=True)
    partial.chmod(0o700)
    while not _shards(case, partial, _database(case, partial / "case.db")):
        continue  # what was copied stays, so that the next round is short
    for name in ("blobs", "hashsets", "received"):
        shutil.copytree(case.folder / name, partial / name, dirs_exist_ok=True, ignore=UNFINISHED)
    shutil.copy2(case.folder / "case.toml", partial / "case.toml")
    copy = Case.open(partial, actor=case.actor)
    report = verify_case(copy)
    copy.close()
    os.sync()
    partial.rename(target)
    sync_folder(target.parent)
    return report


def _database(case: Case, target: Path) -> list[str]:
    """Makes `target` case.db as of now; returns the paths of its shards."""
    target.unlink(missing_ok=True)
    case.read().execute("VACUUM INTO ?", (str(target),))
    with closing(db.connect(target)) as conn:
        conn.execute("DELETE FROM leases")
        conn.execute("PRAGMA journal_mode=WAL")
        return [row["path"] for row in conn.execute("SELECT path FROM shards WHERE merged_into IS NULL")]


def _shards(case: Case, target: Path, paths: list[str]) -> bool:
    """Whether `target` holds exactly these shards now; False where the case forgot one meanwhile. Raises Damaged."""
    for path in paths:
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        try:
            if not (target / path).exists():
                shutil.copy2(case.folder / path, target / path)
        except FileNotFoundError as error:
            if listed(case, path):
                raise Damaged(f"the shard {path} is gone", RESTORE) from error
            return False
    wanted = {target / path for path in paths}
    for each in (target / "shards").glob("*/*"):
        if each not in wanted:
            each.unlink()
    return True
