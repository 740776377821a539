"""The scoring: each of DESIGN section 5's ways to be false is found, and nothing else is called so."""

import math
from dataclasses import replace

import pytest

from clew.core import shards
from clew.core.case import Case
from clew.core.ledger import canonical
from clew.range.canary import canary_bytes
from clew.range.score import Interval, Lead, bound, judge, read_leads, score

START, END = 1_000_000, 2_000_000
REVISIT = 500_000


def party(name="P1", **changes):
    usual = {
        "id": name,
        "kind": "plain",
        "planted": True,
        "contactable": True,
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
    return {"parties": list(parties), "coordinator": "XX"}


def owners(*parties):
    found = {}
    for each in parties:
        for interval in each["intervals"]:
            found.setdefault((interval["address"], interval["port"]), []).append(each)
    return found


LEAD = Lead(
    id="a" * 32,
    subject="s",
    force="AT",
    tier="E2",
    country="AT",
    uncertain=False,
    caveats=("possession not tested",),
    intervals=(Interval("127.10.0.1", 6881, "tcp", START + 1, END - 1, "W-01", "E2", END - START - 2),),
    contacts=2,
)


def test_a_true_lead_is_true():
    owner, wrong = judge(LEAD, owners(party()))
    assert (owner["id"], wrong) == ("P1", "")


@pytest.mark.parametrize(
    ("lead", "whose", "says"),
    [
        (replace(LEAD, contacts=0), {}, "E0"),
        (replace(LEAD, country="DE"), {}, "names DE"),
        (LEAD, {"promiscuous": True}, "promiscuous"),
        (LEAD, {"watches": {"W-01": "E2, torrent only"}}, "states E2"),
        (LEAD, {"watches": {"W-02": "E2"}}, "states E2"),
        (replace(LEAD, tier="E2, torrent only"), {"watches": {"W-01": "E1"}}, "states E2, torrent only"),
        (
            replace(LEAD, intervals=(*LEAD.intervals, replace(LEAD.intervals[0], watch="W-02"))),
            {"watches": {"W-01": "E2", "W-02": "E2, torrent only"}},
            "states E2 for W-02",
        ),
        (
            replace(LEAD, intervals=(replace(LEAD.intervals[0], span_ns=REVISIT // 2),)),
            {},
            "less than the revisit interval apart",
        ),
        (replace(LEAD, force="DE"), {}, "with DE, the truth is AT"),
        (replace(LEAD, hearsay=1), {}, "E0"),
        (LEAD, {"shared": True}, "shared address"),
        (replace(LEAD, intervals=(replace(LEAD.intervals[0], to_ns=END + 1),)), {}, "another party's time"),
        (replace(LEAD, intervals=(replace(LEAD.intervals[0], port=1),)), {}, "nobody"),
        (replace(LEAD, intervals=(replace(LEAD.intervals[0], transport="utp"),)), {}, "another party's time"),
    ],
)
def test_each_way_to_be_false(lead, whose, says):
    assert says in judge(lead, owners(party(**whose)), REVISIT)[1]


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
    assert judge(lead, owners(party(**whose)))[1] == ""


def test_a_lead_that_spans_a_reassignment_is_false():
    half = (START + END) // 2
    line = party()["intervals"][0]
    first, second = (
        party("P1", intervals=[{**line, "to_ns": half}]),
        party("P2", intervals=[{**line, "from_ns": half}]),
    )
    both = replace(
        LEAD,
        intervals=(
            replace(LEAD.intervals[0], to_ns=half - 1),
            replace(LEAD.intervals[0], from_ns=half + 1),
        ),
    )
    assert "reassignment" in judge(LEAD, owners(first, second))[1]
    assert "reassignment" in judge(both, owners(first, second))[1]
    assert judge(replace(both, intervals=both.intervals[:1]), owners(first, second))[0]["id"] == "P1"


@pytest.fixture
def case(tmp_path):
    made = Case.create(tmp_path / "case", operation="x", force="XX", authority="0" * 64, actor="test")
    yield made
    made.close()


def put(case, lead, sightings=("s1", "s2"), torrent_only=0):
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
                "E2",
                interval.watch,
                canonical(list(sightings)),
            ),
        )
        tx.execute(
            "INSERT INTO leads VALUES (?,?,?,1,1.0,'E2',?,?,?,'isp','[]','{}',?,'[]',0,'assigned')",
            (
                lead.id,
                lead.subject,
                lead.force,
                torrent_only,
                lead.country,
                int(lead.uncertain),
                canonical(list(lead.caveats)),
            ),
        )


def see(case, *ids, kind="contact", tier="E2", transcript=b""):
    rows = []
    for each in ids:
        row = {f.name: "" for f in shards.SCHEMAS["sightings"]}
        row |= {f.name: 0 for f in shards.SCHEMAS["sightings"] if str(f.type) == "int64"}
        row |= {f.name: b"" for f in shards.SCHEMAS["sightings"] if str(f.type) == "binary"}
        rows.append(row | {"promiscuous": False, "id": each, "kind": kind, "tier": tier, "transcript": transcript})
    with case.write("observe") as tx:
        pending = shards.write(case, "sightings", rows)
        shards.commit(tx, stage="observe", batch=ids[0], versions="1", config="", pending=[pending])


def test_a_case_is_scored(case):
    see(case, "s1", "s2")
    see(case, "s3", kind="listed", tier="E0")
    put(case, LEAD)
    put(case, replace(LEAD, id="b" * 32, subject="t"))
    put(case, replace(LEAD, id="c" * 32, subject="u"), sightings=("s3",))
    put(case, replace(LEAD, id="d" * 32, subject="v", force=None))
    found = score(case, truth(party(), party("P2", contactable=True, intervals=[]), party("P3", contactable=False)))
    assert (found.planted, found.contactable, found.found, found.split) == (3, 2, 1, 1)
    assert len(found.false) == 1
    assert "E0" in found.false[0]
    assert len(found.missed) == 1
    assert len(found.misplaced) == 1
    assert [lead.contacts for lead in read_leads(case)] == [2, 2, 0, 2]
    assert found.as_dict()["title"] == "Range error rates; field rates unknown"


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


@pytest.mark.parametrize(("count", "total"), [(0, 245), (2, 245), (0, 10), (5, 5), (0, 0)])
def test_the_bound(count, total):
    most = bound(count, total)
    if total == 0:
        assert most is None
    elif count == total:
        assert most == 1.0
    else:
        tail = sum(math.comb(total, k) * most**k * (1 - most) ** (total - k) for k in range(count + 1))
        assert tail == pytest.approx(0.05, abs=0.002)
