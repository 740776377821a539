"""Checks a Bundle without receiving it. Nothing in it is believed before the signature over its manifest holds, by a
key that the recipient has from the sender itself, never from the Bundle.

Every check is also possible without clew, by the commands in docs/formats.md.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clew.core import keys
from clew.core.errors import Damaged, Refused, Usage
from clew.core.files import sha256_of
from clew.share import annex, bag, chain, manifest, seal, ustar
from clew.share.api import STATEMENT
from clew.share.manifest import Manifest

AGAIN = "ask the sender for the bundle again"
LIMITS = ustar.Limits()


@dataclass(frozen=True, slots=True)
class Report:
    """A Bundle that holds: its manifest, and each check in order as (name, what was found)."""

    manifest: Manifest
    checks: tuple[tuple[str, str], ...]

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        m = self.manifest
        return {
            "bundle": m.bundle,
            "case": m.case,
            "checks": [{"name": name, "found": found} for name, found in self.checks],
            "counts": dict(m.counts),
            "created": m.created,
            "ledger": {"root": m.ledger.root, "size": m.ledger.size},
            "operation": m.operation,
            "recipient": m.recipient,
            "sender": m.sender,
            "verified": True,
        }


def verify_bundle(path: Path, *, sender_key: str, identity: str) -> Report:
    """Verifies a Bundle file. `sender_key`: raw Ed25519 key (hex) or PEM file; `identity`: an age identity's text.

    Raises Damaged or Refused, naming the first place that does not hold. Leaves nothing behind.
    """
    with tempfile.TemporaryDirectory(prefix="clew-verify-") as name:
        work = Path(name)
        folder = open_bundle(path, work, identity)
        return check_bag(folder, work, keys.read_public(sender_key), identity)


def open_bundle(path: Path, work: Path, identity: str) -> Path:
    """Decrypts and unpacks a Bundle under `work` (a private, empty folder); returns the bag's folder, unverified."""
    if not path.is_file():
        raise Usage(f"there is no bundle {path}", "name the .tar.age file, as it was sent")
    plain, inside = work / "bundle.tar", work / "inside"
    seal.decrypt(path, plain, identity)
    inside.mkdir()
    with plain.open("rb") as file:
        names = ustar.unpack(file, inside, LIMITS)
    plain.unlink()
    tops = sorted({name.partition("/")[0] for name in names})
    if len(tops) != 1 or not (inside / tops[0]).is_dir():
        raise Damaged("the archive does not hold exactly one folder", AGAIN)
    return inside / tops[0]


def claimed_sender(folder: Path) -> str:
    """The force that an unverified bag says it is from: good for choosing the key to hold it to, and nothing else."""
    return manifest.read(_bytes(folder, manifest.NAME)).sender


def check_bag(folder: Path, work: Path, public: str, identity: str) -> Report:
    """Every check of an unpacked bag, in order. Raises as `verify_bundle`."""
    checks: list[tuple[str, str]] = []
    body = _bytes(folder, manifest.NAME)
    with _place("manifest.json: the signature does not hold with the sender's key that you have"):
        keys.verify(public, body, _bytes(folder, manifest.SIGNATURE))
    checks.append(("signature", f"manifest.json is signed with the key {public[:16]}..."))
    read = manifest.read(body)
    _parties(folder, read, public, identity)
    checks.append(("parties", f"from {read.sender} to {read.recipient}, bundle {read.bundle}"))
    _files(folder, read)
    checks.append(("files", f"{len(read.files)} files, each with the SHA-256 that manifest.json states"))
    bag.check(folder, manifest.info(read), frozenset((manifest.NAME, manifest.SIGNATURE)))
    checks.append(("bag", "complete and valid by RFC 8493"))
    chain.check(folder, read, public)
    checks.append(("ledger", f"{read.ledger.size} entries, unbroken, root {read.ledger.root[:16]}..., signed"))
    transcripts = _sightings(folder, read)
    with _scratch(work) as scratch:
        annex.check(folder / manifest.ANNEX, scratch, identity, transcripts)
    checks.append(("annex", f"opens, and holds the raw bytes of all {len(transcripts)} contacts"))
    return Report(read, tuple(checks))


def _parties(folder: Path, read: Manifest, public: str, identity: str) -> None:
    if read.recipient_age != seal.public_of(identity):
        raise Refused(
            f"manifest.json: this bundle was made for {read.recipient}, with another age key than yours",
            "somebody sealed another force's bundle anew for you: tell the sender",
        )
    if read.sender_key != public:
        raise Damaged("manifest.json: it names another sender's key than the one that signed it", AGAIN)
    if folder.name != f"clew-{read.bundle}":
        raise Damaged(f"manifest.json: the bundle {read.bundle} lies in a folder named {folder.name}", AGAIN)


def _files(folder: Path, read: Manifest) -> None:
    there = bag.payload(folder)
    for name in sorted({*there, *read.files}):
        if name not in read.files:
            raise Damaged(f"{name} is in the bundle, but manifest.json does not list it", AGAIN)
        if name not in there:
            raise Damaged(f"{name} is listed in manifest.json, but is not in the bundle", AGAIN)
        if sha256_of(folder / name).hex() != read.files[name]:
            raise Damaged(f"{name} does not hash to what manifest.json says", AGAIN)
    for name in (manifest.ANNEX, manifest.SIGHTINGS, manifest.LEDGER, manifest.NOTE, manifest.NOTE_SIGNATURE):
        if name not in read.files:
            raise Damaged(f"{name} is not in the bundle", AGAIN)


def _sightings(folder: Path, read: Manifest) -> dict[str, str]:
    """Id to transcript digest of each Sighting; holds each to what a Bundle may contain."""
    found: dict[str, str] = {}
    with (folder / manifest.SIGHTINGS).open("rb") as file:
        for number, line in enumerate(file, 1):
            where = f"{manifest.SIGHTINGS} line {number}"
            try:
                facts = json.loads(line)
                key, tier, value = facts["id"], facts["tier"], facts["transcript_sha256"]
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise Damaged(f"{where} is not a contact", AGAIN) from error
            if tier not in ("E1", "E2") or key in found:
                raise Damaged(f"{where}: a contact of tier {tier!r}, or one that is there twice", STATEMENT)
            found[key] = value
    if len(found) != read.counts["sightings"]:
        raise Damaged(f"{manifest.SIGHTINGS}: {len(found)} contacts, manifest.json counts others", AGAIN)
    return found


def _bytes(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise Damaged(f"{name} is not in the bundle", AGAIN) from error


@contextmanager
def _place(message: str) -> Iterator[None]:
    """Names the place in the error of a check that knows only bytes."""
    try:
        yield
    except Damaged as error:
        raise Damaged(
            message, "check that you have this sender's present key from the sender; else " + AGAIN
        ) from error


@contextmanager
def _scratch(work: Path) -> Iterator[Path]:
    folder = work / "annex"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
