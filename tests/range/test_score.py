"""The scoring: each of DESIGN section 5's ways to be false is found, and nothing else is called so."""

import json
from collections import Counter
from dataclasses import replace

import pytest
from click.testing import CliRunner

from clew.cli._range_table import words
from clew.cli.range import COMMAND
from clew.core import shards
from clew.core.case import Case
from clew.core.errors import Usage
from clew.core.ledger import canonical
from clew.range.calibration import calibrate
from clew.range.canary import canary_bytes
from clew.range.judge import Wrong, judge, owners_of
from clew.range.leads import Interval, Lead, read_leads
from clew.range.missed import why_missed
from clew.range.score import score, spread
from clew.range.truth import FORMAT

START, END = 1_000_000, 2_000_000
REVISIT = 500_000


def party(name="P1", **changes):
    usual = {
        "id": name,
        "kind": "plain",
        "planted": True,
        "contactable": True,
        "contactable_from_ns": START,
        "beyond_reach": "",
        "country": "AT",
        "force": "AT",
        "right_force": "AT",
        "disputed": False,
        "shared": False,
        "promiscuous": False,
        "intervals": [
            {"address": "127.10.0.1", "port": 6881, "transports": ["tcp"], "from_ns": START, "to_ns": END},
        ],
        "watches": {"W-01": "E2"},
    }
    return {**usual, **changes}


def truth(*parties):
    return {"format": FORMAT, "parties": list(parties), "coordinator": "XX", "revisit_ns": REVISIT}


def owners(*parties):
    return owners_of(parties)


LEAD = Lead(
    id="a" * 32,
    subject="s",
    force="AT",
    tier="E2",
    country="AT",
    uncertain=False,
    caveats=("possession not tested",),
    intervals=(Interval("127.10.0.1", 6881, "tcp", START + 1, END - 1, "W-01", "E2", (START + 1, END - 1)),),
    contacts=2,
)


def test_a_true_lead_is_true():
    verdict = judge(LEAD, owners(party()), REVISIT)
    assert (verdict.owner["id"], verdict.wrong, verdict.why) == ("P1", None, "")


LINE = LEAD.intervals[0]
HALF = (START + END) // 2


@pytest.mark.parametrize(
    ("lead", "whose", "wrong", "says"),
    [
        (replace(LEAD, contacts=0), {}, Wrong.HEARSAY, "E0 alone"),
        (replace(LEAD, hearsay=1), {}, Wrong.HEARSAY, "E0 among others"),
        (replace(LEAD, country="DE"), {}, Wrong.COUNTRY, "names DE"),
        (replace(LEAD, force="DE"), {}, Wrong.COUNTRY, "with DE, the truth is AT"),
        (LEAD, {"promiscuous": True}, Wrong.PROMISCUOUS, "promiscuous"),
        (LEAD, {"watches": {"W-01": "E2, torrent only"}}, Wrong.TIER, "states E2"),
        (LEAD, {"watches": {"W-02": "E2"}}, Wrong.TIER, "states E2"),
        (replace(LEAD, tier="E2, torrent only"), {"watches": {"W-01": "E1"}}, Wrong.TIER, "states E2, torrent only"),
        (
            replace(LEAD, intervals=(LINE, replace(LINE, watch="W-02"))),
            {"watches": {"W-01": "E2", "W-02": "E2, torrent only"}},
            Wrong.TIER,
            "states E2 for W-02",
        ),
        (replace(LEAD, intervals=(replace(LINE, times=(START + 1, HALF - 100_000)),)), {}, Wrong.TIER, "less than"),
        (replace(LEAD, intervals=(replace(LINE, times=(START + 1,)),)), {}, Wrong.TIER, "less than the revisit"),
        (LEAD, {"shared": True}, Wrong.SHARED, "shared address"),
        (replace(LEAD, intervals=(replace(LINE, to_ns=END + 1),)), {}, Wrong.NOT_ITS, "another party, time"),
        (replace(LEAD, intervals=(replace(LINE, port=1),)), {}, Wrong.NOT_ITS, "nobody"),
        (replace(LEAD, intervals=(LINE, replace(LINE, address="127.10.0.9"))), {}, Wrong.NOT_ITS, "nobody"),
        (replace(LEAD, intervals=(replace(LINE, transport="utp"),)), {}, Wrong.NOT_ITS, "or transport"),
        (replace(LEAD, intervals=()), {}, Wrong.NOT_ITS, ""),
    ],
)
def test_each_way_to_be_false(lead, whose, wrong, says):
    verdict = judge(lead, owners(party(**whose)), REVISIT)
    assert verdict.wrong is wrong
    assert says in verdict.why


def test_every_kind_of_false_is_planted_above():
    planted = {mark.args[1][n][2] for mark in test_each_way_to_be_false.pytestmark for n in range(len(mark.args[1]))}
    assert planted | {Wrong.REASSIGNMENT} == set(Wrong)


@pytest.mark.parametrize(
    ("lead", "whose"),
    [
        (replace(LEAD, country="DE", uncertain=True), {}),
        (replace(LEAD, caveats=("shared address (VPN exit)",)), {"shared": True}),
        (replace(LEAD, caveats=("unknown kind of network",)), {"shared": True}),
        (
            replace(LEAD, tier="E2, torrent only", intervals=(replace(LEAD.intervals[0], tier="E2, torrent only"),)),
            {"watches": {"W-01": "E2, torrent only"}},
        ),
    ],
)
def test_what_is_said_with_its_caveat_is_not_false(lead, whose):
    assert judge(lead, owners(party(**whose)), REVISIT).wrong is None


def test_a_lead_that_spans_a_reassignment_is_false():
    half = (START + END) // 2
    line = party()["intervals"][0]
    first, second = (
        party("P1", intervals=[{**line, "to_ns": half}]),
        party("P2", intervals=[{**line, "from_ns": half}]),
    )
    both = replace(LEAD, intervals=(replace(LINE, to_ns=half - 1, times=()), replace(LINE, from_ns=half + 1, times=())))
    for lead in (LEAD, both):
        assert judge(lead, owners(first, second)).wrong is Wrong.REASSIGNMENT
    within = replace(LEAD, intervals=(replace(LINE, to_ns=half - 1, times=(START + 1, half - 1)),))
    verdict = judge(within, owners(first, second), (half - START) // 2)
    assert (verdict.owner["id"], verdict.wrong) == ("P1", None)


def test_two_parties_at_one_address_and_other_ports_are_no_reassignment():
    line = party()["intervals"][0]
    first, second = party("P1"), party("P2", intervals=[{**line, "port": 6882}])
    lead = replace(LEAD, intervals=(LINE, replace(LINE, port=6882)))
    assert judge(lead, owners(first, second), REVISIT).wrong is Wrong.NOT_ITS


def test_an_endpoint_is_known_by_what_carries_it(case):
    see(case, "s1", "s2")
    put(case, replace(LEAD, intervals=(replace(LINE, transport="mse-rc4/utp"),)))
    assert read_leads(case)[0].intervals[0].transport == "utp"
    both = [{**party()["intervals"][0], "transports": ["tcp", "utp"]}]
    assert score(case, truth(party())).false_by_kind[Wrong.NOT_ITS] == 1
    assert score(case, truth(party(intervals=both))).false == []


@pytest.fixture
def case(tmp_path):
    made = Case.create(tmp_path / "case", operation="x", force="XX", authority="0" * 64, actor="test")
    yield made
    made.close()


def put(case, lead, sightings=("s1", "s2"), torrent_only=0, points=1.0):
    interval = lead.intervals[0]
    with case.write("attribute") as tx:
        tx.execute("INSERT INTO subjects VALUES (?,?,?)", (lead.subject, lead.subject, "[]"))
        tx.execute(
            "INSERT INTO subject_intervals VALUES (?,?,?,?,?,?,?,?,?)",
            (
                lead.subject,
                interval.address,
                interval.port,
                interval.transport,
                interval.from_ns,
                interval.to_ns,
                interval.tier,
                interval.watch,
                canonical(list(sightings)),
            ),
        )
        tx.execute(
            "INSERT INTO leads VALUES (?,?,?,1,?,'E2',?,?,?,'isp','[]','{}',?,'[]',0,'assigned')",
            (
                lead.id,
                lead.subject,
                lead.force,
                points,
                torrent_only,
                lead.country,
                int(lead.uncertain),
                canonical(list(lead.caveats)),
            ),
        )


def see(case, *ids, kind="contact", tier="E2", transcript=b"", claim="watched file", address="127.10.0.1", at=None):
    """Sightings of 127.10.0.1:6881, one at the beginning of its stay, the others at its end."""
    rows = []
    for number, each in enumerate(ids):
        row = {f.name: "" for f in shards.SCHEMAS["sightings"]}
        row |= {f.name: 0 for f in shards.SCHEMAS["sightings"] if str(f.type) == "int64"}
        row |= {f.name: b"" for f in shards.SCHEMAS["sightings"] if str(f.type) == "binary"}
        row |= {"promiscuous": False, "id": each, "kind": kind, "tier": tier, "transcript": transcript}
        started = at or (END - 1 if number else START + 1)
        rows.append(row | {"claim": claim, "address": address, "port": 6881, "started_ns": started})
    with case.write("observe") as tx:
        pending = shards.write(case, "sightings", rows)
        shards.commit(tx, stage="observe", batch=ids[0], versions="1", config="", pending=[pending])


FALSE_LEADS = (
    # lead, the party as it is in truth, the kind of false
    (LEAD, {"promiscuous": True}, Wrong.PROMISCUOUS),
    (replace(LEAD, country="DE"), {}, Wrong.COUNTRY),
    (LEAD, {"watches": {"W-01": "E1"}}, Wrong.TIER),
    (LEAD, {"shared": True}, Wrong.SHARED),
    (replace(LEAD, intervals=(replace(LINE, port=9),)), {}, Wrong.NOT_ITS),
)


@pytest.mark.parametrize(("lead", "whose", "wrong"), FALSE_LEADS)
def test_a_false_lead_counts_under_its_class_and_country_and_is_the_reason_of_the_miss(case, lead, whose, wrong):
    see(case, "s1", "s2")
    put(case, replace(lead, intervals=(replace(lead.intervals[0], watch="W-01"),)))
    found = score(case, truth(party(kind="late", country="AT", **whose)))
    assert (found.found, len(found.false)) == (0, 1)
    assert found.false_by_kind == {k: int(k is wrong) for k in Wrong}
    kind = "nobody planted" if wrong is Wrong.NOT_ITS else "late"
    assert found.by_class[kind].false == {wrong: 1}
    assert found.by_country["AT"].false == {wrong: 1}
    assert found.calibration.tenths[0].true == 0
    if wrong is not Wrong.NOT_ITS:
        assert found.misses[0].reason == f"its lead is false: {wrong}"


def test_a_case_is_scored(case):
    see(case, "s1", "s2")
    see(case, "s3", kind="listed", tier="E0")
    put(case, LEAD, points=4.0)
    put(case, replace(LEAD, id="b" * 32, subject="t"), points=3.0)
    put(case, replace(LEAD, id="c" * 32, subject="u"), sightings=("s3",), points=2.0)
    put(case, replace(LEAD, id="d" * 32, subject="v", force=None), points=1.0)
    beyond = party("P3", contactable=False, intervals=[], beyond_reach="listed nowhere", kind="unlisted", country="FI")
    found = score(case, truth(party(), party("P2", intervals=[]), beyond))
    assert (found.planted, found.contactable, found.found, found.split) == (3, 2, 1, 1)
    assert found.false_by_kind[Wrong.HEARSAY] == len(found.false) == 1
    assert "E0" in found.false[0]
    assert found.missed == ["P2 (plain, AT): never heard of"]
    assert [(m.party, m.contactable, m.reason) for m in found.misses] == [
        ("P2", True, "never heard of"),
        ("P3", False, "listed nowhere"),
    ]
    assert len(found.misplaced) == 1
    assert [lead.contacts for lead in read_leads(case)] == [2, 2, 0, 2]
    told = found.as_dict()
    assert told["title"] == "Range error rates; field rates unknown"
    assert told["recall_of_planted"] == {"n": 1, "of": 3}
    assert told["by_class"]["plain"]["planted"] == 2
    assert told["by_country"]["FI"] == {**told["by_country"]["FI"], "planted": 1, "contactable": 0, "found": 0}
    assert told["by_country"]["AT"]["split"] == 1
    json.dumps(told, allow_nan=False)
    assert "P2 (plain, AT): never heard of" in words(found)


def test_the_delay_is_from_contactable_to_the_second_claim(case):
    second = 1_000_000_000
    stay = {**party()["intervals"][0], "from_ns": 0, "to_ns": 100 * second}
    for number, at in enumerate((3, 5, 24, 50)):
        see(case, f"t{number}", at=at * second)
    line = replace(LINE, from_ns=3 * second, to_ns=50 * second)
    put(case, replace(LEAD, intervals=(line,)), sightings=("t0", "t1", "t2", "t3"))
    known = truth(party(intervals=[stay], contactable_from_ns=2 * second)) | {"revisit_ns": 20 * second}
    found = score(case, known)
    assert found.false == []
    assert found.delays == [22.0]
    assert found.by_class["plain"].as_dict()["delays"] == {"n": 1, "median": 22.0, "p90": 22.0, "seconds": [22.0]}


def test_median_and_p90_are_of_the_nearest_rank():
    assert spread([]) == {"n": 0, "median": None, "p90": None, "seconds": []}
    found = spread([float(n) for n in range(10, 0, -1)])
    assert (found["median"], found["p90"]) == (5.0, 9.0)


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        ([], "never heard of"),
        ([{"kind": "listed", "tier": "E0", "claim": ""}], "heard of, never contacted"),
        ([{"tier": "E0", "claim": ""}], "contacted, never answered"),
        ([{"tier": "E1", "claim": "none"}], "answered, no claim of the watched file was read"),
        ([{}, {"at": START + 2}], "claimed, not twice the revisit interval apart"),
        ([{}, {"at": END - 1}], "claimed twice, no lead was made of it"),
        ([{}, {"at": END + 1}], "claimed, not twice the revisit interval apart"),
        ([{"address": "127.10.0.2"}], "never heard of"),
    ],
)
def test_the_reason_of_a_miss_is_the_last_step_that_was_reached(case, seen, reason):
    for number, each in enumerate(seen):
        see(case, f"s{number}", **each)
    assert why_missed(case, [party()], REVISIT) == {"P1": reason}


def test_calibration_against_counting_every_pair():
    judged = [(9.0, True), (8.0, True), (8.0, False), (7.0, False), (7.0, True), (2.0, False), (1.0, True)]
    found = calibrate(judged)
    pairs = [(a > b) + (a == b) / 2 for a, t in judged for b, f in judged if t and not f]
    assert (found.higher, found.pairs) == (sum(pairs), len(pairs))
    assert Counter(t.true for t in found.tenths) == {1: 4, 0: 3}
    assert calibrate([]).as_dict()["area"] is None
    assert calibrate([(1.0, True)]).as_dict()["area"] is None
    order = [(float(-n), n < 30) for n in range(100)]
    assert [(t.first, t.last, t.true, t.leads) for t in calibrate(order).tenths][2:4] == [
        (21, 30, 10, 10),
        (31, 40, 0, 10),
    ]
    assert calibrate(order).as_dict()["area"] == 1.0
    assert calibrate([(-points, true) for points, true in order][::-1]).as_dict()["area"] == 0.0


def test_a_truth_of_another_form_is_refused(case, tmp_path):
    path = tmp_path / "truth.json"
    for text in ("{", "[]", json.dumps({"format": "clew range truth 1"})):
        path.write_text(text)
        result = CliRunner().invoke(COMMAND, ["score", str(case.folder), str(path)])
        assert isinstance(result.exception, Usage)
        assert result.exception.hint
    case.close()
    path.write_text(json.dumps(truth(party())))
    result = CliRunner().invoke(COMMAND, ["score", str(case.folder), str(path), "--json"])
    assert json.loads(result.output)["planted"] == 1


def test_one_kept_fragment_of_the_canary_is_found_wherever_it_lies(case):
    canary = bytes(range(100, 132))
    see(case, "s1", transcript=b"harmless" * 100)
    assert canary_bytes(case.folder, canary) == 0
    see(case, "s2", transcript=b"x" * 5000 + canary[8:17] + b"y" * 5000)
    assert canary_bytes(case.folder, canary) >= 8
    (case.folder / "blobs" / "note").write_bytes(canary.hex().encode())
    assert canary_bytes(case.folder, canary) >= 8 + 32
    with case.write("attribute") as tx:
        tx.execute("INSERT INTO subjects VALUES ('s','s',?)", (canary.hex(),))
    assert canary_bytes(case.folder, canary) >= 8 + 32 + 32
