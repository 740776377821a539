"""Compaction: many small shards of a kind become few larger ones, and no reader notices.

The rows stay what they are. One transaction puts the new shard into the list and marks those that it holds as merged;
their files go away afterwards. A reader that took the list before reads again (`shards.query`); the rows of the table
`shards` stay, with path and SHA-256, so that what the Ledger says of them can still be followed.

Sightings are not touched: they are forgotten shard by shard (observe.retention).
"""

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from clew.core import clock, shards
from clew.core.case import Case
from clew.core.errors import Damaged, Held
from clew.core.failpoints import failpoint
from clew.core.files import sha256_of, write_durably
from clew.core.lease import lease

KINDS = ("listings", "contents", "traits")
SMALL = 4 << 20  # bytes of a shard that is worth merging
LARGE = 32 << 20  # bytes at which a merged one is closed; it is built in memory
ENOUGH = 64  # small shards of a kind from which on merging pays
LEASE = ("core", "shards")


@dataclass(frozen=True, slots=True)
class Compacted:
    """What a compaction did."""

    before: int = 0
    after: int = 0


def compact(case: Case, mandate: str | None = None, *, enough: int = ENOUGH) -> Compacted:
    """Merges the small shards of each kind where there are `enough` of them, and takes merged ones' files away.

    Nothing is done while another process compacts or archives. Raises Damaged where a shard is not as it was written.
    """
    try:
        with lease(case, *LEASE):
            _remove(case)
            before = after = 0
            for kind in KINDS:
                small = _small(case, kind)
                for group in _groups(small) if len(small) >= max(enough, 2) else ():
                    _merge(case, kind, group, mandate)
                    before, after = before + len(group), after + 1
            _remove(case)
    except Held:
        return Compacted()
    return Compacted(before, after)


@dataclass(frozen=True, slots=True)
class _Shard:
    id: int
    stage: str
    path: str
    rows: int
    size: int
    sha256: bytes


def _small(case: Case, kind: str) -> list[_Shard]:
    sql = """SELECT s.id, r.stage, s.path, s.rows, s.bytes, s.sha256 FROM shards s JOIN receipts r ON r.id = s.receipt
             WHERE s.kind=? AND s.merged_into IS NULL AND s.bytes < ? ORDER BY s.id"""
    return [_Shard(*row) for row in case.read().execute(sql, (kind, SMALL))]


def _groups(small: list[_Shard]) -> Iterator[list[_Shard]]:
    """Neighbours, as many as make one large shard; a last one alone stays as it is."""
    group: list[_Shard] = []
    for shard in small:
        group.append(shard)
        if sum(each.size for each in group) >= LARGE:
            yield group
            group = []
    if len(group) > 1:
        yield group


def _merge(case: Case, kind: str, group: list[_Shard], mandate: str | None) -> None:
    failpoint("compact.before")
    data, rows = _rewritten(case, kind, group)
    sha256 = hashlib.sha256(data).digest()
    path = f"shards/{kind}/{sha256.hex()}.parquet"
    write_durably(case.folder / path, data, "shards.write")
    failpoint("compact.written")
    ids = [each.id for each in group]
    batch = hashlib.sha256(b"".join(each.sha256 for each in group)).hexdigest()[:32]
    with case.write("core") as tx, tx.gate.core():
        values = (group[0].stage, batch, "compacted", kind, clock.now().utc_ns)
        receipt = tx.execute("INSERT INTO receipts (stage, batch, versions, config, at_ns) VALUES (?,?,?,?,?)", values)
        sql = "INSERT INTO shards (receipt, kind, path, rows, bytes, sha256) VALUES (?,?,?,?,?,?)"
        made = tx.execute(sql, (receipt.lastrowid, kind, path, rows, len(data), sha256)).lastrowid
        marked = 0
        for old in ids:  # what was merged into one of these points to the newest too: one step leads to the rows
            swap = "UPDATE shards SET merged_into=? WHERE id=? AND merged_into IS NULL"
            marked += tx.execute(swap, (made, old)).rowcount
            tx.execute("UPDATE shards SET merged_into=? WHERE merged_into=?", (made, old))
        if marked != len(ids):
            raise Damaged("the list of shards changed while they were merged", "run it again: clew compact CASE")
        failpoint("compact.inside")
        about = {"shard": path, "merged": [[each.path, each.sha256.hex()] for each in group]}
        tx.record("shards.compacted", subject=about, counts={"shards": len(ids), "rows": rows}, mandate=mandate)
    failpoint("compact.after")


def _rewritten(case: Case, kind: str, group: list[_Shard]) -> tuple[bytes, int]:
    """One Parquet file with the rows of all, a row group for each, so that a reader finds one batch without the rest.

    Raises Damaged.
    """
    buffer, rows = io.BytesIO(), 0
    with pq.ParquetWriter(buffer, shards.SCHEMAS[kind], compression=shards.COMPRESSION) as writer:
        for each in group:
            file = case.folder / each.path
            if not file.is_file() or sha256_of(file) != each.sha256:
                raise Damaged(f"the shard {each.path} is gone or altered", "restore the case from its archive")
            table = pq.read_table(file).select(shards.SCHEMAS[kind].names).cast(shards.SCHEMAS[kind])
            writer.write_table(table, row_group_size=max(1, table.num_rows))
            rows += table.num_rows
    if rows != sum(each.rows for each in group):
        raise Damaged(f"{len(group)} shards of {kind} hold {rows} rows, not as many as their receipts say")
    return buffer.getvalue(), rows


def _remove(case: Case) -> None:
    """Takes the files of merged shards away; what a killed run left of them goes now."""
    gone = [row["path"] for row in case.read().execute("SELECT path FROM shards WHERE merged_into IS NOT NULL")]
    for path in gone:
        Path(case.folder / path).unlink(missing_ok=True)
    failpoint("compact.removed")
