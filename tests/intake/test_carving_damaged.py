"""Carving what is cut, overwritten or in fragments: called complete only where a checksum proves it."""

import zlib

import pytest
from carvable import MADE, database, jpeg, picture, png, samsung, saved
from carved import CLUSTER, LOOKED_AT, VOUCHED, carve, content, made, noise, padded
from PIL import Image

from clew.intake.carving.carver import CROSSED, STORED, UNSEEN
from clew.intake.carving.scan import SECTOR
from clew.model import ContentState


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
    if found[0].extension in LOOKED_AT and "motion.jpg" not in name:
        assert found[0].state == ContentState.PARTIAL
        assert found[0].why
    if after == "another file":
        assert found[0].state == ContentState.PARTIAL
        assert content(disk, found[kept]) == other
        assert (found[kept].state == ContentState.COMPLETE) is (found[kept].extension in VOUCHED)
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


@pytest.mark.parametrize("page", [4096, 32768])
@pytest.mark.parametrize("other", ["noise", "zeros", "a picture"])
def test_a_database_with_clusters_of_another_is_not_complete(page, other):
    """In one page behind its first cluster, or in whole ones: more of them than its eight on the free list."""
    data, picture = bytearray(database(page)), padded(made("a.png"))[:CLUSTER]
    at, end = (5 * page + CLUSTER, 6 * page) if page > CLUSTER and other != "zeros" else (4 * page, 13 * page)
    data[at:end] = {"noise": noise(end - at), "zeros": bytes(end - at), "a picture": picture.ljust(end - at)}[other]
    found = carve(padded(bytes(data)))
    inside = page > CLUSTER and other != "zeros"
    assert found[0].state == (ContentState.OVERWRITTEN_POSSIBLE if inside else ContentState.PARTIAL)
    if other == "a picture":
        assert list(found) == [0, at]
        assert (found[0].why == STORED) is inside


def test_pages_of_zeros_on_the_free_list_are_a_database_s_own():
    data = database(secure=True)
    assert any(not any(data[at : at + 4096]) for at in range(0, len(data), 4096))
    found = carve(padded(data))
    assert (found[0].size, found[0].state, found[0].why) == (len(data), ContentState.OVERWRITTEN_POSSIBLE, UNSEEN)


def test_zeros_in_the_second_picture_of_a_file_are_seen():
    data = bytearray(made("two.jpg"))
    at = data.rfind(b"\xff\xda") + CLUSTER // 8
    data[at : at + 1024] = bytes(1024)
    assert carve(padded(bytes(data)))[0].state == ContentState.PARTIAL


@pytest.mark.parametrize("other", ["noise", "a picture"])
def test_what_a_telephone_appended_is_whole_only_where_it_was_looked_at(other):
    """A block of more than a sector, in which a picture may begin at one."""
    inside, mark = {"noise": noise(9000), "a picture": made("a.png")}[other], b"\0\0\x01\x0aother"
    behind = samsung(mark + inside).index(inside)
    data = samsung(mark + bytes(-behind % SECTOR) + inside)
    found = carve(padded(data))
    why = STORED if other == "a picture" else UNSEEN
    assert (found[0].size, found[0].state, found[0].why) == (len(data), ContentState.OVERWRITTEN_POSSIBLE, why)
    assert [content(padded(data), each) for at, each in found.items() if at] == ([inside] if why == STORED else [])


def test_an_enormous_claim_swallows_nothing():
    claim = b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + b"\0\0\0\1mdat" + (1 << 60).to_bytes(8, "big")
    disk = padded(claim) + padded(made("a.png")) + padded(made("baseline.jpg")) + bytes(CLUSTER)
    found = carve(disk)
    assert found[0].state == ContentState.PARTIAL
    assert found[0].size <= CLUSTER
    assert [content(disk, found[at]) for at in list(found)[1:]] == [made("a.png"), made("baseline.jpg")]
