"""case.db: how it is opened, who may write what, and how its schema moves forward.

SQLite in WAL mode with `synchronous=FULL` (https://www.sqlite.org/pragma.html#pragma_synchronous): a commit that
returned survives a power loss. Every writer uses short immediate transactions; the authorizer
(https://www.sqlite.org/c3ref/set_authorizer.html) refuses a stage the tables of another.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib import resources
from pathlib import Path

from clew import flow
from clew.core.errors import ClewError, Damaged, Refused
from clew.core.turn import closing_locks, turn

BUSY_MS = 60_000
WRITES = {sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE}
READS = {
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE,
    sqlite3.SQLITE_TRANSACTION,
    sqlite3.SQLITE_SAVEPOINT,
}


class Gate:
    """The authorizer of one connection: reads anything, writes `tables`, and core's tables only inside `core()`."""

    def __init__(self, tables: tuple[str, ...]) -> None:
        self._own = frozenset(tables)
        self._core = frozenset(flow.CORE_TABLES)
        self._depth = 0
        self.refused: str | None = None

    @contextmanager
    def core(self) -> Iterator[None]:
        """Opens core's shared tables to their one owner in `clew.core`, for the length of the block."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1

    def __call__(self, action: int, first: str | None, *_: str | None) -> int:
        """SQLite asks this for each thing that a statement would do, once, when the statement is prepared."""
        if action in READS or (action in WRITES and first in self._own):
            return sqlite3.SQLITE_OK
        if action in WRITES and first in self._core and self._depth:
            return sqlite3.SQLITE_OK
        self.refused = first
        return sqlite3.SQLITE_DENY


def connect(path: Path, *, readonly: bool = False) -> sqlite3.Connection:
    """A plain connection with clew's pragmas; autocommit, so that BEGIN is always ours."""
    uri = f"file:{path.resolve().as_posix().replace('?', '%3f').replace('#', '%23')}?mode={'ro' if readonly else 'rw'}"
    conn = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_MS / 1000, check_same_thread=False)
    conn.row_factory = sqlite3.Row
    conn.execute(f"PRAGMA busy_timeout={BUSY_MS}")
    if not readonly:
        conn.execute("PRAGMA synchronous=FULL")
        conn.execute("PRAGMA foreign_keys=ON")
    return conn


def guarded(path: Path, stage: str) -> tuple[sqlite3.Connection, Gate]:
    """A writing connection that holds `stage` to its own tables (`flow.py`); stage "core" owns only core's."""
    tables = () if stage == "core" else flow.stage(stage).tables
    conn, gate = connect(path), Gate(tables)
    conn.set_authorizer(gate)
    return conn, gate


@contextmanager
def immediate(conn: sqlite3.Connection, gate: Gate) -> Iterator[None]:
    """BEGIN IMMEDIATE ... COMMIT, rolled back on any exception; a refused table is named."""
    conn.execute("BEGIN IMMEDIATE")
    try:
        yield
        conn.execute("COMMIT")
    except BaseException as error:
        if conn.in_transaction:
            conn.execute("ROLLBACK")
        if isinstance(error, sqlite3.DatabaseError) and "not authorized" in str(error):
            raise Refused(
                f"this stage may not write the table {gate.refused!r}",
                "a stage's tables are written by that stage alone (src/clew/flow.py)",
            ) from error
        raise


def migrations() -> list[tuple[int, str]]:
    """The schema's versions in order, as (number, SQL), from the files beside this module."""
    folder = resources.files("clew.core") / "migrations"
    found = [(int(f.name[:4]), f.read_text("utf-8")) for f in folder.iterdir() if f.name.endswith(".sql")]
    return sorted(found)


def create(path: Path) -> None:
    """A new, empty case.db at the newest version. Raises ClewError where the file is there already."""
    if path.exists():
        raise ClewError(f"{path} is there already", "choose another folder, or open this case")
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.execute("PRAGMA journal_mode=WAL")
        conn.execute("PRAGMA synchronous=FULL")
        _apply(conn, 0)


def version(conn: sqlite3.Connection) -> int:
    """The schema version that this file is at."""
    return int(conn.execute("PRAGMA user_version").fetchone()[0])


def upgrade(path: Path) -> None:
    """Brings case.db forward to the newest version, after a snapshot beside it; never backward.

    Raises ClewError where a newer clew wrote the file, Damaged where it is no database.
    """
    newest = migrations()[-1][0]
    with closing(_sound(path)) as conn:
        here = version(conn)
        if here > newest:
            raise ClewError(f"this case is at version {here}, this clew knows {newest}", "open it with a newer clew")
        if here < newest:
            with closing_locks(path.parent) as locks, turn(locks, "core"):
                _forward(conn, path)


def _sound(path: Path) -> sqlite3.Connection:
    try:
        return connect(path)
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_NOTADB:
            raise
        raise Damaged(f"{path} is no database", "restore the case from its archive") from error
    except UnicodeDecodeError as error:  # what SQLite says of a damaged schema quotes it
        raise Damaged(f"the schema of {path} is damaged", "restore the case from its archive") from error


def _forward(conn: sqlite3.Connection, path: Path) -> None:
    here = version(conn)  # again, now that it is our turn: somebody else may have done it
    if here < migrations()[-1][0]:
        snapshot = path.with_name(f"case.v{here}.db")
        if not snapshot.exists():
            _snapshot(conn, snapshot)
        _apply(conn, here)


def snapshots(folder: Path, before_ns: int) -> list[Path]:
    """Copies of case.db from before it was brought forward, also unfinished ones, that were made before this time."""
    there = [*folder.glob("case.v*.db"), *folder.glob(".partial-case.v*.db")]
    return sorted(path for path in there if path.stat().st_mtime_ns < before_ns)


def _snapshot(conn: sqlite3.Connection, target: Path) -> None:
    """A copy of the database under its name only once it is whole."""
    partial = target.with_name(f".partial-{target.name}")
    partial.unlink(missing_ok=True)
    conn.execute("VACUUM INTO ?", (str(partial),))
    partial.rename(target)


def _apply(conn: sqlite3.Connection, here: int) -> None:
    for number, sql in migrations():
        if number > here:
            conn.executescript(f"BEGIN IMMEDIATE;\n{sql}\nPRAGMA user_version={number};\nCOMMIT;")
