"""A stage writes its own tables alone: SQLite refuses the rest."""

import pytest

from clew import flow
from clew.core.case import Case
from clew.core.errors import Refused

OWNERS = {table: stage.name for stage in flow.FLOW for table in stage.tables}
OWNERS |= dict.fromkeys(flow.CORE_TABLES, "core")


@pytest.mark.parametrize("stage", [s.name for s in flow.FLOW])
def test_every_foreign_table_is_refused(case: Case, stage: str) -> None:
    for table, owner in OWNERS.items():
        statement = f"DELETE FROM {table} WHERE 0"
        if owner == stage:
            with case.write(stage) as tx:
                tx.execute(statement)
        else:
            with pytest.raises(Refused, match=table), case.write(stage) as tx:
                tx.execute(statement)


def test_core_tables_are_refused_outside_their_owner_also_to_core(case: Case) -> None:
    with pytest.raises(Refused, match="ledger"), case.write("core") as tx:
        tx.execute("DELETE FROM ledger")


def test_no_stage_changes_the_schema_or_attaches(case: Case) -> None:
    for statement in (
        "DROP TABLE ledger",
        "CREATE TABLE mine (x)",
        "ATTACH ':memory:' AS other",
        "PRAGMA user_version=9",
    ):
        with pytest.raises(Refused), case.write("intake") as tx:
            tx.execute(statement)


def test_a_reader_cannot_write(case: Case) -> None:
    with pytest.raises(Exception, match="readonly"):
        case.read().execute("DELETE FROM items")


def test_what_is_refused_leaves_nothing_behind(case: Case) -> None:
    before = case.read().execute("SELECT count(*) FROM ledger").fetchone()[0]

    def act() -> None:
        with case.write("intake") as tx:
            tx.record("something.done")
            tx.execute("DELETE FROM grades")

    with pytest.raises(Refused):
        act()
    assert case.read().execute("SELECT count(*) FROM ledger").fetchone()[0] == before
