"""Extractor: how even the bytes of a content are that nothing else recognises, for encrypted containers."""

import hashlib
from collections.abc import Iterator

from clew.intake.api import Example, Extractor, Probe, Value
from clew.intake.entropy import UNEXPLAINED, measure
from clew.intake.mediatype import DOS, UNKNOWN
from clew.model import Missing, Reason

# What libmagic takes 1.6 of 100 beginnings of noise for, measured; of anything else but octets, 1 of some 2,000
TAKEN_FOR = (DOS, "application/zlib", "audio/x-mp4a-latm")
LEAST_SIZE = 1 << 20  # bytes
SECTOR = 512  # a container is a disk: whole sectors


class Entropy:
    """Of contents of unknown type from 1 MiB on that are whole sectors long, and of types that noise may pass for: the
    bits a byte, and whether they cannot be told from noise.
    """

    name = "entropy"
    version = "2"

    def wants(self, media_type: str) -> bool:
        """What libmagic does not know, or takes noise for. Packed media and archives have types of their own."""
        return media_type == UNKNOWN or media_type in TAKEN_FOR

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
        found = {"entropy.bits": None, "entropy.unexplained": UNEXPLAINED}
        yield Example("noise", noise, UNKNOWN, found)
        yield Example("noise that begins as a program of DOS", b"\xe9" + noise[1:], DOS, found)
        yield Example("counting", b"\x01" + bytes(range(128)) * (LEAST_SIZE // 128), UNKNOWN, {})


PLUGIN: Extractor = Entropy()
