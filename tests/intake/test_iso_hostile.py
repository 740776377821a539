"""Discs that were made to mislead, and a reader that fails: an answer or a reason, and what is said of it checked."""

from typing import Any

import pytest
from discs import S, make, record_of, run_here, told_of, trees
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.core.absent import Absent
from clew.intake.disk import iso
from clew.intake.refs import parse
from clew.intake.sources import _said
from clew.intake.sources._disk import Disk
from clew.model import Missing, Reason


def test_any_bytes_give_an_end_and_no_error(tmp_path):
    files = {f"{name}/{each}.txt": b"x" * each for name in ("a", "b/c") for each in range(5)}
    whole = make(tmp_path / "d.iso", files, "-R", "-J").read_bytes()
    used = [at for at in range(16 * S, 60 * S) if whole[at]]

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.tuples(st.sampled_from(used), st.integers(0, 255)), min_size=1, max_size=30))
    def read(changes: list[tuple[int, int]]) -> None:
        data = bytearray(whole)
        for at, value in changes:
            data[at] = value
        (tmp_path / "x.img").write_bytes(data)
        try:
            said = told_of(tmp_path / "x.img")
        except Absent:
            return
        assert not isinstance(_said.disc_trees(said), Absent)
        for _, items in trees(tmp_path / "x.img"):
            for item in items[:40]:
                _said._event(item, item["cursor"], "directory walk")
                place = parse(item["ref"]) if "ref" in item else None
                if place is not None and "id" in place and item["size"] < 1 << 20:
                    stream = run_here(iso.stream, tmp_path / "x.img", **place)
                    assert stream.size <= len(whole)

    read()


def test_a_ref_that_names_no_record_is_unreadable(tmp_path):
    image = make(tmp_path / "d.iso", {"A.TXT": b"a"})
    for record, count in ((S * 5, 1), (record_of(image, b"A.TXT;1"), 2_000), (1 << 40, 1)):
        with pytest.raises(Absent):
            run_here(iso.stream, image, iso=16, record=record, id=count, type=0)
    with pytest.raises(Absent):
        run_here(iso.stream, image, iso=99, record=record_of(image, b"A.TXT;1"), id=1, type=0)


def test_a_disc_whose_reader_fails_is_listed_without_its_sessions_or_carved_whole(tmp_path):
    (tmp_path / "x").write_bytes(bytes(1 << 20))
    disk = Disk([tmp_path / "x"], "clew.intake.containers.raw:open_raw")
    died = Missing(Reason.LIMIT_REACHED, "it took too long")
    tree = {
        "trees": [{"sector": 16, "words": "the primary tree 'A'", "uncounted": ""}] * 2,
        "second": "another reader",
        "left": [[4096, 2048]],
        "small": 5,
        "said": [],
    }
    known = {"size": {"size": 1 << 20, "said": []}, "table": {"scheme": None, "parts": []}, "gap": {"noise": False}}
    known["describe"] = {"disc": True, "beside": ""}

    def parts(answer: Any) -> dict[str, Any]:
        def ask(entry: str, payload: dict[str, Any], *_: Any) -> Any:
            name = entry.rpartition(":")[2]
            return answer(payload) if name == "found" else known[name]

        return {part.name: part.missing for part in disk.parts(ask)}

    found = parts(lambda payload: died if payload["sessions"] else tree)
    assert list(found) == [
        "fs@0/sessions",
        "iso@0.16/walk",
        "iso@0.16/recount",
        "fs@0/left@4096/carve",
        "fs@0/small/carve",
    ]
    assert "were not looked for" in found["fs@0/sessions"].detail
    assert "5 bytes" in found["fs@0/small/carve"].detail
    assert parts(lambda _: died) == {"fs@0": died, "fs@0/carve": None}
    for lie in (5, {}, tree | {"trees": [{"sector": -1, "words": ""}]}, tree | {"small": "x"}):
        assert list(parts(lambda _, lie=lie: lie)) == ["fs@0", "fs@0/carve"]
    disk.close()
