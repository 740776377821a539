"""manifest.json: what a Bundle is, for whom, from whom, and the SHA-256 of every file in it; signed as raw bytes.

It is laid out one value a line, so that `sed` can hand its digests to `sha256sum` (docs/formats.md).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clew.core import clock
from clew.core.errors import Damaged
from clew.share.api import STATEMENT, Package

FORMAT = "clew-bundle-1"
NAME, SIGNATURE = "manifest.json", "manifest.sig"
ANNEX = "data/annex.age"
TAKEN_BACK = "data/taken-back.jsonl"
SIGHTINGS = "data/evidence/sightings.jsonl"
LEDGER = "data/ledger/ledger.jsonl"
NOTE, NOTE_SIGNATURE = "data/ledger/checkpoint.note", "data/ledger/checkpoint.sig"
SHAPE: dict[str, Any] = {
    "build": str,
    "bundle": str,
    "case": str,
    "counts": {"known_hashes": int, "leads": int, "sightings": int},
    "created": str,
    "files": dict,
    "format": str,
    "ledger": {"last_line_sha256": str, "root": str, "size": int},
    "operation": str,
    "recipient": {"age": str, "force": str, "name": str},
    "sender": {"force": str, "key": str, "name": str},
    "statement": str,
    "tool": str,
}


@dataclass(frozen=True, slots=True)
class LedgerState:
    """Where the sender's ledger stood: number of entries, Merkle root (hex), SHA-256 of the last line (hex)."""

    size: int
    root: str
    last_line_sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The signed statement of a Bundle, as read."""

    bundle: str
    case: str
    operation: str
    created: str
    tool: str
    build: str
    sender: str
    sender_name: str
    sender_key: str
    recipient: str
    recipient_age: str
    ledger: LedgerState
    counts: Mapping[str, int]
    files: Mapping[str, str]


def info(read: Manifest) -> dict[str, str]:
    """The fields of bag-info.txt, but for the payload's size: each of them follows from the signed manifest."""
    return {
        "Bag-Software-Agent": read.tool,
        "Bagging-Date": read.created[:10],
        "External-Identifier": read.bundle,
        "Source-Organization": " ".join(read.sender_name.split()),
    }


def counts(package: Package) -> dict[str, int]:
    """How much of what is in a package."""
    return {
        "known_hashes": len(package.known),
        "leads": len(package.leads),
        "sightings": len(package.sightings),
    }


def write(package: Package, ledger: LedgerState, files: Mapping[str, str]) -> bytes:
    """The manifest's bytes."""
    body = {
        "build": package.build,
        "bundle": package.bundle,
        "case": package.case,
        "counts": counts(package),
        "created": clock.iso(package.created_ns),
        "files": dict(files),
        "format": FORMAT,
        "ledger": {"last_line_sha256": ledger.last_line_sha256, "root": ledger.root, "size": ledger.size},
        "operation": package.operation,
        "recipient": {
            "age": package.recipient.key,
            "force": package.recipient.code,
            "name": package.recipient.name,
        },
        "sender": {"force": package.sender.code, "key": package.sender.key, "name": package.sender.name},
        "statement": STATEMENT,
        "tool": package.tool,
    }
    return (json.dumps(body, indent=2, sort_keys=True) + "\n").encode()


def read(data: bytes) -> Manifest:
    """The Manifest in these bytes. Raises Damaged where they are not exactly one of this format."""
    try:
        body = json.loads(data)
        canonical = json.dumps(body, indent=2, sort_keys=True) + "\n"
    except (ValueError, RecursionError) as error:
        raise Damaged("manifest.json is not JSON", "ask the sender for the bundle again") from error
    if canonical.encode() != data:
        raise Damaged("manifest.json is not in the layout that clew writes", "ask the sender for the bundle again")
    _shape(body, SHAPE, "manifest.json")
    if body["format"] != FORMAT:
        raise Damaged(f"manifest.json is of format {body['format']!r}", "read it with a newer clew")
    if not re.fullmatch("[0-9a-f]{32}", body["bundle"]):
        raise Damaged("manifest.json: the bundle id is not 32 hexadecimal digits", "ask the sender what this is")
    for name, value in body["files"].items():
        if not isinstance(value, str) or not re.fullmatch("[0-9a-f]{64}", value):
            raise Damaged(f"manifest.json: files: {name} has no SHA-256", "ask the sender for the bundle again")
    return Manifest(
        bundle=body["bundle"],
        case=body["case"],
        operation=body["operation"],
        created=body["created"],
        tool=body["tool"],
        build=body["build"],
        sender=body["sender"]["force"],
        sender_name=body["sender"]["name"],
        sender_key=body["sender"]["key"],
        recipient=body["recipient"]["force"],
        recipient_age=body["recipient"]["age"],
        ledger=LedgerState(**body["ledger"]),
        counts=body["counts"],
        files=body["files"],
    )


def _shape(value: Any, shape: Any, where: str) -> None:
    if isinstance(shape, dict):
        if not isinstance(value, dict) or set(value) != set(shape):
            raise Damaged(f"{where} does not have the fields {', '.join(sorted(shape))}", "ask the sender what this is")
        for key in sorted(shape):
            _shape(value[key], shape[key], f"{where}: {key}")
    elif type(value) is not shape:
        raise Damaged(f"{where} is not of type {shape.__name__}", "ask the sender what this is")
