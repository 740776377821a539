"""evidence/sightings.jsonl: the facts of every Sighting that a Lead of this Bundle rests on, one JSON object a line.

The raw bytes of each contact hold the handshake's infohash, so they lie in the sealed annex, named by their SHA-256.
"""

from collections.abc import Iterator
from dataclasses import asdict

from clew.core import clock
from clew.core.ledger import canonical
from clew.share.api import Exporter, Package
from clew.share.examples import EXAMPLES


class Evidence:
    """Sightings as JSON lines in time order; `started` and `ended` repeat the nanoseconds as UTC for people."""

    name = "evidence"
    filename = "evidence/sightings.jsonl"
    examples = EXAMPLES

    def export(self, package: Package) -> Iterator[bytes]:
        """One line a Sighting."""
        for sighting in package.sightings:
            facts = asdict(sighting)
            facts["started"], facts["ended"] = clock.iso(sighting.started_ns), clock.iso(sighting.ended_ns)
            yield canonical(facts).encode() + b"\n"


PLUGIN: Exporter = Evidence()
