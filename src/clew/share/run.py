"""Builds Bundles: the Package of a force, exported, bagged, packed, encrypted, recorded, and only then named.

A crash before the record leaves a case without that Bundle, and at most garbage: `CASE/.share`, which the next run
clears, and `OUT/.NAME.part`. After it, the next run gives the Bundle, which the Ledger has already, its name.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from clew.core import clock, forces, keys, mandate, plugins, sent, watch
from clew.core.case import Case, new_id
from clew.core.checkpoint import Checkpoint, checkpoint
from clew.core.errors import ClewError
from clew.core.failpoints import failpoint
from clew.core.files import sha256_of, sync_folder
from clew.core.lease import lease
from clew.model import Bundle
from clew.share import annex, bag, manifest, seal, sweep, ustar
from clew.share.api import Exporter, LeadPart, Package
from clew.share.collect import collect

EXPORTERS = "clew.share.exporters"


def build(
    case: Case,
    *,
    force_code: str,
    out: Path,
    key_name: str,
    keys_folder: Path | None = None,
    now_ns: int | None = None,
    left: sent.Left | None = None,
) -> Bundle:
    """One Bundle for one force, as `OUT/CODE-ID.tar.age`. `left`: what left before, where the caller has read it.

    Raises Refused without a Mandate for sharing with that country, without the force's age key, or where an exporter
    would let an infohash out; Usage where force or key are unknown.
    """
    force = forces.get(case, force_code)
    key = keys.signing_key(key_name, keys_folder)
    now = clock.now().utc_ns if now_ns is None else now_ns
    legal = mandate.require(case, purpose="share", at_ns=now, country=force.country)
    out.mkdir(parents=True, exist_ok=True)
    with lease(case, "share", "bundles"), _workshop(case) as work:
        finish_interrupted(case)
        public = keys.public_hex(key)
        package = collect(case, force, bundle=new_id(), now_ns=now, sender_key=public, legal=legal, left=left)
        point = checkpoint(case, key, f"clew/{case.settings.force}")
        return _seal_and_record(case, package, out, work, point=point, key=key, legal=legal.id)


def build_all(
    case: Case,
    *,
    out: Path,
    key_name: str,
    keys_folder: Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
    left: sent.Left | None = None,
) -> list[Bundle]:
    """One Bundle for every other force; `left` as in `build`.

    Raises ClewError, before any is built, where one of them gave no age key.
    """
    everyone = [force for force in forces.all_of(case) if force.code != case.settings.force]
    without = [force.code for force in everyone if force.age_recipient is None]
    if without or not everyone:
        raise ClewError(
            f"no age recipient is known of: {', '.join(without)}" if without else "the case knows no other force",
            "add the key each force gave you: clew force add CASE CODE --recipient age1...; or share with --force",
        )
    made, left = [], left or sent.Left(case)
    for force in everyone:
        progress(force.code)
        bundle = build(case, force_code=force.code, out=out, key_name=key_name, keys_folder=keys_folder, left=left)
        made.append(bundle)
    return made


def write_bag(
    folder: Path,
    package: Package,
    *,
    point: Checkpoint,
    lines: Iterator[bytes],
    annex_file: Path,
    key: Ed25519PrivateKey,
) -> None:
    """The bag of a Package in the new `folder`. The same arguments give the same bytes."""
    for exporter in plugins.load_all(EXPORTERS).values():
        _export(folder, exporter, package)
    annex_file.rename(folder / manifest.ANNEX)
    bag.write_synced(folder / manifest.NOTE, [point.note.encode()])
    bag.write_synced(folder / manifest.NOTE_SIGNATURE, [point.signature])
    last = _Last(lines)
    bag.write_synced(folder / manifest.LEDGER, last)
    hashes = bag.digests(folder)
    state = manifest.LedgerState(point.size, point.root.hex(), hashlib.sha256(last.line).hexdigest())
    body = manifest.write(package, state, hashes)
    bag.write_synced(folder / manifest.NAME, [body])
    bag.write_synced(folder / manifest.SIGNATURE, [keys.sign(key, body)])
    bag.finish(folder, hashes, manifest.info(manifest.read(body)))


def finish_interrupted(case: Case) -> None:
    """Gives Bundles that are recorded, but were not named before a crash, their name."""
    for row in case.read().execute("SELECT id, path, sha256 FROM bundles"):
        final = Path(row["path"])
        partial = _partial(final)
        if not final.exists() and partial.exists() and sha256_of(partial) == bytes(row["sha256"]):
            partial.rename(final)


def _seal_and_record(
    case: Case,
    package: Package,
    out: Path,
    work: Path,
    *,
    point: Checkpoint,
    key: Ed25519PrivateKey,
    legal: str,
) -> Bundle:
    name = f"clew-{package.bundle}"
    folder, plain = work / name, work / "bundle.tar"
    (folder / "data").mkdir(parents=True)
    (work / "annex").mkdir()
    annex.build(case, package, work / "annex", work / "annex.age")
    lines = _ledger_lines(case, point.size)
    write_bag(folder, package, point=point, lines=lines, annex_file=work / "annex.age", key=key)
    names = sorted(p.relative_to(work).as_posix() for p in folder.rglob("*") if p.is_file())
    wanted = sweep.needles(watch.all_of(case))
    sweep.sweep(work, [n for n in names if n != f"{name}/{manifest.ANNEX}"], wanted)
    with plain.open("xb") as file:
        ustar.pack(file, [(n, work / n) for n in names], mtime=package.created_ns // 1_000_000_000)
    final = out.resolve() / f"{package.recipient.code}-{package.bundle}.tar.age"
    partial = _partial(final)
    seal.encrypt(plain, partial, package.recipient.key)
    made = Bundle(package.bundle, package.recipient.code, str(final), sha256_of(partial), package.created_ns)
    failpoint("share.record.before")
    _record(case, made, package, point, legal)
    failpoint("share.record.after")
    partial.rename(final)
    sync_folder(final.parent)
    return made


def _record(case: Case, made: Bundle, package: Package, point: Checkpoint, legal: str) -> None:
    left = {lead.id: _as_kept(lead) for lead in package.leads}
    back = {each.lead: each.why for each in package.taken_back}
    row = (made.id, made.force, made.path, made.sha256, point.size, made.created_ns, json.dumps(left), json.dumps(back))
    about = {"bundle": made.id, "force": made.force, "sha256": made.sha256.hex(), "path": made.path}
    with case.write("share") as tx:
        tx.execute(
            "INSERT INTO bundles (id, force, path, sha256, checkpoint, created_ns, leads, taken_back) "
            "VALUES (?,?,?,?,?,?,?,?)",
            row,
        )
        tx.record(
            "bundle.built",
            subject=about | {"leads": sorted(left), "taken_back": back},
            counts=manifest.counts(package) | {"taken_back": len(back)},
            mandate=legal,
        )


def _as_kept(lead: LeadPart) -> dict[str, Any]:
    intervals = [(i.address, i.port, i.transport, i.from_ns, i.to_ns) for i in lead.intervals]
    return sent.as_kept(lead.subject, lead.rank, lead.expires_ns, intervals)


def _export(folder: Path, exporter: Exporter, package: Package) -> None:
    target = folder / "data" / exporter.filename
    if target.exists():
        raise ClewError(f"two exporters write {exporter.filename}", "remove one of the plug-ins")
    bag.write_synced(target, exporter.export(package))


class _Last:
    """Passes lines on and remembers the last one, without its line feed."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines, self.line = lines, b""

    def __iter__(self) -> Iterator[bytes]:
        for line in self._lines:
            self.line = line.rstrip(b"\n")
            yield line


def _ledger_lines(case: Case, size: int) -> Iterator[bytes]:
    for (line,) in case.read().execute("SELECT line FROM ledger WHERE seq < ? ORDER BY seq", (size,)):
        yield line.encode() + b"\n"


def _partial(final: Path) -> Path:
    return final.with_name(f".{final.name}.part")


@contextmanager
def _workshop(case: Case) -> Iterator[Path]:
    """An empty private folder in the case; what an earlier run left there is taken away first."""
    work = case.folder / ".share"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(mode=0o700)
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
