"""Files of a disc: their extents are joined, raw sectors read, and what is not the whole file is said."""

import random
import struct
import subprocess
from typing import Any

import pytest
from cases import sha256
from discs import S, change, listed, make, record_of, run_here, take, told_of

from clew.core.absent import CutShort
from clew.intake.disk import iso, volumes
from clew.intake.refs import parse


def test_the_extents_of_one_file_are_joined_and_never_called_whole_alone(tmp_path):
    image = make(tmp_path / "d.iso", {"A.BIN": b"a" * 2048, "B.BIN": b"b" * 100, "C.BIN": b"c"})
    for name in (b"A.BIN;1", b"C.BIN;1"):
        change(image, record_of(image, name) + 25, b"\x80")
    change(image, record_of(image, b"B.BIN;1") + 33, b"A.BIN;1")
    found, summary = take(tmp_path, image)
    assert set(found) == {b"A.BIN", b"C.BIN"}
    whole, part = found[b"A.BIN"], found[b"C.BIN"]
    assert (whole["sha256"], whole["size"], whole["as_read"]) == (sha256(b"a" * 2048 + b"b" * 100), 2148, "complete")
    assert (part["sha256"], part["content_state"], part["as_read"]) == (sha256(b"c"), "partial", "partial")
    assert "an extent that no directory record names" in part["detail"]
    assert parse(whole["ref"]) == {"offset": 0, "iso": 16, "record": parse(whole["ref"])["record"], "type": 0, "id": 2}
    assert not summary.account.complete


def test_what_is_not_the_whole_file_is_said(tmp_path):
    image = make(tmp_path / "d.iso", {"A.BIN": b"a" * 5000, "B.BIN": b"b", "C.BIN": b"c", "ZZ.BIN": b"z" * 5000})
    change(image, record_of(image, b"B.BIN;1") + 26, b"\1\1")  # interleaved
    data = image.read_bytes()
    at = struct.unpack_from("<I", data, record_of(image, b"ZZ.BIN;1") + 2)[0] * S
    image.write_bytes(data[: at + 3000])
    found, _ = take(tmp_path, image)
    assert (found[b"A.BIN"]["as_read"], found[b"A.BIN"]["sha256"]) == ("complete", sha256(b"a" * 5000))
    assert (found[b"B.BIN"]["state"], found[b"B.BIN"]["sha256"]) == ("unreadable", None)
    assert "interleaved" in found[b"B.BIN"]["detail"]
    assert (found[b"ZZ.BIN"]["as_read"], found[b"ZZ.BIN"]["sha256"]) == ("partial", sha256(b"z" * 3000))
    assert "beyond the image's end" in found[b"ZZ.BIN"]["detail"]


def test_a_disc_of_another_writer_and_what_it_packed(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "a name.txt").write_bytes(b"a")
    (tree / "zeros.bin").write_bytes(bytes(100_000))
    options = ["--format=iso9660", "--options", "zisofs=direct"]
    command = ["bsdtar", *options, "-cf", tmp_path / "d.iso", "-C", tree, "."]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    found = {bytes.fromhex(each["path"]): each for each in listed(tmp_path / "d.iso")}
    assert set(found) == {b"a name.txt", b"zeros.bin"}
    assert (found[b"a name.txt"]["content_state"], found[b"zeros.bin"]["content_state"]) == ("complete", "partial")

    def read(place: dict[str, Any], _: list[int]) -> bytes:
        stream = iso.stream(place, [])
        return stream.read(0, 8) + stream.read(stream.size, 1)

    with pytest.raises(CutShort, match="zisofs"):
        run_here(read, tmp_path / "d.iso", **parse(found[b"zeros.bin"]["ref"]))


def test_files_of_another_disc_of_the_set_are_not_read_from_this_one(tmp_path):
    image = make(tmp_path / "d.iso", {"A.BIN": b"a", "B.BIN": b"b"})
    change(image, 16 * S + 120, struct.pack("<H2xH", 2, 1))
    change(image, record_of(image, b"B.BIN;1") + 28, struct.pack("<H", 2))
    found = {bytes.fromhex(each["path"]): each for each in listed(image)}
    assert (found[b"A.BIN"]["state"], found[b"B.BIN"]["state"]) == ("open", "unreadable")


def test_raw_sectors_are_read(tmp_path):
    content = random.Random(1).randbytes(9000)
    image = make(tmp_path / "d.iso", {"A.BIN": content, "D/B.TXT": b"b"})
    data = image.read_bytes()
    for each, before in ((2352, 16), (2448, 24)):
        raw = tmp_path / f"{each}.img"
        raw.write_bytes(
            b"".join(bytes(before) + data[at:][:S] + bytes(each - S - before) for at in range(0, len(data), S))
        )
        assert run_here(volumes.describe, raw).value == {"disc": True, "beside": ""}
        said = told_of(raw)
        assert [tree["sector"] for tree in said["trees"]] == [16]
        assert all(at % each == 0 and length % each == 0 for at, length in said["left"])
        found = {bytes.fromhex(item["path"]): item for item in listed(raw)}
        assert set(found) == {b"A.BIN", b"D/B.TXT"}
        ((at, length),) = found[b"A.BIN"]["runs"]
        assert (at % each, length) == (0, 5 * each)

        def pieces(place: dict[str, Any], _: list[int]) -> list[bytes]:
            stream = iso.stream(place, [])
            return [stream.read(0, 10_000), stream.read(3000, 5000)]

        assert run_here(pieces, raw, **parse(found[b"A.BIN"]["ref"])) == [content, content[3000:8000]]
