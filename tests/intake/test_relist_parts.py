"""Parts that are to be listed again and are shown otherwise, or not at all, just then: no loss is settled by that."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from case_made import new_case
from clew.core.case import Case
from clew.intake import relist
from clew.intake.account import Account, account
from clew.intake.api import Found, Part
from clew.intake.basis import Basis
from clew.intake.listing import BatchSize, Lister
from clew.intake.refs import carved
from clew.model import ContentState, ItemState, Missing, NameState, Reason

SIZE = 1 << 20
PLACE = {"offset": 0, "length": SIZE, "table": "no partition table", "file_system": "NTFS"}
WALK = Part("fs@0/walk", {"kind": "file system", **PLACE})
CARVE = Part("fs@0/carve", {"kind": "carving of free space", **PLACE})
BAD = Part("fs@0/bad/carve", {"kind": "carving of clusters marked as bad", **PLACE, "free_bytes": 4096})
BEHIND = {"offset": SIZE // 2, "length": SIZE // 2, "table": "no partition table"}
GAP = Part(f"gap@{SIZE // 2}/carve", {"kind": "carving behind a file system", **BEHIND})
UNREAD = replace(CARVE, missing=Missing(Reason.UNKNOWN, "which of its blocks are free is not known"))
WHOLE = Part("fs@0/carve", {"kind": "carving of a whole partition", **PLACE, "table": f"{relist.TABLE_UNREAD} (why)"})
del WHOLE.detail["file_system"]
FIRST = Part("gap@0/carve", {"kind": "carving outside partitions", **BEHIND, "offset": 0, "table": "GPT"})
LOST = Found(
    ref=carved({}, [(SIZE // 2 + 65536, 65536)]),
    path=b"$Carved/90000",
    size=65536,
    cursor=str(SIZE),
    found_by="carver",
    state=ItemState.UNREADABLE,
    missing=Missing(Reason.UNREADABLE, "what begins there could not be checked"),
    name_state=NameState.CARVED,
    content_state=ContentState.UNREADABLE,
)


class Source:
    name, version = "fake", "1"


class Session:
    """What it shows, and the one part of it that loses something."""

    def __init__(self, parts: list[Part], loses: Part | None = None) -> None:
        self.shown, self.loses = parts, loses

    def parts(self, _ask: Any) -> Iterator[Part]:
        return iter(self.shown)

    def items(self, part: Part, *_asked: Any) -> Iterator[Found]:
        return iter([LOST] if part == self.loses else [])

    def check(self) -> None:
        pass


def listed(case: Case, *session: Any) -> Account:
    lister = Lister(case, "X", Source(), Basis(case, "X"), BatchSize(), lambda *_: None)  # type: ignore[arg-type]
    list(lister.steps(Session(*session), None))  # type: ignore[arg-type]
    return account(case, "X")


def loss(case: Case) -> str:
    return str(case.read().execute("SELECT detail FROM items").fetchone()["detail"])


@pytest.mark.parametrize(
    ("first", "then", "loses"),
    [
        pytest.param([WALK, CARVE], [WALK, UNREAD], CARVE, id="it cannot be carved just now"),
        pytest.param([WALK, CARVE, BAD], [WALK, CARVE], BAD, id="no bad clusters just now"),
        pytest.param([WALK, CARVE, BAD], [WALK, UNREAD], BAD, id="nor is free space carved"),
        pytest.param([WALK, CARVE, GAP], [WALK, CARVE], GAP, id="the file system holds all, just now"),
        pytest.param([WALK, GAP], [replace(WALK, name="fs@1/walk")], GAP, id="directories alone"),
    ],
)
def test_what_is_not_shown_or_cannot_be_listed_stays_open(tmp_path: Path, first, then, loses):
    case = new_case(tmp_path / "case")
    assert listed(case, first, loses).unreadable == 1
    assert relist.reopen(case, "X", "m")
    between = listed(case, then)
    assert [part for part in between.parts_open if part.startswith(loses.name)], between.words()
    assert not between.complete
    assert loss(case) == relist.ANEW
    again = listed(case, first)
    assert again.complete, again.words()
    assert loss(case) == relist.LISTED_SINCE


def test_why_a_part_cannot_be_listed_again_just_now_is_said(tmp_path: Path):
    case = new_case(tmp_path / "case")
    listed(case, [WALK, CARVE], CARVE)
    relist.reopen(case, "X", "m")
    assert f"{UNREAD.missing}" in listed(case, [WALK, UNREAD]).words()
    assert f"{UNREAD.missing}" not in listed(case, [WALK, CARVE]).words()


@pytest.mark.parametrize(
    ("first", "then"),
    [
        pytest.param([WALK, CARVE, BAD], [WALK, CARVE, replace(BAD, name="fs@0/bad-carve")], id="renamed"),
        pytest.param([WALK, CARVE, GAP], [WALK, CARVE, replace(GAP, name="fs@0/behind/carve")], id="a gap renamed"),
        pytest.param([WHOLE], [FIRST, GAP], id="the partition table can be read now"),
    ],
)
def test_what_is_carved_under_another_name_does(tmp_path: Path, first, then):
    case = new_case(tmp_path / "case")
    listed(case, first, first[-1])
    assert relist.reopen(case, "X", "m")
    assert listed(case, then).complete
    assert loss(case) == relist.LISTED_SINCE


def test_stretches_that_overlap_do_not_count_twice(tmp_path: Path):
    """Half of the place, shown as two parts, does not do for all of it."""
    case = new_case(tmp_path / "case")
    listed(case, [WHOLE], WHOLE)
    assert relist.reopen(case, "X", "m")
    half = replace(GAP, name="gap@7/carve", detail={**GAP.detail, "offset": SIZE // 2 - 1})
    assert not listed(case, [GAP, half]).complete


def test_what_a_part_notes_of_an_image_is_not_listed_again_for_what_others_lost():
    lost = "fs@0/7/name/x/"
    assert relist._may_find(WALK.detail, lost)
    assert not relist._may_find({"kind": relist.NOTED, "notes": {"segment at its end is a full one": 1}}, lost)
