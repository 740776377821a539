"""The bag against the reference implementation, `bagit`: what we write it accepts, what it refuses we refuse."""

from pathlib import Path

import bagit
import pytest

from clew.core.errors import Damaged
from clew.share import bag

INFO = {"Bagging-Date": "2026-01-01", "Source-Organization": "Example"}


def made(folder: Path) -> Path:
    bag.write_synced(folder / "data" / "one.txt", [b"one"])
    bag.write_synced(folder / "data" / "deep" / "two.txt", [b"two", b"two"])
    bag.write_synced(folder / "manifest.json", [b"{}"])
    bag.finish(folder, bag.digests(folder), INFO)
    return folder


def test_bagit_validates_ours(tmp_path: Path) -> None:
    theirs = bagit.Bag(str(made(tmp_path / "bag")))
    theirs.validate()
    assert theirs.info["Payload-Oxum"] == "9.2"
    bag.check(tmp_path / "bag", INFO, frozenset({"manifest.json"}))


def test_the_same_facts_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = made(tmp_path / "a"), made(tmp_path / "b")
    names = sorted(p.relative_to(first) for p in first.rglob("*") if p.is_file())
    assert len(names) == 7
    assert [(first / n).read_bytes() for n in names] == [(second / n).read_bytes() for n in names]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda f: (f / "data/one.txt").write_bytes(b"onE"), "data/one.txt"),
        (lambda f: (f / "data/one.txt").unlink(), "data/one.txt"),
        (lambda f: (f / "data/extra").write_bytes(b""), "data/extra"),
        (lambda f: (f / "manifest.json").write_bytes(b"[]"), "manifest.json"),
        (lambda f: (f / "extra.txt").write_bytes(b""), "extra.txt"),
        (lambda f: (f / "bagit.txt").unlink(), "bagit.txt"),
        (lambda f: (f / "tagmanifest-sha256.txt").unlink(), "tagmanifest-sha256.txt"),
        (lambda f: (f / "manifest-sha256.txt").write_bytes(b"x"), "manifest-sha256.txt"),
        (lambda f: (f / "bag-info.txt").unlink(), "bag-info.txt"),
    ],
)
def test_the_first_bad_place_is_named(tmp_path: Path, change, named: str) -> None:
    folder = made(tmp_path / "bag")
    change(folder)
    with pytest.raises(Damaged) as caught:
        bag.check(folder, INFO, frozenset({"manifest.json"}))
    assert named in caught.value.message
