"""Carving by structure: the exact file among rubbish; what is cut or overwritten is never called complete."""

import functools
import io
import random
import zipfile
import zlib

import numpy as np
import pytest
from carvable import MADE, film, jpeg, picture, png, saved
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from clew.intake.carving import carver, matroska, riff, samples
from clew.intake.carving.carver import CHECKS, CROSSED, STOPPED, UNSEEN, Carved, Carver
from clew.intake.carving.scan import SECTOR, candidates
from clew.intake.carving.view import Exhausted, Kept, View
from clew.model import ContentState

CLUSTER = 4096
VOUCHED = {"jpg", "png", "gif", "zip", "sqlite"}  # decoded, checksummed or stepped through: the others hold data unseen


class Bytes:
    """A ByteSource in memory that counts what is read of it."""

    def __init__(self, data: bytes) -> None:
        self.data, self.size, self.bad = data, len(data), []
        self.taken = 0

    def read(self, offset: int, length: int) -> bytes:
        found = self.data[offset : offset + length]
        self.taken += len(found)
        return found


@functools.cache
def made(name: str) -> bytes:
    return MADE[name]()


def noise(size: int, seed: int = 0) -> bytes:
    return np.random.default_rng(seed).bytes(size)


def padded(data: bytes, to: int = CLUSTER) -> bytes:
    return data + bytes(-len(data) % to)


def carve(data: bytes, stretches: list[tuple[int, int]] | None = None, **limits: int) -> dict[int, Carved]:
    """The finds by where they begin."""
    work = Carver(Bytes(data), iter(stretches or [(0, len(data))]), CLUSTER, **limits)
    return {step.found.runs[0][0]: step.found for step in work.steps() if step.found is not None}


def content(data: bytes, found: Carved) -> bytes:
    return b"".join(data[at : at + length] for at, length in found.runs)


# ---- whole files


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
        vouched = each.extension in VOUCHED and "motion.jpg" not in name
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


# ---- cut, overwritten, fragmented


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("after", ["zeros", "noise", "another file"])
def test_a_cut_file_is_never_complete_and_does_not_swallow_what_follows(name, after):
    data = made(name)
    kept = len(data) * 6 // 10 // CLUSTER * CLUSTER or CLUSTER
    other = made("a.png") if name != "a.png" else made("baseline.jpg")
    rest = {"zeros": bytes(len(data)), "noise": noise(len(data)), "another file": padded(other) + bytes(len(data))}
    disk = padded(data[:kept] + rest[after])
    found = carve(disk)
    assert found[0].state != ContentState.COMPLETE
    if found[0].extension in VOUCHED and "motion.jpg" not in name:
        assert found[0].state == ContentState.PARTIAL
        assert found[0].why
    if after == "another file":
        assert found[0].state == ContentState.PARTIAL
        assert content(disk, found[kept]) == other
        assert found[kept].state == ContentState.COMPLETE
    if after == "zeros" and found[0].state == ContentState.PARTIAL:
        assert found[0].size <= kept
    assert content(disk, found[0])[: min(kept, found[0].size)] == data[: min(kept, found[0].size)]


@pytest.mark.parametrize("name", [name for name in MADE if name not in {"lossy.webp", "grey.jpg"}])
def test_a_file_inside_another_is_found_and_the_outer_one_said_to_be_damaged(name):
    data, small = made(name), saved(picture(11, 64, 48), "PNG")
    at = (len(data) - len(padded(small))) // CLUSTER * CLUSTER
    disk = padded(data[:at] + padded(small) + data[at + len(padded(small)) :])
    found = carve(disk)
    assert content(disk, found[at]) == small
    assert found[0].state == ContentState.PARTIAL


@pytest.mark.parametrize("name", MADE)
def test_a_file_over_clusters_of_another_is_joined_or_cut_but_complete_only_by_checksum(name):
    """The live file in between holds bytes of no kind."""
    data = made(name)
    at = len(data) // 2 // CLUSTER * CLUSTER or CLUSTER
    disk = padded(data[:at]) + noise(3 * CLUSTER, 9) + padded(data[at:]) + bytes(CLUSTER)
    free = [(0, at), (at + 3 * CLUSTER, len(disk) - at - 3 * CLUSTER)]
    found = carve(disk, free)
    assert list(found) == [0]
    if found[0].state == ContentState.COMPLETE:
        assert found[0].extension in {"png", "zip"}
        assert content(disk, found[0]) == data
    elif found[0].why == CROSSED:
        assert content(disk, found[0]) == data
    else:
        assert content(disk, found[0]) == data[: found[0].size]
        assert found[0].size <= at


@pytest.mark.parametrize("name", ["a.png", "deflated.zip", "stored.zip"])
@pytest.mark.parametrize("gap", [1, 2, 77])
def test_two_fragments_in_free_space_are_joined_where_checksums_prove_it(name, gap):
    data = made(name)
    at = len(data) // 2 // CLUSTER * CLUSTER
    disk = padded(data[:at]) + noise(gap * CLUSTER, gap) + padded(data[at:]) + noise(CLUSTER)
    found = carve(disk)[0]
    assert content(disk, found) == data
    assert (found.state, found.why) == (ContentState.COMPLETE, "")


def test_three_fragments_of_a_png():
    data = png(7)
    one, two = len(data) // 3 // CLUSTER * CLUSTER, len(data) * 2 // 3 // CLUSTER * CLUSTER
    disk = data[:one] + noise(CLUSTER) + data[one:two] + bytes(2 * CLUSTER) + padded(data[two:])
    assert content(disk, carve(disk)[0]) == data


def chunks(data: bytes, size: int) -> bytes:
    """A PNG whose picture data lies in chunks of `size` bytes with their frames, so that chunks begin at clusters."""
    at, stream, head = 8, b"", b""
    while at < len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        stream += data[at + 8 : at + 8 + length] if kind == b"IDAT" else b""
        head += data[at : at + 12 + length] if kind == b"IHDR" else b""
        at += 12 + length
    made_of = b"\x89PNG\r\n\x1a\n" + head
    parts = [(b"tEXt", bytes(CLUSTER - len(made_of) - 12))]
    parts += [(b"IDAT", stream[begin : begin + size - 12]) for begin in range(0, len(stream), size - 12)] + [
        (b"IEND", b"")
    ]
    for kind, body in parts:
        made_of += len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")
    return made_of


def test_chunks_of_another_picture_are_not_taken_for_the_missing_ones():
    """Both break between two chunks: every checksum is right, and only the stream tells whose chunk it is."""
    one, two = chunks(png(7), CLUSTER), chunks(png(8), CLUSTER)
    assert carve(padded(one))[0].state == ContentState.COMPLETE
    cut = 5 * CLUSTER
    wrong = carve(padded(one[:cut] + two[cut:]))[0]
    assert wrong.state == ContentState.PARTIAL
    disk = one[:cut] + padded(two[cut:]) + padded(one[cut:])
    right = carve(disk)[0]
    assert content(disk, right) == one
    assert right.state == ContentState.COMPLETE


def test_members_of_another_archive_are_not_what_the_directory_tells():
    data = bytearray(made("stored.zip"))
    place = data.find(b"PK\x01\x02") + 16
    data[place : place + 4] = b"\1\2\3\4"
    assert carve(padded(bytes(data)))[0].state == ContentState.PARTIAL


def test_two_fragments_of_a_jpeg_are_joined_but_only_a_person_may_call_it_whole():
    data = jpeg(12)
    at = len(data) // 2 // CLUSTER * CLUSTER
    disk = data[:at] + noise(CLUSTER) + padded(data[at:]) + bytes(CLUSTER)
    found = carve(disk)[0]
    assert content(disk, found) == data
    assert found.state == ContentState.PARTIAL
    assert found.why


def test_the_head_of_one_picture_and_the_tail_of_another_are_no_whole_picture():
    """Both have valid markers, and the same tables: only the decoder can tell, by the number of blocks."""
    one, two = jpeg(20), saved(picture(21, 40, 30).resize((320, 240)), "JPEG", quality=85)
    at = len(two) // 2 // SECTOR * SECTOR
    disk = padded(one[:at] + two[at:])
    assert carve(disk)[0].state == ContentState.PARTIAL


def test_a_picture_of_a_kind_that_is_not_decoded_is_not_vouched_for():
    data = bytearray(jpeg(5))
    data[data.find(b"\xff\xc0") + 1] = 0xC9  # arithmetic coding
    assert carve(padded(bytes(data)))[0].state == ContentState.PARTIAL


def test_clusters_of_a_film_that_belong_to_others_break_its_samples():
    data = bytearray(made("index-first.mp4"))
    data[200_000:260_000] = noise(60_000)
    found = carve(padded(bytes(data)))[0]
    assert found.state == ContentState.PARTIAL
    assert "does not hold together" in found.why


@pytest.mark.parametrize("name", ["a.png", "deflated.zip", "a.gif", "baseline.jpg", "a.sqlite", "a.7z"])
def test_a_flipped_bit_is_no_complete_file(name):
    """In what a checksum or the structure covers; of a JPEG, the decoder alone would not see every one."""
    data = bytearray(made(name))
    places = {"a.png": len(data) // 2, "deflated.zip": 300, "a.gif": len(data) - 1, "baseline.jpg": 3}
    data[places.get(name, 13)] ^= 0x40
    assert all(found.state != ContentState.COMPLETE for found in carve(padded(bytes(data))).values())


def test_a_thumbnail_is_no_find_of_its_own_unless_its_picture_is_gone():
    """The thumbnail is made to begin at a sector."""
    small, whole = saved(Image.new("RGB", (64, 48), (9, 9, 99)), "JPEG"), jpeg(4)
    body = bytes(SECTOR - 6) + small
    data = whole[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + whole[2:]
    assert data[SECTOR : SECTOR + len(small)] == small
    assert list(carve(padded(data))) == [0]
    broken = bytes(SECTOR) + data[SECTOR:]
    assert content(padded(broken), carve(padded(broken))[SECTOR]) == small


def test_frames_of_a_film_of_pictures_are_at_home_in_it():
    data = made("motion-jpeg.avi")
    frames = [at for at in range(len(data)) if data.startswith(b"\xff\xd8\xff", at)]
    shift = -frames[3] % SECTOR  # one of the frames at a sector
    head, tail = data[:12], data[12:]
    junk = b"JUNK" + (shift + (SECTOR if shift < 8 else 0) - 8).to_bytes(4, "little")
    junk += bytes(int.from_bytes(junk[4:], "little"))
    hdrl = 8 + int.from_bytes(tail[4:8], "little")
    moved = head[:4] + (len(data) + len(junk) - 8).to_bytes(4, "little") + head[8:] + tail[:hdrl] + junk + tail[hdrl:]
    found = carve(padded(moved))
    assert list(found) == [0]
    assert found[0].why == UNSEEN


def test_an_enormous_claim_swallows_nothing():
    claim = b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + b"\0\0\0\1mdat" + (1 << 60).to_bytes(8, "big")
    disk = padded(claim) + padded(made("a.png")) + padded(made("baseline.jpg")) + bytes(CLUSTER)
    found = carve(disk)
    assert found[0].state == ContentState.PARTIAL
    assert found[0].size <= CLUSTER
    assert [content(disk, found[at]) for at in list(found)[1:]] == [made("a.png"), made("baseline.jpg")]


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
