"""A case with a Mandate for everything, and the command that takes an exhibit in."""

import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from clew.core import mandate
from clew.core.case import Case
from clew.core.keys import public_hex

CLEW = [sys.executable, "-c", "from clew.cli.main import main; main()"]


def new_case(folder: Path) -> Path:
    """An empty case."""
    key = Ed25519PrivateKey.generate()
    case = Case.create(folder, operation="Bench", force="AT", authority=public_hex(key), actor="wren")
    body = {
        **{name: [] for name in ("networks", "addresses", "countries", "trackers", "permits")},
        "id": "M-1", "operation": "Bench", "authority": "court", "purposes": ["intake"], "exhibits": ["*"],
        "not_before": "2020-01-01T00:00:00Z", "not_after": "2060-01-01T00:00:00Z",
    }  # fmt: skip
    mandate.add(case, mandate.sign_document("mandate", body, key))
    case.close()
    return folder


def intake(case: Path, exhibit: Path, workers: int = 0) -> list[str]:
    """The command line."""
    return [*CLEW, "intake", str(case), str(exhibit), "--label", "B", "--workers", str(workers), "--json"]
