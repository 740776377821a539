"""Shards: bulk facts as immutable Parquet files, made true by a receipt.

`write` puts a file there; only `commit`, in the transaction that also sets the final states, makes it part of the case.
A file without a receipt is garbage that no reader sees. Readers take the list from case.db and never from the folder.
"""

import contextlib
import functools
import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from clew.core import clock
from clew.core.case import Case, Transaction
from clew.core.errors import Damaged
from clew.core.files import write_durably

if TYPE_CHECKING:
    import duckdb

COMPRESSION = "zstd"
BRIEF = "brief "  # with which the batch of a shard begins that is forgotten in time (observe.retention)
ROWS = 10_000  # that `take` holds at once
READS = 5  # tries of one query beside a compaction

T = TypeVar("T")
Parameters = Sequence[Any] | dict[str, Any]


def _schema(required: dict[str, pa.DataType], optional: dict[str, pa.DataType]) -> pa.Schema:
    fields = [pa.field(name, kind, nullable=False) for name, kind in required.items()]
    return pa.schema(fields + [pa.field(name, kind) for name, kind in optional.items()])


_TEXT, _BYTES, _INT, _REAL = pa.string(), pa.binary(), pa.int64(), pa.float64()
_SQL_TYPES = {_TEXT: "VARCHAR", _BYTES: "BLOB", _INT: "BIGINT", _REAL: "DOUBLE", pa.bool_(): "BOOLEAN"}

SCHEMAS: dict[str, pa.Schema] = {
    "listings": _schema(
        dict.fromkeys(("item", "exhibit", "batch", "ref"), _TEXT)
        | {"path": _BYTES, "size": _INT, "name_state": _TEXT, "content_state": _TEXT},
        {"parent": _TEXT, "found_by": _TEXT}
        | dict.fromkeys(("modified_ns", "accessed_ns", "changed_ns", "born_ns"), _INT)
        | {"runs": _TEXT, "times_source": _TEXT},
    ),
    "contents": _schema(
        {"item": _TEXT, "exhibit": _TEXT, "sha256": _BYTES, "sha1": _BYTES, "md5": _BYTES, "size": _INT},
        {"media_type": _TEXT, "content_state": _TEXT, "ed2k": _BYTES},
    ),
    "traits": _schema(
        {"content": _BYTES, "name": _TEXT},
        {"text": _TEXT, "number": _REAL, "integer": _INT, "data": _BYTES, "missing": _TEXT, "detail": _TEXT}
        | dict.fromkeys(("extractor", "version", "mode"), _TEXT),
    ),
    "sightings": _schema(
        dict.fromkeys(("id", "kind", "watch", "tier", "claim", "source", "address"), _TEXT)
        | {"port": _INT, "transport": _TEXT, "local_address": _TEXT, "local_port": _INT}
        | dict.fromkeys(("started_ns", "ended_ns", "monotonic_ns"), _INT),
        {"clock_offset_ns": _INT, "clock_error_ns": _INT, "infohash_sent": _BYTES, "infohash_echoed": _BYTES}
        | {"peer_id": _BYTES, "reserved": _BYTES, "client": _TEXT, "listen_port": _INT, "pieces_claimed": _INT}
        | {"inner_claimed": _INT, "pieces_total": _INT, "repeats": _TEXT, "promiscuous": pa.bool_(), "missing": _TEXT}
        | {
            "missing_detail": _TEXT,
            "transcript": _BYTES,
            "tool": _TEXT,
            "config": _TEXT,
            "mandate": _TEXT,
            "vantage": _TEXT,
            "run": _TEXT,
            "sequence": _INT,
        },
    ),
}


@dataclass(frozen=True, slots=True)
class Pending:
    """A shard that is written, but not yet part of the case. `path` is relative to the case folder."""

    kind: str
    path: str
    rows: int
    size: int
    sha256: bytes


def write(case: Case, kind: str, rows: Sequence[dict[str, Any]] | pa.Table) -> Pending:
    """Writes one shard of `kind`, named by its own SHA-256; the same rows always make the same file."""
    schema = SCHEMAS[kind]
    # No cast of what has its schema already: even that loads all that Arrow computes with, 9 MB of an observer's.
    table = rows.cast(schema) if isinstance(rows, pa.Table) else pa.Table.from_pylist(list(rows), schema=schema)
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression=COMPRESSION, write_statistics=True)
    data = buffer.getvalue()
    sha256 = hashlib.sha256(data).digest()
    path = f"shards/{kind}/{sha256.hex()}.parquet"
    write_durably(case.folder / path, data, "shards.write")
    return Pending(kind, path, table.num_rows, len(data), sha256)


def give_back() -> None:
    """What writing shards took, and needs no more, goes back to the system: for who writes again and again for days.

    With the system's pool (`core.long_run`) this is malloc_trim(3): what Python took and left too.
    """
    pa.default_memory_pool().release_unused()


def commit(tx: Transaction, *, stage: str, batch: str, versions: str, config: str, pending: Sequence[Pending]) -> None:
    """Makes the shards part of the case, within the caller's transaction, under one receipt.

    Raises sqlite3.IntegrityError where this (stage, batch, versions, config) has its receipt already.
    """
    with tx.gate.core():
        row = (stage, batch, versions, config, clock.now().utc_ns)
        cursor = tx.execute("INSERT INTO receipts (stage, batch, versions, config, at_ns) VALUES (?,?,?,?,?)", row)
        for each in pending:
            held = tx.execute("SELECT 1 FROM shards WHERE path=?", (each.path,)).fetchone()
            if held is None:
                values = (cursor.lastrowid, each.kind, each.path, each.rows, each.size, each.sha256)
                tx.execute("INSERT INTO shards (receipt, kind, path, rows, bytes, sha256) VALUES (?,?,?,?,?,?)", values)


def done(case: Case, *, stage: str, batch: str, versions: str, config: str) -> bool:
    """Whether this batch has its receipt."""
    sql = "SELECT 1 FROM receipts WHERE stage=? AND batch=? AND versions=? AND config=?"
    return case.read().execute(sql, (stage, batch, versions, config)).fetchone() is not None


def rows_of(case: Case, kind: str, *, stage: str, batch: str, config: str) -> list[dict[str, Any]]:
    """The rows of one batch, of a kind that has a column `batch`, read from no other shard than the one they lie in."""
    sql = """SELECT coalesce(m.path, s.path) AS path FROM receipts r JOIN shards s ON s.receipt = r.id
             LEFT JOIN shards m ON m.id = s.merged_into
             WHERE r.stage=? AND r.batch=? AND r.config=? AND s.kind=?"""

    def read() -> list[dict[str, Any]]:
        paths = [row["path"] for row in case.read().execute(sql, (stage, batch, config, kind))]
        wanted = [("batch", "=", batch)]
        return [row for path in paths for row in pq.read_table(case.folder / path, filters=wanted).to_pylist()]

    return _again(read, FileNotFoundError)


def query(case: Case, sql: str, parameters: Parameters = ()) -> pa.Table:
    """Runs SQL over one view per kind of shard, exactly the receipted files of this moment.

    Raises Damaged where a receipted shard is gone or cut.
    """
    return _asked(case, sql, lambda connection: connection.sql(sql, params=parameters).to_arrow_table())


def take(case: Case, sql: str, make: Callable[[Iterator[tuple[Any, ...]]], T], parameters: Parameters = ()) -> T:
    """What `make` makes of the rows of such a query, which are never in memory all at once.

    It is called anew, with every row again, where a file went away meanwhile. Raises as `query`.
    """
    return _asked(case, sql, lambda connection: make(_rows(connection.execute(sql, parameters))))


def _rows(found: "duckdb.DuckDBPyConnection") -> Iterator[tuple[Any, ...]]:
    while rows := found.fetchmany(ROWS):
        yield from rows


def _asked(case: Case, sql: str, ask: "Callable[[duckdb.DuckDBPyConnection], T]") -> T:
    import duckdb  # here, since who only writes shards does without its memory

    try:
        return _again(lambda: _query(case, sql, ask), Damaged, duckdb.IOException)
    except (duckdb.FatalException, duckdb.InternalException):
        _engine.cache_clear()  # none that met such an error answers again
        raise


def newest(where: str, *about: str) -> str:
    """SQL in brackets: of the rows of "traits" for which `where` holds, what the newest version said that its Extractor
    said any of in its mode: of a Content, or of what the expressions `about` tell apart in it. Versions count by their
    first number.
    """
    version = r"coalesce(try_cast(regexp_extract(version, '\d+') AS BIGINT), -1)"
    apart = ", ".join(("content", "extractor", "mode", *about))
    same = f"{version} = max({version}) OVER (PARTITION BY {apart})"
    return f"(SELECT * FROM traits WHERE {where} QUALIFY {same})"  # noqa: S608 - our own words


def _again(read: Callable[[], T], *gone: type[Exception]) -> T:
    """Reads anew where a file went away meanwhile: its rows were merged into another one. Each merging may meet it."""
    for _ in range(READS - 1):
        with contextlib.suppress(*gone):
            return read()
    return read()


def _size(path: Path) -> int:
    """Bytes of a file; -1 where there is none. One look: it may go away between two."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return -1


def _query(case: Case, sql: str, ask: "Callable[[duckdb.DuckDBPyConnection], T]") -> T:
    files: dict[str, list[str]] = {kind: [] for kind in SCHEMAS if kind in sql.lower()}
    for row in case.read().execute("SELECT kind, path, bytes FROM shards WHERE merged_into IS NULL ORDER BY id"):
        if row["kind"] not in files:
            continue
        path = case.folder / row["path"]
        if _size(path) != row["bytes"]:
            raise Damaged(
                f"the shard {row['path']} is gone or cut", "restore the case from its archive; see: clew verify CASE"
            )
        files[row["kind"]].append(str(path))
    with _engine().cursor() as connection:  # of its own, and so are the views that it makes
        for kind, paths in files.items():
            view = f"CREATE TEMP VIEW {kind} AS SELECT * FROM no_{kind}"  # noqa: S608 - our own names
            if paths:  # those of an earlier version may lack a column that is there now
                listed = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
                view += f" UNION ALL BY NAME SELECT * FROM read_parquet([{listed}], union_by_name=true)"  # noqa: S608
            connection.execute(view)
        return ask(connection)


@functools.cache
def _engine() -> "duckdb.DuckDBPyConnection":
    """What all queries of one process run in: to make it takes ten times as long as a small query does."""
    import duckdb

    engine = duckdb.connect(":memory:", config={"threads": 2})
    engine.execute("SET enable_external_file_cache=false")  # a shard is read as it is on the disk now
    for kind, schema in SCHEMAS.items():
        # Not an Arrow table that is registered: duckdb would import pandas, where it is installed, to look at it.
        columns = ", ".join(f"{field.name} {_SQL_TYPES[field.type]}" for field in schema)
        engine.execute(f"CREATE TABLE no_{kind} ({columns})")
    return engine
