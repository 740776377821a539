"""Known-good HashSets, as far as intake needs them: the sorted SHA-256 keys of each, checked and open.

Only SHA-256 stops the reading of a content: MD5 and SHA-1 can be forged, so by those it is matched and listed alone.
"""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from clew.core.case import Case
from clew.core.errors import Damaged
from clew.core.files import sha256_of
from clew.core.sorted_keys import set_id
from clew.model import HashSetKind

KEYS = "sha256.keys"


@dataclass(frozen=True, slots=True)
class KnownGood:
    """One known-good set. `descriptor` is its sorted SHA-256 keys, read-only."""

    id: str
    name: str
    descriptor: int


@contextmanager
def known_good(case: Case) -> Iterator[list[KnownGood]]:
    """The known-good sets of the case that hold any SHA-256, open for the length of the block.

    Raises Damaged where one is not as it was compiled, or not of that kind.
    """
    sql = "SELECT id, name, folder FROM hashsets WHERE kind=? ORDER BY id"
    with ExitStack() as stack:
        found = []
        for row in case.read().execute(sql, (HashSetKind.KNOWN_GOOD,)).fetchall():
            path = case.folder / row["folder"] / KEYS
            if _checked(path, row["id"]).stat().st_size:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                stack.callback(os.close, descriptor)
                found.append(KnownGood(row["id"], row["name"], descriptor))
        yield found


def _checked(keys: Path, identity: str) -> Path:
    try:
        text = (keys.parent / "set.json").read_bytes()
        about = json.loads(text)
        sound = (
            set_id(text) == identity
            and about["kind"] == HashSetKind.KNOWN_GOOD
            and about["files"][KEYS] == sha256_of(keys).hex()
        )
    except (OSError, ValueError, KeyError) as error:
        raise Damaged(f"{keys.parent} holds no compiled hash set: {error}", "add it again: clew hashset add") from error
    if not sound:
        raise Damaged(f"{keys} was changed after it was compiled", "add the hash set again: clew hashset add")
    return keys
