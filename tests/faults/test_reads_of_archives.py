"""How often the bytes of archives are read, by a system-call trace: who goes back and forth in a solid one unpacks it
anew for each step back.
"""

import io
import random
import shutil
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pytest
import traced
from disturbed import words
from traced import READS

MEMBERS, LENGTH = 60, 50_000
ODD = b"\x03\x9d\x11\xee"  # no magic begins so: of unknown type, each is asked about once more


def noise(count: int) -> list[tuple[str, bytes]]:
    """Files that no packer makes smaller, whose names are in another order than they are packed in."""
    source = random.Random(5)
    names = [f"{number}.bin" for number in range(count)]
    source.shuffle(names)
    return [(name, ODD + source.randbytes(LENGTH)) for name in names]


def packed(files: Iterable[tuple[str, bytes]], mode: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def times_read(exhibit: Path, path: Path, empty: Path, here: Path) -> float:
    """How often each byte of `path` is read, on the average, in an intake of the exhibit by one worker."""
    shutil.copytree(empty, here / "case")
    options = ["-s", "8", "-e", f"trace={','.join(sorted(READS))}"]
    ended, logs = traced.run(here / "logs", options, [*words(here / "case", exhibit), "--workers", "1"])
    assert ended.returncode == 0, ended.stderr
    every = (call for log in logs for call in traced.calls(log))
    read = sum(
        call.result for call in every if call.name in READS and "<" in call.arguments[0] and call.path(0) == str(path)
    )
    assert read, "the trace did not see the archive"
    return read / path.stat().st_size


@pytest.fixture
def solid(tmp_path: Path) -> Path:
    """Members of unknown type, of which second opinions are wanted, in an archive that is only read forward."""
    (tmp_path / "exhibit").mkdir()
    path = tmp_path / "exhibit" / "solid.tgz"
    path.write_bytes(packed(noise(MEMBERS), "w:gz"))
    return path


def test_second_opinions_go_through_a_solid_archive_once(solid, empty, tmp_path):
    """In a folder: as a content, for the list of its members, for them, and for second opinions on them."""
    assert times_read(solid.parent, solid, empty, tmp_path) < 4.5


def test_an_archive_that_is_the_exhibit_is_not_read_for_its_digest_alone(solid, empty, tmp_path):
    assert times_read(solid, solid, empty, tmp_path) < 4.5


def test_archives_in_a_solid_archive_are_reached_in_its_order(empty, tmp_path):
    """Listed and read in the order of their names, each would be unpacked from the beginning."""
    (tmp_path / "exhibit").mkdir()
    path = tmp_path / "exhibit" / "solid.tgz"
    inner = [(name.replace("bin", "tar"), packed([(f"in {name}", data)], "w")) for name, data in noise(MEMBERS)]
    path.write_bytes(packed(inner, "w:gz"))
    assert times_read(path.parent, path, empty, tmp_path) < 7.5
