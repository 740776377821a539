"""`clew verify` and `clew archive` beside a run that forgets or merges shards: what it takes away is no damage."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clew.cli import _replay
from clew.core import clock, compact, shards, verify
from clew.core.archive import archive
from clew.core.case import Case
from clew.core.errors import ClewError, Damaged
from clew.core.shards import BRIEF
from clew.core.verify import verify_case
from clew.observe.retention import KEEP_NS, purge

MANY = 6


def commit(case: Case, stage: str, batch: str, kind: str, row: dict[str, Any]) -> Path:
    pending = shards.write(case, kind, [row])
    with case.write(stage) as tx:
        shards.commit(tx, stage=stage, batch=batch, versions="1", config="", pending=[pending])
    return case.folder / pending.path


def seen(case: Case, batch: str) -> Path:
    """The shard of one Sighting; a batch whose name begins with BRIEF is forgotten in time."""
    needed = [field for field in shards.SCHEMAS["sightings"] if not field.nullable]
    row = {field.name: batch if str(field.type) == "string" else 1 for field in needed}
    return commit(case, "observe", batch, "sightings", row)


def traits(case: Case) -> None:
    for n in range(MANY):
        commit(case, "intake", str(n), "traits", {"content": b"%d" % n, "name": "x"})


def forget(case: Case) -> None:
    assert purge(case, clock.now().utc_ns + KEEP_NS + 10**9) == 1


def merge(case: Case) -> Path:
    assert compact.compact(case, enough=2) == compact.Compacted(MANY, 1)
    (merged,) = (case.folder / "shards" / "traits").iterdir()
    return merged


def before_the_first(monkeypatch: pytest.MonkeyPatch, where: object, name: str, do: Callable[[], None]) -> None:
    """Has something done just before `name` is called for the first time."""
    real, left = getattr(where, name), [do]

    def called(*arguments: Any) -> Any:
        if left:
            left.pop()()
        return real(*arguments)

    monkeypatch.setattr(where, name, called)


def test_what_was_forgotten_meanwhile_is_no_damage(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    seen(case, "kept")
    seen(case, f"{BRIEF}1")
    before_the_first(monkeypatch, verify, "sha256_of", lambda: forget(case))
    assert ("shards", 1) in verify_case(case).checks


def test_what_others_were_merged_into_meanwhile_is_checked(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    traits(case)
    before_the_first(monkeypatch, verify, "sha256_of", lambda: merge(case))
    assert ("shards", 1) in verify_case(case).checks


def test_what_others_were_merged_into_badly_is_found(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    traits(case)

    def merge_and_damage() -> None:
        merged = merge(case)
        merged.write_bytes(bytes(merged.stat().st_size))

    before_the_first(monkeypatch, verify, "sha256_of", merge_and_damage)
    with pytest.raises(Damaged, match="is gone, cut or altered"):
        verify_case(case)


def test_damage_beside_a_run_that_forgets_is_found(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    seen(case, f"{BRIEF}1")
    lost = seen(case, "kept")

    def forget_and_lose() -> None:
        forget(case)
        lost.unlink()

    before_the_first(monkeypatch, verify, "sha256_of", forget_and_lose)
    with pytest.raises(Damaged, match=f"{lost.name} is gone, cut or altered"):
        verify_case(case)


def test_an_archive_made_while_a_run_forgets_is_of_one_moment(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, brief = seen(case, "kept"), seen(case, f"{BRIEF}1")
    later = seen(case, "kept too")
    before_the_first(monkeypatch, shutil, "copy2", lambda: forget(case))
    assert ("shards", 2) in archive(case, tmp_path / "copy").checks
    held = {path.name for path in (tmp_path / "copy" / "shards" / "sightings").iterdir()}
    assert held == {kept.name, later.name}
    assert brief.name not in held
    copy = Case.open(tmp_path / "copy")  # and it says that it was forgotten
    lines = [line for (line,) in copy.read().execute("SELECT line FROM ledger")]
    assert any('"action":"sightings.forgotten"' in line for line in lines)
    copy.close()


def test_what_was_copied_before_it_was_forgotten_leaves_no_file(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Retention holds for the archive too: it was copied, then the next one was gone, and all began anew."""
    seen(case, f"{BRIEF}1")
    seen(case, f"{BRIEF}2")
    real, done = shutil.copy2, []

    def copied(source: Path, target: Path) -> Any:
        made = real(source, target)
        if not done:
            done.append(purge(case, clock.now().utc_ns + KEEP_NS + 10**9))
        return made

    monkeypatch.setattr(shutil, "copy2", copied)
    assert ("shards", 0) in archive(case, tmp_path / "copy").checks
    assert done == [2]
    assert not list((tmp_path / "copy" / "shards").rglob("*.parquet"))


def test_an_archive_of_a_damaged_case_names_the_shard(case: Case, tmp_path: Path) -> None:
    lost = seen(case, "kept")
    lost.unlink()
    with pytest.raises(Damaged, match=f"{lost.name} is gone"):
        archive(case, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_the_work_folder_of_a_bundle_that_is_received_just_now_stays_behind(case: Case, tmp_path: Path) -> None:
    """What is decrypted in it was not checked yet, and goes away."""
    for name in (".0123456789abcdef", "0123456789abcdef"):
        (case.folder / "received" / name).mkdir()
    archive(case, tmp_path / "copy")
    assert [path.name for path in (tmp_path / "copy" / "received").iterdir()] == ["0123456789abcdef"]


@pytest.mark.parametrize("differing", [(0, 1), (1, 1)])
def test_a_replay_beside_a_run_blames_neither_clew_nor_the_case(
    case: Case, monkeypatch: pytest.MonkeyPatch, differing: tuple[int, int]
) -> None:
    """Its two processes read the case one after the other."""
    found = [{part: {"differing": each, "not_derived": {}} for part in _replay.PARTS} for each in differing]
    beside = [seen, lambda *_: None]

    def child(_folder: Path, seed: str) -> dict[str, Any]:
        beside[int(seed) - 1](case, "taken meanwhile")
        return found[int(seed) - 1]

    monkeypatch.setattr(_replay, "_child", child)
    with pytest.raises(ClewError, match="written to meanwhile") as told:
        _replay.derive(case.folder)
    assert "clew archive" in told.value.hint
    beside[0] = beside[1]  # and where nobody writes
    if differing == (1, 1):
        assert _replay.status(_replay.derive(case.folder)) is _replay.Exit.FATAL
    else:
        with pytest.raises(ClewError, match="under two hash seeds"):
            _replay.derive(case.folder)
