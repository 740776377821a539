"""Of an encrypted volume it is said what the operator can do: an image that nobody can open tells nothing else."""

import random
from pathlib import Path

import pytest

from case_made import new_case
from clew.intake.disk import signatures
from clew.intake.options import Options
from clew.intake.run import intake

BITLOCKER = (
    "BitLocker",
    "with the recovery key: `dislocker`, or Windows with a write blocker",
    "Nothing here is carved",
)
LOCKED: dict[str, tuple[int, bytes, tuple[str, ...]]] = {
    "BitLocker": (3, b"-FVE-FS-", BITLOCKER),
    "BitLocker To Go": (424, bytes.fromhex("3bd66749292ed84a"), ("BitLocker To Go", *BITLOCKER[1:])),
    "FileVault": (
        8,
        b"\x01\x00\x10\x00" + bytes(76) + b"CS",
        ("CoreStorage (FileVault)", "with the passphrase or recovery key on a Mac, or by `fvdemount`"),
    ),
    "LUKS1": (0, b"LUKS\xba\xbe\x00\x01", ("LUKS1", "`cryptsetup open --readonly`")),
    "LUKS2": (0, b"LUKS\xba\xbe\x00\x02", ("LUKS2", "`cryptsetup open --readonly`")),
}


@pytest.mark.parametrize(("at", "magic", "said"), LOCKED.values(), ids=LOCKED)
def test_an_encrypted_volume_is_told_with_how_to_open_it(
    tmp_path: Path, at: int, magic: bytes, said: tuple[str, ...]
) -> None:
    data = bytearray(bytes(signatures.LOOK) + random.Random(3).randbytes(1 << 20))
    data[at : at + len(magic)] = magic
    (tmp_path / "disk.img").write_bytes(data)
    options = Options(workers=1, extractors=())
    summary = intake(new_case(tmp_path / "case"), path=tmp_path / "disk.img", label="D", options=options)
    (locked,) = summary.account.parts_unreadable
    assert locked["missing"].startswith("encrypted: ")
    for words in (*said, "unlock it with its own tool and take in the opened volume"):
        assert words in locked["missing"]
        assert words in summary.words()
    assert not summary.complete
