"""Sightings as rows of a shard."""

from dataclasses import dataclass
from typing import Any

from clew import __version__
from clew.model import Claim, SightingKind, Tier
from clew.observe.api import Contact
from clew.observe.wire import Answer


@dataclass(frozen=True, slots=True)
class Run:
    """What every Sighting of one run shares."""

    id: str
    tool: str
    config: str
    vantage: str
    clock_offset_ns: int | None
    clock_error_ns: int | None


def tool(network: str, version: str) -> str:
    """What made a Sighting, with its version."""
    return f"clew {__version__} {network} {version}"


def sighting(
    run: Run,
    answer: Answer,
    *,
    id: str,
    kind: SightingKind,
    tier: Tier,
    infohash: bytes,
    contact: Contact | None = None,
    repeats: str | None = None,
    promiscuous: bool = False,
    **other: Any,
) -> dict[str, Any]:
    """One row of the sightings shard (`core.shards.SCHEMAS`); `other` replaces single fields.

    Words of a closed list stand there as its members, which are their texts.
    """
    wish, found = answer.call.wish, contact or Contact(missing=answer.missing)
    row: dict[str, Any] = {
        "id": id,
        "kind": kind,
        "watch": wish.watch,
        "tier": tier,
        "claim": found.claim if contact else Claim.NOTHING_SAID,
        "source": wish.source,
        "address": wish.address,
        "port": wish.port,
        "transport": found.transport or wish.transport,
        "local_address": answer.local[0],
        "local_port": answer.local[1],
        "started_ns": answer.started.utc_ns,
        "ended_ns": answer.ended.utc_ns,
        "monotonic_ns": answer.started.mono_ns,
        "clock_offset_ns": run.clock_offset_ns,
        "clock_error_ns": run.clock_error_ns,
        "infohash_sent": infohash,
        "infohash_echoed": found.infohash_echoed,
        "peer_id": found.peer_id,
        "reserved": found.reserved,
        "client": found.client,
        "listen_port": found.listen_port,
        "pieces_claimed": found.pieces_claimed,
        "inner_claimed": found.inner_claimed,
        "pieces_total": found.pieces_total,
        "repeats": repeats,
        "promiscuous": promiscuous,
        "missing": found.missing.reason if found.missing else None,
        "missing_detail": found.missing.detail if found.missing else None,
        "transcript": answer.sighted.transcript if answer.sighted else b"",
        "tool": run.tool,
        "config": run.config,
        "mandate": answer.mandate,
        "vantage": run.vantage,
        "run": run.id,
    }
    row.update(other)
    return row
