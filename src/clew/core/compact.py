"""Compaction: many small shards of a kind become few larger ones, and no reader notices.

The rows stay what they are. One transaction puts the new shard into the list and marks those that it holds as merged;
their files go away afterwards. A reader that took the list before reads again (`shards.query`); the rows of the table
`shards` stay, with path and SHA-256, so that what the Ledger says of them can still be followed.

What is forgotten in time is forgotten shard by shard, by its receipt's date: it is merged with its like of the same
hour alone, and its receipt is dated as the newest of them. It may be forgotten while it is merged.
"""

import hashlib
import io
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import pyarrow as pa
import pyarrow.parquet as pq

from clew.core import shards
from clew.core.case import Case
from clew.core.errors import Damaged, Held
from clew.core.failpoints import failpoint
from clew.core.files import write_durably
from clew.core.lease import lease

OF_EXHIBITS, SIGHTINGS = ("listings", "contents", "traits"), ("sightings",)
SMALL = 4 << 20  # bytes of a shard that is worth merging
LARGE = 32 << 20  # bytes at which a merged one is closed; it is built in memory
ENOUGH = 64  # small shards of a kind from which on merging pays
HOUR_NS = 3_600_000_000_000
TOGETHER, ROW_GROUP = 64, 1 << 20  # shards, or bytes of their rows, that become one row group: each costs 50 KB to hold
LEASE = ("core", "shards")


@dataclass(frozen=True, slots=True)
class Compacted:
    """What a compaction did."""

    before: int = 0
    after: int = 0


def compact(
    case: Case,
    mandate: str | None = None,
    *,
    kinds: Sequence[str] = OF_EXHIBITS + SIGHTINGS,
    enough: int = ENOUGH,
    rows: int = sys.maxsize,
) -> Compacted:
    """Merges the small shards of each kind where there are `enough` of them, and takes merged ones' files away.

    A merged one is closed at LARGE bytes, or at so many `rows`; a shard of as many is not small.

    Nothing is done while another process compacts or archives. Raises Damaged where a shard is not as it was written.
    """
    try:
        with lease(case, *LEASE):
            _remove(case, kinds)
            before = after = 0
            for kind in kinds:
                groups = list(_groups(_small(case, kind, rows), rows))
                for group in groups if sum(map(len, groups)) >= enough else ():
                    if _merge(case, kind, group, mandate):
                        before, after = before + len(group), after + 1
            _remove(case, kinds)
    except Held:
        return Compacted()
    return Compacted(before, after)


@dataclass(frozen=True, slots=True)
class _Shard:
    id: int
    stage: str
    batch: str
    at_ns: int
    path: str
    rows: int
    size: int
    sha256: bytes

    @property
    def hour(self) -> int | None:
        """In which it was kept, where it is forgotten in time."""
        return self.at_ns // HOUR_NS if self.batch.startswith(shards.BRIEF) else None


def _small(case: Case, kind: str, rows: int) -> list[_Shard]:
    sql = """SELECT s.id, r.stage, r.batch, r.at_ns, s.path, s.rows, s.bytes, s.sha256
             FROM shards s JOIN receipts r ON r.id = s.receipt
             WHERE s.kind=? AND s.merged_into IS NULL AND s.bytes < ? AND s.rows < ? ORDER BY s.id"""
    return [_Shard(*row) for row in case.read().execute(sql, (kind, SMALL, rows))]


def _groups(small: list[_Shard], rows: int) -> Iterator[list[_Shard]]:
    """Neighbours of one `hour`, as many as make one large shard; a last one alone stays as it is."""
    for _, some in groupby(sorted(small, key=lambda each: each.hour or 0), key=lambda each: each.hour):
        group: list[_Shard] = []
        size = held = 0
        for shard in some:
            group.append(shard)
            size, held = size + shard.size, held + shard.rows
            if (size >= LARGE or held >= rows) and len(group) > 1:
                yield group
                group, size, held = [], 0, 0
        if len(group) > 1:
            yield group


def _merge(case: Case, kind: str, group: list[_Shard], mandate: str | None) -> bool:
    """False where some of them were forgotten meanwhile: the others stay as they are, until they are merged again."""
    failpoint("compact.before")
    try:
        data, rows = _rewritten(case, kind, group)
    except Damaged:
        if _there(case.read(), group):
            raise
        return False
    sha256 = hashlib.sha256(data).digest()
    path = f"shards/{kind}/{sha256.hex()}.parquet"
    write_durably(case.folder / path, data, "shards.write")
    failpoint("compact.written")
    with case.write("core") as tx, tx.gate.core():
        if there := _there(tx.conn, group):
            receipt = tx.execute(
                "INSERT INTO receipts (stage, batch, versions, config, at_ns) VALUES (?,?,?,?,?)", _receipt(kind, group)
            ).lastrowid
            sql = "INSERT INTO shards (receipt, kind, path, rows, bytes, sha256) VALUES (?,?,?,?,?,?)"
            made = tx.execute(sql, (receipt, kind, path, rows, len(data), sha256)).lastrowid
            for old in group:  # what was merged into one of these points to the newest too: one step leads to the rows
                tx.execute("UPDATE shards SET merged_into=? WHERE id=?", (made, old.id))
                tx.execute("UPDATE shards SET merged_into=? WHERE merged_into=?", (made, old.id))
            failpoint("compact.inside")
            about = {"shard": path, "merged": [[each.path, each.sha256.hex()] for each in group]}
            tx.record("shards.compacted", subject=about, counts={"shards": len(group), "rows": rows}, mandate=mandate)
    failpoint("compact.after")
    shards.give_back()  # or a run of days would keep the most that one merging took
    if not there:
        (case.folder / path).unlink()
    return there


def _receipt(kind: str, group: list[_Shard]) -> tuple[str, str, str, str, int]:
    """That of the merged shard: stage, batch, versions, config and date. What was to be forgotten in time still is."""
    batch = hashlib.sha256(b"".join(each.sha256 for each in group)).hexdigest()[:32]
    brief = shards.BRIEF if group[0].hour is not None else ""
    return group[0].stage, brief + batch, "compacted", kind, max(each.at_ns for each in group)


def _there(conn: sqlite3.Connection, group: list[_Shard]) -> bool:
    """Whether all of them are in the list. An id alone may be that of another one by now."""
    sql = "SELECT 1 FROM shards WHERE id=? AND path=? AND merged_into IS NULL"
    return all(conn.execute(sql, (each.id, each.path)).fetchone() for each in group)


def _rewritten(case: Case, kind: str, group: list[_Shard]) -> tuple[bytes, int]:
    """One Parquet file with the rows of all. Raises Damaged."""
    buffer, rows = io.BytesIO(), 0
    with pq.ParquetWriter(buffer, shards.SCHEMAS[kind], compression=shards.COMPRESSION) as writer:
        for table in _row_groups(case, kind, group):
            writer.write_table(table, row_group_size=max(1, table.num_rows))
            rows += table.num_rows
    if rows != sum(each.rows for each in group):
        raise Damaged(f"{len(group)} shards of {kind} hold {rows} rows, not as many as their receipts say")
    return buffer.getvalue(), rows


def _row_groups(case: Case, kind: str, group: list[_Shard]) -> Iterator[pa.Table]:
    """The rows of all in their order. Where a reader asks for one batch (`shards.rows_of`), each shard is one."""
    apart = "batch" in shards.SCHEMAS[kind].names
    held: list[pa.Table] = []
    size = 0
    for each in group:
        held.append(_table(case, kind, each))
        size += held[-1].nbytes
        if apart or len(held) == TOGETHER or size >= ROW_GROUP:
            yield pa.concat_tables(held)
            held, size = [], 0
    if held:
        yield pa.concat_tables(held)


def _table(case: Case, kind: str, shard: _Shard) -> pa.Table:
    """The rows of one shard; one of an earlier version may lack a column that is there now. Raises Damaged."""
    schema = shards.SCHEMAS[kind]
    try:
        data = (case.folder / shard.path).read_bytes()
    except FileNotFoundError:
        data = b""
    if hashlib.sha256(data).digest() != shard.sha256:
        raise Damaged(f"the shard {shard.path} is gone or altered", "restore the case from its archive")
    # Not `read_table`: it loads all that Arrow reads folders with, 60 MB of an observer's. Nor by several threads.
    table = pq.ParquetFile(pa.BufferReader(data), pre_buffer=False).read(use_threads=False)
    if table.schema.equals(schema):
        return table
    for field in schema:
        if field.name not in table.column_names:
            table = table.append_column(field, pa.nulls(table.num_rows, field.type))
    return table.select(schema.names).cast(schema)


def _remove(case: Case, kinds: Sequence[str]) -> None:
    """Takes the files of merged shards away; what a killed run left of them goes now."""
    merged = "SELECT 1 FROM shards WHERE path=? AND merged_into IS NOT NULL"
    for kind in kinds:
        for path in (case.folder / "shards" / kind).glob("*.parquet"):
            if case.read().execute(merged, (f"shards/{kind}/{path.name}",)).fetchone():
                path.unlink(missing_ok=True)
    failpoint("compact.removed")
