"""NTFS's own files: what is below $Extend, or beside their streams, and is a user's, becomes an Item."""

import os
from base64 import b64encode
from pathlib import Path

import pytest
from cases import items, sha256
from ntfs_volume import blank, written

from case_made import new_case
from clew.core import held
from clew.intake.disk import entries, sweep
from clew.intake.options import Options
from clew.intake.run import intake
from clew.intake.walk import OWN_FILES

KEPT = b"deleted while it was open" * 100
HIDDEN = b"hidden" * 500
LIKE_A_LOG = {
    b"$Extend/$RmMetadata/$TxfLog/%s" % name: HIDDEN + name
    for name in (b"$TxfLog1.jpg", b"$TxfLog.blf.jpg", b"$TxfLogContainer1", b"$TxfLogs/$TxfLog2.jpg")
}


def take(folder: Path, image: Path):
    case = new_case(folder / "case")
    summary = intake(case, path=image, label="D", workers=1, options=Options(extractors=()))
    return items(case), summary.account


@pytest.fixture(scope="module")
def taken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    image = blank(folder / "image")
    with written(image) as volume:
        volume.create("/user", b"user")
        for path in (
            "/$Extend/$Deleted",
            "/$Extend/$RmMetadata",
            "/$Extend/$RmMetadata/$TxfLog",
            "/$Extend/$RmMetadata/$Txf",
        ):
            volume.create(path, folder=True)
        volume.create("/$Extend/$Deleted/00180000000031BA05A5", KEPT)
        volume.create("/$Extend/$RmMetadata/$Txf/0000000000000001", KEPT[1:])
        volume.create("/$Extend/$Deleted/gone", KEPT[2:])
        volume.create("/$Extend/$Deleted/$Quota", KEPT[3:])
        volume.create("/$Extend/mine", HIDDEN)
        volume.write("/$Extend", HIDDEN[1:], stream="x")
        volume.write("/$Extend/$ObjId", HIDDEN[2:], stream="x")
        volume.write("/$UpCase", HIDDEN[3:], stream="x")
        volume.write("/$Volume", HIDDEN[4:])
        for path, streams in (("/$Extend/$UsnJrnl", ("$J", "$Max")), ("/$Extend/$RmMetadata/$Repair", ("$Config",)),
                              ("/$Extend/$RmMetadata/$TxfLog/$Tops", ("$T",))):  # fmt: skip
            volume.create(path)
            for stream in streams:
                volume.write(path, b"own", stream=stream)
        volume.create("/$Extend/$RmMetadata/$TxfLog/$TxfLogs", folder=True)
        for path, data in LIKE_A_LOG.items():
            volume.create(f"/{path.decode()}", data)
        for name in ("$TxfLog.blf", *(f"$TxfLogContainer{number:020}" for number in (1, 2))):
            volume.create(f"/$Extend/$RmMetadata/$TxfLog/{name}", b"own")
    for name in ("$Deleted/gone", "$RmMetadata/$TxfLog/$TxfLogContainer00000000000000000002"):
        with written(image) as volume:
            volume.delete(f"/$Extend/{name}")
    return take(folder, image)


USERS = {
    b"user": b"user",
    b"$Extend/$Deleted/00180000000031BA05A5": KEPT,
    b"$Extend/$RmMetadata/$Txf/0000000000000001": KEPT[1:],
    b"$Extend/$Deleted/gone": KEPT[2:],
    b"$Extend/$Deleted/$Quota": KEPT[3:],
    b"$Extend/mine": HIDDEN,
    b"$Extend:x": HIDDEN[1:],
    b"$Extend/$ObjId:x": HIDDEN[2:],
    b"$UpCase:x": HIDDEN[3:],
    b"$Volume": HIDDEN[4:],
    **LIKE_A_LOG,
}


@pytest.mark.parametrize("path", USERS)
def test_what_is_a_users_is_an_item(path, taken):
    item, gone = taken[0][path], path.endswith(b"gone")
    claim = "overwritten possible" if gone else "complete"
    assert (item["state"], item["content_state"], item["sha256"]) == ("done", claim, sha256(USERS[path]))
    assert item["name_state"] == ("deleted" if gone else "live")


def test_the_file_systems_own_files_are_noted_and_are_none(taken):
    found, account = taken
    assert set(found) == set(USERS)
    # In /; and below $Extend three with indexes, the journal, $Repair, $Tops, two of the log and a deleted one.
    assert account.notes[OWN_FILES] == 11 + 3 + 1 + 1 + 1 + 2 + 1
    assert account.complete


def test_the_second_count_has_them_too(taken):
    (count,) = taken[1].recounts
    assert count.theirs == count.ours == len(USERS) - 1  # but for the deleted one


@pytest.mark.corpus
def test_a_volume_that_windows_wrote_has_its_own_files_there_and_none_of_a_users(monkeypatch):
    path = Path(os.environ["CLEW_CORPUS"]) / "plaso/test_data/vsstest.qcow2"
    descriptor = os.open(path, os.O_RDONLY)
    monkeypatch.setattr(held, "descriptors", (descriptor,))
    where = {"container": "clew.intake.containers.qcow:open_qcow", "offset": 0}
    try:
        walk = {"root": None, "most": 1000, "cursor": "", "directories": None}
        walked = entries.walk(where | walk, []).value["items"]
        seen = {"seen": b64encode(bytes(100)).decode(), "seen_from": 0}
        swept = sweep.sweep(where | seen | {"first": 0, "sub": -1, "end": 256, "most": 1000}, []).value["items"]
    finally:
        os.close(descriptor)
    assert sum(item.get("notes", {}).get(OWN_FILES, 0) for item in walked) == 19
    for found in (walked, swept):
        paths = {bytes.fromhex(item["path"]) for item in found if "path" in item}
        assert len(paths) == 6
        assert not [path for path in paths if path.startswith(b"$")]
