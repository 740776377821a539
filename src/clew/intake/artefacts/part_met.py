"""part.met of eMule and aMule: one download that is not complete (aMule wiki, "part.met file")."""

import contextlib
from collections.abc import Iterator

from clew.intake.api import Example, Extractor, Probe, Value
from clew.intake.artefacts import _examples as made
from clew.intake.artefacts import _met
from clew.intake.artefacts._artefact import account, after, head, whole

HEADERS = {0xE0: "part.met", 0xE2: "part.met (64 bit)"}
FIRST = 1  # byte of the header
ENOUGH = 2  # tags by which a damaged one is still told from anything else


class PartMet:
    """The one entry."""

    name = "part_met"
    version = "2"

    def wants(self, _media_type: str) -> bool:
        """Anything: it is told by its bytes."""
        return True

    def traits(self, probe: Probe) -> Iterator[tuple[str, Value]]:
        """The entry; where it is damaged, its hash and what was read until then, unless that is not sure either."""
        first = head(probe)
        if not first or first[0] not in HEADERS or probe.size < FIRST + _met.LEAST:
            return
        data, kind = whole(probe), HEADERS[first[0]]
        begun = _begun(data)
        told = begun is not None and bool({_met.NAME, _met.SIZE} & begun.tags.keys())
        if not told and not _met.remains(data, FIRST):
            return
        yield "p2p.artefact", kind
        found, lost = begun, ""
        try:
            found = _met.named(data, FIRST)
        except _met.Broken as broken:
            lost = f"of its tags only {ENOUGH if told else 0} were read, since at byte {broken.at:,}: {broken}"
        if found is None:
            yield from account(1, 0, lost)
            return
        entry = _met.entry(found, kind, past=FIRST)
        entry.take_count("downloaded", found.tags, _met.DOWNLOADED)
        entry.take_time("last_seen_s", found.tags, _met.LAST_SEEN)
        yield from entry.traits()
        yield from account(1, 1, lost)
        if not lost:
            yield from after(found.place.stop, probe.size)

    def examples(self) -> Iterator[Example]:
        """One of each header."""
        for header, size in ((0xE0, 40_000), (0xE2, 5 << 32)):
            data = bytes([header]) + made.record("card.bin", size)
            yield Example(f"{header}.part.met", data, "application/octet-stream", {"p2p.artefact": HEADERS[header]})


def _begun(data: bytes) -> _met.Record | None:
    """As much of the record as can be read of a damaged one: with its first tags, without any, or nothing."""
    for enough in (ENOUGH, 0):
        with contextlib.suppress(_met.Broken):
            return _met.record(data, FIRST, enough=enough)
    return None


PLUGIN: Extractor = PartMet()
