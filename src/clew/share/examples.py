"""Benign Packages that exporters are tried on: made up, addresses of documentation ranges (RFC 5737, RFC 3849)."""

from dataclasses import replace

from clew.core.sent import Copy, TakenBack, Times
from clew.model import Category
from clew.share.api import (
    UNVALIDATED,
    IntervalPart,
    KnownHash,
    LeadPart,
    Package,
    Party,
    SightingPart,
    WatchPart,
)

_DAY = 86_400_000_000_000
_T0 = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z


def _sighting(number: int, address: str, clock: int | None) -> SightingPart:
    start = _T0 + number * 300_000_000_000
    return SightingPart(
        id=f"{number:032x}",
        watch="W-1",
        tier="E2",
        claim="watched file",
        source="http://tracker.example:6969",
        address=address,
        port=51413,
        transport="tcp",
        local_address="198.51.100.1",
        local_port=40000 + number,
        started_ns=start,
        ended_ns=start + 2_000_000_000,
        clock_offset_ns=clock,
        clock_error_ns=clock,
        echoed="as sent",
        peer_id="2d5452343030302d",
        reserved="0000000000100005",
        client="Transmission 4.0",
        listen_port=51413,
        pieces_claimed=40,
        inner_claimed=12,
        pieces_total=40,
        repeats="" if number % 2 else f"{number - 1:032x}",
        transcript_sha256=f"{number:064x}",
        transcript_bytes=150,
        tool="clew 0",
        config="0" * 64,
        mandate="m" * 32,
        vantage="example vantage point",
    )


def _lead(number: int, address: str, sightings: tuple[SightingPart, ...]) -> LeadPart:
    interval = IntervalPart(
        address,
        51413,
        "tcp",
        sightings[0].started_ns,
        sightings[-1].ended_ns,
        "E2",
        False,
        "W-1",
        tuple(s.id for s in sightings),
    )
    return LeadPart(
        id=f"{number:032x}",
        subject=f"S-{number}",
        rank=number,
        score=2.5,
        tier="E2",
        torrent_only=False,
        country="AT",
        network_kind="unknown",
        lookups=("example register of 2026-01-01: AT",),
        reasons=("claimed parts of 1 watched file", "2 contacts in which it claimed pieces"),
        caveats=("an address may be shared by several people", "network kind unknown"),
        against=("nothing found on disk is known yet",),
        expires_ns=_T0 + 180 * _DAY,
        intervals=(interval,),
        child_at_risk=(),
    )


def package() -> Package:
    """Two leads (one IPv6, at risk, hostile text in its caveats), four sightings, two graded contents."""
    first = tuple(_sighting(n, "192.0.2.7", 5_000_000) for n in (1, 2))
    second = tuple(_sighting(n, "2001:db8::7", 5_000_000) for n in (3, 4))
    risky = replace(
        _lead(2, "2001:db8::7", second),
        caveats=('<script>alert(1)</script> & "quotes" stand for text that somebody else wrote',),
        child_at_risk=("a person reported an immediate risk", "another did so, too"),
    )
    category = Category("example scheme", "US", "2.0", "1")
    known = tuple(
        KnownHash(bytes([n]) * 32, bytes([n]) * 20, bytes([n]) * 16, 1000 + n, "image/jpeg", category, _T0, near)
        for n, near in ((1, None), (2, 12))
    )
    return Package(
        bundle="b" * 32,
        created_ns=_T0 + _DAY,
        case="c" * 32,
        operation="Example",
        tool="clew 0",
        build=UNVALIDATED,
        sender=Party("FR", "Police of France", "FR", "5" * 64),
        recipient=Party("AT", "Police of Austria", "AT", "age1example"),
        mandates=(("m" * 32, "Example court"),),
        watches=(WatchPart("1" * 32, "W-1", "example scheme", "1", "Example unit", _T0),),
        leads=(_lead(1, "192.0.2.7", first), risky),
        taken_back=(
            TakenBack(
                force="AT",
                lead=f"{3:032x}",
                why="what was seen there makes no lead any more",
                copies=(Copy("a" * 32, _T0, 2),),
                intervals=(Times("192.0.2.9", 51413, "tcp", _T0, _T0 + _DAY),),
                told=False,
            ),
        ),
        unlisted=("earlier bundles of whose leads no list was kept: 1",),
        sightings=first + second,
        known=known,
        not_covered=("addresses that were listed but never answered",),
        withheld=(("resting on an address that answers for anything", 1),),
    )


def empty() -> Package:
    """The same, with nothing in it: a force that is told that there is nothing for it yet."""
    return replace(
        package(), leads=(), taken_back=(), unlisted=(), sightings=(), known=(), watches=(), withheld=(), not_covered=()
    )


EXAMPLES: tuple[Package, ...] = (package(), empty())
