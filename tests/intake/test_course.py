"""Listing and reading side by side say what one after the other would; what is not live waits for the whole listing."""

import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from cases import items

from case_made import new_case
from clew.core.case import Case
from clew.core.engine import Pool
from clew.intake import batches, course
from clew.intake.account import facts_digest
from clew.intake.api import Claimed, Found, Job, Part, Unavailable
from clew.intake.basis import Basis
from clew.intake.listing import BatchSize, Lister
from clew.intake.options import LIMITS, Options
from clew.intake.run import intake
from clew.intake.sources import folder
from clew.intake.tools import asking, open_pool
from clew.intake.work import Look, Reader
from clew.model import ContentState, Missing, NameState, Reason
from clew.range.disk import SMALL, make_disk

PLAIN = Options(workers=1, extractors=(), batch=BatchSize(items=5), limits=LIMITS)
LOOK = Look((), "fast", "v", "fast")


class Seized:
    """Sixty files, of which every seventh is deleted; each fifth entry costs a question to a worker."""

    def __init__(self, root: Path, count: int = 60) -> None:
        self.root, self.count, self.order = root, count, []
        self.detail, self.held, self.acquisition, self.itself = {}, (), None, None
        self.asked_claims = 0
        for n in range(count):
            (root / f"f{n}").write_bytes(b"%d" % n)

    def check(self):
        """It is never unplugged."""

    def parts(self, _ask):
        yield Part("p", {"kind": "folder"})

    def items(self, _part, cursor, _seen, ask):
        for n in range(int(cursor or -1) + 1, self.count):
            if n % 5 == 0:
                assert ask("clew.intake.reading:find", {"spec": "x"}, (), 0) is not None
            self.order.append(f"list {n}")
            state = NameState.DELETED if n % 7 == 0 else NameState.LIVE
            yield Found(f"file/f{n}", b"f%d" % n, 1, f"{n}", "test", name_state=state)

    def job(self, ref):
        self.order.append(f"read {ref.removeprefix('file/f')}")
        descriptor = os.open(self.root / ref.removeprefix("file/"), os.O_RDONLY)
        return Job("clew.intake.sources.folder:file", {}, (descriptor,))

    def claims(self, deleted, _ask):
        self.asked_claims += 1
        assert len(deleted) == -(-self.count // 7), "claims are asked before everything is listed"
        doubted = [item for item, each in deleted.items() if each.ref in {"file/f0", "file/f7"}]
        return dict.fromkeys(doubted, Claimed(ContentState.OVERWRITTEN_POSSIBLE))


@pytest.fixture
def seized(tmp_path: Path) -> Seized:
    root = tmp_path / "seized"
    root.mkdir()
    return Seized(root)


def take(case: Case, seized: Seized, size: int = 5) -> list[int]:
    told: list[int] = []
    lister = Lister(
        case, "e", folder.PLUGIN, Basis(case, "e"), BatchSize(items=size), lambda items, _: told.append(items)
    )
    reader = Reader(case, "e", seized, LOOK, Basis(case, "e"), lambda *_: None)  # type: ignore[arg-type]
    pool: Pool
    with open_pool(folder.PLUGIN, seized, (), PLAIN) as pool:  # type: ignore[arg-type]
        course.Course(case, "e", lister, reader, lambda: told.append(-1)).run(pool, seized, asking(pool))  # type: ignore[arg-type]
    return told


def test_reading_begins_while_the_listing_goes_on(tmp_path: Path, seized: Seized) -> None:
    case = new_case(tmp_path / "case")
    told = take(case, seized)
    assert told == [*[5] * 12, 0, -1]
    order = seized.order
    assert order.index("read 1") < order.index("list 59"), "nothing was read before all was listed"
    assert max(order.index(f"read {n}") for n in range(60) if n % 7) < min(
        order.index(f"read {n}") for n in range(0, 60, 7)
    )
    assert order.index("list 59") < order.index("read 0"), "what is deleted did not wait"
    found = items(case)
    assert len(found) == 60
    assert {item["state"] for item in found.values()} == {"done"}
    assert {name for name, item in found.items() if item["as_read"] == "overwritten possible"} == {b"f0", b"f7"}


def test_a_retry_knows_what_is_in_doubt(tmp_path: Path, seized: Seized) -> None:
    """A deleted file that shares its bytes fails at first; the run that retries it lists nothing and must ask anew."""
    case = new_case(tmp_path / "case")
    (seized.root / "f7").rename(tmp_path / "kept")
    original = seized.job
    seized.job = lambda ref: original(ref) if ref != "file/f7" else _gone()  # type: ignore[method-assign]
    take(case, seized)
    assert items(case)[b"f7"]["state"] == "unreadable"
    (tmp_path / "kept").rename(seized.root / "f7")
    seized.job = original  # type: ignore[method-assign]
    lister = Lister(case, "e", folder.PLUGIN, Basis(case, "e"), BatchSize(items=5), lambda *_: None)
    reader = Reader(case, "e", seized, LOOK, Basis(case, "e"), lambda *_: None)  # type: ignore[arg-type]
    with open_pool(folder.PLUGIN, seized, (), PLAIN) as pool:  # type: ignore[arg-type]
        again = course.Course(case, "e", lister, reader, lambda: None)
        again.again(pool, seized, asking(pool), batches.failed(case, "e"))  # type: ignore[arg-type]
    found = items(case)[b"f7"]
    assert (found["state"], found["as_read"]) == ("done", "overwritten possible")


def _gone() -> Job:
    raise Unavailable(Missing(Reason.UNREADABLE, "gone"))


def test_a_second_course_reads_nothing(tmp_path: Path, seized: Seized) -> None:
    case = new_case(tmp_path / "case")
    take(case, seized)
    seized.order.clear()
    assert take(case, seized) == [-1]
    assert seized.order == []
    assert seized.asked_claims == 1


def test_how_far_the_listing_is_ahead_changes_no_fact(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "disk").mkdir()
    image = make_disk(3, tmp_path / "disk", SMALL).image
    digests = set()
    for number, ahead in enumerate((1, 100_000)):
        monkeypatch.setattr(course, "LEAD", ahead)
        case = new_case(tmp_path / f"case-{number}")
        intake(case, path=image, label="D", options=replace(PLAIN, batch=BatchSize(items=40)))
        digests.add(facts_digest(case))
        case.close()
    assert len(digests) == 1


def test_an_error_while_listing_ends_the_run_and_nothing_is_lost(tmp_path: Path, seized: Seized, monkeypatch) -> None:
    case = new_case(tmp_path / "case")
    original = seized.items

    def fails(part, cursor, seen, ask):  # type: ignore[no-untyped-def]
        for event in original(part, cursor, seen, ask):
            if event.cursor == "33":
                raise OSError("the disk is gone")
            yield event

    monkeypatch.setattr(seized, "items", fails)
    with pytest.raises(OSError, match="the disk is gone"):
        take(case, seized)
    monkeypatch.undo()
    take(case, seized)
    assert {item["state"] for item in items(case).values()} == {"done"}
    assert len(items(case)) == 60


def test_memory_of_three_thousand_files_is_that_of_five_hundred(tmp_path: Path) -> None:
    """The sum of parent and workers (proportional set size), at its highest, does not grow with the number of files."""
    peaks = []
    for count in (500, 3_000):
        root = tmp_path / f"files-{count}"
        draw = random.Random(count)
        for n in range(count):
            at = root / str(n // 500)
            at.mkdir(parents=True, exist_ok=True)
            (at / f"{n}.gz").write_bytes(b"\x1f\x8b\x08\x00" + draw.randbytes(40))  # a type that libmagic knows at once
        case = new_case(tmp_path / f"case-{count}")
        case.close()
        command = [sys.executable, "-m", "memory_of", str(case.folder), str(root)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
        peaks.append(int(subprocess.run(command, env=environment, capture_output=True, check=True).stdout))
    assert peaks[1] - peaks[0] < 60 << 20, peaks
    assert peaks[1] < 600 << 20, peaks
