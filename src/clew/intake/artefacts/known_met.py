"""known.met of eMule and aMule: every file that was ever shared or downloaded (aMule wiki, "known.met file")."""

import struct
from collections.abc import Iterator

from clew.intake.api import Example, Extractor, Probe, Value
from clew.intake.artefacts import _examples as made
from clew.intake.artefacts import _met
from clew.intake.artefacts._artefact import account, after, head, told, whole

HEADERS = {0x0E: "known.met", 0x0F: "known.met (64 bit)"}
EMPTY = "empty list of eMule or aMule: known.met or emfriends.met"  # the same five bytes
FIRST = 5  # bytes of the header and the number of records
ENOUGH = 2  # tags of a first record that is cut or damaged, by which it is still told from anything else


class KnownMet:
    """One entry a record. "p2p.entries.declared" is the number that the file states."""

    name = "known_met"
    version = "1"

    def wants(self, _media_type: str) -> bool:
        """Anything: it is told by its bytes."""
        return True

    def traits(self, probe: Probe) -> Iterator[tuple[str, Value]]:
        """Every record that is whole; how many are lost, and where."""
        first = head(probe)
        if len(first) < FIRST or first[0] not in HEADERS or not _plausible(first, probe.size):
            return
        data, kind = whole(probe), HEADERS[first[0]]
        (count,) = struct.unpack_from("<I", data, 1)
        if not _is_one(data, count):
            return
        yield "p2p.artefact", kind if count else EMPTY
        at, read, lost = FIRST, 0, list[str]()
        while read < count and at < len(data):
            try:
                found = _met.record(data, at)
            except _met.Broken as broken:
                begins = _met.after(data, at)
                to = len(data) if begins is None else begins
                lost.append(f"bytes {at:,} to {to:,} were not read, since at byte {broken.at:,}: {broken}")
                at = to
                continue
            yield from _met.entry(found, kind).traits()
            at, read = found.place.stop, read + 1
        yield from account(count, read, told(lost, at) if lost or read < count else "")
        yield from after(at, probe.size)

    def examples(self) -> Iterator[Example]:
        """None, two, and two in the form for large files."""
        records = made.record("card.bin", 40_000), made.record("large.bin", 5 << 32, uploaded=3 << 32)
        for header, several in ((0x0E, ()), (0x0E, records), (0x0F, records)):
            data = struct.pack("<BI", header, len(several)) + b"".join(several)
            counts: dict[str, Value | None] = {"p2p.entries.declared": len(several), "p2p.entries.read": len(several)}
            yield Example(f"{header}-{len(several)}.met", data, "application/octet-stream", counts)


def _plausible(first: bytes, size: int) -> bool:
    """What the first bytes alone can say: an empty list is that and no more; a record has room for its least."""
    (count,) = struct.unpack_from("<I", first, 1)
    return size == FIRST if not count else size >= FIRST + _met.LEAST


def _is_one(data: bytes, count: int) -> bool:
    """Whether its first record is one, or begins like one."""
    if not count:
        return True
    try:
        begun = _met.record(data, FIRST, enough=ENOUGH)
    except _met.Broken:
        return False
    return {_met.NAME, _met.SIZE} & begun.tags.keys() != set()


PLUGIN: Extractor = KnownMet()
