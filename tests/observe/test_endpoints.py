"""The queue's table: a row is changed in place, and never becomes another's."""

import sqlite3
from dataclasses import astuple, replace

import pytest

from clew.core.case import Case
from clew.observe.endpoints import COLUMNS, INSERT, Endpoint, of_row, row

ONE = Endpoint(7, "W1", "127.20.0.1", 6881, 10, 10, "http://127.1.0.1/announce", twin=1, next_ns=5)
CHANGED = replace(
    ONE, last_listed_ns=20, contacts=3, claims=2, first_claim_ns=11, first_claim="a" * 32, first_level="watched file",
    first_client="-TR3000-", control="clean", tier="E2", next_ns=None, failures=1, last_failure="refused: x",
    transport="mse-rc4/tcp", tried="tcp", first_carrier="tcp", first_twin=0,
    further="pex://127.20.0.9:6881",
)  # fmt: skip


def save(case: Case, *endpoints: Endpoint) -> None:
    with case.write("observe") as tx:
        tx.executemany(INSERT, [row(each) for each in endpoints])


def held(case: Case) -> list[Endpoint]:
    return [of_row(each) for each in case.read().execute(f"SELECT {','.join(COLUMNS)} FROM endpoints ORDER BY id")]


def test_a_row_comes_back_as_it_was_however_often_it_is_kept(case: Case) -> None:
    save(case, ONE)
    assert held(case) == [ONE]
    save(case, CHANGED, replace(ONE, id=8, port=6882))
    assert held(case) == [CHANGED, replace(ONE, id=8, port=6882)]
    save(case, ONE)
    assert held(case) == [ONE, replace(ONE, id=8, port=6882)]


def test_all_that_changes_is_told_apart_above() -> None:
    """Else a column that is added would be left as it was first written, unnoticed."""
    lasting = {"id", "watch", "address", "port", "first_listed_ns", "source", "twin"}
    differ = {name for name, a, b in zip(COLUMNS, astuple(ONE), astuple(CHANGED), strict=True) if a != b}
    assert differ == set(COLUMNS) - lasting


@pytest.mark.parametrize("other", [{"watch": "W2"}, {"address": "127.20.0.2"}, {"port": 6882}])
def test_what_is_known_of_one_is_never_said_of_another(case: Case, other: dict[str, str | int]) -> None:
    save(case, ONE, replace(ONE, id=8, port=1))
    with pytest.raises(sqlite3.IntegrityError):
        save(case, replace(ONE, id=8, port=1, contacts=1), replace(CHANGED, **other))
    assert held(case) == [ONE, replace(ONE, id=8, port=1)], "nothing of that transaction"


def test_who_is_listed_anew_takes_the_place_of_who_was_forgotten(case: Case) -> None:
    save(case, ONE)
    save(case, replace(CHANGED, id=9))
    assert held(case) == [replace(CHANGED, id=9)]
