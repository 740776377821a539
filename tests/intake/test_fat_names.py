"""What entries of FAT are called: a long name is an entry's own by its order and its checksum, and told to its end."""

import struct

import pytest
from exfat_image import File, make
from hypothesis import given
from hypothesis import strategies as st
from recovery import tool
from test_volumes import take

from clew.intake.disk.entries import NOT_ITS_OWN, UNSOUND
from clew.intake.disk.fat_names import ENTRY, checksum, named

CONTENT = b"content" * 90
SHORT, LONG = b"SECRET~1TXT", "Secret plans of a child.txt"


def parts(name: str, short: bytes, *, deleted: bool = False) -> bytes:
    """The entries of a long name, the last part first."""
    text = name.encode("utf-16-le", "surrogatepass")
    if len(text) % 26:
        text = (text + bytes(2)).ljust(-(-len(text) // 26) * 26, b"\xff")
    found = b""
    for number in range(len(text) // 26, 0, -1):
        some = text[26 * number - 26 : 26 * number]
        first = 0xE5 if deleted else number | (0x40 if 26 * number == len(text) else 0)
        found += struct.pack("<B10sBBB12sH4s", first, some[:10], 15, 0, checksum(short), some[10:22], 0, some[22:])
    return found


def entry(short: bytes, *, deleted: bool = False) -> bytes:
    return (b"\xe5" + short[1:] if deleted else short) + b"\x20" + bytes(20)


def called(*entries: bytes) -> tuple[bytes, bytes]:
    data = b"".join(entries)
    found = named(data, len(data) // ENTRY - 1)
    return found.name, found.before


@pytest.mark.parametrize("deleted", [False, True])
@pytest.mark.parametrize("length", [1, 12, 13, 14, 195, 196, 208, 224, 255])
def test_a_long_name_to_its_end(length, deleted):
    name = "S" + "\N{LATIN SMALL LETTER E WITH ACUTE}" * (length - 1)
    assert called(parts(name, SHORT, deleted=deleted), entry(SHORT, deleted=deleted)) == (name.encode(), b"")


def test_letters_of_two_units_to_their_end():
    name = "x" + "\N{GRINNING FACE}" * 127
    assert called(parts(name, SHORT), entry(SHORT)) == (name.encode(), b"")


def test_a_long_name_that_is_not_its_own():
    long = LONG.encode()
    other, broken = parts(LONG, SHORT), bytearray(parts(LONG, SHORT))
    broken[0] = 0x44
    assert called(other, entry(b"HOLIDAY TXT")) == (b"HOLIDAY.TXT", long)
    assert called(bytes(broken), entry(SHORT)) == (b"SECRET~1.TXT", long)
    assert called(other[ENTRY:], entry(SHORT)) == (
        b"SECRET~1.TXT",
        LONG[:26].encode()[: 13 * (len(other) // ENTRY - 1)],
    )
    assert called(parts(LONG, SHORT, deleted=True), entry(SHORT)) == (b"SECRET~1.TXT", long)
    assert called(other, entry(b"FIRST   TXT"), entry(SHORT)) == (b"SECRET~1.TXT", b"")


def test_of_a_deleted_entry_the_checksum_tells_the_letter_that_is_gone():
    long = LONG.encode()
    gone = parts(LONG, SHORT, deleted=True)
    assert called(gone, entry(SHORT, deleted=True)) == (long, b"")
    assert called(gone, entry(b"OECRET~1TXT", deleted=True)) == (long, b"")  # all that is left of it is the same
    assert called(gone, entry(b"SECRET~2TXT", deleted=True)) == (b"_ECRET~2.TXT", long)
    assert called(parts(LONG, SHORT), entry(SHORT, deleted=True)) == (long, b"")  # as DOS deletes
    assert called(parts(".hidden", b"HIDDEN~1   ", deleted=True), entry(b"HIDDEN~1   ", deleted=True))[0] == b".hidden"
    dash = "\N{EM DASH}.txt"
    assert called(parts(dash, b"_~1     TXT", deleted=True), entry(b"_~1     TXT", deleted=True))[0] == dash.encode()


def test_two_names_in_a_row_are_not_joined():
    first, second = parts("Sone name", SHORT, deleted=True), parts("Stwo", SHORT, deleted=True)
    assert called(first, second, entry(SHORT, deleted=True)) == (b"Stwo", b"")


@given(st.binary(max_size=25 * ENTRY), st.integers(0, 24))
def test_no_bytes_break_it(data, number):
    if (number + 1) * ENTRY <= len(data):
        assert isinstance(named(data, number).name, bytes)


@pytest.mark.parametrize("kind", ["12", "16", "32"])
def test_a_volume_with_such_names(kind, tmp_path):
    """A stale long name is a deleted name of its own, and no two live files have one path."""
    image = tmp_path / "card.img"
    image.write_bytes(bytes({"12": 2, "16": 8, "32": 40}[kind] << 20))
    tool("mkfs.fat", "-F", kind, "-s", "1", image)
    long = ["c" * 200 + end for end in ("_one.jpg", "_two.jpg")]
    for name in (LONG, "A long name of another.txt", *long):
        (tmp_path / name).write_bytes(CONTENT)
        tool("mcopy", "-i", image, tmp_path / name, "::/")
    raw = bytearray(image.read_bytes())
    at = raw.find(b"SECRET~1TXT")
    raw[at : at + 11] = b"HOLIDAY TXT"
    image.write_bytes(raw)
    found, summary = take(tmp_path, image)
    live = {path for path, item in found.items() if item["name_state"] == "live"}
    assert live == {b"HOLIDAY.TXT", b"A long name of another.txt", *map(str.encode, long)}
    assert found[b"HOLIDAY.TXT"]["content_state"] == "complete"
    stale = found[LONG.encode()]
    assert (stale["name_state"], stale["content_state"], stale["size"]) == ("deleted", "unreadable", 0)
    record = int(found[b"HOLIDAY.TXT"]["ref"].split("/")[1])
    assert f"the entry with record {record}, not its own" in stale["detail"]
    assert f"1 {NOT_ITS_OWN}" in summary.words()
    assert "they agree" in summary.words()


def test_an_entry_of_exfat_whose_checksum_is_wrong(tmp_path):
    files = [File(f"picture {number} of a long name.jpg", CONTENT, [20 + number]) for number in range(5)]
    files += [File("deleted one.jpg", CONTENT, [40], deleted=True)]
    image = make(tmp_path / "card.img", files)
    sound, spoilt = tmp_path / "sound", tmp_path / "spoilt"
    sound.mkdir()
    spoilt.mkdir()
    found, summary = take(sound, image)
    assert "whose checksum is wrong" not in summary.words()
    assert found[b"picture 3 of a long name.jpg"]["content_state"] == "complete"
    raw = bytearray(image.read_bytes())
    at = raw.find("3 of".encode("utf-16-le"))
    raw[at : at + 2] = "7".encode("utf-16-le")
    (spoilt / "card.img").write_bytes(raw)
    found, summary = take(spoilt, spoilt / "card.img")
    assert found[b"picture 7 of a long name.jpg"]["content_state"] == "overwritten possible"
    assert found[b"picture 4 of a long name.jpg"]["content_state"] == "complete"
    assert f"1 {UNSOUND}" in summary.words()
