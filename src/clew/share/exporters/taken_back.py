"""taken-back.jsonl: what this force has from earlier Bundles and does not stand any more as it left, one JSON object a
line.

It is there in every Bundle, empty where nothing is taken back, and tells the same again as long as it is so.
"""

from collections.abc import Iterator
from dataclasses import asdict

from clew.core import clock
from clew.core.ledger import canonical
from clew.core.sent import Copy, Times
from clew.share.api import Exporter, Package
from clew.share.examples import EXAMPLES


class TakenBackList:
    """A Lead by its id, with the Bundles that it left in, its endpoints and times there, and why it does not stand."""

    name = "taken_back"
    filename = "taken-back.jsonl"
    examples = EXAMPLES

    def export(self, package: Package) -> Iterator[bytes]:
        """One line a Lead."""
        for each in package.taken_back:
            facts = {
                "lead": each.lead,
                "why": each.why,
                "bundles": [_copy(copy) for copy in each.copies],
                "intervals": [_times(times) for times in each.intervals],
            }
            yield canonical(facts).encode() + b"\n"


def _copy(copy: Copy) -> dict[str, object]:
    return {"bundle": copy.bundle, "created": clock.iso(copy.created_ns), "rank": copy.rank}


def _times(times: Times) -> dict[str, object]:
    return asdict(times) | {"from": clock.iso(times.from_ns), "to": clock.iso(times.to_ns)}


PLUGIN: Exporter = TakenBackList()
