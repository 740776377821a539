"""The sealed annex: the only place of a Bundle with infohashes. An age file of its own, for the same force.

Inside, a ustar archive: `watches.json` (label to hexadecimal infohashes), `documents/` (the signed Mandates and
Watches), `transcripts/ID.bin` (the raw bytes of each contact, by Sighting id) and `SHA256SUMS` over all of them.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from clew.core import shards, watch
from clew.core.case import Case
from clew.core.errors import Damaged
from clew.core.files import sha256_of
from clew.share import bag, seal, ustar
from clew.share.api import Package

SUMS = "SHA256SUMS"
AT_ONCE = 10_000
LIMITS = ustar.Limits(members=10_000_000, bytes=64 << 30)
TRANSCRIPTS = "SELECT DISTINCT ON (id) id, transcript FROM sightings WHERE id IN (SELECT unnest(?)) ORDER BY id"


def build(case: Case, package: Package, work: Path, target: Path) -> None:
    """Writes the annex of this package, encrypted for its recipient, to `target`; `work` is an empty folder."""
    bag.write_synced(work / "watches.json", [_watches(case, package)])
    for name, data in _documents(case, package):
        bag.write_synced(work / "documents" / name, [data])
    ids = [s.id for s in package.sightings]
    (work / "transcripts").mkdir()
    for start in range(0, len(ids), AT_ONCE):
        for row in shards.query(case, TRANSCRIPTS, [ids[start : start + AT_ONCE]]).to_pylist():
            (work / "transcripts" / f"{row['id']}.bin").write_bytes(row["transcript"])
    names = sorted(p.relative_to(work).as_posix() for p in work.rglob("*") if p.is_file())
    sums = "".join(f"{sha256_of(work / name).hex()}  {name}\n" for name in names)
    (work / SUMS).write_text(sums, "ascii")
    plain = work.with_name(f"{work.name}.tar")
    with plain.open("xb") as file:
        ustar.pack(file, [(name, work / name) for name in [SUMS, *names]], mtime=package.created_ns // 1_000_000_000)
    seal.encrypt(plain, target, package.recipient.key)
    plain.unlink()


def check(annex: Path, work: Path, secret: str, transcripts: dict[str, str]) -> None:
    """Opens the annex into `work` and holds it to its own sums and to the Sightings' (id to SHA-256) digests.

    Raises Damaged naming the first place that does not hold.
    """
    plain = work.with_name(f"{work.name}.tar")
    seal.decrypt(annex, plain, secret)
    with plain.open("rb") as file:
        names = ustar.unpack(file, work, LIMITS)
    plain.unlink()
    try:
        lines = (work / SUMS).read_text("ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Damaged(f"annex.age holds no {SUMS}", "ask the sender for the bundle again") from error
    sums = {line[66:]: line[:64] for line in lines}
    for name in sorted({*names, *sums} - {SUMS}):
        if name not in names or sums.get(name) != sha256_of(work / name).hex():
            raise Damaged(f"annex.age: {name} does not agree with {SUMS}", "ask the sender for the bundle again")
    for key, wanted in transcripts.items():
        if sums.get(f"transcripts/{key}.bin") != wanted:
            raise Damaged(
                f"annex.age: the raw bytes of contact {key} are not those that evidence/sightings.jsonl names",
                "ask the sender for the bundle again",
            )


def _watches(case: Case, package: Package) -> bytes:
    wanted = {w.label for w in package.watches}
    body = {
        w.label: {
            "infohash_v1": w.infohash_v1.hex() if w.infohash_v1 else None,
            "infohash_v2": w.infohash_v2.hex() if w.infohash_v2 else None,
            "piece_length": w.piece_length,
            "pieces": w.pieces,
            "file_offset": w.file_offset,
            "file_length": w.file_length,
        }
        for w in watch.all_of(case)
        if w.label in wanted
    }
    return (json.dumps(body, indent=2, sort_keys=True) + "\n").encode()


def _documents(case: Case, package: Package) -> Iterator[tuple[str, bytes]]:
    conn = case.read()
    for key, _ in package.mandates:
        row = conn.execute("SELECT document FROM mandates WHERE id = ?", (key,)).fetchone()
        yield f"mandate-{_plain(key)}.json", bytes(row["document"])
    for part in package.watches:
        row = conn.execute("SELECT document FROM watches WHERE id = ?", (part.id,)).fetchone()
        yield f"watch-{_plain(part.id)}.json", bytes(row["document"])


def _plain(key: str) -> str:
    """An id as part of a file name: of whatever else was signed as an id its SHA-256."""
    return key if key.isascii() and key.isalnum() and len(key) <= 64 else hashlib.sha256(key.encode()).hexdigest()
