"""A stream of NTFS that says to be longer than its attribute in the file record: what follows there is not its own."""

from ntfs_volume import blank, written
from test_volumes import take

from clew.intake.disk.claims import BEYOND

OWN = b"ten bytes."


def test_a_length_beyond_its_attribute(tmp_path):
    image = blank(tmp_path / "disk.img")
    with written(image) as new:
        new.create("/sound.txt", b"other ten.")
        new.create("/spoilt.txt", OWN)
    raw = bytearray(image.read_bytes())
    at = raw.find(OWN)
    assert raw[at - 8 : at - 4] == (len(OWN)).to_bytes(4, "little")
    raw[at - 8] = 56
    image.write_bytes(raw)
    found, summary = take(tmp_path, image)
    assert found[b"sound.txt"]["content_state"] == "complete"
    assert (found[b"spoilt.txt"]["content_state"], found[b"spoilt.txt"]["size"]) == ("partial", 56)
    assert f"1 {BEYOND}" in summary.words()
