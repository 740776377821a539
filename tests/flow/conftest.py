"""What the tests that kill an intake begin with."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from clew.core import mandate
from clew.core.case import Case
from clew.core.keys import public_hex


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A case with a Mandate, to be copied."""
    folder = tmp_path_factory.mktemp("cases") / "empty"
    key = Ed25519PrivateKey.generate()
    case = Case.create(folder, operation="Test", force="AT", authority=public_hex(key), actor="wren")
    body = {
        **{name: [] for name in ("networks", "addresses", "countries", "trackers", "permits")},
        "id": "M-1", "operation": "Test", "authority": "court", "purposes": ["intake"], "exhibits": ["*"],
        "not_before": "2020-01-01T00:00:00Z", "not_after": "2060-01-01T00:00:00Z",
    }  # fmt: skip
    mandate.add(case, mandate.sign_document("mandate", body, key))
    case.close()
    return folder
