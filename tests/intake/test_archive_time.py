"""Time: a member or a listing that takes longer than one task may costs itself and says so, and all else is done."""

import bz2
import io
import struct
import tarfile
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from archive_world import PAST, TEXT, zipped
from cases import sha256

from case_made import new_case
from clew.core import shards
from clew.core.supervised import TOO_SLOW
from clew.intake.account import LATE
from clew.intake.archives.budget import Budgets
from clew.intake.options import LIMITS, Options
from clew.intake.report import Report
from clew.intake.run import intake

# What is slow here takes seconds or minutes to be gone through on any machine, all else a moment. No other budget ends
# it.
SHORT = replace(LIMITS, seconds=1.5, seconds_per_mb=0.0)
LARGE = Budgets(least=1 << 50, overrun=1 << 50)
ZEROS = 16 << 20
TIMES = 4_000


def slow_stream() -> bytes:
    """64 GiB of zeros in bzip2, as streams one behind the other."""
    return bz2.compress(bytes(ZEROS)) * TIMES


def slow_tar() -> bytes:
    """A tar in bzip2: a small member, one of 64 GiB of zeros that are to be gone past, and another small one."""

    def entry(name: str, size: int, data: bytes = b"") -> bytes:
        info = tarfile.TarInfo(name)
        info.size = size
        return info.tobuf(tarfile.GNU_FORMAT) + data + bytes(-len(data) % 512)

    begin, end = entry("first", len(TEXT), TEXT) + entry("slow", ZEROS * TIMES), entry("last", len(TEXT), TEXT)
    return bz2.compress(begin) + slow_stream() + bz2.compress(end + bytes(1024))


def slow_zip() -> bytes:
    """A zip whose second of three members is deflated zeros of 4 GiB less a little: written as stored, and called
    deflated afterwards. Its CRC-32 is not theirs, which nobody comes to see.
    """
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(ZEROS)) + packer.flush(zlib.Z_FULL_FLUSH)  # stands by itself, any number of times
    packed = block * 255 + packer.flush()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in (("first", TEXT), ("slow", packed), ("last", TEXT * 2)):
            archive.writestr(zipfile.ZipInfo(name, PAST), data)
    data = bytearray(out.getvalue())
    for magic, at in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        begin = data.index(magic, data.index(magic) + 4)
        struct.pack_into("<H", data, begin + at, zipfile.ZIP_DEFLATED)
        struct.pack_into("<I", data, begin + at + 14, ZEROS * 255)
    return bytes(data)


def take(folder: Path, files: dict[str, bytes]) -> tuple[dict[str, dict[str, Any]], Report]:
    """Every Item by its ref, and what the run reported."""
    (folder / "x").mkdir()
    for name, data in files.items():
        (folder / "x" / name).write_bytes(data)
    case = new_case(folder / "case")
    options = Options(workers=1, extractors=(), limits=SHORT, budgets=LARGE)
    summary = intake(case, path=folder / "x", label="X", options=options)
    states = {row["id"]: dict(row) for row in case.read().execute("SELECT id, state, reason, detail FROM items")}
    rows = shards.query(case, "SELECT l.item, l.ref, c.sha256 FROM listings l LEFT JOIN contents c USING (item)")
    return {row["ref"]: row | states[row["item"]] for row in rows.to_pylist()}, summary


def done(found: dict[str, dict[str, Any]]) -> dict[str, bytes]:
    return {ref: item["sha256"] for ref, item in found.items() if item["state"] == "done"}


def test_a_member_that_takes_too_long_costs_itself(tmp_path: Path) -> None:
    archive, beside = slow_zip(), zipped([("beside", b"1")])
    found, summary = take(tmp_path, {"a.zip": archive, "b.zip": beside})
    slow = found["file/a.zip!slow#1"]
    assert (slow["state"], slow["reason"], slow["sha256"]) == ("unreadable", "limit reached", None)
    assert TOO_SLOW in slow["detail"]
    assert done(found) == {
        "file/a.zip": sha256(archive),
        "file/a.zip!first#0": sha256(TEXT),
        "file/a.zip!last#2": sha256(TEXT * 2),
        "file/b.zip": sha256(beside),
        "file/b.zip!beside#0": sha256(b"1"),
    }
    assert summary.account.balanced
    assert summary.account.unreadable_by_reason == {"limit reached": 1}
    assert f"1 of them {LATE}" in summary.words()


def test_a_listing_that_takes_too_long_costs_the_rest_of_that_archive(tmp_path: Path) -> None:
    """What could be listed before is read; what lies behind it is one Item that says so."""
    archive, beside = slow_tar(), zipped([("beside", b"1")])
    found, summary = take(tmp_path, {"a.tbz": archive, "b.zip": beside})
    rest = found["file/a.tbz!#2"]
    assert (rest["state"], rest["reason"]) == ("unreadable", "limit reached")
    assert rest["detail"].startswith(f"the rest of this archive, after 2 members: {TOO_SLOW}")
    assert found["file/a.tbz!slow#1"]["reason"] == "limit reached"
    assert done(found) == {
        "file/a.tbz": sha256(archive),
        "file/a.tbz!first#0": sha256(TEXT),
        "file/b.zip": sha256(beside),
        "file/b.zip!beside#0": sha256(b"1"),
    }
    assert summary.account.balanced
    assert summary.account.unreadable_by_reason == {"limit reached": 2}


def test_a_stream_whose_size_takes_too_long_to_measure_costs_itself(tmp_path: Path) -> None:
    archive, beside = slow_stream(), zipped([("beside", b"1")])
    found, summary = take(tmp_path, {"a.bz2": archive, "b.zip": beside})
    rest = found["file/a.bz2!#0"]
    assert (rest["state"], rest["reason"]) == ("unreadable", "limit reached")
    assert rest["detail"].startswith(f"the rest of this archive, after 0 members: {TOO_SLOW}")
    assert done(found) == {
        "file/a.bz2": sha256(archive),
        "file/b.zip": sha256(beside),
        "file/b.zip!beside#0": sha256(b"1"),
    }
    assert summary.account.balanced
