"""What nobody held against a seized torrent's pieces is said, until somebody did."""

import hashlib
import json
from dataclasses import replace

import pytest
from cases import sha256
from seized_pieces import PIECE, bytes_of, photos, said, torrent

from clew.core.engine import Pool
from clew.intake.artefacts import _examples as made
from clew.model import Missing, Reason


def test_the_end_report_says_what_was_not_held_until_it_was(tmp_path, seized):
    files = photos(12)
    held = dict(list(files.items())[:11])  # nothing can be tried of those in the last piece
    seized.take(held | {"other": b"of no torrent", "copy.jpg": files["DCIM/IMG_0001.jpg"]})
    assert said(seized.case) == (0, [])
    seized.take({"x.torrent": torrent(tmp_path, files)}, "T")
    line = "12 files have the size of one in a seized torrent and were not held against its pieces: "
    line += "run `clew pieces CASE`"
    assert said(seized.case) == (12, [line])
    assert seized.hold().failed == {}
    assert said(seized.case) == (0, [])


def test_nobody_is_told_to_hold_what_intake_held_on_its_way(tmp_path, seized):
    files = {"a": bytes_of(PIECE * 3, 1)}
    seized.take({"x.torrent": torrent(tmp_path, files | {"b": b"b"})}, "T")
    seized.take(files)
    assert said(seized.case) == (0, [])


@pytest.mark.parametrize("missing", [None, Reason.UNPARSABLE])
def test_nobody_is_told_to_hold_what_can_never_be_held(tmp_path, seized, monkeypatch, missing):
    content, length = bytes_of(9_000, 1), PIECE // 4 if missing else PIECE // 16
    hashes = b"".join(hashlib.sha1(content[at : at + length]).digest() for at in range(0, len(content), length))
    info = {"name": "a", "piece length": length, "length": len(content), "pieces": hashes}
    seized.take({"a": content, "x.torrent": made.bencode({"info": info})})
    run = Pool.run

    def failing(pool, tasks):
        for outcome in run(pool, tasks):
            yield replace(outcome, reply=Missing(missing, "no info")) if missing else outcome

    monkeypatch.setattr(Pool, "run", failing)
    done = seized.hold()
    assert [("no info" if missing else "pieces of 1,024 bytes") in why for why in done.failed.values()] == [True]
    assert json.loads(json.dumps(done.as_dict()))["not_checkable"] == 1
    assert said(seized.case) == (0, [])


def test_what_could_not_be_read_is_still_said(tmp_path, seized):
    files = photos(4)
    root = seized.take(files | {"x.torrent": torrent(tmp_path, files)})
    (root / "DCIM/IMG_0002.jpg").unlink()
    done = seized.hold()
    assert sha256(files["DCIM/IMG_0002.jpg"]).hex() in done.failed
    assert said(seized.case)[0] == 1
