"""The Ledger in a Bundle: an unbroken chain from its first entry, and a signed checkpoint of exactly these."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from clew.core import checkpoint, keys, ledger
from clew.core.errors import Damaged
from clew.core.merkle import Tree
from clew.share import manifest
from clew.share.manifest import Manifest

AGAIN = "the ledger that came is not the one that was signed; ask the sender for the bundle again"


def check(folder: Path, read: Manifest, public: str) -> None:
    """Raises Damaged naming the first line that breaks the chain, or the checkpoint that does not fit it."""
    tree, previous = Tree(), ledger.GENESIS.hex()
    with (folder / manifest.LEDGER).open("rb") as file:
        for raw in file:
            line = raw.removesuffix(b"\n")
            _check_line(line, tree.size, previous)
            previous = hashlib.sha256(line).hexdigest()
            tree.add(line)
    if tree.size != read.ledger.size or previous != read.ledger.last_line_sha256:
        raise Damaged(
            f"{manifest.LEDGER} ends after {tree.size} entries, manifest.json states {read.ledger.size}", AGAIN
        )
    if tree.root().hex() != read.ledger.root:
        raise Damaged(f"{manifest.LEDGER} does not have the Merkle root that manifest.json states", AGAIN)
    _check_note(folder, read, tree, public)


def check_prefixes(ledger_file: Path, roots: Mapping[int, bytes]) -> None:
    """Raises Damaged where the first `size` lines do not have the Merkle root of an earlier checkpoint of that size."""
    tree, wanted = Tree(), dict(roots)
    with ledger_file.open("rb") as file:
        for raw in file:
            tree.add(raw.removesuffix(b"\n"))
            known = wanted.pop(tree.size, None)
            if known is not None and known != tree.root():
                raise Damaged(
                    f"{manifest.LEDGER}: its first {tree.size} entries are not those of an earlier bundle's checkpoint",
                    "the sender's ledger was written anew, or cut, since: ask the sender, and keep both bundles",
                )


def _check_line(line: bytes, seq: int, previous: str) -> None:
    try:
        entry = json.loads(line)
        good = entry["seq"] == seq and entry["prev"] == previous and ledger.canonical(entry).encode() == line
    except (ValueError, KeyError, TypeError, RecursionError):
        good = False
    if not good:
        raise Damaged(f"{manifest.LEDGER} breaks at entry {seq}: it does not follow the one before it", AGAIN)


def _check_note(folder: Path, read: Manifest, tree: Tree, public: str) -> None:
    """The checkpoint speaks of this case and this tree, and is signed: in the note itself, and raw beside it."""
    try:
        note = checkpoint.parse((folder / manifest.NOTE).read_text("utf-8"))
        checkpoint.verify_note(note, public)
        keys.verify(public, note.body, (folder / manifest.NOTE_SIGNATURE).read_bytes())
    except (Damaged, UnicodeDecodeError) as error:
        raise Damaged(f"{manifest.NOTE} is not a checkpoint signed by the sender: {error}", AGAIN) from error
    if (note.origin, note.size, note.root) != (f"clew/{read.case}", tree.size, tree.root()):
        raise Damaged(f"{manifest.NOTE} is a checkpoint of another ledger than the one in this bundle", AGAIN)
