"""Leads: who holds them, what stands beside them, and that a second run says the same."""

import hashlib
import json
from datetime import UTC, datetime

import pytest

from clew.attribute import listing, prior
from clew.attribute.api import RegisterSpec
from clew.attribute.caveats import LIMITS
from clew.attribute.run import Policy, _open, attribute
from clew.attribute.where import where
from clew.core import forces, sent
from clew.core.errors import Damaged, Held, Refused, Usage
from clew.core.lease import lease
from clew.model import Force

DAY = 86_400_000_000_000
NOW = int(datetime(2026, 11, 20, tzinfo=UTC).timestamp()) * 1_000_000_000
MINUTE = 60_000_000_000
KINDS = "".join(
    f"127.10.{third}.0/24,,,{kind}\n"
    for third, kind in ((72, "cgnat"), (80, "hosting"), (96, "vpn"), (104, "tor"), (1, "isp"), (64, "mobile"))
)


@pytest.fixture
def register(tmp_path):
    def make(rows, dated="2026-11-15", name="list"):
        path = tmp_path / f"{name}.csv"
        path.write_text(f"# dated: {dated}\nnetwork,country,subdivision,kind\n{rows}", "utf-8")
        return RegisterSpec("prefixes", path)

    return make


@pytest.fixture
def countries(register):
    return register(
        "127.10.0.0/16,AT,,\n127.11.0.0/17,DE,N,\n127.11.128.0/17,DE,S,\n127.12.0.0/16,FR,,\n", name="first"
    )


@pytest.fixture
def full(case):
    for code, country, region in (("AT", "AT", None), ("DE-N", "DE", "N"), ("DE-S", "DE", "DE-S"), ("XX", "XX", None)):
        forces.add(case, Force(code, f"Force {code}", country, region, None, None))
    return case


BETWEEN = NOW - DAY - 5 * 20 * MINUTE + 2 * MINUTE  # of the sixth: after the first


def sight(n, address="127.10.1.1", at=NOW - DAY, **changes):
    return {
        "id": f"s{n:03d}", "kind": "contact", "watch": "w1", "tier": "E2", "claim": "watched file", "source": "tracker",
        "address": address, "port": 6881, "transport": "tcp", "started_ns": at + n * 20 * MINUTE,
        "ended_ns": at + n * 20 * MINUTE + MINUTE, "peer_id": b"-qB4630-" + bytes([n] * 12),
        "client": "qBittorrent/4.6.3", "pieces_claimed": 10, "inner_claimed": 5, "promiscuous": False,
    } | changes  # fmt: skip


def claims(address="127.10.1.1", start=0, **changes):
    return [sight(start, address, **changes), sight(start + 1, address, **changes)]


@pytest.fixture
def run(put):
    def do(case, rows, registers, **options):
        if rows:
            put(case, "sightings", rows, "observe")
        summary = attribute(case, registers=registers, now_ns=NOW, **options)
        return summary, case.read().execute("SELECT * FROM leads ORDER BY force, rank").fetchall()

    return do


def dump(case):
    tables = ("subjects", "subject_intervals", "possible_links", "leads", "lead_details", "registers")
    return {t: [tuple(r) for r in case.read().execute(f"SELECT * FROM {t}")] for t in tables}


def test_a_lead_goes_to_the_force_of_its_country_with_reasons_and_limits(full, countries, run):
    summary, (lead,) = run(full, claims(), [countries])
    assert (lead["force"], lead["state"], lead["country"], lead["uncertain"]) == ("AT", "assigned", "AT", 0)
    assert (lead["tier"], lead["torrent_only"], lead["rank"]) == ("E2", 0, 1)
    assert json.loads(lead["caveats"])[0] == LIMITS
    assert json.loads(lead["features"])["watched_files"] == 1
    assert lead["expires_ns"] > NOW
    assert summary.forces == {"AT": 1}
    (lookup,) = json.loads(lead["lookups"])
    assert (lookup["country"], lookup["dated"][:10], lookup["stale"]) == ("AT", "2026-11-15", None)


def test_registers_are_recorded_by_name_digest_and_date(full, countries, run):
    run(full, claims(), [countries])
    (row,) = full.read().execute("SELECT * FROM registers").fetchall()
    assert row["sha256"] == hashlib.sha256(countries.path.read_bytes()).digest()
    assert (row["plugin"], row["name"]) == ("prefixes", "prefixes first.csv")
    assert row["dated_ns"] == int(datetime(2026, 11, 15, tzinfo=UTC).timestamp()) * 10**9


@pytest.mark.parametrize(
    ("address", "force", "state"),
    [("127.11.1.1", "DE-N", "assigned"), ("127.11.200.1", "DE-S", "assigned"), ("127.12.1.1", None, "coordinator"),
     ("127.99.1.1", None, "coordinator")],
    ids=["north", "south", "a country without a force", "nobody knows"],
)  # fmt: skip
def test_the_force_of_a_place(full, countries, address, force, state, run):
    _, (lead,) = run(full, claims(address), [countries])
    assert (lead["force"], lead["state"]) == (force, state)


def test_two_registers_that_disagree_leave_the_lead_with_the_coordinator(full, countries, register, run):
    second = register("127.10.1.0/24,DE,N,\n", name="second")
    _, (lead,) = run(full, claims(), [countries, second])
    assert (lead["force"], lead["state"], lead["uncertain"]) == (None, "coordinator", 1)
    assert any("contradict each other" in line for line in json.loads(lead["against"]))


def test_two_registers_that_disagree_about_the_region(full, countries, register, run):
    second = register("127.11.1.0/24,DE,S,\n", name="second")
    _, (lead,) = run(full, claims("127.11.1.1"), [countries, second])
    assert (lead["force"], lead["uncertain"]) == (None, 1)


@pytest.mark.parametrize("dated", ["2026-09-01", "2027-02-01"])
def test_a_stale_register_confirms_nothing(full, register, dated, run):
    stale = register("127.10.0.0/16,AT,,\n", dated=dated)
    _, (lead,) = run(full, claims(), [stale])
    assert (lead["force"], lead["uncertain"]) == (None, 1)
    assert any("days from the sighting" in line for line in json.loads(lead["against"]))
    _, (lead,) = run(full, [], [stale], policy=Policy(stale_days=100))
    assert (lead["force"], lead["uncertain"]) == ("AT", 0)


@pytest.mark.parametrize(
    ("dated", "force"),
    [(range(0, 71, 14), "AT"), ((70, 20), "AT"), ((70,), None), ((0,), None), ((80, 50, 10), "AT"), ((80, 0), None),
     ((35,), None)],
    ids=["each fortnight", "two", "the first alone", "the last alone", "from before on", "a gap", "amid"],
)  # fmt: skip
def test_registers_confirm_together_what_lasted_longer_than_one_of_them_may(full, register, run, dated, force):
    """Somebody who was seen on each of 70 days: each moment needs a register near it, not each register all of them."""
    days = [(NOW - back * DAY) // DAY for back in dated]
    registers = [
        register("127.10.0.0/16,AT,AT-9,cgnat\n", f"{datetime.fromtimestamp(d * 86_400, UTC):%Y-%m-%d}", f"of {d}")
        for d in days
    ]
    rows = [sight(n, at=NOW - (70 - n) * DAY - n * 20 * MINUTE) for n in range(71)]
    _, (lead,) = run(full, rows, registers)
    assert (lead["force"], lead["uncertain"], lead["country"]) == (force, int(force is None), "AT")
    told = [line for line in json.loads(lead["against"]) if "more than 30 days from every register" in line]
    assert len(told) == int(force is None), lead["against"]


def test_a_stale_register_leads_to_no_part_of_a_country(full, register):
    fresh = register("127.10.0.0/16,DE,,\n", name="fresh")
    old = register("127.10.0.0/16,DE,N,\n", dated="2020-01-01", name="old")
    place = where("127.10.0.1", (NOW,), _open(full, [fresh, old], NOW), 30)
    assert (place.country, place.subdivision, place.uncertain) == ("DE", None, False)
    new = register("127.10.0.0/16,DE,N,\n", name="new")
    assert where("127.10.0.1", (NOW,), _open(full, [fresh, new], NOW), 30).subdivision == "N"


def test_a_stale_register_still_contradicts(full, countries, register, run):
    stale = register("127.10.0.0/16,FR,,\n", dated="2020-01-01", name="old")
    _, (lead,) = run(full, claims(), [countries, stale])
    assert (lead["force"], lead["uncertain"]) == (None, 1)


def test_a_register_without_a_date_is_uncertain_until_one_is_stated(full, tmp_path, run):
    path = tmp_path / "undated.csv"
    path.write_text("network,country\n127.10.0.0/16,AT\n", "utf-8")
    _, (lead,) = run(full, claims(), [RegisterSpec("prefixes", path)])
    assert lead["uncertain"] == 1
    _, (lead,) = run(full, [], [RegisterSpec("prefixes", path, NOW)])
    assert (lead["force"], lead["uncertain"]) == ("AT", 0)


@pytest.mark.parametrize("dated", ["9999-01-01", "1811-01-01"])
def test_a_register_of_a_date_that_none_has_is_refused_in_words(full, register, run, dated):
    with pytest.raises(Damaged, match="2116"):
        run(full, claims(), [register("127.10.0.0/16,AT,,\n", dated=dated)])


@pytest.mark.parametrize(
    ("third", "word"),
    [(72, "carrier-grade NAT"), (80, "hosting"), (96, "VPN"), (104, "Tor"), (64, "mobile"), (2, "unknown kind")],
)
def test_each_kind_of_network_has_its_caveat(full, countries, register, third, word, run):
    _, (lead,) = run(full, claims(f"127.10.{third}.1"), [countries, register(KINDS, name="kinds")])
    assert any(word in line for line in json.loads(lead["caveats"]))
    assert lead["country"] == "AT"


def test_an_ordinary_line_alone_at_its_address_has_no_caveat_but_the_limits(full, countries, register, run):
    _, (lead,) = run(full, claims(), [countries, register(KINDS, name="kinds")])
    assert json.loads(lead["caveats"]) == [LIMITS]


def test_several_ports_or_clients_at_one_address_are_said(full, countries, register, run):
    rows = claims() + claims(start=2, port=7000)
    _, leads = run(full, rows, [countries, register(KINDS, name="kinds")])
    assert len(leads) == 2
    for lead in leads:
        assert any("shared address" in line for line in json.loads(lead["caveats"]))


def test_a_port_that_was_called_there_and_never_answered_is_a_sign_too(full, countries, register, run):
    silent = [dict(row, tier="E0", claim="nothing said") for row in claims(start=2, port=7000)]
    _, (lead,) = run(full, claims() + silent, [countries, register(KINDS, name="kinds")])
    told = "perhaps a shared address: 1 other port listed here; 1 did not answer"
    assert json.loads(lead["caveats"]) == [LIMITS, told]


def test_torrent_only_is_kept_apart(full, countries, run):
    rows = claims(claim="torrent only", inner_claimed=0) + claims("127.10.1.2", 2)
    summary, leads = run(full, rows, [countries])
    assert [lead["torrent_only"] for lead in leads] == [0, 1], "what claims the file ranks before what may not"
    assert summary.torrent_only == 1
    assert any("torrent only" in line for line in json.loads(leads[1]["caveats"]))
    tiers = full.read().execute("SELECT DISTINCT tier FROM subject_intervals ORDER BY tier").fetchall()
    assert [row["tier"] for row in tiers] == ["E2", "E2, torrent only"]


def test_neither_listings_nor_answers_nor_promiscuous_endpoints_make_leads(full, countries, run):
    rows = [
        *(sight(n, "127.10.1.1", kind="listed", tier="E0", claim="nothing said") for n in range(3)),
        *(sight(n + 3, "127.10.1.2", tier="E1") for n in range(3)),
        *claims("127.10.1.3", 6),
        sight(8, "127.10.1.3", kind="control", watch="w2", tier="E1", claim="nothing said", promiscuous=True),
    ]
    summary, leads = run(full, rows, [countries])
    assert leads == []
    assert summary.refused["promiscuous endpoints"] == 1
    assert full.read().execute("SELECT count(*) FROM subjects").fetchone()[0] == 0


def test_what_speaks_against_it_is_said(full, countries, run):
    other = {"client": "Transmission 4.0.5", "peer_id": b"-TR4050-" + bytes(12)}
    rows = [*claims(), sight(2, pieces_claimed=4), sight(3, tier="E0", claim="nothing said", missing="unreadable"),
            sight(4, tier="E1", **other)]  # fmt: skip
    _, (lead,) = run(full, rows, [countries])
    against = " / ".join(json.loads(lead["against"]))
    changed = "the client changed from qBittorrent/4.6.3 to Transmission 4.0.5"
    for word in ("brought no claim", "merge refused", changed, "a claim of w1 shrank", "no control probe"):
        assert word in against


def test_a_control_probe_that_found_nothing_is_no_longer_missing(full, countries, run):
    probe = sight(5, at=BETWEEN, kind="control", tier="E0", claim="nothing said", missing="unreadable")
    _, (lead,) = run(full, [*claims(), probe], [countries])
    assert any("no control probe" in line for line in json.loads(lead["against"])), "one that broke off tells nothing"
    _, (lead,) = run(full, [probe | {"id": "s006", "missing": None}], [countries])
    assert not any("no control probe" in line for line in json.loads(lead["against"]))


OTHER_CLIENT = {"client": "Transmission 4.0.5", "peer_id": b"-TR4050-" + bytes(12)}


@pytest.mark.parametrize(
    ("probe", "other", "unprobed"),
    [
        ({"at": BETWEEN}, OTHER_CLIENT, 1),
        ({"at": BETWEEN}, {"transport": "mse-rc4/utp"}, 1),
        ({"at": BETWEEN, "transport": "utp"}, {"transport": "mse-rc4/utp"}, 2),
        ({"at": BETWEEN - 10 * 20 * MINUTE}, {}, 1),
        ({"at": BETWEEN, "transport": "mse/tcp"}, {}, 1),
    ],
    ids=["another client", "another carrier", "of the other carrier at another time", "before all contacts", "MSE"],
)
def test_a_control_probe_speaks_for_whom_it_was_made_of_alone(full, countries, run, probe, other, unprobed):
    """Behind one address and port there may be another machine later, and over the other carrier."""
    control = sight(5, kind="control", tier="E0", claim="nothing said", client=None, peer_id=None, **probe)
    later = claims(start=2, **other) if other else []
    _, leads = run(full, [*claims(), control, *later], [countries])
    assert sum("no control probe" in lead["against"] for lead in leads) == unprobed
    assert len(leads) == (2 if other else 1)


def test_a_second_run_writes_the_same_and_ids_stay_when_evidence_grows(full, countries, run):
    run(full, claims() + claims("127.10.1.2", 2), [countries])
    first = dump(full)
    run(full, [], [countries])
    assert dump(full) == first
    run(full, [sight(9)], [countries])
    assert {row[0] for row in dump(full)["leads"]} == {row[0] for row in first["leads"]}


def test_a_lead_expires(full, countries, run):
    summary, (lead,) = run(full, claims(at=NOW - 30 * DAY), [countries], policy=Policy(keep_days=29))
    assert (lead["state"], summary.expired) == ("expired", 1)


def test_an_open_alarm_comes_first_and_is_not_lost(full, countries, run):
    rows = claims() + claims("127.10.1.2", 2, at=NOW - 20 * DAY)
    _, leads = run(full, rows, [countries])
    late = leads[1]["id"]
    with full.write("review") as tx:
        tx.execute(
            "INSERT INTO alarms (id, about_kind, about, reason, raised_by, raised_ns) VALUES (?,?,?,?,?,?)",
            ("a1", "lead", late, "a child may be at risk", "tester", NOW),
        )
        tx.execute(
            "INSERT INTO alarms (id, about_kind, about, reason, raised_by, raised_ns) VALUES (?,?,?,?,?,?)",
            ("a2", "lead", "gone", "a lead of before", "tester", NOW),
        )
    summary, leads = run(full, [], [countries])
    assert (leads[0]["id"], leads[0]["rank"]) == (late, 1)
    assert json.loads(leads[0]["features"])["urgent"] == 1
    assert any("no longer made" in line for line in summary.covered)


def test_without_a_mandate_nothing_is_done(bare_case, countries, put, allow):
    put(bare_case, "sightings", claims(), "observe")
    with pytest.raises(Refused):
        attribute(bare_case, registers=[countries], now_ns=NOW)
    allow(bare_case, purposes=["observe"])
    with pytest.raises(Refused):
        attribute(bare_case, registers=[countries], now_ns=NOW)
    assert bare_case.read().execute("SELECT count(*) FROM subjects").fetchone()[0] == 0


def test_what_lies_outside_every_mandate_makes_no_lead(bare_case, countries, run, allow):
    allow(bare_case, addresses=["127.10.0.0/16"], countries=["AT"])
    summary, leads = run(bare_case, claims() + claims("127.11.1.1", 2), [countries])
    assert [lead["country"] for lead in leads] == ["AT"]
    assert summary.refused["outside every mandate"] == 1


@pytest.mark.parametrize(
    ("other", "covered", "made"),
    [
        ("127.10.0.0/16,FR,,\n", ["DE"], False),  # they name two countries, and neither is in scope
        ("127.10.0.0/16,FR,,\n", ["FR"], True),
        ("127.10.0.0/16,FR,,\n", ["AT"], True),
        ("", ["DE"], False),  # certain
    ],
)
def test_an_uncertain_place_has_to_lie_in_a_country_of_the_mandate(
    bare_case, countries, register, run, allow, other, covered, made
):
    allow(bare_case, countries=covered)
    registers = [countries, register(other, name="other")]
    summary, leads = run(bare_case, claims(), registers)
    assert (len(leads), summary.refused["outside every mandate"]) == (made, not made)


def test_a_stale_register_puts_nobody_into_a_mandate_and_none_at_all_leaves_it_to_the_addresses(
    bare_case, register, run, allow
):
    allow(bare_case, countries=["DE"])
    assert run(bare_case, claims(), [register("127.10.0.0/16,AT,,\n", dated="2020-01-01")])[1] == []
    assert len(run(bare_case, [], [register("127.99.0.0/16,AT,,\n")])[1]) == 1


def test_a_second_run_at_once_is_refused(full, countries):
    with lease(full, "attribute", full.settings.id), pytest.raises(Held):
        attribute(full, registers=[countries], now_ns=NOW)


def test_a_broken_register_stops_the_run_and_leaves_the_leads(full, countries, tmp_path, run):
    run(full, claims(), [countries])
    first = dump(full)
    (tmp_path / "bad.csv").write_text("network,country\n127.10.0.0/7,AT\n", "utf-8")
    with pytest.raises(Damaged, match="line 2"):
        attribute(full, registers=[RegisterSpec("prefixes", tmp_path / "bad.csv")], now_ns=NOW)
    assert dump(full) == first


@pytest.mark.parametrize("dated", ["9999-01-01", "0001-01-01"])
def test_a_register_of_a_time_that_none_can_have_is_refused_in_words(full, register, dated):
    with pytest.raises(Damaged, match="is dated before 1970 or after 2116"):
        attribute(full, registers=[register("127.10.0.0/16,AT,,\n", dated=dated)], now_ns=NOW)


def test_the_run_is_in_the_ledger_without_any_address(full, countries, run):
    run(full, claims(), [countries])
    lines = [row["line"] for row in full.read().execute("SELECT line FROM ledger")]
    (line,) = [json.loads(line) for line in lines if json.loads(line)["action"] == "leads.rebuilt"]
    assert line["counts"]["leads"] == 1
    assert line["mandate"]
    assert not any("127.10" in line for line in lines)


def test_prior_knowledge_is_kept_apart(full, countries, run):
    run(full, claims(), [countries])
    before = dump(full)
    (lead,) = listing.leads(full, force="AT")
    assert lead["prior_knowledge"] == []
    prior.add(full, address="127.10.1.1", statement="an earlier case", source="file 12")
    prior.add(full, address="127.10.1.1", port=1, statement="about another port", source="file 13")
    prior.add(full, subject=lead["subject"], statement="a known client", source="file 14")
    run(full, [], [countries])
    assert dump(full) == before, "prior knowledge changes neither rank nor caveats"
    (lead,) = listing.leads(full)
    assert [p["statement"] for p in lead["prior_knowledge"]] == ["an earlier case", "a known client"]
    assert lead["reasons"]
    assert lead["intervals"][0]["address"] == "127.10.1.1"


@pytest.mark.parametrize(
    "wrong",
    [{}, {"address": "x"}, {"address": "127.0.0.1", "subject": "s"}, {"subject": "nobody"},
     {"address": "127.0.0.1", "port": 0}, {"address": "127.0.0.1", "statement": " "}],
)  # fmt: skip
def test_prior_knowledge_about_nothing_is_refused(full, wrong):
    with pytest.raises(Usage):
        prior.add(full, **({"statement": "x", "source": "y"} | wrong))
    assert prior.all_of(full) == []


def test_listing_by_holder(full, countries, run):
    run(full, claims() + claims("127.12.1.1", 2), [countries])
    assert [lead["country"] for lead in listing.leads(full, force="coordinator")] == ["FR"]
    assert [lead["force"] for lead in listing.leads(full, force="AT")] == ["AT"]
    assert len(listing.leads(full)) == 2


def left(case, lead):
    """Stands for the Bundle of its force that holds it."""
    sql = "SELECT address, port, transport, from_ns, to_ns FROM subject_intervals WHERE subject = ?"
    times = [tuple(row) for row in case.read().execute(sql, (lead["subject"],))]
    kept = json.dumps({lead["id"]: sent.as_kept(lead["subject"], lead["rank"], lead["expires_ns"], times)})
    with case.write("share") as tx:
        tx.execute("INSERT INTO bundles VALUES (?,?,'',x'00',1,?,?,'{}')", ("b" * 32, lead["force"], NOW, kept))


def test_a_lead_that_left_and_does_not_stand_is_told_to_who_runs_attribute(full, countries, register, run):
    told = "not told yet, so share with AT again: lead {} (127.10.1.1 port 6881) left for AT, last in the bundle bbbbbb"
    _, (lead,) = run(full, claims(), [countries])
    left(full, lead)
    summary, _ = run(full, claims(start=2), [countries])
    assert not any("left for" in line for line in summary.covered), "it has grown, and stands"
    summary, (moved,) = run(full, [], [register("127.10.0.0/16,DE,N,\n", name="later")])
    assert moved["force"] == "DE-N"
    assert summary.covered[-1].startswith(told.format(lead["id"]))
    assert summary.covered[-1].endswith("its place is another force's: DE")
    summary, _ = run(full, [], [countries, register("127.10.0.0/16,DE,N,\n", name="later")])
    assert summary.covered[-1].endswith(sent.UNSURE)
    another = {"id": "s900", "client": "Transmission 4.0.0", "peer_id": b"-TR4000-" + bytes(12)}
    summary, _ = run(full, [sight(0, at=NOW - DAY + 10 * MINUTE) | another], [countries])
    assert summary.covered[-1].endswith(sent.OTHERWISE)
    summary, none = run(full, [sight(9, kind="control", promiscuous=True)], [countries])
    assert none == []
    assert summary.covered[-1].endswith(sent.ANYTHING)
    with full.write("share") as tx:
        tx.execute("UPDATE bundles SET taken_back = ?", (json.dumps({lead["id"]: sent.ANYTHING}),))
    summary, _ = run(full, [], [countries])
    assert summary.covered[-1] == "leads that left in bundles and were taken back since: 1"


def test_prior_knowledge_that_stands_beside_no_lead_any_more_is_counted(full, countries, run):
    _, (lead,) = run(full, claims(), [countries])
    prior.add(full, subject=lead["subject"], statement="a known client", source="file 14")
    prior.add(full, address="127.10.1.1", port=6881, statement="an earlier case", source="file 15")
    summary, _ = run(full, [], [countries])
    assert (prior.unshown(full), "prior knowledge" in summary.covered[-1]) == ([], False)
    summary, (other,) = run(full, [sight(0, at=NOW - DAY - 60 * MINUTE) | {"id": "s901"}], [countries])
    assert other["subject"] != lead["subject"], "an earlier contact came in: the Subject has another id"
    assert summary.covered[-1] == "entries of prior knowledge that stand beside no lead: 1 (clew prior list CASE)"
    assert [p.source for p in prior.unshown(full)] == ["file 14"]
    run(full, [sight(9, kind="control", promiscuous=True)], [countries])
    assert [p.source for p in prior.unshown(full)] == ["file 14", "file 15"]


def test_a_lead_that_left_and_has_another_id_now_is_named_by_it(full, countries, run):
    _, (lead,) = run(full, claims(), [countries])
    left(full, lead)
    summary, (other,) = run(full, [sight(0, at=NOW - DAY - 60 * MINUTE) | {"id": "s901"}], [countries])
    assert summary.covered[-1].endswith(f"it stands, as another lead: {other['id']}")


def test_a_lead_of_the_torrent_alone_that_claims_the_file_by_now_still_stands(full, countries, run):
    _, (lead,) = run(full, claims(claim="torrent only", inner_claimed=0), [countries])
    left(full, lead)
    _, (now,) = run(full, claims(start=2), [countries])
    assert (now["id"], lead["torrent_only"], now["torrent_only"]) == (lead["id"], 1, 0)
    assert sent.changed(full) == [], "its times begin later, and nothing that was said of the earlier ones is less true"
