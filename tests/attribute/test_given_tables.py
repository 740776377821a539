"""The tables that an operator gives: whatever bytes they have, they are read, or refused as what they are."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.attribute import ask_by, priority
from clew.core.errors import Damaged, Usage

LONG = "x" * 131_073  # what the csv module takes of a field, and one
TABLES: dict[str, Callable[[Path], Any]] = {
    "country,days,source,dated": lambda path: ask_by.of_country(path, "AT"),
    "scheme,category,weight": priority.weights_of,
}
each_table = pytest.mark.parametrize("columns", TABLES)
_fields = st.sampled_from(
    ["AT", "90", "0", "-1", "1e999", "nan", "9" * 5_000, "2026-11-01", "", '"', "\0", "\x85", "x,", "LONG"]
)
_rows = st.lists(st.lists(_fields, max_size=6).map(",".join), max_size=4)


@each_table
def test_a_field_that_is_too_long_is_refused_as_damage(columns, tmp_path):
    table = tmp_path / "table.csv"
    for text in (f"{columns}\n{LONG}\n", LONG):
        table.write_text(text)
        with pytest.raises(Damaged, match="cannot be read as CSV: field larger than"):
            TABLES[columns](table)


@each_table
def test_what_is_wrong_is_in_the_line_that_is_named(columns, tmp_path):
    """Lines without anything in them are no rows, and are counted."""
    table = tmp_path / "table.csv"
    table.write_text(f"{columns}\n\n\nwrong\n")
    with pytest.raises(Damaged, match="line 4"):
        TABLES[columns](table)


@each_table
@given(data=st.data())
def test_any_bytes_are_read_or_refused(columns, data, tmp_path_factory):
    bytes_ = data.draw(
        st.binary(max_size=300) | _rows.map(lambda rows: "\n".join([columns, *rows]).replace("LONG", LONG).encode())
    )
    table = tmp_path_factory.mktemp("table") / "table.csv"
    table.write_bytes(bytes_)
    with suppress(Damaged):
        TABLES[columns](table)


@each_table
def test_a_table_that_is_not_there_or_is_none_is_said(columns, tmp_path):
    with pytest.raises(Usage, match="there is no"):
        TABLES[columns](tmp_path / "table.csv")
    with pytest.raises(Damaged, match="cannot be read as CSV"):
        TABLES[columns](tmp_path)
