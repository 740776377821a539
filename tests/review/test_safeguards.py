"""Alarms and their second person, the private counter, the reminder to rest."""

from pathlib import Path

import pytest
from review_page import Known, actions, empty_case, fill

from clew.core.errors import Refused, Usage
from clew.review import safeguards
from clew.review.safeguards import SECOND, RestRule

MINUTE = 60 * SECOND


def test_an_alarm_needs_a_second_person_before_it_can_be_closed(known: Known) -> None:
    case = known.case
    alarm = safeguards.raise_alarm(case, "heron", "lead", known.lead, "a date in the chat is tomorrow")
    assert [a.label for a in safeguards.open_alarms(case)] == ["Subject 1"]
    with pytest.raises(Refused, match="no second person"):
        safeguards.close_alarm(case, "wren", alarm, "done")
    for same in ("heron", " Heron "):
        with pytest.raises(Refused, match="yourself"):
            safeguards.acknowledge(case, same, alarm)
    safeguards.acknowledge(case, "wren", alarm)
    with pytest.raises(Refused, match="wren has acknowledged"):
        safeguards.acknowledge(case, "crane", alarm)
    with pytest.raises(Usage):
        safeguards.close_alarm(case, "wren", alarm, "  ")
    safeguards.close_alarm(case, "wren", alarm, "the unit in Graz has gone there")
    assert safeguards.open_alarms(case) == []
    assert actions(case, "alarm") == ["alarm.raised", "alarm.acknowledged", "alarm.closed"]


def test_an_alarm_says_about_what_and_why(known: Known) -> None:
    case, content = known.case, known.series[f"{1:032x}"][0]
    for kind, about in (("content", "x"), ("series", "no"), ("lead", "no"), ("person", "no")):
        with pytest.raises(Usage):
            safeguards.raise_alarm(case, "heron", kind, about, "why")
    for reason in ("", "  ", "x" * 2001):
        with pytest.raises(Usage):
            safeguards.raise_alarm(case, "heron", "content", content.hex(), reason)
    safeguards.raise_alarm(case, "heron", "content", content.hex(), "why")
    safeguards.raise_alarm(case, "heron", "content", known.single.hex(), "outside every series")
    safeguards.raise_alarm(case, "heron", "series", f"{1:032x}", "why")
    assert len(safeguards.open_alarms(case)) == 3


def test_an_alarm_is_raised_without_any_mandate(tmp_path: Path) -> None:
    made = fill(empty_case(tmp_path / "case", purposes=["observe"]))
    safeguards.raise_alarm(made.case, "heron", "lead", made.lead, "a child first, papers second")
    assert len(safeguards.open_alarms(made.case)) == 1
    made.case.close()


def test_open_alarms_stand_in_order_of_need(known: Known) -> None:
    first = safeguards.raise_alarm(known.case, "heron", "lead", known.lead, "first")
    second = safeguards.raise_alarm(known.case, "heron", "lead", known.lead, "second")
    safeguards.acknowledge(known.case, "wren", first)
    assert [a.id for a in safeguards.open_alarms(known.case)] == [second, first]


def test_the_counter_is_each_ones_own_and_counts_pictures_once(known: Known, monkeypatch: pytest.MonkeyPatch) -> None:
    noon = 1_800_000_000 * SECOND
    pictures = [bytes([n]) * 32 for n in range(3)]
    monkeypatch.setattr("time.time_ns", lambda: noon)
    safeguards.record_views(known.case, "heron", [(p, "clear") for p in pictures], "M-1")
    safeguards.record_views(known.case, "heron", [(pictures[0], "clear"), (pictures[0], "blurred")], "M-1")
    seen = safeguards.exposure(known.case, "heron", RestRule(), noon + MINUTE)
    assert (seen.clear_today, seen.blurred_today, seen.clear_since_rest) == (3, 1, 3)
    other = safeguards.exposure(known.case, "wren", RestRule(), noon + MINUTE)
    assert (other.clear_today, other.blurred_today) == (0, 0)


def test_a_rest_is_due_after_50_minutes_or_many_pictures_and_over_after_five_minutes(
    known: Known, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = 1_800_000_000 * SECOND
    rule = RestRule(minutes=50, pictures=20)
    for minute in range(50):
        monkeypatch.setattr("time.time_ns", lambda now=begin + minute * MINUTE: now)
        safeguards.record_views(known.case, "heron", [(b"\1" * 32, "blurred")], "M-1")
    assert not safeguards.exposure(known.case, "heron", rule, begin + 49 * MINUTE).rest_due
    assert safeguards.exposure(known.case, "heron", rule, begin + 50 * MINUTE).rest_due
    rested = safeguards.exposure(known.case, "heron", rule, begin + 54 * MINUTE)
    assert (rested.rest_due, rested.working_ns) == (False, 0)
    monkeypatch.setattr("time.time_ns", lambda: begin + 60 * MINUTE)
    safeguards.record_views(known.case, "heron", [(bytes([n]) * 32, "clear") for n in range(20)], "M-1")
    assert safeguards.exposure(known.case, "heron", rule, begin + 61 * MINUTE).rest_due
