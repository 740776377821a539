"""A disk in memory, and what is carved from it."""

import functools

import numpy as np
from carvable import MADE

from clew.intake.carving.carver import Carved, Carver

CLUSTER = 4096
VOUCHED = {"png", "zip"}  # checksummed
LOOKED_AT = VOUCHED | {"jpg", "gif"}  # decoded or stepped through: the others hold data unseen


class Bytes:
    """A ByteSource in memory that counts what is read of it."""

    def __init__(self, data: bytes) -> None:
        self.data, self.size, self.bad = data, len(data), []
        self.taken = 0

    def read(self, offset: int, length: int) -> bytes:
        found = self.data[offset : offset + length]
        self.taken += len(found)
        return found


@functools.cache
def made(name: str) -> bytes:
    return MADE[name]()


def noise(size: int, seed: int = 0) -> bytes:
    return np.random.default_rng(seed).bytes(size)


def padded(data: bytes, to: int = CLUSTER) -> bytes:
    return data + bytes(-len(data) % to)


def carve(data: bytes, stretches: list[tuple[int, int]] | None = None, **limits: int) -> dict[int, Carved]:
    """The finds by where they begin."""
    work = Carver(Bytes(data), iter(stretches or [(0, len(data))]), CLUSTER, **limits)
    return {step.found.runs[0][0]: step.found for step in work.steps() if step.found is not None}


def content(data: bytes, found: Carved) -> bytes:
    return b"".join(data[at : at + length] for at, length in found.runs)
