"""A case with a Mandate for intake of anything, or for what a test says instead."""

from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from clew.core import mandate
from clew.core.case import Case
from clew.core.keys import public_hex


def new_case(folder: Path, **scope: Any) -> Case:
    """A new case, open; `scope` replaces fields of its one Mandate."""
    key = Ed25519PrivateKey.generate()
    case = Case.create(folder, operation="Test", force="AT", authority=public_hex(key), actor="wren")
    body = {
        **{name: [] for name in ("networks", "addresses", "countries", "trackers", "permits")},
        "id": "M-1", "operation": "Test", "authority": "court", "purposes": ["intake"], "exhibits": ["*"],
        "not_before": "2020-01-01T00:00:00Z", "not_after": "2060-01-01T00:00:00Z",
    }  # fmt: skip
    mandate.add(case, mandate.sign_document("mandate", body | scope, key))
    return case


def empty_case(folder: Path) -> Path:
    """The same, closed, to be copied."""
    new_case(folder).close()
    return folder
