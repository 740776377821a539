"""Takes a Bundle in: verified first, then kept in the receiving force's own case, apart from its own facts.

    CASE/received/ID/store.db    what it says, as tables (clew.share.store), every row with its origin; read-only
    CASE/received/ID/bag/        the Bundle's files as they came; the annex stays sealed

The folder gets its name before the row in `received` is committed: a folder without a row is garbage of a crash, and is
taken away when the Bundle is received again.
"""

import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from clew.core import checkpoint, clock, forces, keys
from clew.core.case import Case, new_id
from clew.core.errors import Refused, Usage
from clew.core.files import sha256_of, sync_folder
from clew.core.lease import lease
from clew.share import chain, manifest, store, verify
from clew.share.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Newer:
    """A Bundle of the same case of the sender that came before the one that is received, and is newer.

    `taken_back`: what it takes back of that one; None where an earlier clew made it, which told nothing of that.
    """

    id: str
    folder: Path
    taken_back: list[dict[str, Any]] | None

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {"bundle": self.id, "folder": str(self.folder), "taken_back": self.taken_back}


@dataclass(frozen=True, slots=True)
class Regraded:
    """A hash that the Bundle before gave as `was` and this one gives as `now`, or (None) not at all."""

    bundle: str
    sha256: str
    was: str
    now: str | None


@dataclass(frozen=True, slots=True)
class Received:
    """A Bundle that this case holds. `new` is False where it was there before.

    `taken_back`: what its sender takes back of earlier Bundles (`store.taken_back`). `newer`: the newest Bundle here of
    the same case of the sender, where this is not it. `regraded`: where it is, what it grades otherwise than the one
    before.
    """

    id: str
    sender: str
    folder: Path
    sha256: bytes
    counts: dict[str, int]
    checks: tuple[tuple[str, str], ...]
    taken_back: list[dict[str, Any]] | None
    newer: Newer | None
    regraded: list[Regraded]
    new: bool

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "bundle": self.id,
            "checks": [{"name": name, "found": found} for name, found in self.checks],
            "counts": self.counts,
            "folder": str(self.folder),
            "new": self.new,
            "newer": self.newer.as_dict() if self.newer else None,
            "regraded": [asdict(each) for each in self.regraded],
            "sender": self.sender,
            "sha256": self.sha256.hex(),
            "taken_back": self.taken_back,
        }


def receive(
    case: Case,
    path: Path,
    *,
    identity_name: str | None = None,
    sender_key: str | None = None,
    keys_folder: Path | None = None,
) -> Received:
    """Verifies the Bundle at `path` and takes it into the case.

    `identity_name` is the age identity to open it with (default: the code of the case's force); `sender_key` the
    sender's public key (default: what the case knows of that force). Raises Refused for another's Bundle, an unknown
    sender or a replay; Damaged naming the first place that does not hold.
    """
    identity = keys.age_identity(identity_name or case.settings.force, keys_folder)
    with lease(case, "share", "received"):
        work = case.folder / "received" / f".{new_id()}"
        work.mkdir(mode=0o700, parents=True)
        try:
            return _receive(case, path, work, identity, sender_key)
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _receive(case: Case, path: Path, work: Path, identity: str, sender_key: str | None) -> Received:
    folder = verify.open_bundle(path, work, identity)
    sha256 = sha256_of(path)
    public = _sender(case, verify.claimed_sender(folder), sender_key)
    report = verify.check_bag(folder, work, public, identity)
    read = report.manifest
    if read.recipient != case.settings.force:
        raise Refused(
            f"this bundle is for {read.recipient}, and this is a case of {case.settings.force}",
            "receive it into a case of that force",
        )
    final = case.folder / "received" / read.bundle
    there = _is_there(case, read, sha256)
    if not there:
        _same_history(case, read, folder)
    got = Received(
        read.bundle,
        read.sender,
        final,
        sha256,
        dict(read.counts),
        report.checks,
        store.taken_back(folder),
        newer := _newer(case, read),
        [] if newer else _regraded(case, read, folder),
        new=not there,
    )
    if there:
        return got
    ready = work / "ready"
    ready.mkdir()
    folder.rename(ready / "bag")
    store.build(ready / "store.db", ready / "bag", read)
    _freeze(ready)
    _clear(final)
    ready.rename(final)
    sync_folder(final.parent)
    _record(case, read, final, sha256)
    return got


def _sender(case: Case, code: str, given: str | None) -> str:
    """The key to hold the Bundle to: the given one, else the one that the case knows of this force."""
    known = {force.code: keys.read_public(force.signing_key) for force in forces.all_of(case) if force.signing_key}
    if given is not None:
        return _given(keys.read_public(given), code, known)
    if code not in known:
        raise Refused(
            f"the sender {code!r} is unknown here: there is no signing key of that force in this case",
            "get its public key from the force itself, then: clew force add, or --sender-key FILE",
        )
    return known[code]


def _given(public: str, code: str, known: dict[str, str]) -> str:
    """The given key, unless this case holds another one of that force, or holds it of another force."""
    whose = sorted(force for force, key in known.items() if key == public)
    if known.get(code, public) != public or (whose and code not in whose):
        held = f"it is that of {', '.join(whose)}" if whose else f"of {code!r} this case holds another"
        raise Refused(
            f"the bundle says that it is from {code!r}, and the key that you gave is not that one's: {held}",
            "ask that force which key it has; a new one replaces the old: clew force add CASE CODE ... --key FILE",
        )
    return public


def _is_there(case: Case, read: Manifest, sha256: bytes) -> bool:
    row = case.read().execute("SELECT sha256 FROM received WHERE id = ?", (read.bundle,)).fetchone()
    if row is None:
        return False
    if bytes(row["sha256"]) != sha256:
        raise Refused(
            f"bundle {read.bundle} was received before, as another file (SHA-256 {bytes(row['sha256']).hex()})",
            "a bundle is made once: ask the sender why there are two",
        )
    return True


def _same_history(case: Case, read: Manifest, folder: Path) -> None:
    """Holds this ledger against those that came from the same case before, whichever is the longer one."""
    roots: dict[int, bytes] = {}
    for row, note in _of_the_same_case(case, read):
        if note.size <= read.ledger.size:
            roots[note.size] = note.root
        else:
            held = case.folder / row["folder"] / "bag" / manifest.LEDGER
            chain.check_prefixes(held, {read.ledger.size: bytes.fromhex(read.ledger.root)})
    chain.check_prefixes(folder / manifest.LEDGER, roots)


def _newer(case: Case, read: Manifest) -> Newer | None:
    """The newest that came from the same case, where this is an older one: each Bundle tells again all that is taken
    back, and each makes the sender's ledger longer.
    """
    newest = max(_of_the_same_case(case, read), key=lambda each: each[1].size, default=None)
    if newest is None or newest[1].size <= read.ledger.size:
        return None
    folder = case.folder / newest[0]["folder"]
    back = store.taken_back(folder / "bag")
    if back is not None:
        back = [each for each in back if any(copy["bundle"] == read.bundle for copy in each["bundles"])]
    return Newer(newest[0]["id"], folder, back)


def _regraded(case: Case, read: Manifest, folder: Path) -> list[Regraded]:
    """What the newest of those before gave with another grade: every Bundle gives all grades that stand."""
    older = [each for each in _of_the_same_case(case, read) if each[1].size < read.ledger.size]
    if not older:
        return []
    row, _ = max(older, key=lambda each: each[1].size)
    was, now = store.grades(case.folder / row["folder"] / "bag"), store.grades(folder)
    return [
        Regraded(row["id"], sha256.hex(), grade, now.get(sha256))
        for sha256, grade in was.items()
        if now.get(sha256) != grade
    ]


def _of_the_same_case(case: Case, read: Manifest) -> Iterator[tuple[Any, checkpoint.Note]]:
    """Each Bundle that was received from there, with its checkpoint."""
    for row in case.read().execute("SELECT id, folder, checkpoint FROM received WHERE sender = ?", (read.sender,)):
        note = checkpoint.parse(row["checkpoint"])
        if note.origin == f"clew/{read.case}":
            yield row, note


def _record(case: Case, read: Manifest, folder: Path, sha256: bytes) -> None:
    note = (folder / "bag" / manifest.NOTE).read_text("utf-8")
    with case.write("share") as tx:
        tx.execute(
            "INSERT INTO received VALUES (?,?,?,?,?,?)",
            (read.bundle, read.sender, str(folder.relative_to(case.folder)), sha256, note, clock.now().utc_ns),
        )
        tx.record(
            "bundle.received",
            subject={"bundle": read.bundle, "sender": read.sender, "sha256": sha256.hex(), "root": read.ledger.root},
            counts=dict(read.counts),
        )


def _freeze(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(0o444)


def _clear(final: Path) -> None:
    if final.is_symlink():
        raise Usage(f"{final} is a link", "remove it; a received bundle lies in the case itself")
    shutil.rmtree(final, ignore_errors=True)
