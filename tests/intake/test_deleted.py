"""What is called the volume's own, and what a deleted file's own: by what the disk holds, never by a name alone."""

import random
import struct
from pathlib import Path

import pytest
from cases import sha256
from exfat_image import File, make
from recovery import photographs
from test_disk_intake import put, take, tool

from clew.intake.disk import entries
from clew.intake.sources._doubts import Find, Finds, exactly
from clew.model import ContentState

LABEL = "x (Volume Label Entry)"


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """A FAT volume with a label, in clusters of 2 KiB."""
    image = tmp_path / "card.img"
    image.write_bytes(bytes(4 << 20))
    tool("mkfs.fat", "-F", "12", "-s", "4", "-n", "HOLIDAY", image)
    return image


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return photographs()


def removed(image: Path, files: dict[str, bytes]) -> None:
    """Files that are written one behind the other, and deleted again."""
    for name, data in files.items():
        put(image, name, data)
    for name in files:
        tool("mdel", "-i", image, f"::/{name}")


def claimed(folder: Path, image: Path) -> dict[str, tuple[str, str]]:
    """What listing and reading claim of the bytes of everything that has a name."""
    found, _ = take(folder, image)
    return {
        path.decode(): (item["content_state"], item["as_read"])
        for path, item in found.items()
        if not path.startswith(b"$")  # carved, and what random bytes pass for
    }


# ---- labels


def test_a_file_that_is_called_like_a_label_is_none_on_fat(card, tmp_path):
    put(card, LABEL, b"live")
    put(card, "gone" + LABEL, b"deleted")
    tool("mdel", "-i", card, f"::/gone{LABEL}")
    found, summary = take(tmp_path, card)
    assert {(path, item["sha256"]) for path, item in found.items()} == {
        (LABEL.encode(), sha256(b"live")),
        (b"gone" + LABEL.encode(), sha256(b"deleted")),
    }
    assert summary.account.notes[entries.LABELS] == 1
    assert summary.account.recounts[0].said == "they agree"


def test_a_content_behind_an_entry_that_is_marked_as_a_label_is_listed(card, tmp_path):
    put(card, "HIDDEN.TXT", b"hidden")
    data = bytearray(card.read_bytes())
    data[data.find(b"HIDDEN  TXT") + 11] |= 0x08
    card.write_bytes(data)
    found, _ = take(tmp_path, card)
    assert [item["sha256"] for item in found.values()] == [sha256(b"hidden")]


def test_a_file_that_is_called_like_a_label_is_none_on_exfat(tmp_path):
    files = [File(LABEL, b"live", [100]), File("gone" + LABEL, b"deleted", [101], deleted=True)]
    image = make(tmp_path / "card.img", files)
    tool("tune.exfat", "-L", "HOLIDAY", image)
    found, summary = take(tmp_path, image)
    assert {item["sha256"] for item in found.values()} == {sha256(b"live"), sha256(b"deleted")}
    assert summary.account.notes[entries.LABELS] == 1


# ---- a chain that is gone


COMPLETE, DOUBT = str(ContentState.COMPLETE), str(ContentState.OVERWRITTEN_POSSIBLE)


def test_a_guess_over_a_cluster_of_another_deleted_file_is_not_called_complete(card, tmp_path):
    """A lay in clusters 2, 3, 5 and 6, G in 4. Both are deleted, and G's entry belongs to another file now."""
    removed(card, {"A.TXT": b"a" * 8192})
    data = bytearray(card.read_bytes())
    first = data.find(b"a" * 2048)
    data[first + 4096 : first + 5 * 2048] = b"g" * 2048 + b"a" * 4096
    card.write_bytes(data)
    assert claimed(tmp_path, card) == {"_.TXT": (DOUBT, DOUBT)}


def test_an_entry_vouches_for_no_cluster_and_a_whole_file_for_all(card, tmp_path, files):
    removed(card, {"NOTE.TXT": b"one cluster", "HOLIDAY.PNG": files["q01.png"]})
    assert claimed(tmp_path, card) == {"_OTE.TXT": (DOUBT, DOUBT), "_OLIDAY.PNG": (DOUBT, COMPLETE)}


# ---- what was carved at the same place


def test_another_file_at_the_first_cluster_or_over_it_is_a_doubt(tmp_path, files):
    """Of exFAT's entries the books vouch; only carving shows what was written over them and deleted, without a name."""
    text, picture = random.Random(3).randbytes(80_000).hex().encode(), files["q03.png"]
    assert 8 * 4096 < len(picture) < len(text)
    own = list(range(400, 400 + -(-len(picture) // 4096)))
    listed = [
        File("cv.doc", text, list(range(100, 140)), deleted=True),
        File("letter.doc", text[:4096], [204], deleted=True),
        File("far.doc", text[:8192], [301, 302], deleted=True),
        File("own.png", picture, own, deleted=True),
    ]
    image = make(tmp_path / "card.img", listed)
    data = bytearray(image.read_bytes())
    heap = struct.unpack_from("<I", data, 88)[0] * 512
    for cluster in (100, 200):
        at = heap + (cluster - 2) * 4096
        data[at : at + len(picture)] = picture
    image.write_bytes(data)
    assert claimed(tmp_path, image) == {
        "cv.doc": (DOUBT, DOUBT),
        "letter.doc": (DOUBT, DOUBT),
        "far.doc": (DOUBT, DOUBT),
        "own.png": (DOUBT, COMPLETE),
    }


def test_what_a_find_says_of_a_deleted_file():
    whole, cut, film = ContentState.COMPLETE, ContentState.PARTIAL, ContentState.OVERWRITTEN_POSSIBLE
    finds = [(100, 50, whole), (300, 80, film), (500, 70, cut), (700, 20, whole)]
    beside = Finds([Find(((at, length),), state, state is ContentState.COMPLETE) for at, length, state in finds])
    assert beside.agree([(100, 50)]) is True
    begins_there = ([(100, 51)], [(100, 49)], [(100, 25), (200, 25)])
    for other in (*begins_there, [(149, 5)], [(120, 4)], [(20, 5), (149, 1)]):
        assert beside.agree(other) is False, other
    assert beside.agree([(50, 50)]) is None
    assert beside.agree([(150, 100)]) is None
    assert beside.agree([(300, 80)]) is None  # nothing vouches for the inside of a film
    assert beside.agree([(500, 69)]) is False
    assert beside.agree([(500, 70)]) is None
    assert beside.agree([(500, 60), (900, 60)]) is None  # its first piece: no carver can join it
    assert beside.agree([(90, 11)]) is None
    assert beside.agree([(690, 50)]) is None  # what begins inside may be at home there
    assert Finds([Find(((0, 4), (8, 4)), whole, True)]).agree([(0, 4), (8, 4)]) is True
    assert Finds([Find(((0, 4), (8, 4)), whole, False)]).agree([(0, 4), (8, 4)]) is None
    assert Finds([]).agree([(0, 4)]) is None


def test_what_a_find_says_that_holds_others():
    """A database is one, of which the pictures in it are finds of their own."""
    whole, database = ContentState.COMPLETE, Find(((0, 1000),), ContentState.OVERWRITTEN_POSSIBLE, False)
    stored = [Find(((at, 100),), whole, True) for at in (100, 300)]
    beside = Finds([database, *stored, Find(((2000, 100),), whole, True)])
    assert beside.agree([(500, 100)]) is False
    assert beside.agree([(1000, 100)]) is None


def test_the_bytes_of_a_file_in_whole_clusters():
    assert exactly([(0, 10), (10, 10), (30, 10)], 25) == [(0, 20), (30, 5)]
    assert exactly([(0, 10)], 0) == []
    assert exactly([], 5) == []
