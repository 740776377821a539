"""Hashes of what somebody else reads: whatever the order, they are of every byte once; a forward reader reads once."""

import hashlib
import os
from collections import Counter
from pathlib import Path

import nasty_extractor
import pytest
from cases import items, sha256, traits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from case_made import new_case
from clew.intake import hashing, reading
from clew.intake.hashing import Hashing
from clew.intake.options import Options
from clew.intake.run import intake


class Counted:
    """A ByteSource that counts how often each byte was read."""

    def __init__(self, data: bytes) -> None:
        self._data, self.size, self.bad, self.freed = data, len(data), [], False
        self.read_times: Counter[int] = Counter()

    def read(self, offset: int, length: int) -> bytes:
        self.read_times.update(range(offset, min(offset + length, self.size)))
        return self._data[offset : offset + length]


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "GAP", 8)
    monkeypatch.setattr(hashing, "CHUNK", 4)


PLACES = st.integers(0, 60)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=50), st.lists(st.tuples(PLACES, PLACES), max_size=12))
def test_any_order_of_reads_gives_the_same_bytes_and_the_same_hashes(data, reads):
    source = Hashing(Counted(data))
    for offset, length in reads:
        assert source.read(offset, length) == data[offset : offset + length]
    source.finish()
    assert source.done == len(data)
    assert source.digests() == {name: hashlib.new(name, data).hexdigest() for name in ("sha256", "sha1", "md5")}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=50) | st.sampled_from([bytes(9), b"\xff" * 9, bytes(4) + b"\xff" * 4]), PLACES, st.booleans())
def test_what_lies_where_files_were_deleted_is_erased_where_all_of_it_is(data, place, held):
    counted = Counted(data)
    counted.freed = True
    source = Hashing(counted)
    assert not source.erased
    if held:
        source.whole(100)
    else:
        source.read(place, 3)
        source.finish()
    assert source.erased == (bool(data) and set(data) in ({0}, {255}))


def test_who_reads_forward_with_small_gaps_reads_once():
    counted = Counted(bytes(range(200)))
    source = Hashing(counted)
    for offset in range(0, 200, 12):  # five bytes read, seven left out
        source.read(offset, 5)
    source.finish()
    assert set(counted.read_times.values()) == {1}


def test_an_index_at_the_end_costs_its_own_bytes_alone_twice():
    counted = Counted(bytes(range(200)))
    source = Hashing(counted)
    source.read(0, 4)
    source.read(180, 20)
    for offset in range(0, 180, 4):
        source.read(offset, 4)
    source.finish()
    twice = {at for at, times in counted.read_times.items() if times > 1}
    assert twice == {0, 1, 2, 3} | set(range(180, 200))
    assert max(counted.read_times.values()) == 2


@pytest.mark.parametrize("deed", ["crash", "harmless"])
def test_a_worker_that_dies_over_a_large_content_does_not_take_its_hashes_along(tmp_path: Path, deed: str) -> None:
    root = tmp_path / "evidence"
    root.mkdir()
    start = b"harmless" if deed == "harmless" else nasty_extractor.MARK + deed.encode() + b"\n"
    (root / "large.bin").write_bytes(start)
    os.truncate(root / "large.bin", reading.HOLD + 1)
    (root / "small.txt").write_bytes(b"beside it")
    case = new_case(tmp_path / "case")
    intake(case, path=root, label="P", options=Options(workers=1, extractors=("nasty_reader:PLUGIN",)))
    found, content = items(case), sha256((root / "large.bin").read_bytes())
    assert found[b"large.bin"]["sha256"] == content
    assert found[b"large.bin"]["media_type"]
    assert found[b"small.txt"]["state"] == "done"
    if deed == "harmless":
        assert found[b"large.bin"]["state"] == "done"
        assert traits(case, content)["nasty.harmless", "fast"]["integer"] == 1
        assert traits(case, content)["nasty.held", "fast"]["integer"] == 0
    else:
        assert found[b"large.bin"]["state"] == "unreadable"
        assert found[b"large.bin"]["detail"].startswith("hashed, but then: the worker was killed")
        assert not traits(case, content), "said of bytes that nobody hashed"
