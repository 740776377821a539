"""A CD of several sessions in an image that leaves out what lies between them: no file gets bytes of another."""

import struct
from pathlib import Path
from typing import Any

import pytest
from discs import S, change, follow, make, run_here, told_of, trees

from clew.intake.disk import iso
from clew.intake.refs import parse


def unpadded(tmp_path: Path, *gaps: int) -> Path:
    """A CD of as many sessions and one, each of which goes on from the one before, in an image without what lies
    between them.
    """
    whole = make(tmp_path / "d.iso", {"ONE.BIN": b"one" * 3000, "GONE.BIN": b"gone" * 2000}, "-R", "-J")
    joined, start = whole.read_bytes(), 0
    for number, gap in enumerate(gaps, 2):
        size = whole.stat().st_size // S
        files = {f"{number}.BIN": f"{number}".encode() * 5000, "GONE.BIN": b"new" * number}
        options = ["-R", "-J", "-C", f"{start},{size + gap}", "-M", str(whole)]
        more = make(tmp_path / f"{number}.iso", files, *options)
        start = size + gap
        follow(whole, more, start)
        joined += more.read_bytes()
    image = tmp_path / "cd.iso"
    image.write_bytes(joined)
    return image


ONE, GONE, TWO, THREE = b"one" * 3000, b"gone" * 2000, b"2" * 5000, b"3" * 5000


def contents(image: Path) -> dict[tuple[int, bytes], tuple[str, bytes]]:
    """(session, path) -> (name state, content; nothing where it has none) in an image of a CD."""

    def whole(place: dict[str, Any], _: list[int]) -> bytes:
        return iso.stream(place, []).read(0, 1 << 20)

    found = {}
    for number, (_, items) in enumerate(trees(image)):
        for each in items:
            if "path" in each:
                opens = each["state"] == "open"
                data = run_here(whole, image, **parse(each["ref"])) if opens else b""
                found[number // 2 + 1, bytes.fromhex(each["path"])] = each["name_state"], data
    return found


@pytest.mark.parametrize("each", [S, 2352])
def test_a_session_is_found_in_an_image_that_leaves_out_what_lies_before_it(tmp_path, each):
    image = unpadded(tmp_path, 11_400)
    if each != S:
        data = image.read_bytes()
        image.write_bytes(b"".join(bytes(16) + data[at:][:S] + bytes(each - S - 16) for at in range(0, len(data), S)))
    assert contents(image) == {
        (1, b"ONE.BIN"): ("live", ONE),
        (1, b"GONE.BIN"): ("deleted", GONE),
        (2, b"ONE.BIN"): ("live", ONE),
        (2, b"GONE.BIN"): ("live", b"new" * 2),
        (2, b"2.BIN"): ("live", TWO),
    }
    said = told_of(image)
    assert said["said"] == []
    assert (
        "of session 2 of 2, at sector 206, before which the image leaves out 11,400 sectors"
        in said["trees"][2]["words"]
    )


@pytest.mark.parametrize("known", [True, False])
def test_of_three_sessions_none_gives_bytes_of_another_for_a_file(tmp_path, known):
    """The third one tells where the others lie by how many sectors each says that it has."""
    image = unpadded(tmp_path, 11_400, 6_900)
    if not known:
        change(image, 206 * S + 80, struct.pack("<I", 77_000))
    found = contents(image)
    assert {key: data for key, (_, data) in found.items()} == {
        (1, b"ONE.BIN"): ONE,
        (1, b"GONE.BIN"): GONE,
        (2, b"ONE.BIN"): ONE,
        (2, b"GONE.BIN"): b"new" * 2,
        (2, b"2.BIN"): TWO,
        (3, b"ONE.BIN"): ONE if known else b"",
        (3, b"GONE.BIN"): b"new" * 3,
        (3, b"2.BIN"): TWO if known else b"",
        (3, b"3.BIN"): THREE,
    }
    deleted = {key for key, (state, _) in found.items() if state == "deleted"}
    assert deleted == ({(1, b"GONE.BIN"), (2, b"GONE.BIN")} if known else set())
