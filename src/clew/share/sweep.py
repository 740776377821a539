"""No copyable infohash outside the sealed annex: every other file is searched for one before the Bundle is sealed."""

import base64
import re
from collections.abc import Iterable
from pathlib import Path

from clew.core.errors import Refused
from clew.model import Watch

RUN = re.compile(rb"[0-9a-z]{32,}")
CHUNK = 1 << 20
OVERLAP = 256


def needles(watches: Iterable[Watch]) -> frozenset[bytes]:
    """Every spelling to look for: 40 hexadecimal digits (v1; v2's first 20 bytes) and v1's base 32, lower case."""
    found: set[bytes] = set()
    for watch in watches:
        for infohash in (watch.infohash_v1, watch.infohash_v2):
            if infohash:
                found.add(infohash[:20].hex().encode())
                found.add(base64.b32encode(infohash[:20]).lower())
    return frozenset(found)


def sweep(folder: Path, names: Iterable[str], wanted: frozenset[bytes]) -> None:
    """Raises Refused, naming the file, where one of `names` under `folder` holds an infohash."""
    for name in names:
        with (folder / name).open("rb") as file:
            tail = b""
            while block := file.read(CHUNK):
                text = tail + block.lower()
                if holds(text, wanted):
                    raise Refused(
                        f"{name} would hold an infohash outside the sealed annex: nothing was built",
                        "an exporter or a hand-entered text wrote it; name watches by their W-label",
                    )
                tail = text[-OVERLAP:]


def holds(text: bytes, wanted: frozenset[bytes]) -> bool:
    """Whether lower-case `text` holds one of the needles."""
    lengths = (32, 40)
    for run in RUN.finditer(text):
        word = run.group()
        if any(word[i : i + n] in wanted for n in lengths for i in range(len(word) - n + 1)):
            return True
    return False
