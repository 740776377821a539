"""Every archive of the corpus goes through an intake, and each member comes out; one added there is asked for here."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from cases import items, sha256

from case_made import new_case
from clew.intake.options import Options
from clew.intake.run import intake

pytestmark = pytest.mark.corpus

SYSLOG, BOTH = ("syslog",), ("folder/syslog", "folder/wtmp.1")
# Name: its members, as they are listed.
MEMBERS = {
    "dfvfs/test_data/corrupt1.gz": ("corrupt1",),
    "dfvfs/test_data/syslog.Z": SYSLOG,
    "dfvfs/test_data/syslog.bin.cpio": SYSLOG,
    "dfvfs/test_data/syslog.bz2": SYSLOG,
    "dfvfs/test_data/syslog.gz": ("syslog.1",),
    "dfvfs/test_data/syslog.lzma": SYSLOG,
    "dfvfs/test_data/syslog.newc.cpio": SYSLOG,
    "dfvfs/test_data/syslog.tgz": SYSLOG,
    "dfvfs/test_data/syslog.xz": SYSLOG,
    "dfvfs/test_data/syslog.zlib": SYSLOG,
    "dfvfs/test_data/tar/absolute_paths.tar": ("/folder/syslog", "/folder/wtmp.1"),
    "dfvfs/test_data/tar/mixed_paths.tar": ("/folder/syslog", "folder/wtmp.1"),
    "dfvfs/test_data/tar/syslog.tar": SYSLOG,
    "dfvfs/test_data/tar/with_directory.tar": ("folder/", *BOTH),
    "dfvfs/test_data/tar/without_directory.tar": BOTH,
    "dfvfs/test_data/zip/absolute_paths.zip": ("/folder/syslog", "/folder/wtmp.1"),
    "dfvfs/test_data/zip/mixed_paths.zip": ("/folder/syslog", "folder/wtmp.1"),
    "dfvfs/test_data/zip/syslog.zip": ("syslog", "wtmp.1"),
    "dfvfs/test_data/zip/with_directory.zip": ("folder/", *BOTH),
    "dfvfs/test_data/zip/without_directory.zip": BOTH,
    "plaso/test_data/recycler/$II3DF3L.zip": (),  # what Windows notes of a zip in its recycle bin; no archive
}
BOMBS = ("generated/archives/flat_bomb.zip", "generated/archives/nested_bomb.zip")  # see test_archive_intake.py
ARCHIVES = (*MEMBERS, *BOMBS)
KINDS = {
    *(".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".lzma", ".Z", ".zlib", ".zst", ".lz4", ".lz", ".cpio", ".7z"),
    *(".rar", ".cab", ".lha", ".lzh", ".ar", ".deb", ".jar"),
}


@pytest.fixture(scope="module")
def corpus() -> Path:
    return Path(os.environ["CLEW_CORPUS"])


@pytest.fixture(scope="module")
def found(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[bytes, dict[str, Any]]:
    """Every Item of one folder that holds all but the bombs."""
    folder = tmp_path_factory.mktemp("archives")
    for name in MEMBERS:
        (folder / "x" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(corpus / name, folder / "x" / name)
    case = new_case(folder / "case")
    summary = intake(case, path=folder / "x", label="X", workers=1, options=Options(extractors=()))
    assert summary.account.balanced
    assert summary.account.unreadable_by_reason == {"unparsable": 1}
    return items(case)


@pytest.mark.parametrize("name", MEMBERS)
def test_its_members_are_read(name: str, corpus: Path, found: dict[bytes, dict[str, Any]]) -> None:
    begin = os.fsencode(f"{name}!/")
    members = {path[len(begin) :].decode(): item for path, item in found.items() if path.startswith(begin)}
    assert sorted(members) == sorted(MEMBERS[name])
    assert found[os.fsencode(name)]["state"] == "done"
    wtmp = found[b"dfvfs/test_data/zip/syslog.zip!/wtmp.1"]["sha256"]
    for path, item in members.items():
        if path.startswith("corrupt"):
            assert (item["state"], item["as_read"]) == ("unreadable", "partial")
            assert "it is cut" in item["detail"]
        elif path.endswith("/"):
            assert (item["state"], item["sha256"]) == ("skipped", None)
        else:
            whole = sha256((corpus / "dfvfs/test_data/syslog").read_bytes()) if "syslog" in path else wtmp
            assert (item["state"], item["sha256"]) == ("done", whole)


def test_every_archive_of_the_corpus_is_asked_for(corpus: Path) -> None:
    there = {str(path.relative_to(corpus)) for path in corpus.rglob("*") if path.suffix in KINDS}
    assert {name for name in there if not name.startswith("generated/images/")} == set(ARCHIVES)
