"""Which HashSets stop the reading of a content, as far as intake needs them: sorted SHA-256 keys, checked and open.

Known-good sets alone stop it, and by SHA-256 alone: MD5 and SHA-1 can be forged, so by those it is matched and listed
only. What an alert set holds as well is never stopped, whatever else is said of it.
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
class Keys:
    """One set. `descriptor` is its sorted SHA-256 keys, read-only."""

    id: str
    name: str
    descriptor: int


@dataclass(frozen=True, slots=True)
class Stopping:
    """The known-good sets, and the alert sets that overrule them."""

    known_good: list[Keys]
    alert: list[Keys]

    @property
    def descriptors(self) -> tuple[int, ...]:
        """Those of the known-good sets first: the order in which a worker holds them (`held.lists`)."""
        return tuple(each.descriptor for each in [*self.known_good, *self.alert])


@contextmanager
def stopping(case: Case) -> Iterator[Stopping]:
    """The sets of the case that hold any SHA-256, open for the length of the block.

    Raises Damaged where one is not as it was compiled, or of another kind than its row says.
    """
    with ExitStack() as stack:
        yield Stopping(*(_opened(case, kind, stack) for kind in (HashSetKind.KNOWN_GOOD, HashSetKind.ALERT)))


def _opened(case: Case, kind: HashSetKind, stack: ExitStack) -> list[Keys]:
    found = []
    rows = case.read().execute("SELECT id, name, folder FROM hashsets WHERE kind=? ORDER BY id", (kind,)).fetchall()
    for row in rows:
        path = case.folder / row["folder"] / KEYS
        if _checked(path, row["id"], kind).stat().st_size:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            stack.callback(os.close, descriptor)
            found.append(Keys(row["id"], row["name"], descriptor))
    return found


def _checked(keys: Path, identity: str, kind: HashSetKind) -> Path:
    try:
        text = (keys.parent / "set.json").read_bytes()
        about = json.loads(text)
        sound = set_id(text) == identity and about["kind"] == kind and about["files"][KEYS] == sha256_of(keys).hex()
    except (OSError, ValueError, KeyError) as error:
        raise Damaged(f"{keys.parent} holds no compiled hash set: {error}", "add it again: clew hashset add") from error
    if not sound:
        raise Damaged(f"{keys} was changed after it was compiled", "add the hash set again: clew hashset add")
    return keys
