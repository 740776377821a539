"""Extractor: how even the bytes of a content are that nothing else recognises, for encrypted containers."""

import hashlib
from collections.abc import Iterator

from clew.intake.api import Example, Extractor, Probe, Value
from clew.intake.entropy import UNEXPLAINED, measure
from clew.model import Missing, Reason

LEAST_SIZE = 1 << 20  # bytes
SECTOR = 512  # a container is a disk: whole sectors


class Entropy:
    """Of contents of unknown type from 1 MiB on that are whole sectors long: the bits a byte, and whether they cannot
    be told from noise.
    """

    name = "entropy"
    version = "1"

    def wants(self, media_type: str) -> bool:
        """What libmagic does not know. Packed media and archives have types of their own."""
        return media_type == "application/octet-stream"

    def traits(self, probe: Probe) -> Iterator[tuple[str, Value]]:
        """`entropy.bits`, and `entropy.unexplained` with what it may mean."""
        if probe.size < LEAST_SIZE or probe.size % SECTOR:
            return
        held, source = probe.data, probe.source
        if held is not None:
            found = measure(lambda at, length: bytes(held[at : at + length]), 0, probe.size)
        elif source is not None:
            found = measure(source.read, 0, probe.size)
        else:
            yield "entropy.bits", Missing(Reason.TOO_LARGE, "not held, and nothing to read it from")
            return
        yield "entropy.bits", round(found.bits, 4)
        if found.unexplained:
            yield "entropy.unexplained", UNEXPLAINED

    def examples(self) -> Iterator[Example]:
        """Noise from a hash function, and a mebibyte of one letter and its neighbours."""
        noise = b"".join(hashlib.sha512(b"%d" % number).digest() for number in range(LEAST_SIZE // 64))
        octets = "application/octet-stream"
        yield Example("noise", noise, octets, {"entropy.bits": None, "entropy.unexplained": UNEXPLAINED})
        yield Example("counting", b"\x01" + bytes(range(128)) * (LEAST_SIZE // 128), octets, {})


PLUGIN: Extractor = Entropy()
