"""Sessions of a disc: each is listed, what the last one left out is deleted, what lies between them is carved."""

import struct
from pathlib import Path

import pytest
from cases import sha256
from discs import OPTIONS, S, change, follow, listed, make, paths, told_of, trees
from hypothesis import given
from hypothesis import strategies as st

from case_made import new_case
from clew.core import shards
from clew.intake.disk import iso, iso_disc
from clew.intake.refs import parse
from clew.intake.run import intake


def test_every_session_is_listed_and_what_lies_between_them_carved(tmp_path):
    image = make(tmp_path / "d.iso", {"one.txt": b"one", "gone.txt": b"gone"}, "-R", "-J")
    second = make(
        tmp_path / "2.iso", {"two.txt": b"two", "gone.txt": b"new"}, "-R", "-J", "-C", "0,1000", "-M", str(image)
    )
    follow(image, second, 1000, 500)
    case = new_case(tmp_path / "case")
    summary = intake(case, path=image, label="D", workers=1, options=OPTIONS)
    sql = "SELECT l.*, c.sha256, c.content_state AS as_read FROM listings l JOIN contents c USING (item)"
    rows = shards.query(case, sql).to_pylist()
    found = {(parse(row["ref"])["iso"], row["path"]): row["sha256"] for row in rows}
    deleted = [
        (parse(row["ref"])["iso"], row["path"], row["as_read"]) for row in rows if row["name_state"] == "deleted"
    ]
    assert deleted == [(16, b"gone.txt", "complete")]  # what the session before the last alone still lists
    assert found[1016, b"two.txt"] == sha256(b"two")
    assert found[1016, b"one.txt"] == found[16, b"one.txt"] == sha256(b"one")
    assert found[16, b"gone.txt"] == sha256(b"gone")
    assert "the Rock Ridge tree 'CDROM' of session 2 of 2, at sector 1,016" in summary.words()
    assert "what was deleted, but what an earlier session of it lists: it is not looked for" in summary.words()
    assert any(part["offset"] <= 500 * S < part["offset"] + part["length"] for part in summary.account.searched)
    assert summary.account.complete


def sessions(tmp_path: Path, *options: str) -> Path:
    """A disc of two sessions. In the second one, which goes on from the first where `options` say so ("IT"), a file was
    written anew.
    """
    image = make(tmp_path / "d.iso", {"ONE.TXT": b"one", "GONE.TXT": b"gone", "EMPTY": b""})
    more = [str(image) if each == "IT" else each for each in options]
    second = make(tmp_path / "2.iso", {"TWO.TXT": b"two", "GONE.TXT": b"new"}, "-C", "0,1000", *more)
    follow(image, second, 1000)
    return image


def of_sessions(image: Path) -> tuple[dict[tuple[int, bytes], str], int]:
    """What is claimed of the names in each tree; and how many of an earlier session may not be shown."""
    states, noted = {}, 0
    for tree, found in trees(image):
        for each in found:
            noted += each.get("notes", {}).get(iso.NOT_SHOWN, 0)
            if "path" in each:
                states[tree["sector"], bytes.fromhex(each["path"])] = each["name_state"]
    return states, noted


def test_what_the_last_session_has_left_out_is_deleted(tmp_path):
    image = sessions(tmp_path, "-M", "IT")
    first = {(16, b"ONE.TXT"): "live", (16, b"GONE.TXT"): "deleted", (16, b"EMPTY"): "live"}
    second = {(1016, name): "live" for name in (b"ONE.TXT", b"TWO.TXT", b"GONE.TXT", b"EMPTY")}
    assert of_sessions(image) == (first | second, 0)
    # As on media that can be written again: the first descriptors are those of the last session.
    data = image.read_bytes()
    change(image, 500 * S, data[16 * S : 19 * S])
    change(image, 16 * S, data[1016 * S : 1019 * S])
    moved = {(500, path): state for (_, path), state in first.items()}
    assert of_sessions(image) == (moved | {(16, path): state for (_, path), state in second.items()}, 0)
    assert "session 2 of 2" in told_of(image)["trees"][0]["words"]


def test_a_last_session_that_cannot_be_read_whole_deletes_nothing(tmp_path):
    """A file below a directory of it that is lost may still be shown."""
    image = make(tmp_path / "d.iso", {"ONE.TXT": b"one", "D/KEPT.TXT": b"kept"})
    second = make(tmp_path / "2.iso", {"TWO.TXT": b"two"}, "-C", "0,1000", "-M", str(image))
    follow(image, second, 1000)
    data = image.read_bytes()
    root = int.from_bytes(data[1016 * S + 158 :][:4], "little")
    place = data.index(b"\x01D", root * S) - 32
    at = int.from_bytes(data[place + 2 : place + 6], "little") * S
    assert at > 1000 * S
    change(image, at, bytes(S))
    states, _ = of_sessions(image)
    assert states[16, b"D/KEPT.TXT"] == "live"


@pytest.mark.parametrize("dated", [True, False])
def test_a_session_that_may_be_of_another_disc_deletes_nothing(tmp_path, dated):
    """One that has taken over nothing; or one dated before the first, as what is left of a disc that lay there."""
    image = sessions(tmp_path, *(["-M", "IT"] if dated else []))
    if dated:
        change(image, 1016 * S + 813, b"1999")
    states, noted = of_sessions(image)
    assert set(states.values()) == {"live"}
    assert noted == (1 if dated else 2)


def test_a_disc_behind_a_disc_counts_from_its_own_beginning(tmp_path):
    image = make(tmp_path / "d.iso", {"A.TXT": b"a"})
    other = make(tmp_path / "2.iso", {"B.TXT": b"b"})
    start = image.stat().st_size // S
    image.write_bytes(image.read_bytes() + other.read_bytes())
    told = told_of(image)["trees"]
    assert [each["sector"] for each in told] == [16, start + 16]
    assert paths(listed(image, start + 16)) == {b"B.TXT"}


def test_descriptors_without_a_root_are_said_and_many_of_them_are_no_more_work(tmp_path, monkeypatch):
    image = make(tmp_path / "d.iso", {"A.TXT": b"a"})
    fake = bytearray(image.read_bytes()[16 * S : 17 * S])
    fake[158:162] = struct.pack("<I", 17)
    start = image.stat().st_size
    image.write_bytes(image.read_bytes() + (bytes(fake) + bytes(S)) * 20)
    said = told_of(image)
    assert [each["sector"] for each in said["trees"]] == [16]
    why = f"20 volume descriptors of a disc, the first in sector {start // S:,}, whose root directory was not found"
    assert said["said"] == [why]
    monkeypatch.setattr(iso, "MOST_TRIED", 3)
    assert "more than 3 volume descriptors" in told_of(image)["said"][-1]


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=12))
def test_what_is_taken_and_what_is_free_are_all(spans):
    taken = iso_disc.Taken()
    for at, length in spans:
        taken.add([(at * S, length * S)])
    held_by = {each for at, length in spans for each in range(at, at + length)}
    free = {each for at, length in taken.free(100 * S) for each in range(at // S, (at + length) // S)}
    assert free == set(range(100)) - held_by
    for at in range(90):
        start, end = taken.free_from(at * S)
        assert start // S == next(each for each in range(at, 200) if each not in held_by)
        assert not any(each in held_by for each in range(start // S, min(end // S, 200)))
