"""Codes of forces, what a key, a checkpoint's signer and a Bundle's file can be called by; and of their countries."""

from dataclasses import replace
from pathlib import Path

import pytest

from clew.core import forces
from clew.core.case import Case
from clew.core.errors import Usage
from clew.model import Force

FORCE = Force("AT", "Force AT", "AT", None, None, None)
ODD = (
    "",
    "AT BK",
    "AT/BK",
    "../AT",
    ".AT",
    "-AT",
    "AT+BK",
    "AT\n",
    "\N{LATIN CAPITAL LETTER A WITH DIAERESIS}T",
    "A" * 65,
)


@pytest.mark.parametrize("code", ODD)
def test_what_nothing_can_be_named_by_is_no_code(case: Case, tmp_path: Path, code: str) -> None:
    with pytest.raises(Usage, match="cannot be a force's code"):
        Case.create(tmp_path / "another", operation="Op", force=code, authority="0" * 64, actor="tester")
    assert not (tmp_path / "another").exists()
    with pytest.raises(Usage, match="cannot be a force's code") as refused:
        forces.add(case, replace(FORCE, code=code))
    assert forces.all_of(case) == []
    assert "a letter or digit first" in refused.value.hint


@pytest.mark.parametrize("code", ["AT", "DE-BY", "es_pn.2", "A" * 64])
def test_letters_digits_dot_dash_and_underscore_are_one(case: Case, code: str) -> None:
    forces.add(case, replace(FORCE, code=code))
    assert forces.get(case, code).code == code


def test_the_key_of_a_force_that_an_earlier_version_took_can_still_be_replaced(case: Case) -> None:
    with case.write("core") as tx, tx.gate.core():
        tx.execute("INSERT INTO forces VALUES ('AT BK', 'Force', 'AT', NULL, 'age1old', NULL)")
    forces.add(case, replace(FORCE, code="AT BK", age_recipient="age1new"))
    assert forces.get(case, "AT BK").age_recipient == "age1new"


@pytest.mark.parametrize("country", ["", "at", "AUT", "A1", "AT\n", "*", "\N{LATIN CAPITAL LETTER A WITH DIAERESIS}T"])
def test_a_force_is_of_a_country_by_its_code(case: Case, country: str) -> None:
    with pytest.raises(Usage, match="is no country code") as refused:
        forces.add(case, replace(FORCE, country=country))
    assert refused.value.hint == "use ISO 3166-1 alpha-2, two capital letters, e.g. AT"
    assert forces.all_of(case) == []
