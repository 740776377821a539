"""Grades without the page: decided, proposed, confirmed, rejected, undone."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from review_page import Known, actions, empty_case, fill

from clew.core.errors import Refused, Usage
from clew.model import Category, GradeState
from clew.review import grading, schemes

ONE = schemes.load("training").category("1")
TWO = schemes.load("training").category("2")
S1 = f"{1:032x}"


def exported(known: Known) -> dict[bytes, str]:
    """What `share` hands out as known hashes."""
    rows = known.case.read().execute("SELECT * FROM standing_grades WHERE state IN ('decided', 'confirmed')")
    return {bytes(row["content"]): row["code"] for row in rows}


def waiting(known: Known) -> list[str]:
    rows = known.case.read().execute("SELECT id FROM standing_grades WHERE state = 'proposed' ORDER BY distance")
    return [row["id"] for row in rows]


def state(known: Known, content: bytes) -> GradeState | None:
    standing = grading.standing(known.case.read(), content)
    return standing.state if standing else None


def test_a_grade_proposes_to_near_duplicates_alone_and_exports_one(known: Known) -> None:
    group = known.series[S1]
    stroke = grading.grade(known.case, "heron", group[0], ONE)
    assert stroke.proposed == 4
    assert exported(known) == {group[0]: "1"}
    near = grading.standing(known.case.read(), group[3])
    assert near is not None
    assert (near.state, near.distance, near.inherited_from) == (GradeState.PROPOSED, 12, group[0])
    assert state(known, group[5]) is None, "60 bits away: no proposal"


def test_one_stroke_confirms_and_one_undo_takes_it_back(known: Known) -> None:
    group = known.series[S1]
    grading.grade(known.case, "heron", group[0], ONE)
    assert grading.confirm(known.case, "heron", waiting(known)).confirmed == 4
    assert len(exported(known)) == 5
    grading.undo(known.case, "heron")
    assert exported(known) == {group[0]: "1"}
    assert len(waiting(known)) == 4, "the proposals stand again"
    grading.undo(known.case, "heron")
    assert exported(known) == {}
    assert waiting(known) == []
    with pytest.raises(Usage):
        grading.undo(known.case, "heron")
    assert actions(known.case, "grade") == ["grade.decided", "grade.confirmed", "grade.undone", "grade.undone"]


def test_rejected_ones_wait_for_a_grade_of_their_own(known: Known) -> None:
    group = known.series[S1]
    grading.grade(known.case, "heron", group[0], ONE)
    first, *rest = waiting(known)
    grading.reject(known.case, "heron", [first])
    grading.confirm(known.case, "heron", rest)
    assert state(known, group[1]) is GradeState.REJECTED
    assert group[1] not in exported(known)
    grading.grade(known.case, "heron", group[1], TWO)
    assert exported(known)[group[1]] == "2"


def test_regrading_leaves_what_people_decided_and_replaces_what_waits(known: Known) -> None:
    group = known.series[S1]
    grading.grade(known.case, "heron", group[0], ONE)
    grading.confirm(known.case, "heron", waiting(known)[:1])
    assert grading.grade(known.case, "heron", group[0], TWO).proposed == 3
    assert exported(known) == {group[0]: "2", group[1]: "1"}
    assert len(waiting(known)) == 3, "the older proposals no longer stand"


def test_nobody_confirms_what_they_were_not_shown(known: Known) -> None:
    grading.grade(known.case, "heron", known.series[S1][0], ONE)
    shown = waiting(known)
    grading.grade(known.case, "wren", known.series[S1][0], TWO)
    with pytest.raises(Refused, match="no longer stands"):
        grading.confirm(known.case, "heron", shown)
    with pytest.raises(Usage):
        grading.confirm(known.case, "heron", [])
    assert len(exported(known)) == 1


def test_undo_is_for_own_strokes_on_which_nobody_built(known: Known) -> None:
    grading.grade(known.case, "heron", known.series[S1][0], ONE)
    with pytest.raises(Usage):
        grading.undo(known.case, "wren")
    grading.confirm(known.case, "wren", waiting(known))
    with pytest.raises(Refused, match="another person"):
        grading.undo(known.case, "heron")
    grading.undo(known.case, "wren")
    grading.undo(known.case, "heron")
    assert exported(known) == {}


def test_a_clock_that_goes_back_changes_no_order(known: Known, monkeypatch: pytest.MonkeyPatch) -> None:
    content = known.series[S1][0]
    grading.grade(known.case, "heron", content, ONE)
    earlier = grading.clock.now().utc_ns - 10**9
    monkeypatch.setattr("time.time_ns", lambda: earlier)
    grading.grade(known.case, "heron", content, TWO)
    assert exported(known) == {content: "2"}
    grading.undo(known.case, "heron")
    assert exported(known) == {content: "1"}


def test_without_a_mandate_nothing_is_graded(tmp_path: Path) -> None:
    made = fill(empty_case(tmp_path / "case", purposes=["observe"]))
    with pytest.raises(Refused):
        grading.grade(made.case, "heron", made.series[S1][0], ONE)
    assert exported(made) == {}
    made.case.close()


def test_the_ledger_shows_no_hash_and_no_category(known: Known) -> None:
    content = known.series[S1][0]
    grading.grade(known.case, "heron", content, Category("a telling scheme", "AT", "1", "7"))
    line = known.case.read().execute("SELECT line FROM ledger ORDER BY seq DESC LIMIT 1").fetchone()[0]
    assert content.hex() not in line
    assert "telling" not in line
    assert '"counts":{"grades":5}' in line


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["grade0", "grade2", "confirm", "reject", "regrade"]), min_size=1, max_size=6))
def test_undoing_every_stroke_leaves_nothing(known: Known, strokes: list[str]) -> None:
    group, done, trail = known.series[S1], 0, [exported(known)]
    for stroke in strokes:
        if stroke in ("confirm", "reject") and not waiting(known):
            continue
        if stroke == "confirm":
            grading.confirm(known.case, "heron", waiting(known))
        elif stroke == "reject":
            grading.reject(known.case, "heron", waiting(known)[:1])
        else:
            content = group[2] if stroke == "grade2" else group[0]
            grading.grade(known.case, "heron", content, TWO if stroke == "regrade" else ONE)
        done += 1
        trail.append(exported(known))
    for before in reversed(trail[:-1]):
        grading.undo(known.case, "heron")
        assert exported(known) == before
    assert waiting(known) == []


def test_schemes(tmp_path: Path) -> None:
    vics = schemes.load("vics-us-2.0")
    assert [(c.key, c.code) for c in vics.choices] == [(str(n), str(n)) for n in range(5)]
    assert vics.category("0") == Category("VICS", "US", "2.0", "0")
    with pytest.raises(KeyError):
        vics.category("5")
    for bad in ("{}", "[]", "no json", '{"scheme":"s","title":"t","country":"c","version":"1","categories":[]}'):
        path = tmp_path / "own.json"
        path.write_text(bad)
        with pytest.raises(Usage):
            schemes.load(str(path))
    with pytest.raises(Usage, match="there is no scheme"):
        schemes.load("nowhere")
