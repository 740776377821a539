"""Taking in E01 images: in locked workers, with the stored digest checked and damage kept to the file it hits."""

import json
import os
import random
import resource
from pathlib import Path

import pytest
from cases import items, sha256
from ewf_cases import acquire, fat, mixture, one_chunk_a_segment

from case_made import new_case
from clew.core import held
from clew.core.errors import Usage
from clew.intake import said
from clew.intake.containers import ewf_acquisition
from clew.intake.options import Options
from clew.intake.run import intake
from clew.intake.sources import ewf as source


def test_intake_sets_its_digest_beside_the_stored_one_and_names_the_file_that_lost_bytes(tmp_path):
    files = {"A.BIN": random.Random(1).randbytes(500_000), "B.BIN": random.Random(2).randbytes(500_000)}
    paths = acquire(tmp_path, fat(tmp_path, files), c="none", S=1 << 20)
    for path in paths:
        packed = bytearray(path.read_bytes())
        at = packed.find(files["B.BIN"][100_000:100_100])
        if at >= 0:
            packed[at] ^= 1
            path.write_bytes(packed)
    case = new_case(tmp_path / "case")
    summary = intake(case, path=paths[0], label="D", workers=1, options=Options(extractors=()))
    found = items(case)
    assert (found[b"A.BIN"]["state"], found[b"A.BIN"]["sha256"]) == ("done", sha256(files["A.BIN"]))
    assert (found[b"B.BIN"]["state"], found[b"B.BIN"]["as_read"]) == ("unreadable", "partial")
    assert "could not be read" in found[b"B.BIN"]["detail"]
    assert (summary.kind, summary.account.unreadable) == ("ewf", 1)
    assert [text.split(" ")[0] for text in summary.account.image_unread] == ["32,768", "its", "its"]
    assert [part["missing"].split(" ")[:2] for part in summary.account.parts_unreadable] == [["unreadable:", "32,768"]]
    assert "names may be missing" in summary.account.words()
    row = case.read().execute("SELECT * FROM exhibits").fetchone()
    learnt = json.loads(row["acquisition"])
    assert learnt["agree"] == {"md5": False, "sha1": False}
    assert [length for _, length in learnt["bad"]] == [32768]
    assert learnt["facts"]["segments"] == len(paths)
    assert row["size"] == 6 << 20
    assert row["md5"].hex() != learnt["stored"]["md5"]


def test_a_whole_image_agrees_and_is_read_from_any_of_its_segments(tmp_path):
    files = {"A.BIN": random.Random(3).randbytes(2_500_000)}
    paths = acquire(tmp_path, fat(tmp_path, files), c="fast", S=1 << 20)
    assert len(paths) > 1
    case = new_case(tmp_path / "case")
    summary = intake(case, path=paths[-1], label="D", workers=1, options=Options(extractors=()))
    assert summary.account.complete
    assert items(case)[b"A.BIN"]["sha256"] == sha256(files["A.BIN"])
    row = case.read().execute("SELECT * FROM exhibits").fetchone()
    learnt = json.loads(row["acquisition"])
    assert (learnt["agree"], learnt["bad"], learnt["problems"]) == ({"md5": True, "sha1": True}, [], [])
    assert row["sha256"] == sha256((tmp_path / "volume.raw").read_bytes())
    assert row["sha1"].hex() == learnt["stored"]["sha1"]


def test_more_segments_than_a_process_may_open_by_default(tmp_path):
    files = {"A.BIN": random.Random(4).randbytes(1_000_000)}
    paths = one_chunk_a_segment(tmp_path, fat(tmp_path, files), 16_384)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = len(list(Path("/proc/self/fd").iterdir()))  # by tests before this one, in this process
    resource.setrlimit(resource.RLIMIT_NOFILE, (held + 250, hard))
    try:
        case = new_case(tmp_path / "case")
        summary = intake(case, path=paths[0], label="D", workers=2, options=Options(extractors=()))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert summary.account.complete
    assert items(case)[b"A.BIN"]["sha256"] == sha256(files["A.BIN"])
    learnt = json.loads(case.read().execute("SELECT acquisition FROM exhibits").fetchone()["acquisition"])
    assert (learnt["facts"]["segments"], learnt["bad"]) == (len(paths), [])
    assert len(paths) == 384


@pytest.mark.corpus
def test_what_a_missing_segment_took_along_is_never_left_unsaid(tmp_path):
    """Its file system's only directory lies in the segment that is not there: nothing is listed, and that is said."""
    case = new_case(tmp_path / "case")
    image = Path(os.environ["CLEW_CORPUS"]) / "plaso/test_data/image-split.E01"
    summary = intake(case, path=image, label="D", workers=1, options=Options(extractors=()))
    assert not summary.account.complete
    assert "458,752 bytes could not be read" in summary.account.words()
    assert any("names may be missing" in part["missing"] for part in summary.account.parts_unreadable)


def test_the_parent_compares_the_digests_itself(tmp_path):
    """A worker that says they agree is not believed."""
    digests = {"md5": "00" * 16, "sha1": "00" * 20, "sha256": "00" * 32}
    answer = {**digests, "size": 1, "bad": [], "stored": {"md5": "11" * 16}, "agree": {"md5": True}}
    assert said.acquisition(answer)[2]["agree"] == {"md5": False}
    for broken in ({"stored": {"md5": "11"}}, {"stored": {"crc": "11"}}, {"bad": [[0]]}, {"bad": [[-1, 5]]},
                   {"problems": [5]}, {"facts": {"a": 1.5}}, {"facts": []}, {"bad": [[0, 1]] * 20_000}):  # fmt: skip
        with pytest.raises(said.WRONG):
            said.acquisition(answer | broken)


def test_an_encrypted_image_is_refused_before_anything_is_read(tmp_path):
    path = tmp_path / "image.E01"
    path.write_bytes(b"ADCRYPT\x00" + bytes(600))
    with pytest.raises(Usage, match="AD encryption"):
        source.PLUGIN.wants(path)


def test_a_stopped_read_of_the_image_goes_on_where_it_was(tmp_path, monkeypatch):
    """The state that one stint ends with is where the next begins; the digests are those of one read."""
    paths = acquire(tmp_path, mixture(3 << 20, 5), c="fast", b=64)
    descriptors = [os.open(path, os.O_RDONLY) for path in paths]
    monkeypatch.setattr(held, "descriptors", tuple(descriptors))
    whole = [reply.value for reply in ewf_acquisition.acquire({}, [])][-1]
    assert whole["md5"] == whole["stored"]["md5"]
    payload, stints = {"save": 1 << 19, "stint": 1 << 19}, 0
    while "md5" not in (last := [reply.value for reply in ewf_acquisition.acquire(payload, [])][-1]):
        payload["resume"], stints = json.loads(json.dumps(last["state"])), stints + 1
    assert stints >= 5
    assert last == whole
    for descriptor in descriptors:
        os.close(descriptor)
