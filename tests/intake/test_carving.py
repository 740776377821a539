"""Carving by structure: the exact file among rubbish, from any step on, and an end on anything at all."""

import io
import random
import zipfile

import pytest
from carvable import MADE, film
from carved import CLUSTER, VOUCHED, Bytes, carve, content, made, noise, padded
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clew.intake.carving import carver, matroska, riff, samples
from clew.intake.carving.carver import CHECKS, STOPPED, UNSEEN, Carver
from clew.intake.carving.scan import SECTOR, candidates
from clew.intake.carving.view import Exhausted, Kept, View
from clew.model import ContentState


def test_every_kind_is_found_to_the_byte_among_rubbish_and_right_behind_another():
    disk, places = bytearray(noise(3 * SECTOR)), {}
    for number, name in enumerate(MADE):
        places[len(disk)] = name
        disk += padded(made(name), SECTOR)
        if number % 3 == 0:
            disk += noise(SECTOR * (1 + number % 5), number)
    disk += noise(50 * SECTOR)
    found = carve(bytes(disk))
    assert {place: content(disk, each) for place, each in found.items()} == {
        place: made(name) for place, name in places.items()
    }
    for place, name in places.items():
        each = found[place]
        assert each.extension == name.rpartition(".")[2].replace("jpeg", "jpg")
        vouched = each.extension in VOUCHED
        assert each.state == (ContentState.COMPLETE if vouched else ContentState.OVERWRITTEN_POSSIBLE), name
        assert each.why == ("" if vouched else UNSEEN)


def test_the_image_is_read_once_and_zeros_cost_nothing_more():
    data = padded(made("a.png")) + bytes(3 << 20) + padded(made("index-last.mp4")) + bytes(1 << 20)
    source = Bytes(data)
    assert sum(step.found is not None for step in Carver(source, iter([(0, len(data))]), CLUSTER).steps()) == 2
    assert source.taken <= len(data) + (1 << 20)


@pytest.mark.parametrize(("name", "codec"), [("webm", "libvpx"), ("matroska", "mpeg4")])
def test_a_live_recording_has_no_marked_end_and_is_never_called_complete(name, codec):
    data = film(name, codec, 8, live="1")
    found = carve(padded(data) + bytes(CLUSTER))
    assert content(padded(data), found[0])[: len(data)] == data
    assert found[0].state == ContentState.PARTIAL
    assert "end" in found[0].why


def test_a_fragmented_film_is_one_find():
    data = film("mp4", "libx264", group=5, movflags="frag_keyframe+empty_moov")
    assert data.count(b"moof") > 2
    found = carve(padded(data) + noise(CLUSTER))
    assert content(padded(data), found[0]) == data


def test_an_avi_longer_than_one_riff_chunk_is_one_find():
    first = made("a.avi")
    frame = b"00dc" + (1000).to_bytes(4, "little") + noise(1000)
    movie = b"LIST" + (4 + len(frame)).to_bytes(4, "little") + b"movi" + frame
    second = b"RIFF" + (4 + len(movie)).to_bytes(4, "little") + b"AVIX" + movie
    disk = padded(first + second) + bytes(CLUSTER)
    assert content(disk, carve(disk)[0]) == first + second


def test_an_archive_with_sizes_of_64_bits():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive, archive.open("a.bin", "w", force_zip64=True) as member:
        member.write(noise(20_000))
    data = out.getvalue()
    found = carve(padded(data) + noise(CLUSTER))
    assert content(padded(data), found[0]) == data
    assert found[0].state == ContentState.COMPLETE


def test_an_encrypted_archive_is_found_and_not_vouched_for():
    data = bytearray(made("deflated.zip"))
    for sign, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(sign)
        while at >= 0:
            data[at + place] |= 1
            at = data.find(sign, at + 1)
    found = carve(padded(bytes(data)))
    assert (found[0].size, found[0].state) == (len(data), ContentState.OVERWRITTEN_POSSIBLE)


# ---- limits and cursors


def test_going_on_from_any_step_finds_the_same():
    disk = noise(SECTOR) + b"".join(padded(made(name), SECTOR) for name in MADE if name[0] in "abt")
    whole = [step for step in Carver(Bytes(disk), iter([(0, len(disk))]), CLUSTER).steps() if step.found]
    for number, step in enumerate(whole):
        rest = list(carve(disk, after=step.next).values())
        assert rest == [later.found for later in whole[number + 1 :]]


def test_a_range_limits_where_files_begin_not_where_they_end():
    disk = padded(made("a.png")) + padded(made("baseline.jpg"))
    assert list(carve(disk, end=SECTOR)) == [0]
    assert list(carve(disk, after=SECTOR, end=len(padded(made("a.png"))))) == []


def test_a_structure_of_too_many_parts_is_a_note(monkeypatch):
    monkeypatch.setattr(carver, "View", lambda source, runs: View(source, runs, most=5))
    work = Carver(Bytes(padded(made("a.avi"))), iter([(0, len(padded(made("a.avi"))))]), CLUSTER)
    assert [step.found for step in work.steps() if step.found] == []
    assert work.notes[STOPPED] == 1


def test_a_film_of_more_parts_than_are_stepped_through_is_still_found_whole(monkeypatch):
    monkeypatch.setattr(matroska, "MOST_STEPPED", 9)
    monkeypatch.setattr(samples, "MOST_UNITS", 5)
    monkeypatch.setattr(riff, "MOST_CHUNKS", 9)
    for name in ("a.mkv", "index-last.mp4", "a.avi"):
        found = carve(padded(made(name)) + noise(CLUSTER))
        assert found[0].size == len(made(name))
        assert found[0].state == ContentState.OVERWRITTEN_POSSIBLE


def test_a_view_reads_over_the_edges_of_its_runs():
    data = noise(9000)
    view = View(Kept(Bytes(data)), [(100, 50), (1000, 10), (5000, 4000)])
    joined = data[100:150] + data[1000:1010] + data[5000:]
    assert view.size == len(joined)
    for at, length in ((0, 5), (45, 10), (40, 60), (59, 5000), (4059, 10), (5000, 1)):
        assert view.read(at, length) == joined[at : at + length]
        assert b"".join(data[start : start + size] for start, size in view.within(at, length)) == joined[at:][:length]
    tired = View(Bytes(data), [(0, 10)], most=1)
    tired.read(0, 1)
    with pytest.raises(Exhausted):
        tired.read(0, 1)


# ---- anything at all

HEADS = {
    "jpeg": [b"\xff\xd8\xff\xe0\0\x04\0\0\xff\xc0\0\x0b\x08\0\x10\0\x10\x01\x01\x11\0\xff\xda\0\x08\x01\x01\0\0\x3f\0"],
    "png": [made("a.png")[:50]],
    "gif": [b"GIF89a\x10\0\x10\0\x80\0\0" + bytes(6)],
    "webp": [b"RIFF\xff\xff\xff\x7fWEBPVP8 "],
    "avi": [made("a.avi")[:300], b"RIFF\0\0\0\0AVI LIST\0\0\0\0hdrl"],
    "bmff": [b"\0\0\0\x18ftypisom\0\0\2\0isomiso2", made("index-last.mp4")[-900:], b"\0\0\0\x08wide\0\0\0\1mdat"],
    "mkv": [made("a.mkv")[:400], made("a.webm")[:300]],
    "zip": [made("stored.zip")[:60], made("streamed.zip")[:60]],
    "7z": [made("a.7z")[:32]],
    "sqlite": [made("a.sqlite")[:120]],
}


@pytest.mark.parametrize("kind", CHECKS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_check_ends_on_anything_and_keeps_within_its_view(kind, data):
    head = data.draw(st.sampled_from([b"", *HEADS[kind]]))
    parts = st.one_of(st.binary(max_size=300), st.sampled_from([bytes(600), b"\xff" * 600, *HEADS[kind]]))
    raw = head + b"".join(data.draw(st.lists(parts, max_size=6)))
    cut = data.draw(st.integers(0, len(raw)))
    verdict = CHECKS[kind](View(Bytes(raw), [(0, cut), (cut, len(raw) - cut)], most=20_000))
    if verdict is not None:
        assert 0 <= verdict.length <= len(raw)
        assert 0 <= verdict.sure <= len(raw)
        assert all(0 <= start <= end <= len(raw) for start, end in verdict.unread)


@pytest.mark.parametrize("name", MADE)
def test_flipped_bytes_never_end_the_carver(name):
    draw, data = random.Random(name), made(name)
    for _ in range(6):
        damaged = bytearray(data)
        for _ in range(draw.choice((1, 3, 30))):
            damaged[draw.choice((draw.randrange(len(data)), draw.randrange(min(200, len(data)))))] = draw.randrange(256)
        disk = padded(bytes(damaged)) + padded(made("a.png"))
        found = carve(disk)
        last = len(padded(bytes(damaged)))
        assert last in found or any(at < last < at + each.size for at, each in found.items())


BEGINNINGS = [
    b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\0\0\0\0WEBP", b"\xff\xd8\xff\xe1", b"PK\x03\x04", b"\0\0\0\x20ftyp",
    b"SQLite format 3\0", b"7z\xbc\xaf\x27\x1c", b"\x1aE\xdf\xa3",
]  # fmt: skip


@given(st.lists(st.sampled_from([*BEGINNINGS, b"nothing"]), max_size=8))
def test_the_scan_sees_every_sector_and_none_but_sectors(heads):
    data = b"".join(head.ljust(SECTOR, b"\x01") for head in heads)
    found = [offset // SECTOR for offset, _ in candidates(data)]
    assert found == [number for number, head in enumerate(heads) if head != b"nothing"]
    assert list(candidates(b"\x01" * 100)) == []
