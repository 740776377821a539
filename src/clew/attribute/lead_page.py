"""The page of one lead: what is claimed, how strong that is, everything against it, and what was not covered."""

from typing import Any

from clew import __version__
from clew.attribute import pages
from clew.attribute.caveats import LIMITS, refused
from clew.attribute.masked import Masked
from clew.core import clock, watch
from clew.core.case import Case
from clew.core.coverage import Coverage

STRENGTHS = {
    "E2": "said at least twice that it holds pieces of a file that people have graded",
    "E2, torrent only": "said at least twice that it holds pieces of a torrent, none of them surely of the graded file",
}


def page(case: Case, lead: dict[str, Any], coverage: Coverage) -> str:
    """One HTML file from a lead of `listing` and the coverage of its case."""
    told = {*lead["beside"]["contradictions"], *map(refused, lead["beside"]["refused"])}
    return pages.render(
        "lead.html",
        Masked(watch.all_of(case)),
        lead=lead,
        other=[line for line in lead["against"] if line not in told],
        coverage=coverage,
        strength=STRENGTHS[lead["tier"]],
        limits=LIMITS,
        made=clock.iso(clock.now().utc_ns),
        tool=f"clew {__version__}",
    )
