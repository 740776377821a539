"""Checkpoints: where the Ledger stood, signed, in a form that partners can countersign and `openssl` can check.

The text is a checkpoint of C2SP tlog-checkpoint in the envelope of C2SP signed-note: origin, number of entries and
base64 Merkle root (RFC 6962), a line each; a blank line; signature lines. The raw Ed25519 signature over the three
lines lies beside it, for `openssl pkeyutl -verify -rawin`. A chain alone does not notice a cut tail: so a
checkpoint leaves with every Bundle.
"""

import base64
import hashlib
import re
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from clew.core import clock, keys
from clew.core.case import Case
from clew.core.errors import Damaged, Usage
from clew.core.merkle import Tree

SIGNED = "checkpoint.signed"  # what the ledger calls it
ED25519 = b"\x01"  # C2SP signed-note, signature type of Ed25519
DASH = "\N{EM DASH}"
SIGNATURE_LINE = re.compile(rf"{DASH} (?P<name>\S+) (?P<blob>[A-Za-z0-9+/=]+)")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a Ledger stood: `size` entries, Merkle root `root`. `signature` is raw, over the body of `note`."""

    size: int
    root: bytes
    note: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A note taken apart. `signatures` are (name, 4-byte key hash, raw signature), the issuer's first."""

    origin: str
    size: int
    root: bytes
    body: bytes
    signatures: tuple[tuple[str, bytes, bytes], ...]


def origin(case: Case) -> str:
    """What a checkpoint of this case calls its Ledger."""
    return f"clew/{case.settings.id}"


def checkpoint(case: Case, key: Ed25519PrivateKey, name: str) -> Checkpoint:
    """Signs where the Ledger stands now, and keeps it in the case. `name` is the signer's, without blanks or "+"."""
    if not name or re.search(r"[\s+]", name):
        raise Usage(f"{name!r} cannot name a signer", "use a name without blanks and plus signs")
    tree = Tree()
    for (line,) in case.read().execute("SELECT line FROM ledger ORDER BY seq"):
        tree.add(line.encode())
    body = f"{origin(case)}\n{tree.size}\n{base64.b64encode(tree.root()).decode()}\n"
    public, signature = keys.public_hex(key), keys.sign(key, body.encode())
    note = f"{body}\n{_signature_line(name, public, signature)}"
    made = Checkpoint(tree.size, tree.root(), note, signature)
    with case.write("core") as tx, tx.gate.core():
        row = (made.size, made.root, made.note, made.signature, public, clock.now().utc_ns)
        tx.execute("INSERT OR REPLACE INTO checkpoints VALUES (?,?,?,?,?,?)", row)
        subject = {"signer": name, "key": public, "root": made.root.hex()}
        tx.record(SIGNED, subject=subject, counts={"size": made.size})
    return made


def countersign(note: str, key: Ed25519PrivateKey, name: str) -> str:
    """The note with one more signature line. Whoever countersigns checks the ledger first (`clew verify`)."""
    return note + _signature_line(name, keys.public_hex(key), keys.sign(key, parse(note).body))


def keep(case: Case, note: str) -> Note:
    """Takes a checkpoint of this case that partners have countersigned back into the case, with their signatures.

    Raises Damaged where it is not one that this case signed, or lacks a signature that is here already.
    """
    came = parse(note)
    with case.write("core") as tx, tx.gate.core():
        row = tx.execute("SELECT note FROM checkpoints WHERE size=?", (came.size,)).fetchone()
        held = parse(row["note"]) if row is not None else None
        if held is None or held.body != came.body or not set(held.signatures) <= set(came.signatures):
            raise Damaged("this is no countersigned checkpoint of this case", "give one that left this case")
        tx.execute("UPDATE checkpoints SET note=? WHERE size=?", (note, came.size))
        names = [name for name, _, _ in came.signatures]
        counts = {"size": came.size, "signatures": len(names)}
        tx.record("checkpoint.countersigned", subject={"signers": names}, counts=counts)
    return came


def parse(note: str) -> Note:
    """Takes a note apart; signatures are not checked yet. Raises Damaged where it is no checkpoint."""
    body, gap, tail = note.partition("\n\n")
    lines = body.split("\n")
    matches = [SIGNATURE_LINE.fullmatch(line) for line in tail.splitlines()]
    try:
        origin, size, root = lines[0], int(lines[1]), base64.b64decode(lines[2], validate=True)
        blobs = [(m["name"], base64.b64decode(m["blob"], validate=True)) for m in matches if m]
    except (IndexError, ValueError) as error:
        raise Damaged("this is no checkpoint", "a checkpoint has origin, size and root, a line each") from error
    if not gap or not blobs or len(blobs) != len(matches) or len(root) != 32 or str(size) != lines[1] or size < 0:
        raise Damaged("this is no checkpoint", "a checkpoint has origin, size and root, and at least one signature")
    parts = tuple((name, blob[:4], blob[4:]) for name, blob in blobs)
    return Note(origin, size, root, f"{body}\n".encode(), parts)


def verify_note(note: Note, public: str) -> str:
    """The name under which the key `public` (hex) signed. Raises Damaged where it did not."""
    if not keys.RAW_PUBLIC_HEX.fullmatch(public):
        raise Damaged("the checkpoint's key is no public key", "a public key is 64 hexadecimal digits")
    for name, key_hash, signature in note.signatures:
        if key_hash == _key_hash(name, public):
            keys.verify(public, note.body, signature)
            return name
    raise Damaged("the checkpoint bears no signature of this key", "ask its signer for the right public key")


def _key_hash(name: str, public: str) -> bytes:
    """C2SP signed-note: the first 4 bytes of SHA-256(name || 0x0A || 0x01 || public key)."""
    return hashlib.sha256(name.encode() + b"\n" + ED25519 + bytes.fromhex(public)).digest()[:4]


def _signature_line(name: str, public: str, signature: bytes) -> str:
    return f"{DASH} {name} {base64.b64encode(_key_hash(name, public) + signature).decode()}\n"
