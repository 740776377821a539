"""A file record that says what cannot be costs itself alone, and no other entry of its directory."""

import struct

import pytest
from cases import sha256
from test_volumes import take

from clew.intake.sources import _said
from clew.model import Reason
from container_files import tool

ODD = 7_777  # bytes of one file


def test_an_inode_with_a_size_that_cannot_be_costs_its_file_alone(tmp_path):
    image, files = tmp_path / "ext.img", tmp_path / "files"
    (files / "folder").mkdir(parents=True)
    names = [b"folder/%d.txt" % number for number in range(20)]
    for name in names:
        (files / name.decode()).write_bytes(name)
    (files / "folder" / "odd.bin").write_bytes(b"x" * ODD)
    tool("mke2fs", "-q", "-F", "-t", "ext2", "-b", "1024", "-I", "128", "-d", files, image, "8M")
    data = bytearray(image.read_bytes())
    at = next(at for at in range(0, len(data), 128) if struct.unpack_from("<I", data, at + 4)[0] == ODD)
    struct.pack_into("<I", data, at + 108, 0xFFFFFFFF)
    image.write_bytes(data)
    found, summary = take(tmp_path, image)
    odd = found.pop(b"folder/odd.bin")
    assert (odd["state"], odd["reason"], odd["content_state"]) == ("unreadable", "unparsable", "unreadable")
    assert {path: item["sha256"] for path, item in found.items()} == {name: sha256(name) for name in names}
    assert not summary.account.complete


def item(**said) -> dict:
    return {
        "ref": "fs@0/12/1-0/a", "path": b"a".hex(), "size": 1, "state": "open", "reason": None, "detail": None,
        "name_state": "live", "content_state": "complete", "parent": None, "times": [None] * 4, "times_source": "",
        "runs": None, "cursor": "c",
    } | said  # fmt: skip


@pytest.mark.parametrize("bad", [{"size": -1}, {"times": [1 << 63] + [None] * 3}, {"runs": [[-1, 2]]}, {"state": "x"}])
def test_what_is_said_of_one_entry_is_no_matter_of_another(bad):
    heard = _said.stretch({"items": [item(), item(**bad), item()], "cursor": "c", "done": True, "next": None})
    assert [each.missing and each.missing.reason for each in heard.events] == [None, Reason.UNPARSABLE, None]
    assert [each.ref for each in heard.events] == ["fs@0/12/1-0/a"] * 3


@pytest.mark.parametrize("bad", [{"path": "x"}, {"ref": "/etc"}, {"cursor": 7}, {"name_state": "x"}])
def test_what_cannot_even_be_named_makes_no_answer(bad):
    heard = _said.stretch({"items": [item(**bad)], "cursor": "c", "done": True, "next": None})
    assert heard.reason is Reason.UNPARSABLE
