"""What a worker says of an archive is checked; what ends it while it lists is cornered, and named."""

import json
from typing import Any

import pytest

from clew.intake.api import Found, Job, Note
from clew.intake.archives import said
from clew.intake.archives.budget import Budgets
from clew.intake.archives.members import What
from clew.intake.expand import Expansion, Known, Spent
from clew.model import ContentState, ItemState, Missing, NameState, Reason

KNOWN = Known("file/a.zip", b"a.zip", NameState.DELETED, ContentState.COMPLETE, "application/zip", 1000, bytes(16))


def member(number: int, **other: Any) -> dict[str, Any]:
    row = {
        "number": number,
        "path": b"x".hex(),
        "what": "file",
        "size": 3,
        "start": None,
        "reason": None,
        "detail": None,
    }
    return {**row, "times": [None, None, None, None], "times_source": "", "named": True, **other}


def answer(*members: dict[str, Any], **other: Any) -> dict[str, Any]:
    return {"members": list(members), "done": True, "missing": None, "notes": {}, **other}


def test_an_answer_in_form_is_taken():
    heard = said.stretch(answer(member(7), member(8, reason="encrypted", detail="d"), notes={"n": 2}), 7, 5)
    assert not isinstance(heard, Missing)
    assert [header.number for header in heard.members] == [7, 8]
    assert heard.members[1].missing == Missing(Reason.ENCRYPTED, "d")
    assert (heard.done, heard.notes) == (True, {"n": 2})


@pytest.mark.parametrize(
    "bad",
    [
        None,
        [],
        answer(member(8)),  # another number than was asked for
        answer(member(7), member(7)),
        answer(member(7), member(9)),
        answer(*(member(number) for number in range(7, 20))),  # more than was asked for
        answer(done=False),  # nothing, and no end
        answer(member(7, size=-1)),
        answer(member(7, size=1 << 63)),
        answer(member(7, size=True)),
        answer(member(7, size=None)),
        answer(member(7, start=-1)),
        answer(member(7, path="zz")),
        answer(member(7, path="ab" * 300_000)),
        answer(member(7, what="ghost")),
        answer(member(7, named=1)),
        answer(member(7, reason="because", detail="")),
        answer(member(7, times=[None])),
        answer(member(7, times=["1", None, None, None])),
        answer(member(7), missing={"reason": "no"}),
        answer(member(7), notes={"n": -1}),
        answer(member(7), notes={"n" * 300: 1}),
        {"members": 5},
    ],
    ids=lambda bad: json.dumps(bad)[:40],
)
def test_anything_else_is_a_missing(bad):
    heard = said.stretch(bad, 7, 5)
    assert isinstance(heard, Missing)
    assert heard.reason is Reason.UNPARSABLE


class Around:
    """What an Expansion asks of the session around it."""

    def __init__(self) -> None:
        self.budgets, self._spent = Budgets(), Spent()

    def way(self, _around: list[str], _numbers: list[int], opener: str) -> Job:
        return Job(opener, {})

    def spent(self, _known: Known) -> Spent:
        return self._spent

    def before(self, _known: Known) -> None:
        return None

    def outermost(self, known: Known) -> Known:
        return known


def test_a_member_that_ends_its_reader_is_cornered():
    """Everything before it is listed, and what is behind it is one Item with the reason."""
    deaths = 0

    def ask(_entry: str, payload: dict[str, Any], _fds: tuple[int, ...], _size: int) -> Any:
        nonlocal deaths
        first, most = payload["first"], payload["most"]
        if first + most > 1203:
            deaths += 1
            return Missing(Reason.UNREADABLE, "the worker was killed by signal 11 (SIGSEGV) while on this item")
        return answer(*(member(number) for number in range(first, first + most)), done=False)

    events = list(Expansion(Around(), KNOWN, 4, ask).events(0))  # type: ignore[arg-type]
    found = [event for event in events if isinstance(event, Found)]
    assert [each.ref for each in found] == [f"file/a.zip!x#{number}" for number in range(1203)] + ["file/a.zip!#1203"]
    assert found[-1].state is ItemState.UNREADABLE
    assert "after 1,203 members: the worker was killed by signal 11" in found[-1].missing.detail
    assert isinstance(events[-1], Note)
    assert events[-1].cursor == "5/0"
    assert deaths < 30


def test_members_of_a_deleted_archive_are_deleted_and_every_kind_has_its_state():
    rows = [member(number, what=str(what)) for number, what in enumerate(What)]
    rows.append(member(len(rows), reason="encrypted", detail="closed"))
    rows.append(member(len(rows), size=1 << 62))
    events = list(Expansion(Around(), KNOWN, 0, lambda *_: answer(*rows)).events(0))  # type: ignore[arg-type]
    found = [event for event in events if isinstance(event, Found)]
    skipped = [ItemState.SKIPPED] * (len(What) - 1)
    assert [each.state for each in found] == [ItemState.OPEN, *skipped, ItemState.UNREADABLE, ItemState.UNREADABLE]
    assert {each.name_state for each in found} == {NameState.DELETED}
    assert [each.missing.reason for each in found[-2:]] == [Reason.ENCRYPTED, Reason.LIMIT_REACHED]
    assert all(each.missing for each in found[1:])
