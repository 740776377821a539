"""Contents held against torrents and ed2k entries while they are read, once: by an earlier exhibit's artefacts."""

import json
import random
import struct
import subprocess
from dataclasses import replace

import libtorrent as lt
import pytest
from archive_world import Bytes
from cases import sha256

from case_made import new_case
from clew.cli.main import main
from clew.core import shards
from clew.intake import piecewise, work
from clew.intake.account import facts_digest
from clew.intake.artefacts import _examples as made
from clew.intake.in_pass import MOST_CHECKS, MOST_PASSES, InPass
from clew.intake.listing import BatchSize
from clew.intake.options import Options
from clew.intake.piece_plan import called_for
from clew.intake.piece_traits import Part
from clew.intake.pieces import held_against
from clew.intake.reading import examine
from clew.intake.report_words import _in_pass
from clew.intake.run import intake

OPTIONS = Options(
    workers=1, extractors=("clew.intake.artefacts.torrent:PLUGIN", "clew.intake.artefacts.known_met:PLUGIN")
)
A, B = random.Random(1).randbytes(50_000), random.Random(2).randbytes(70_001)
BROKEN = B[:40_000] + bytes([B[40_000] ^ 1]) + B[40_001:]
TWO_PARTS = bytes(2 * piecewise.PART)


def by_openssl(data: bytes) -> bytes:
    command = ["openssl", "dgst", "-provider", "legacy", "-provider", "default", "-md4", "-binary"]
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


def ed2k_by_openssl(data: bytes) -> bytes:
    """As eMule makes it (CKnownFile::SetFileSize): size / part + 1 hashes, of which the last may be that of nothing."""
    if len(data) < piecewise.PART:
        return by_openssl(data)
    parts = [data[at : at + piecewise.PART] for at in range(0, len(data) + 1, piecewise.PART)]
    return by_openssl(b"".join(map(by_openssl, parts)))


def torrent(folder) -> bytes:
    storage = lt.file_storage()
    lt.add_files(storage, str(folder))
    creator = lt.create_torrent(storage, 1 << 14, 0)  # hybrid
    lt.set_piece_hashes(creator, str(folder.parent))
    return lt.bencode(creator.generate())


@pytest.fixture
def exhibits(tmp_path):
    """ "client": a torrent of two files and a known.met that names the second; "files": what it names, and others."""
    cards = tmp_path / "made" / "cards"
    cards.mkdir(parents=True)
    (cards / "a.bin").write_bytes(A)
    (cards / "b.bin").write_bytes(B)
    record = bytearray(made.record("b.bin", len(B)))
    record[4:20] = ed2k_by_openssl(B)
    for name, files in {
        "client": {"t.torrent": torrent(cards), "known.met": struct.pack("<BI", 0x0E, 1) + bytes(record)},
        "files": {"x": A, "y": B, "broken": BROKEN, "other": b"of another size"},
    }.items():
        (tmp_path / name).mkdir()
        for file, data in files.items():
            (tmp_path / name / file).write_bytes(data)
    return tmp_path


def taken(case, exhibits, *labels):
    return [intake(case, path=exhibits / label, label=label, options=OPTIONS) for label in labels][-1]


def told(case, content: bytes, name: str):
    rows = shards.query(case, "SELECT text, data FROM traits WHERE content=? AND name=?", (sha256(content), name))
    return [json.loads(row["text"]) if row["text"] else row["data"] for row in rows.to_pylist()]


def test_files_are_held_against_what_an_earlier_exhibit_names_and_the_facts_are_those_of_a_later_look(exhibits):
    case, later = new_case(exhibits / "case"), new_case(exhibits / "later")
    ended = taken(case, exhibits, "client", "files")
    for content, failing in ((A, 0), (B, 0), (BROKEN, 1)):
        found = told(case, content, "pieces.verified")
        assert {each["method"] for each in found} == {"v1", "v2"}
        assert {each["failing"] for each in found} == {failing}
    assert told(case, B, "ed2k") == [ed2k_by_openssl(B)]
    assert len(told(case, B, "ed2k.verified")) == 1
    assert (told(case, BROKEN, "ed2k.verified"), told(case, A, "ed2k")) == ([], [])
    assert "held against what earlier exhibits name: 4 files of torrents, 1 ed2k entries" in ended.words()
    again = held_against(case, options=OPTIONS)
    assert (again.contents, again.failed) == (0, {})  # nothing is read again

    taken(later, exhibits, "files", "client")
    assert told(later, B, "pieces.verified") == []
    assert held_against(later, options=OPTIONS).contents == 3
    assert facts_digest(case) == facts_digest(later)


def test_a_run_that_stopped_and_goes_on_tells_the_same(exhibits, monkeypatch):
    whole, stopped = new_case(exhibits / "whole"), new_case(exhibits / "stopped")
    taken(whole, exhibits, "client", "files")
    taken(stopped, exhibits, "client")
    one_by_one, seen = replace(OPTIONS, batch=BatchSize(1, 1 << 20)), []

    def stop(name):
        if name == "intake.receipt.before":
            seen.append(name)
            if len(seen) == 3:
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(work, "failpoint", stop)
        with pytest.raises(KeyboardInterrupt):
            intake(stopped, path=exhibits / "files", label="files", options=one_by_one)
    assert facts_digest(stopped) != facts_digest(whole)
    assert intake(stopped, path=exhibits / "files", label="files", options=one_by_one).complete
    assert facts_digest(stopped) == facts_digest(whole)


def test_a_torrent_in_both_exhibits_is_read_from_the_earlier_one(exhibits):
    """So that a run that goes on, whose own copies are in the case already, holds files against the same."""
    for number in range(20):
        (exhibits / "files" / f"{number}.torrent").write_bytes((exhibits / "client" / "t.torrent").read_bytes())
    case = new_case(exhibits / "case")
    taken(case, exhibits, "client", "files")
    own = case.read().execute("SELECT id FROM exhibits WHERE label='files'").fetchone()["id"]
    found = called_for(case, own, OPTIONS)
    assert found.checks(len(A))
    assert found.done.failed == {}


def test_bytes_are_read_once_whatever_they_are_held_against():
    checks = [{"ed2k": True}, {"root": bytes(32).hex()}]
    for hold in (1 << 20, 0):
        source = Bytes(B)
        payload = {"size": len(B), "extractors": (), "mode": "fast", "hold": hold, "checks": checks}
        (content,) = [reply.value for reply in examine(source, payload) if "content" in reply.value]
        assert [set(each) for each in content["checks"]] == [{"blue", "red"}, {"checked", "matching", "first_wrong"}]
        assert bytes.fromhex(content["checks"][0]["red"]) == by_openssl(B)
        typed = 0 if hold else source.read_bytes - len(B)  # its beginning is asked for again, for its type
        assert source.read_bytes == len(B) + typed <= len(B) + (1 << 20)


def test_bytes_that_are_not_all_there_are_held_against_nothing():
    payload = {"size": len(B) + 1, "extractors": (), "mode": "fast", "checks": [{"ed2k": True}], "state": "partial"}
    (content,) = [reply.value for reply in examine(Bytes(B), payload) if "content" in reply.value]
    assert "checks" not in content


def test_the_ed2k_hash_of_every_content_on_demand_and_an_entry_that_comes_later(exhibits, capsys):
    (exhibits / "files" / "twice").write_bytes(TWO_PARTS)
    (exhibits / "files" / "empty").write_bytes(b"")
    case = new_case(exhibits / "case")
    command = ["intake", str(case.folder), str(exhibits / "files"), "--label", "files", "--ed2k", "--workers", "1"]
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert ended.value.code == 0
    assert (
        "ed2k hashes were asked for of every content that the newest run read whole, at its listed size"
        in capsys.readouterr().out
    )
    rows = shards.query(case, "SELECT sha256, ed2k FROM contents").to_pylist()
    wanted = {sha256(data): ed2k_by_openssl(data) for data in (A, B, BROKEN, b"of another size", TWO_PARTS, b"")}
    assert {row["sha256"]: row["ed2k"] for row in rows} == wanted
    parts = [by_openssl(bytes(piecewise.PART))] * 2
    assert told(case, TWO_PARTS, "ed2k") == [by_openssl(b"".join(parts))]  # the other convention
    assert told(case, TWO_PARTS, "ed2k.red") == [wanted[sha256(TWO_PARTS)]]

    taken(case, exhibits, "client")
    done = held_against(case, options=OPTIONS)
    assert (done.ed2k, done.ed2k_named, done.contents) == (0, 1, 3)  # against the torrent alone
    assert len(told(case, B, "ed2k.verified")) == 1
    assert held_against(case, options=OPTIONS).ed2k_named == 0


def test_a_torrent_that_is_not_at_hand_is_left_and_the_files_are_taken_in(exhibits):
    case = new_case(exhibits / "case")
    taken(case, exhibits, "client")
    (exhibits / "client").rename(exhibits / "away")
    ended = taken(case, exhibits, "files")
    assert ended.account.done == 4
    assert "left to `clew pieces`: 1 torrents or lists" in ended.words()
    assert told(case, B, "pieces.verified") == []
    assert len(told(case, B, "ed2k.verified")) == 1  # the entry itself is in the case
    (exhibits / "away").rename(exhibits / "client")
    assert held_against(case, options=OPTIONS).contents == 3


def test_what_is_named_by_very_many_torrents_is_left_to_a_look_of_its_own():
    part = Part(bytes(32), 0, 5, 0, "v2", {"root": bytes(32).hex()})
    assert len(InPass({5: [part] * MOST_CHECKS}).checks(5)) == MOST_CHECKS
    manners = [
        replace(part, check={"pieces": "", "first": 0, "length": 4096 + n, "zeros": 0}) for n in range(MOST_PASSES)
    ]
    assert InPass({5: manners * 2}).checks(5) == manners * 2
    assert InPass({5: [*manners, part]}).checks(5) == []
    crowded = InPass({5: [part] * (MOST_CHECKS + 1), 6: [part]}, {5: {}})
    assert crowded.checks(5) == [None]
    assert crowded.as_dict()["sizes_left"] == 1
    said = _in_pass([{"in_pass": crowded.as_dict()}])
    assert said[-1] == "left to `clew pieces`: files of 1 sizes that too many files of torrents have"


@pytest.mark.parametrize(
    ("text", "digest"),
    [  # RFC 1320, A.5
        ("", "31d6cfe0d16ae931b73c59d7e0c089c0"),
        ("a", "bde52cb31de33e46245e05fbdbd6fb24"),
        ("abc", "a448017aaf21d8525fc10ae87aa6729d"),
        ("message digest", "d9130a8164549fe818874806e1c7014b"),
        ("abcdefghijklmnopqrstuvwxyz", "d79e1c308aa5bbcdeea8ed63df412da9"),
        ("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", "043f8582f241db351ce627e153e7f0e4"),
        ("1234567890" * 8, "e33b4ddc9c38f2199c3e7b164fcc0536"),
    ],
)
def test_md4_is_that_of_the_rfc(text, digest):
    assert piecewise.md4(text.encode()).hexdigest() == digest
    assert by_openssl(text.encode()).hex() == digest
