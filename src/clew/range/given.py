"""What the investigators are given before it begins: signed mandate and watches, registers, forces, the seized disk.

The demo has an authority of its own; in an operation its key never lies on the operator's machine.
"""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from clew.core.case import new_id
from clew.core.mandate import PURPOSES, sign_document
from clew.range.disk import SMALL, Amounts, Seizure, make_disk
from clew.range.places import COUNTRIES, ForceSpec, forces
from clew.range.registers import write_registers
from clew.range.scenario import Scenario
from clew.range.torrents import Torrent

OPERATION = "Training range"
SCHEME = "Training scheme"
AMOUNTS = {"full": Amounts(), "small": SMALL}


@dataclass(frozen=True, slots=True)
class Given:
    """Where it all lies below DIR/given."""

    mandate: Path
    watches: tuple[Path, ...]
    registers: dict[str, Path]
    forces: tuple[ForceSpec, ...]
    seizure: Seizure | None


def make_given(
    scenario: Scenario, folder: Path, *, authority: Ed25519PrivateKey, trackers: list[str], disk: str = "none"
) -> Given:
    """Writes everything into `folder`, which must exist. `disk` is the scenario file's: "full", "small" or "none"."""
    mandate = new_id()
    found = Given(
        mandate=folder / "mandate.json",
        watches=tuple(folder / "watches" / f"{t.label}.json" for t in scenario.watches()),
        registers=write_registers(folder / "registers"),
        forces=forces(),
        seizure=make_disk(scenario.seed, folder, AMOUNTS[disk]) if disk in AMOUNTS else None,
    )
    found.mandate.write_bytes(sign_document("mandate", _mandate(mandate, trackers), authority))
    (folder / "watches").mkdir()
    for torrent, path in zip(scenario.watches(), found.watches, strict=True):
        path.write_bytes(sign_document("watch", _watch(torrent, mandate), authority))
    (folder / "forces.json").write_text(json.dumps([asdict(f) for f in found.forces], indent=1), "utf-8")
    return found


def _mandate(identity: str, trackers: list[str]) -> dict[str, object]:
    now = datetime.now(UTC)
    return {
        "id": identity,
        "operation": OPERATION,
        "authority": "The demo's own authority",
        "purposes": list(PURPOSES),
        "networks": ["bittorrent"],
        "addresses": ["127.0.0.0/8"],
        "countries": [code for code, *_ in COUNTRIES],
        "trackers": [*trackers, "dht", "pex"],
        "exhibits": ["*"],
        "permits": ["started_announce", "plaintext", "dht", "pex"],
        "not_before": (now - timedelta(hours=1)).isoformat(timespec="seconds"),
        "not_after": (now + timedelta(days=30)).isoformat(timespec="seconds"),
    }


def _watch(torrent: Torrent, mandate: str) -> dict[str, object]:
    assert torrent.watched is not None
    return {
        "id": new_id(),
        "label": torrent.label,
        "infohash_v1": torrent.infohash.hex(),
        "infohash_v2": None,
        "piece_length": torrent.piece_length,
        "pieces": torrent.pieces,
        "file_offset": torrent.offset,
        "file_length": torrent.files[torrent.watched][1],
        "scheme": SCHEME,
        "category": "1",
        "graded_by": "the demo's authority",
        "graded": (datetime.now(UTC) - timedelta(days=1)).isoformat(timespec="seconds"),
        "mandate": mandate,
    }
