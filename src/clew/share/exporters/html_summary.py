"""summary.html: the Bundle for a person who never saw clew. One page: no script, nothing loaded, printable.

Its Content-Security-Policy allows its own style, by hash, and nothing else; every value is escaped by Jinja.
"""

import base64
import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources

from jinja2 import Environment, StrictUndefined, Template

from clew.core import clock
from clew.core.network_words import network_words
from clew.model import protocol
from clew.share.api import STATEMENT, Exporter, LeadPart, Package, SightingPart
from clew.share.examples import EXAMPLES

TIERS = {
    "E2": "claimed to hold parts of the file",
    "E1": "answered for the file's torrent, claimed nothing that counts",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One Lead as the page shows it."""

    lead: LeadPart
    strength: str
    contacts: int
    first: str
    last: str
    clients: str
    question: str | None


class HtmlSummary:
    """The page, from `templates/summary.html` and `templates/summary.css`."""

    name = "html_summary"
    filename = "summary.html"
    examples = EXAMPLES

    def export(self, package: Package) -> Iterator[bytes]:
        """Yields the page piece by piece."""
        style = _file("summary.css")
        hashed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        pieces = _page().generate(
            package=package,
            rows=rows(package),
            style=style,
            style_hash=hashed,
            statement=STATEMENT,
            clock_words=clock_words(package),
        )
        for piece in pieces:
            yield piece.encode()


def utc(ns: int) -> str:
    """A time as people read it: 2026-01-31 23:59:59 UTC."""
    return clock.iso(ns)[:19].replace("T", " ") + " UTC"


def rows(package: Package) -> list[Row]:
    """The leads in rank order, each with what its sightings say."""
    sightings = {s.id: s for s in package.sightings}
    return [_row(lead, sightings) for lead in package.leads]


def clock_words(package: Package) -> str:
    """One sentence on how far the times can be trusted."""
    if not package.sightings:
        return "No times are given in this bundle."
    wrong = [s.clock_wrong_ns for s in package.sightings if s.clock_wrong_ns is not None]
    if not package.clock_measured:
        bad = len(package.sightings) - len(wrong)
        return (
            f"The error of the observing computer's clock was not measured for {bad} of {len(package.sightings)} "
            "contacts: confirm these times before asking an internet provider."
        )
    return (
        f"The observing computer's clock was measured: by that, it was wrong by at most {_ceiling(max(wrong))} "
        f"milliseconds at all {len(package.sightings)} contacts."
    )


def _row(lead: LeadPart, sightings: dict[str, SightingPart]) -> Row:
    mine = [sightings[key] for interval in lead.intervals for key in interval.sightings if key in sightings]
    times = [t for s in mine for t in (s.started_ns, s.ended_ns)]
    times = times or [t for i in lead.intervals for t in (i.from_ns, i.to_ns)]
    strength = TIERS.get(lead.tier, lead.tier)
    if lead.tier == "E2" and lead.torrent_only:
        strength = "claimed parts of the torrent, not certainly of the file"
    return Row(
        lead=lead,
        strength=strength,
        contacts=len({s.id for s in mine}),
        first=utc(min(times)),
        last=utc(max(times)),
        clients=", ".join(sorted({s.client for s in mine if s.client})) or "not stated",
        question=_question(mine),
    )


def _question(mine: list[SightingPart]) -> str | None:
    """What to ask the internet provider, of the last contact at a measured time; None where there is none: it could be
    wrong.
    """
    measured = [s for s in mine if s.clock_wrong_ns is not None]
    if not measured:
        return None
    last = max(measured, key=lambda s: (s.started_ns, s.id))
    offset, error = last.clock_offset_ns or 0, last.clock_error_ns or 0
    return (
        f"Who used the address {last.address}, port {last.port} ({protocol(last.transport)}), on "
        f"{clock.iso(last.started_ns)[:23].replace('T', ' ')} UTC "
        f"(our clock's offset {offset / 1e6:+.3f} ms, error at most {_ceiling(error)} ms beside that)?"
    )


def _ceiling(ns: int) -> str:
    """Milliseconds, rounded up to thousandths: an error is never stated smaller than it is."""
    return f"{math.ceil(ns / 1_000) / 1_000:.3f}"


@cache
def _page() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"utc": utc, "network": network_words}
    return environment.from_string(_file("summary.html"))


def _file(name: str) -> str:
    return (resources.files("clew.share") / "templates" / name).read_text("utf-8")


PLUGIN: Exporter = HtmlSummary()
