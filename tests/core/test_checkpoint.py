"""Merkle roots against an oracle written from the RFC, checkpoints against openssl."""

import hashlib
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.core import checkpoint, keys
from clew.core.case import Case
from clew.core.errors import Damaged
from clew.core.merkle import Tree
from clew.core.verify import verify_case


def mth(leaves: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, word for word: MTH(D[n]), k the largest power of two smaller than n."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


@given(st.lists(st.binary(max_size=20), max_size=70))
def test_the_growing_tree_is_the_rfcs(leaves: list[bytes]) -> None:
    tree = Tree()
    for leaf in leaves:
        tree.add(leaf)
    assert tree.root() == mth(leaves)


def test_published_roots() -> None:
    """The test vectors of the certificate-transparency project (roots of 1 and 8 leaves)."""
    leaves = [bytes.fromhex(h) for h in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657")]
    leaves.append(bytes.fromhex("606162636465666768696a6b6c6d6e6f"))
    assert mth(leaves[:1]).hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    tree = Tree()
    for leaf in leaves:
        tree.add(leaf)
    assert tree.root().hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


def test_openssl_alone_verifies_a_checkpoint(case: Case, key_folder: Path, tmp_path: Path) -> None:
    made = checkpoint.checkpoint(case, keys.signing_key("authority"), "AT")
    (tmp_path / "body").write_text("".join(made.note.splitlines(keepends=True)[:3]), "utf-8")
    (tmp_path / "sig").write_bytes(made.signature)
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(key_folder / "authority.pub"), "-rawin"]
    command += ["-in", str(tmp_path / "body"), "-sigfile", str(tmp_path / "sig")]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    (tmp_path / "body").write_text(made.note.replace("\n2\n", "\n1\n"), "utf-8")
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0


def test_countersignatures(case: Case, key_folder: Path) -> None:
    keys.new_signing_key("partner")
    made = checkpoint.checkpoint(case, keys.signing_key("authority"), "AT")
    both = checkpoint.parse(checkpoint.countersign(made.note, keys.signing_key("partner"), "BE"))
    assert checkpoint.verify_note(both, keys.read_public("authority")) == "AT"
    assert checkpoint.verify_note(both, keys.read_public("partner")) == "BE"
    with pytest.raises(Damaged):
        checkpoint.verify_note(checkpoint.parse(made.note), keys.read_public("partner"))


def test_a_countersigned_checkpoint_comes_home(case: Case, key_folder: Path) -> None:
    keys.new_signing_key("partner")
    made = checkpoint.checkpoint(case, keys.signing_key("authority"), "AT")
    both = checkpoint.countersign(made.note, keys.signing_key("partner"), "BE")
    assert [name for name, _, _ in checkpoint.keep(case, both).signatures] == ["AT", "BE"]
    verify_case(case, outside=both, signer=keys.read_public("partner"))
    for other in (made.note, both.replace("\n2\n", "\n1\n")):  # a signature less; another size
        with pytest.raises(Damaged, match="no countersigned checkpoint"):
            checkpoint.keep(case, other)


@given(st.text(max_size=300))
def test_junk_is_no_checkpoint(text: str) -> None:
    with pytest.raises(Damaged, match="no checkpoint"):
        checkpoint.parse(text)


def test_a_flipped_character_anywhere(case: Case) -> None:
    """It is refused, or says the same: the last digit of a signature's base64 has bits that stand for nothing."""
    made = checkpoint.checkpoint(case, keys.signing_key("authority"), "AT")
    public, meant = keys.read_public("authority"), checkpoint.parse(made.note)
    last = len(made.note.rstrip("=\n")) - 1  # RFC 4648 section 3.5: 68 bytes are 544 bits of 91 digits
    for at in range(len(made.note)):
        flipped = made.note[:at] + ("A" if made.note[at] != "A" else "B") + made.note[at + 1 :]
        if at == last and made.note[at] == "A":
            assert checkpoint.parse(flipped) == meant
            continue
        with pytest.raises(Damaged):
            checkpoint.verify_note(checkpoint.parse(flipped), public)
