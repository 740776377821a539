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
    version = "2"

    def wants(self, _media_type: str) -> bool:
        """Anything: it is told by its bytes."""
        return True

    def traits(self, probe: Probe) -> Iterator[tuple[str, Value]]:
        """Every record that is whole; how many are lost, and where."""
        first = head(probe)
        if len(first) < FIRST or first[0] not in HEADERS or not _plausible(first, probe):
            return
        data, kind = whole(probe), HEADERS[first[0]]
        (count,) = struct.unpack_from("<I", data, 1)
        if not _is_one(data):
            return
        yield "p2p.artefact", kind if len(data) > FIRST else EMPTY
        at, read, lost = FIRST, 0, list[str]()
        while at < len(data):  # also those behind as many as it states: what says how many may be what is wrong
            try:
                found = _met.named(data, at)
            except _met.Broken as broken:
                begins = _met.after(data, at)
                if begins is None and read >= count > 0:
                    break
                to = len(data) if begins is None else begins
                lost.append(f"bytes {at:,} to {to:,} were not read, since at byte {broken.at:,}: {broken}")
                at = to
                continue
            yield from _met.entry(found, kind).traits()
            at, read = found.place.stop, read + 1
        if read > count:
            lost.append(f"{read - count} stand behind as many as it states")
        yield from account(count, read, told(lost, at) if lost or read < count else "")
        yield from after(at, probe.size)

    def examples(self) -> Iterator[Example]:
        """None, two, and two in the form for large files."""
        records = made.record("card.bin", 40_000), made.record("large.bin", 5 << 32, uploaded=3 << 32)
        for header, several in ((0x0E, ()), (0x0E, records), (0x0F, records)):
            data = struct.pack("<BI", header, len(several)) + b"".join(several)
            counts: dict[str, Value | None] = {"p2p.entries.declared": len(several), "p2p.entries.read": len(several)}
            yield Example(f"{header}-{len(several)}.met", data, "application/octet-stream", counts)


def _plausible(first: bytes, probe: Probe) -> bool:
    """What the first bytes alone can say: an empty list is that and no more; a record has room for its least. A large
    file may well begin with a small number of 8 bytes: with a count of none, the first record has to be there too.
    """
    (count,) = struct.unpack_from("<I", first, 1)
    if probe.size < FIRST + _met.LEAST:
        return probe.size == FIRST and not count
    return bool(count) or probe.data is not None or _met.NAME_TAG in first


def _is_one(data: bytes) -> bool:
    """By its first record, or what is left of that, or by a whole one that stands not far behind."""
    if len(data) == FIRST:
        return True
    try:
        begun = _met.record(data, FIRST, enough=ENOUGH)
    except _met.Broken:
        begun = None
    if begun is not None and {_met.NAME, _met.SIZE} & begun.tags.keys():
        return True
    return _met.remains(data, FIRST) or _met.after(data[: _met.NEAR], FIRST) is not None


PLUGIN: Extractor = KnownMet()
