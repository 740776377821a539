"""The archive: what we write GNU tar and Python read; what others write, we take only where it is exactly that."""

import io
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.core.errors import Damaged
from clew.share import ustar

LIMITS = ustar.Limits(members=5, bytes=10_000)
SIZE = slice(124, 136)  # of a header


def packed(folder: Path, files: dict[str, bytes], mtime: int = 1_700_000_000) -> bytes:
    entries = []
    for number, (name, data) in enumerate(files.items()):
        path = folder / f"source{number}"
        path.write_bytes(data)
        entries.append((name, path))
    out = io.BytesIO()
    ustar.pack(out, entries, mtime=mtime)
    return out.getvalue()


def unpacked(data: bytes, folder: Path, limits: ustar.Limits = LIMITS) -> dict[str, bytes]:
    names = ustar.unpack(io.BytesIO(data), folder, limits)
    return {name: (folder / name).read_bytes() for name in names}


def odd(folder: Path, at: int, value: bytes) -> bytes:
    """Our own archive of one file with some bytes of its header changed, and the header's checksum made right."""
    data = bytearray(packed(folder, {"a/b": b"1" * 700}))
    data[at : at + len(value)] = value
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    return bytes(data)


def test_python_reads_what_we_write_and_we_too(tmp_path: Path) -> None:
    files = {"a/one": b"1" * 700, "a/two": b"", "a/c/three": b"3" * 512}
    data = packed(tmp_path, files)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert {m.name: archive.extractfile(m).read() for m in archive} == files
        assert {(m.mode, m.uid, m.mtime, m.type) for m in archive} == {(0o644, 0, 1_700_000_000, tarfile.REGTYPE)}
    (tmp_path / "out").mkdir()
    assert unpacked(data, tmp_path / "out") == files
    assert data == packed(tmp_path, files)


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (156, tarfile.SYMTYPE),
        (156, tarfile.LNKTYPE),
        (156, tarfile.DIRTYPE),
        (156, tarfile.CHRTYPE),
        (156, tarfile.FIFOTYPE),
        (156, tarfile.AREGTYPE),
        (156, tarfile.CONTTYPE),
        (156, tarfile.GNUTYPE_SPARSE),
        (156, tarfile.GNUTYPE_LONGNAME),
        (156, tarfile.XHDTYPE),
        (157, b"/etc/passwd"),
        (345, b"prefix"),
        (0, b"../up"),
        (0, b"/abs"),
        (0, b"a/../../up"),
        (0, b"a//b"),
        (0, b"a/./b"),
        (0, b"a/b\n"),
        (0, b"a/b/"),
        (0, "ä".encode()),
        (0, b"a\0b"),
        (0, bytes(3)),
        (100, b"0004755"),
        (108, b"0001750"),
        (124, b"00000023421"),
        (124, b"-0000001274"),
        (124, b"\x80"),
        (257, b"ustar  "),
    ],
)
def test_anything_but_a_plain_file_is_refused(tmp_path: Path, at: int, value: bytes) -> None:
    source, inside = tmp_path / "source", tmp_path / "in"
    source.mkdir()
    inside.mkdir()
    data = odd(source, at, value)
    assert unpacked(odd(source, 0, b"a/c"), inside) == {"a/c": b"1" * 700}, "so it is this change that is refused"
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(Damaged):
        ustar.unpack(io.BytesIO(data), inside, LIMITS)
    assert sorted(tmp_path.rglob("*")) == before, "nothing was written, above all not outside"


@pytest.mark.parametrize("size", [(1 << 33) - 1, 1 << 33, (1 << 33) + 700, 1 << 35])
def test_a_size_that_ustar_has_no_digits_for_is_written_as_gnu_tar_writes_it(tmp_path: Path, size: int) -> None:
    """From 8 GiB on. GNU tar and Python read it, and we too; GNU tar finds what comes behind so many bytes."""
    header = ustar._header("a/one", size, 1_700_000_000)
    known = tarfile.TarInfo("a/one")
    known.size = size
    assert header[SIZE] == known.tobuf(tarfile.GNU_FORMAT)[SIZE]
    assert tarfile.TarInfo.frombuf(header, "ascii", "strict").size == size
    assert ustar._parse(header, "") == ("a/one", size)
    archive, behind = tmp_path / "sparse.tar", packed(tmp_path, {"a/two": b"2"})
    with archive.open("wb") as file:
        file.write(header)
        file.seek(size + -size % 512, io.SEEK_CUR)
        file.write(behind)
    with tarfile.open(archive) as read:
        assert [(m.name, m.size) for m in read] == [("a/one", size), ("a/two", 1)]
    listed = subprocess.run(["tar", "tvf", archive], capture_output=True, text=True, check=True).stdout
    assert [line.split()[2] for line in listed.splitlines()] == [str(size), "1"]
    with (tmp_path / "one").open("wb") as file:
        file.truncate(size)
    command = ["tar", "cf", "-", "--format=gnu", "-C", tmp_path, "one"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as tar:
        assert tar.stdout is not None
        assert tar.stdout.read(512)[SIZE] == header[SIZE]
        tar.kill()


@pytest.mark.parametrize("size", [0, 700, (1 << 33) - 1, -1, 1 << 87])
def test_a_size_in_base_256_that_needs_none_or_is_none_is_refused(tmp_path: Path, size: int) -> None:
    field = (b"\x80" if size >= 0 else b"\xff") + size.to_bytes(11, "big", signed=size < 0)
    with pytest.raises(Damaged, match=r"other than a plain file|larger than the limit"):
        unpacked(odd(tmp_path, 124, field), tmp_path / "out", ustar.Limits())
    assert not (tmp_path / "out").exists()


def test_a_size_beyond_8_gib_counts_for_the_limit_and_against_the_bytes_that_came(tmp_path: Path) -> None:
    data = odd(tmp_path, 124, b"\x80" + (1 << 33).to_bytes(11, "big"))
    with pytest.raises(Damaged, match="limit"):
        unpacked(data, tmp_path / "out", ustar.Limits(bytes=(1 << 33) - 1))
    with pytest.raises(Damaged, match="cut inside a/b"):
        unpacked(data, tmp_path / "out", ustar.Limits())


def test_the_same_name_twice_or_a_file_as_a_folder_is_refused(tmp_path: Path) -> None:
    one = packed(tmp_path, {"a/x": b"1"})[:-1024]
    for number, other in enumerate(({"a/x": b"2"}, {"a/x/y": b"2"})):
        folder = tmp_path / str(number)
        folder.mkdir()
        with pytest.raises(Damaged, match="a/x"):
            unpacked(one + packed(tmp_path, other), folder)


def test_limits_hold_before_anything_is_written_beyond_them(tmp_path: Path) -> None:
    many = packed(tmp_path, {f"a/{n}": b"" for n in range(6)})
    (tmp_path / "out").mkdir()
    with pytest.raises(Damaged, match="limit, after a/4"):
        unpacked(many, tmp_path / "out")


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 4 * 512 + 1024 - 1))
def test_a_cut_at_any_byte_is_noticed(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    folder = tmp_path_factory.mktemp("cut")
    data = packed(folder, {"a/one": b"1" * 700, "a/two": b""})
    (folder / "out").mkdir()
    with pytest.raises(Damaged):
        unpacked(data[:cut], folder / "out")


@settings(max_examples=100, deadline=None)
@given(at=st.integers(0, 5 * 512 + 1024 - 1), bit=st.integers(0, 7))
def test_a_flipped_bit_outside_the_contents_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, at: int, bit: int
) -> None:
    folder = tmp_path_factory.mktemp("flip")
    data = bytearray(packed(folder, {"a/one": b"1" * 700, "a/two": b""}))
    at %= len(data)
    data[at] ^= 1 << bit
    (folder / "out").mkdir()
    if 512 <= at < 512 + 700:  # contents are the hashes' business
        assert unpacked(bytes(data), folder / "out")
    else:
        with pytest.raises(Damaged):
            unpacked(bytes(data), folder / "out")


@settings(max_examples=60, deadline=None)
@given(junk=st.binary(max_size=3000))
def test_junk_is_refused(tmp_path_factory: pytest.TempPathFactory, junk: bytes) -> None:
    with pytest.raises(Damaged):
        ustar.unpack(io.BytesIO(junk), tmp_path_factory.mktemp("junk"), LIMITS)
