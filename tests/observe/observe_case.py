"""What a case for the observer's tests is made of."""

import hashlib
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from observe_stage import INNER, PIECES

from clew.core import keys, mandate, watch
from clew.core.case import Case
from clew.observe.policy import Policy

PIECE_LENGTH = 1 << 15
MANDATE = {
    "id": "0" * 32,
    "operation": "Test",
    "authority": "Prosecutor of Testing",
    "purposes": ["observe"],
    "networks": ["bittorrent"],
    "addresses": ["127.0.0.0/8"],
    "countries": ["*"],
    "trackers": ["*"],
    "exhibits": ["*"],
    "permits": ["started_announce"],
    "not_before": "2020-01-01T00:00:00Z",
    "not_after": "2100-01-01T00:00:00Z",
}
FAST = Policy(revisit=0.6, answer=1.0, hold=2.5, announce=0.5, per_second=500, transports=("tcp",))


def watch_body(number: int = 1, **other: Any) -> dict[str, Any]:
    body = {
        "id": f"{number:032x}",
        "label": f"W-{number}",
        "infohash_v1": hashlib.sha1(b"watch %d" % number).hexdigest(),
        "infohash_v2": None,
        "piece_length": PIECE_LENGTH,
        "pieces": PIECES,
        "file_offset": INNER.start * PIECE_LENGTH - 7,
        "file_length": len(INNER) * PIECE_LENGTH + 14,
        "scheme": "Test",
        "category": "1",
        "graded_by": "tester",
        "graded": "2026-01-01T00:00:00Z",
        "mandate": MANDATE["id"],
    }
    return body | other


def new_case(folder: Path, authority: Ed25519PrivateKey, *bodies: dict[str, Any], **other: Any) -> Case:
    """A case with a Mandate (fields replaced by `other`) and the given Watches, or one."""
    made = Case.create(folder, operation="Test", force="AT", authority=keys.public_hex(authority), actor="tester")
    mandate.add(made, mandate.sign_document("mandate", MANDATE | other, authority))
    for body in bodies or (watch_body(),):
        watch.add(made, mandate.sign_document("watch", body, authority))
    return made


def ends_when(over: Callable[[], bool]) -> Callable[[dict[str, object]], None]:
    """For `progress` of a run: ends it, as a person would, once that is so; asked about once a second."""

    def look(_: dict[str, object]) -> None:
        if over():
            os.kill(os.getpid(), signal.SIGINT)

    return look


def gaps_of(case: Case) -> list[tuple[int, int, str]]:
    """Every gap of the case as it is kept: from, to and why."""
    sql = "SELECT from_ns, to_ns, why FROM observe_gaps ORDER BY from_ns, to_ns, why"
    return list(map(tuple, case.read().execute(sql)))
