"""The verbs corroborate and statement, as a person types them."""

import json

import pytest
from corroborate_case import FROM, SECOND, TO, V1, fastresume, sighting

from facts_case import put

WHY = ("--statement", "compared at the seizure", "--source", "report 4")


def test_from_an_artefact_to_a_printed_contradiction(clew, world):
    folder = world.case.folder
    world.lay("AT-17", V1.hex().encode() + b".fastresume", fastresume(TO // SECOND + 100))
    status, out, _ = clew("corroborate", folder)
    assert (status, "SILENT" in out) == (0, True)
    assert "AT-17 holds W-17, and nobody has stated to whom it belongs" in out
    (row,) = world.case.read().execute("SELECT label FROM subjects").fetchall()
    assert clew("statement", "belongs", folder, "--exhibit", "AT-17", "--subject", row["label"], *WHY)[0] == 0
    status, out, _ = clew("statement", "clock", folder, "--exhibit", "AT-17", "--offset", "+1s", "--error", "2s", *WHY)
    assert status == 0
    status, out, _ = clew("corroborate", folder, "--lead", row["label"])
    assert "1 leads: 0 supported, 1 contradicted, 0 silent" in out
    assert "[infohash of W-17].fastresume" in out
    assert V1.hex() not in out
    assert f"i{TO // SECOND + 100}e".encode() in world.laid.popitem()[1]
    assert "artefacts of exhibits: contradicted" in clew("leads", folder)[1]
    told = json.loads(clew("corroborate", folder, "--json")[1])
    assert told["counts"] == {"supported": 0, "contradicted": 1, "silent": 0}
    listed = json.loads(clew("statement", "list", folder, "--json")[1])["statements"]
    assert [(each["kind"], each["offset_ns"], each["error_ns"]) for each in listed] == [
        ("belongs", None, None), ("clock", SECOND, 2 * SECOND)
    ]  # fmt: skip
    assert "clock off by +1.000 s, give or take 2.000 s" in clew("statement", "list", folder)[1]
    assert clew("statement", "withdraw", folder, listed[0]["id"])[0] == 0
    assert "SILENT" in clew("corroborate", folder)[1]


def test_an_exhibit_of_a_subject_that_is_no_lead_any_more(clew, world):
    folder = world.case.folder
    world.lay("AT-17", b"x", fastresume(FROM // SECOND))
    world.belongs("AT-17")
    (row,) = world.case.read().execute("SELECT label FROM subjects").fetchall()
    put(world.case, "sightings", [sighting(3, TO, kind="control", tier="E1", promiscuous=True)], "observe")
    assert clew("attribute", folder)[0] == 0
    out = clew("corroborate", folder)[1]
    assert "AT-17 holds W-17, and there is no lead on the subject that it is stated to belong to" in out
    assert f"AT-17 is stated to belong to {row['label']}, on whom there is no lead now" in out
    assert "nobody has stated" not in out
    assert f"AT-17 belongs to {row['label']}" in clew("statement", "list", folder)[1]


@pytest.mark.parametrize("wrong", ["", "x", "5", "5 s", "1e9s", "+-5s", "5y", "99999999999s"])
def test_a_wrong_duration_is_a_usage_error(clew, world, wrong):
    world.lay("A", b"x", fastresume(FROM // SECOND))
    args = ("--exhibit", "A", "--offset", wrong, "--error", "1s", *WHY)
    status, out, err = clew("statement", "clock", world.case.folder, *args)
    assert (status, out) == (2, "")
    assert "is no duration" in err


@pytest.mark.parametrize(
    "words",
    [("statement", "belongs", "--exhibit", "nowhere", "--subject", "SUB-1", *WHY), ("corroborate", "--lead", "nobody")],
)
def test_what_is_not_there_is_a_usage_error_with_a_hint(clew, world, words):
    place = 2 if words[0] == "statement" else 1
    status, _, err = clew(*words[:place], world.case.folder, *words[place:])
    assert (status, "clew: hint:" in err) == (2, True)


@pytest.mark.parametrize(
    "verb", [["corroborate"], ["statement", "belongs"], ["statement", "clock"], ["statement", "withdraw"],
             ["statement", "list"]],
)  # fmt: skip
def test_help_shows_an_example(clew, verb):
    status, out, _ = clew(*verb, "--help")
    assert status == 0
    assert f"clew {' '.join(verb)} CASE" in out
