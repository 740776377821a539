"""preferences.dat of eMule and aMule: the hash that names this client to all others.

A version byte (20), the hash (16 bytes), and with eMule the place of its window (Windows' WINDOWPLACEMENT, 44 bytes,
which begin with their own number). aMule's has no mark but its length and version: that is said with it. What a client
sends has 14 and 111 in bytes 5 and 14, whatever stands in aMule's file, since it sets them as it loads.
"""

from collections.abc import Iterator

from clew.intake.api import Example, Extractor, Probe, Value
from clew.intake.artefacts._artefact import account, head
from clew.intake.artefacts._entry import Entry

KIND = "preferences.dat"
VERSION, PLACE = 0x14, slice(1, 17)
AMULE, EMULE = 17, 61  # bytes of the file
WINDOW = (44).to_bytes(4, "little")
ON_THE_WIRE = {5: 14, 14: 111}


class PreferencesDat:
    """One entry: `user_hash` as it stands, and `user_hash_wire` as it is sent; also "p2p.user_hash" in bytes."""

    name = "preferences_dat"
    version = "2"

    def wants(self, _media_type: str) -> bool:
        """Anything: it is told by its bytes."""
        return True

    def traits(self, probe: Probe) -> Iterator[tuple[str, Value]]:
        """The one entry."""
        data = head(probe)
        stored = data[PLACE]
        wire, window = wire_form(stored), data[PLACE.stop :][: len(WINDOW)] == WINDOW
        emule = _emules(window, stored == wire, probe.size)
        if data[:1] != bytes([VERSION]) or not (emule or (probe.size == AMULE and any(stored))):
            return
        yield "p2p.artefact", KIND
        if not any(stored):
            yield from account(1, 0, "its hash is all zeros, which is none")
            return
        entry = Entry("ed2k", "eMule" if emule else "aMule", KIND, slice(0, probe.size))
        entry.say("user_hash", stored.hex(), PLACE)
        entry.say("user_hash_wire", wire.hex(), PLACE)
        if not emule:
            entry.say("recognised_by", "its length of 17 bytes and its version alone")
        yield from entry.traits()
        yield "p2p.user_hash", wire
        whole = not emule or (probe.size == EMULE and window)
        yield from account(
            1, 1, "" if whole else f"what stands behind the hash is damaged: {probe.size:,} bytes in all"
        )

    def examples(self) -> Iterator[Example]:
        """One of each client."""
        said: dict[str, Value | None] = {"p2p.artefact": KIND, "p2p.user_hash": None}
        stored = bytes([VERSION, *range(16)])
        yield Example("amule", stored, "application/octet-stream", said)
        yield Example("emule", stored + WINDOW + bytes(40), "application/octet-stream", said)


def _emules(window: bool, sent: bool, size: int) -> bool:
    """By two of three where it was cut or damaged: its window, the two bytes that eMule itself sets, its length."""
    return window + sent + (size == EMULE) > 1


def wire_form(stored: bytes) -> bytes:
    """The hash as it is sent: two hashes are the same client's only where these are equal."""
    return bytes(ON_THE_WIRE.get(number, each) for number, each in enumerate(stored))


PLUGIN: Extractor = PreferencesDat()
