"""NTFS whose $MFT begins with damaged records: opened by their copies, and said; said too where these are damaged."""

import struct

import pytest
from ntfs_volume import blank, written
from test_volumes import take

from clew.intake.disk import ntfs_mirror

RECORD = 1024


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("spoilt", [range(1), range(4)])
def test_the_record_of_the_mft_itself(tmp_path, spoilt, both):
    image = blank(tmp_path / "disk.img")
    with written(image) as new:
        new.create("/folder", folder=True)
        new.create("/folder/a name.txt", b"content")
        new.create("/long.bin", b"long content " * 9_000)
    raw = bytearray(image.read_bytes())
    sector, clusters = struct.unpack_from("<HB", raw, 11)
    for place in struct.unpack_from("<QQ", raw, 48)[: 1 + both]:
        at = place * sector * clusters + spoilt.start * RECORD
        raw[at : at + len(spoilt) * RECORD] = bytes(len(spoilt) * RECORD)
    image.write_bytes(raw)
    found, summary = take(tmp_path, image)
    assert (ntfs_mirror.DAMAGED if both else ntfs_mirror.BY_COPY) in summary.words()
    assert not summary.complete
    listed = {path for path, item in found.items() if item["name_state"] == "live"}
    assert listed == (set() if both else {b"folder/a name.txt", b"long.bin"})
    if not both:
        assert {item["content_state"] for item in found.values()} == {"complete"}
