"""What the tests of the ground share: a fresh case with an authority of its own."""

from pathlib import Path

import pytest
from case_for_tests import MANDATE

from clew.core import keys, mandate
from clew.core.case import Case


@pytest.fixture
def key_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CLEW_KEYS", str(tmp_path / "keys"))
    keys.new_signing_key("authority")
    keys.new_age_identity("authority")
    return tmp_path / "keys"


@pytest.fixture
def case(tmp_path: Path, key_folder: Path) -> Case:
    made = Case.create(
        tmp_path / "case", operation="Test", force="AT", authority=keys.read_public("authority"), actor="tester"
    )
    mandate.add(made, mandate.sign_document("mandate", MANDATE, keys.signing_key("authority")))
    return made
