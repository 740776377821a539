"""Files of real clients, where CLEW_CORPUS names a folder that has some."""

import os
from pathlib import Path

CORPUS = Path(os.environ.get("CLEW_CORPUS", "/nonexistent"))
P2P = CORPUS / "generated/p2p"


def real(pattern: str) -> list[Path]:
    """Files of real clients; the test that wants them is marked, and fails where there are none."""
    found = sorted(P2P.rglob(pattern)) if P2P.is_dir() else []
    return found or [Path(f"no {pattern}")]
