"""The one sequential read of a whole image: its digests, for custody."""

import hashlib
from collections.abc import Iterator
from typing import Any

from clew.core import held
from clew.core.absent import Absent
from clew.core.channel import Reply
from clew.intake.api import ByteSource
from clew.intake.reading import find

CHUNK = 4 << 20
TELL = 64 << 20  # bytes between two words about how far it is


def acquire(payload: dict[str, Any], _descriptors: list[int]) -> Iterator[Reply]:
    """Worker entry: the digests of the image behind "container"; {"unopened": why} where there is none to read."""
    try:
        source = find(payload["container"])(held.descriptors)
    except Absent as absent:
        return iter([Reply({"unopened": str(absent.missing)})])
    return digest(source)


def digest(source: ByteSource) -> Iterator[Reply]:
    """Answers {"read": bytes since the last one} on the way, and at the end the digests and the size."""
    hashes = {"md5": hashlib.md5(usedforsecurity=False), "sha1": hashlib.sha1(usedforsecurity=False)}
    hashes["sha256"] = hashlib.sha256()
    offset = told = 0
    while chunk := source.read(offset, CHUNK):
        for each in hashes.values():
            each.update(chunk)
        offset += len(chunk)
        if offset - told >= TELL:
            yield Reply({"read": offset - told})
            told = offset
    digests: dict[str, Any] = {name: each.hexdigest() for name, each in hashes.items()}
    yield Reply({**digests, "size": offset, "bad": source.bad})
