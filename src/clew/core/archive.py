"""`clew archive`: a copy of the whole case, consistent as of one moment, while others go on writing to it.

A live WAL database is never copied as a file (https://www.sqlite.org/howtocorrupt.html section 1.2): `VACUUM INTO`
makes the copy, and then exactly the shards that the copy has receipts for are copied, and every blob, hash set and
received store.
"""

import os
import shutil
from contextlib import closing
from pathlib import Path

from clew.core import compact, db
from clew.core.case import Case
from clew.core.errors import Usage
from clew.core.files import sync_folder
from clew.core.lease import lease
from clew.core.verify import Report, verify_case


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
    case.read().execute("VACUUM INTO ?", (str(partial / "case.db"),))
    with closing(db.connect(partial / "case.db")) as conn:
        conn.execute("DELETE FROM leases")
        conn.execute("PRAGMA journal_mode=WAL")
        shards = [row["path"] for row in conn.execute("SELECT path FROM shards WHERE merged_into IS NULL")]
    for path in shards:
        (partial / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(case.folder / path, partial / path)
    for name in ("blobs", "hashsets", "received"):
        shutil.copytree(case.folder / name, partial / name, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".tmp-*"))
    shutil.copy2(case.folder / "case.toml", partial / "case.toml")
    copy = Case.open(partial, actor=case.actor)
    report = verify_case(copy)
    copy.close()
    os.sync()
    partial.rename(target)
    sync_folder(target.parent)
    return report
