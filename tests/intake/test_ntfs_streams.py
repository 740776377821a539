"""Alternate data streams wherever NTFS lets one be: on the root directory, on deleted directories, on lost ones."""

from base64 import b64encode

import pytest
from cases import items, sha256
from ntfs_volume import blank, written

from case_made import new_case
from clew.core import held
from clew.intake.disk import sweep
from clew.intake.options import Options
from clew.intake.run import intake

LARGE, SMALL = b"large stream " * 5_000, b"small"
IN_USE = 1  # of a file record's flags, at byte 22
STREAMS = {
    b":hidden": (LARGE, "live"),
    b":also": (SMALL, "live"),
    b"kept:hidden": (LARGE[1:], "live"),
    b"kept/below:hidden": (LARGE[2:], "live"),
    b"odd": (LARGE[3:], "live"),
    b"gone:hidden": (LARGE[4:], "deleted"),
    b"kept/gone:hidden": (SMALL[1:], "deleted"),
    b"away/lost:hidden": (LARGE[5:], "unattached"),
}


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    path = blank(tmp_path_factory.mktemp("streams") / "image")
    with written(path) as volume:
        for folder in ("/kept", "/kept/below", "/odd", "/gone", "/kept/gone", "/plain", "/away", "/away/lost"):
            volume.create(folder, folder=True)
        for name, (data, _) in STREAMS.items():
            folder, _, stream = name.decode().partition(":")
            volume.write(f"/{folder}", data, stream=stream)
        volume.create("/file", b"a file")
    for name in ("/gone", "/kept/gone", "/away/lost", "/away"):
        with written(path) as volume:
            volume.delete(name)
    raw = bytearray(path.read_bytes())
    record = raw.rindex(b"FILE0", 0, raw.rindex("lost".encode("utf-16-le")))
    assert raw[record + 22] == 2
    assert "hidden".encode("utf-16-le") in raw[record : record + 1024]
    raw[record + 22] |= IN_USE  # no directory names it any more, and yet it is not given up
    path.write_bytes(raw)
    return path


@pytest.fixture(scope="module")
def taken(image, tmp_path_factory):
    case = new_case(tmp_path_factory.mktemp("streams") / "case")
    summary = intake(case, path=image, label="D", workers=1, options=Options(extractors=()))
    return items(case), summary.account


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_of_a_directory_is_an_item(name, taken):
    data, state = STREAMS[name]
    item = taken[0][name]
    assert (item["state"], item["sha256"], item["size"]) == ("done", sha256(data), len(data))
    claim = "overwritten possible" if (state, name) == ("deleted", b"gone:hidden") else "complete"  # SMALL is resident
    assert (item["name_state"], item["content_state"]) == (state, claim)


def test_each_is_listed_once_and_the_second_count_agrees(taken):
    found, account = taken
    assert set(found) == {*STREAMS, b"file"}
    assert account.discovered == len(found)
    (count,) = account.recounts
    assert count.theirs == count.ours == len([item for item in found.values() if item["name_state"] == "live"])
    assert account.complete


def test_the_sweep_has_those_of_a_root_that_could_not_be_listed(image, monkeypatch):
    with image.open("rb") as opened:
        monkeypatch.setattr(held, "descriptors", (opened.fileno(),))
        where = {"container": "clew.intake.containers.raw:open_raw", "offset": 0}
        task = {"first": 0, "sub": -1, "end": 12, "seen": b64encode(bytes(2)).decode(), "seen_from": 0, "most": 100}
        found = sweep.sweep(where | task, []).value["items"]
    assert {bytes.fromhex(item["path"]): item["name_state"] for item in found} == {b":also": "live", b":hidden": "live"}
