"""The Case: one operation at one force, one folder.

    CASE/case.toml    under 20 settings          CASE/case.db     truth (core.db)
    CASE/shards/      bulk facts (core.shards)   CASE/blobs/      thumbnails (core.blobs; unknown to this module)
    CASE/hashsets/    compiled HashSets          CASE/received/   one attached store per received Bundle

Private keys never lie in it. A stage knows the Case, never another stage.
"""

import os
import secrets
import sqlite3
import threading
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from clew.core import clock, db, ledger
from clew.core.errors import ClewError, Damaged, Usage
from clew.core.names import check_code
from clew.core.turn import open_locks, turn


def new_id() -> str:
    """32 random hexadecimal digits; tells nothing about what it names."""
    return secrets.token_hex(16)


@dataclass(frozen=True, slots=True)
class Settings:
    """What case.toml holds. `authority` is the raw Ed25519 public key (hex) that Mandates must be signed with."""

    id: str
    operation: str
    force: str
    authority: str
    created: str
    vantage: str = "unnamed vantage point"


class Transaction:
    """One short immediate transaction of one stage; what it records in the ledger commits with it, or not at all."""

    def __init__(self, case: "Case", stage: str, conn: sqlite3.Connection, gate: db.Gate) -> None:
        self.case, self.stage, self.conn, self.gate = case, stage, conn, gate

    def execute(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> sqlite3.Cursor:
        """Runs one statement; Refused where it writes a table of another stage."""
        return self.conn.execute(sql, parameters)

    def executemany(self, sql: str, rows: Iterator[Sequence[Any]] | Sequence[Sequence[Any]]) -> None:
        """Runs one statement for each row."""
        self.conn.executemany(sql, rows)

    def record(
        self,
        action: str,
        *,
        subject: Mapping[str, Any] | None = None,
        counts: Mapping[str, int] | None = None,
        mandate: str | None = None,
    ) -> int:
        """Appends to the Ledger inside this transaction and returns the entry's sequence number.

        `subject` says what it was about (addresses, names, paths, hashes are welcome: only a salted commitment goes
        into the entry, the opening is kept apart and can lawfully be erased). `counts` stand in the entry as they are,
        so they must give nothing away.
        """
        with self.gate.core():
            return ledger.append(
                self.conn,
                actor=self.case.actor,
                stage=self.stage,
                action=action,
                subject=dict(subject or {}),
                counts=dict(counts or {}),
                mandate=mandate,
            )


class Case:
    """An open case. Safe to share between threads: each thread has connections of its own."""

    def __init__(self, folder: Path, settings: Settings, actor: str) -> None:
        self.folder, self.settings, self.actor = folder, settings, actor
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._lock_files: list[int] = []

    @classmethod
    def create(cls, folder: Path, *, operation: str, force: str, authority: str, actor: str) -> "Case":
        """Makes the folder and its first ledger entry. Raises Usage where it is there and not empty, or for a code that
        is none.
        """
        check_code(force)
        if folder.exists() and any(folder.iterdir()):
            raise Usage(f"{folder} is not empty", "name a new folder for the case")
        for name in ("shards", "blobs", "hashsets", "received"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        settings = Settings(new_id(), operation, force, authority, clock.iso(clock.now().utc_ns))
        _write_toml(folder / "case.toml", settings)
        db.create(folder / "case.db")
        case = cls(folder, settings, actor)
        with case.write("core") as tx, tx.gate.core():
            tx.execute("INSERT INTO meta VALUES ('case', ?)", (settings.id,))
            tx.record("case.created", subject={"operation": operation, "force": force, "authority": authority})
        return case

    @classmethod
    def open(cls, folder: Path, *, actor: str = "operator") -> "Case":
        """Opens the case, brought forward to this clew's schema. Raises Usage where there is none."""
        if not (folder / "case.db").is_file():
            raise Usage(f"there is no case in {folder}", "make one with: clew init FOLDER")
        settings = _read_toml(folder / "case.toml")
        db.upgrade(folder / "case.db")
        return cls(folder, settings, actor)

    def read(self) -> sqlite3.Connection:
        """This thread's read-only connection. Rows are sqlite3.Row."""
        conn: sqlite3.Connection | None = getattr(self._local, "reader", None)
        if conn is None:
            conn = self._keep(db.connect(self.folder / "case.db", readonly=True))
            self._local.reader = conn
        return conn

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """What this thread reads of case.db in the block is of one moment, whatever is committed meanwhile.

        For short blocks that ask no shards: files that the list names here may be gone by then.
        """
        conn = self.read()
        if conn.in_transaction:  # in an outer block
            yield
            return
        conn.execute("BEGIN")
        try:
            yield
        finally:
            conn.execute("COMMIT")

    @contextmanager
    def write(self, stage: str) -> Iterator[Transaction]:
        """One short immediate transaction that may write the tables of `stage` and record in the Ledger."""
        writers: dict[str, tuple[sqlite3.Connection, db.Gate]] = self._local.__dict__.setdefault("writers", {})
        if stage not in writers:
            conn, gate = db.guarded(self.folder / "case.db", stage)
            writers[stage] = (self._keep(conn), gate)
        conn, gate = writers[stage]
        with turn(self._locks(), stage), db.immediate(conn, gate):
            yield Transaction(self, stage, conn, gate)

    def close(self) -> None:
        """Closes every connection of every thread."""
        with self._lock:
            for conn in self._opened:
                conn.close()
            self._opened.clear()
            for locks in self._lock_files:
                os.close(locks)
            self._lock_files.clear()
        self._local = threading.local()

    def _locks(self) -> int:
        """This thread's descriptor of the lock file."""
        locks: int | None = getattr(self._local, "locks", None)
        if locks is None:
            locks = self._local.locks = open_locks(self.folder)
            with self._lock:
                self._lock_files.append(locks)
        return locks

    def _keep(self, conn: sqlite3.Connection) -> sqlite3.Connection:
        with self._lock:
            self._opened.append(conn)
        return conn


def _read_toml(path: Path) -> Settings:
    try:
        with path.open("rb") as file:
            return Settings(**tomllib.load(file))
    except (OSError, ValueError, TypeError) as error:
        raise Damaged(f"case.toml cannot be read: {error}", "restore it from the case's archive") from error


def _write_toml(path: Path, settings: Settings) -> None:
    lines = [f"{key} = {_quote(value)}\n" for key, value in asdict(settings).items()]
    path.write_text("".join(lines), "utf-8")


def _quote(value: str) -> str:
    if any(ord(c) < 32 or ord(c) == 127 for c in value):
        raise ClewError(f"a setting holds a control character: {value!r}", "use plain text")
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
