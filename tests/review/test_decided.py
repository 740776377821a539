"""`clew show grades` and `clew show alarms`: what was decided, named without the page."""

import json
from collections.abc import Callable

from review_page import Known

from clew.model import Category
from clew.review import grading, safeguards

S1 = f"{1:032x}"


def test_each_grade_is_named_with_its_scheme_and_by_whom(known: Known, printed: Callable[..., str]) -> None:
    folder = str(known.case.folder)
    assert printed("show", "grades", folder) == "no grades; people give them in: clew review CASE\n"
    first, second = known.series[S1][:2]
    grading.grade(known.case, "wren", first, Category("VICS", "UK", "2.0", "2"))
    grading.grade(known.case, "heron", known.single, Category("VICS", "US", "2.0", "0"))
    lines = printed("show", "grades", folder).splitlines()
    decided = next(line for line in lines if line.startswith(first.hex()))
    assert decided.startswith(f"{first.hex()} (S-001)  2 in VICS UK 2.0, decided by wren at 20")
    proposed = next(line for line in lines if line.startswith(second.hex()))
    assert "2 in VICS UK 2.0, proposed by wren at 20" in proposed
    assert proposed.endswith(f", inherited of {first.hex()[:8]} at distance 4")
    assert lines[-1].startswith(f"{known.single.hex()}  0 in VICS US 2.0, decided by heron")
    told = [json.loads(line) for line in printed("show", "grades", folder, "--json").splitlines()]
    assert {each["state"] for each in told} == {"decided", "proposed"}
    assert len(told) == len(lines)


def test_an_alarm_is_told_to_its_end(known: Known, printed: Callable[..., str]) -> None:
    folder = str(known.case.folder)
    assert printed("show", "alarms", folder) == "nobody raised an alarm in this case\n"
    alarm = safeguards.raise_alarm(known.case, "heron", "series", S1, "a date in it is tomorrow")
    safeguards.acknowledge(known.case, "wren", alarm)
    safeguards.close_alarm(known.case, "wren", alarm, "the unit in Graz\nhas gone there")
    safeguards.raise_alarm(known.case, "heron", "content", known.single.hex(), "why")
    lines = printed("show", "alarms", folder).splitlines()
    assert lines[0] == f"content {known.single.hex()}: why"
    assert lines[1].endswith("; NOT TAKEN UP; OPEN")
    assert lines[2] == "series S-001: a date in it is tomorrow"
    assert "; taken up by wren at 20" in lines[3]
    assert lines[3].endswith("Z: the unit in Graz\N{REPLACEMENT CHARACTER}has gone there")
    told = [json.loads(line) for line in printed("show", "alarms", folder, "--json").splitlines()]
    assert [each["closed_reason"] for each in told] == [None, "the unit in Graz\nhas gone there"]
