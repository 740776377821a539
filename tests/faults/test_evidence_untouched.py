"""A system-call trace of a whole run: the exhibit is opened read-only, never changed, and read at most twice."""

import hashlib
import os
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import traced
from disturbed import words
from traced import CHANGES, READS

from clew.range.disk import SMALL, make_disk

FILE_CALLS = "open,openat,openat2,creat,read,pread64,readv,preadv,preadv2,mmap,sendfile,copy_file_range,splice"
OPENINGS = 3  # of a run and of further looks; at each it is known again by both ends and a 256th in samples
ENDS, SAMPLES = 1 << 17, 256
SLACK = 1.05  # metadata that is looked at more than once: directories, file records, bitmaps
SECTOR = 512
SEGMENT = 20 << 20


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Written out whole: where a file has holes there is nothing to read, and a third read would not be seen."""
    path = make_disk(3, tmp_path_factory.mktemp("disk"), SMALL).image
    path.write_bytes(path.read_bytes())
    assert path.stat().st_blocks * 512 >= path.stat().st_size
    return path


def state(path: Path) -> tuple[str, int, int]:
    """Digest of all bytes and names, and the newest times of change and of access."""
    digest, changed, touched = hashlib.sha256(), 0, 0
    for folder, folders, _ in os.walk(path):  # once, so that this test's own look at the folders is behind us
        folders.sort()
        assert folder
    for each in [path, *sorted(path.rglob("*"))]:
        status = each.lstat()
        changed, touched = max(changed, status.st_mtime_ns, status.st_ctime_ns), max(touched, status.st_atime_ns)
        digest.update(str(each.relative_to(path)).encode())
        if each.is_file() and not each.is_symlink():
            with open(each, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NOATIME)) as file:
                digest.update(file.read())
    return digest.hexdigest(), changed, touched


def long_unread(folder: Path) -> None:
    """Times of access of which any reading shows: a file read since it was written would keep its own (relatime).

    Fails where the file system keeps none at all.
    """
    probe = folder.with_name("probe")
    probe.write_bytes(b"x")
    for each in [probe, folder, *folder.rglob("*")]:
        os.utime(each, ns=(1, each.lstat().st_mtime_ns), follow_symlinks=False)
    time.sleep(0.05)  # the kernel's coarse clock has gone on: what is read from now on is read after this change
    assert probe.read_bytes() == b"x"
    assert probe.stat().st_atime_ns > 1, "this file system keeps no times of access: the test would see nothing"


def traces(folder: Path, case: Path, exhibit: Path) -> list[list[traced.Call]]:
    """One list of calls a process of a whole intake."""
    options = ["-s", "256", "-e", f"trace={FILE_CALLS},{','.join(sorted(CHANGES))}"]
    ended, logs = traced.run(folder, options, words(case, exhibit))
    assert ended.returncode in {0, 3}, ended.stderr
    return [list(traced.calls(log)) for log in logs]


Traces = list[list[traced.Call]]


@pytest.fixture(scope="module")
def of_image(image: Path, empty: Path, tmp_path_factory: pytest.TempPathFactory) -> Traces:
    """The supervisor's calls, then each worker's, of one intake of a disk image."""
    here = tmp_path_factory.mktemp("traced")
    shutil.copytree(empty, here / "case")
    before = state(image)
    processes = traces(here / "logs", here / "case", image)
    assert state(image) == before, "bytes, times of change or times of access are others now"
    return processes


def hold(processes: Traces, exhibit: Path) -> None:
    """Every opening of the exhibit is read-only, and no call that changes anything is about it."""
    opened = wrote = 0
    for call in (call for calls in processes for call in calls):
        paths = [traced.text(word) for word in call.arguments if "\\x" in word and not word.endswith("...")]
        paths += [call.path(0)] if call.name in {"write", "writev", "pwrite64"} and "<" in call.arguments[0] else []
        ours = [path for path in paths if path == str(exhibit) or path.startswith(f"{exhibit}/")]
        if call.name.startswith("open") and call.result >= 0 and ours:
            opened += 1
            flags = next(word for word in call.arguments if "O_" in word)
            assert "O_RDONLY" in flags, call
            assert not {"O_CREAT", "O_TRUNC", "O_APPEND"} & set(flags.split("|")), call
        if call.name in CHANGES:
            wrote += 1
            assert not ours, call
        assert call.name != "mmap" or not ours, "what is read by mapping a file, no count of reads would see"
    assert opened, "the trace did not see the exhibit"
    assert wrote, "the trace did not see the case"


def test_nothing_of_a_folder_is_written(evidence, empty, tmp_path):
    shutil.copytree(empty, tmp_path / "case")
    long_unread(evidence)
    before = state(evidence)
    processes = traces(tmp_path / "logs", tmp_path / "case", evidence)
    assert state(evidence) == before, "bytes, names, times of change or times of access are others now"
    hold(processes, evidence)


def test_nothing_of_an_image_is_written(of_image, image):
    hold(of_image, image)


def test_the_workers_change_nothing_at_all(of_image, image):
    """After the lock a worker makes no call that could change a file, wherever it lies; the supervisor parses nothing:
    it reads no more of the image than it takes to see that it is still there.
    """
    supervisor, *workers = of_image
    glances = OPENINGS * (ENDS + image.stat().st_size // SAMPLES)
    readers = [calls for calls in workers if any(call.name == "pread64" and _of(call, image) for call in calls)]
    assert readers
    for calls in readers:
        first = next(at for at, call in enumerate(calls) if call.name == "pread64" and _of(call, image))
        assert not [call for call in calls[first:] if call.name in CHANGES and call.result >= 0]
    assert sum(call.result for call in supervisor if call.name in READS and _of(call, image)) <= glances


def test_an_image_is_read_twice_and_little_more(of_image, image):
    """Once for its digest, once for what is in it and for what is free, that of FAT too; more often only metadata, and
    contents that are carved or of unknown type (docs/decisions/0018); and, by the supervisor at each opening, what
    it is known by.
    """
    size = image.stat().st_size
    times = np.zeros(-(-size // SECTOR), np.int64)
    for call in (call for calls in of_image for call in calls if call.result > 0 and _of(call, image)):
        if call.name in READS:
            assert call.name == "pread64", "where it read cannot be told"
            at = int(call.arguments[3])
            times[at // SECTOR : -(-(at + call.result) // SECTOR)] += 1
    assert times.min() >= 1
    assert times.sum() <= 2 * SLACK * len(times)
    assert (times > 2).mean() <= 0.05 + (ENDS + size // SAMPLES) / size


def in_segments(image: Path, kind: str, folder: Path) -> Path:
    """The same disk as an examiner's tool hands it over, in several files, not packed (of this disk, which packs to a
    sixtieth, directories and tables would be the most); the first of them.
    """
    folder.mkdir()
    if kind == "E01":
        command = ["ewfacquirestream", "-q", "-c", "none", "-S", str(SEGMENT), "-t", folder / "disk"]
        subprocess.run(command, input=image.read_bytes(), check=True, capture_output=True)
    else:
        data = image.read_bytes()
        for number, at in enumerate(range(0, len(data), SEGMENT), 1):
            (folder / f"disk.{number:03}").write_bytes(data[at : at + SEGMENT])
    return min(folder.iterdir())


@pytest.mark.parametrize("kind", ["E01", "raw"])
def test_nothing_of_an_image_in_segments_is_written_and_it_is_read_twice(kind, image, empty, tmp_path):
    exhibit = in_segments(image, kind, tmp_path / "exhibit")
    files = list(exhibit.parent.iterdir())
    assert len(files) >= 3
    shutil.copytree(empty, tmp_path / "case")
    before = state(exhibit.parent)
    processes = traces(tmp_path / "logs", tmp_path / "case", exhibit)
    assert state(exhibit.parent) == before, "bytes, times of change or times of access are others now"
    hold(processes, exhibit.parent)
    reads = [call for calls in processes for call in calls if call.name in READS and any(_of(call, f) for f in files)]
    read, size = sum(call.result for call in reads if call.result > 0), sum(file.stat().st_size for file in files)
    assert size <= read <= 2 * SLACK * size + OPENINGS * ENDS * len(files)


def _of(call: traced.Call, image: Path) -> bool:
    return "<" in call.arguments[0] and call.path(0) == str(image)
