"""The pages for a provider and for a person: complete, refused without a clock, without script, infohash or escape."""

import json
import re

import pytest
from lead_case import HOSTILE, HOUR, INFOHASH, claims, contact, lead_case

from clew.attribute import ask_by, lead_page, listing, prior, provider, urgency
from clew.attribute.api import NetworkKind
from clew.attribute.run import Policy
from clew.core import clock, coverage
from clew.core.errors import Damaged, Refused, Usage
from clew.core.network_words import network_words
from clew.model import carrier
from facts_case import allow, put

MARKS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def forbidden(page):
    """What of the "never" list stands on a page."""
    lowered = page.lower()
    found = [word for word in ("magnet:", "<script", "javascript:", "http://", "https://", "<img", "<link", " on") if
             word in lowered and (word != " on" or re.search(r"<[^>]* on\w+=", lowered))]  # fmt: skip
    return found + [hex_ for hex_ in (INFOHASH.hex(),) if hex_ in lowered] + MARKS.findall(page)


@pytest.fixture
def one(case, tmp_path):
    (label,) = lead_case(case, tmp_path, [*claims(), contact(3, 10, transport="tcp")], kind="cgnat")
    return label


def shown(case, label):
    return lead_page.page(case, listing.lead(case, label), coverage.read(case))


def test_every_connection_has_its_own_line_with_both_ends(case, one):
    asked = provider.question(case, one, None)
    rows = case.read().execute("SELECT transport FROM subject_intervals").fetchall()
    assert {carrier(row[0]) for row in rows} == {"tcp"}
    assert [(x.address, x.port, x.our_address, x.our_port, x.protocol) for x in asked.lines] == [
        ("127.10.1.23", 51413, "127.9.0.1", 40_000 + n, "TCP") for n in (1, 2, 3)
    ]  # fmt: skip
    page = provider.page(case, asked)
    for line in asked.lines:
        for text in (line.first, line.last):
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)
            assert text.replace("T", " ").removesuffix("Z") in page
        assert f"port {line.our_port}" in page
        assert line.clock_error_ms == "3.401", "rounded up"
        assert line.clock_offset_ms == "-0.012"
    assert asked.widen_ms == 5, "|offset| + error = 3.413 ms, in whole milliseconds, and one for the digits that end"
    assert "5&nbsp;ms" in page
    assert forbidden(page) == []


@pytest.mark.parametrize("kind", NetworkKind)
def test_the_kind_of_network_is_said_in_words(case, tmp_path, kind):
    """In short, and once more where each register is named."""
    (label,) = lead_case(case, tmp_path, claims(), kind=kind)
    words = network_words(kind)
    assert (words == kind) is (kind is NetworkKind.UNKNOWN)
    page = shown(case, label)
    assert f"kind of network: {words}." in page
    assert f"<td>{words}</td>" in page
    assert network_words("one of a later clew") == "one of a later clew"


def test_utp_is_udp_to_a_provider(case, tmp_path):
    (label,) = lead_case(case, tmp_path, claims(transport="mse-rc4/utp"))
    asked = provider.question(case, label, None)
    assert {asked.protocol, *(line.protocol for line in asked.lines)} == {"UDP"}


@pytest.mark.parametrize(
    ("ours", "translated"),
    [("10.1.2.3", True), ("100.72.1.2", True), ("fd00::1", True), ("8.8.8.8", False), ("2001:4860::1", False)],
)
def test_that_a_router_may_have_translated_our_side_is_said(case, tmp_path, ours, translated):
    (label,) = lead_case(case, tmp_path, claims(local_address=ours))
    asked = provider.question(case, label, None)
    assert asked.our_side_private is translated
    assert ("a router of ours may have translated it" in provider.page(case, asked)) is translated


def test_an_ipv6_page_names_the_prefix(case, tmp_path):
    (label,) = lead_case(case, tmp_path, claims(address="2001:db8:1:2::10"))
    asked = provider.question(case, label, None)
    assert asked.prefix == "2001:db8:1:2::/64"
    assert "2001:db8:1:2::/64" in provider.page(case, asked)


@pytest.mark.parametrize(
    ("address", "how", "asked_for"),
    [
        ("2001:0:4136:e378:8000:63bf:f7f7:f7f7", "Teredo (RFC 4380)", "8.8.8.8, UDP port 40000"),
        ("2002:808:808:1::5", "6to4 (RFC 3056)", "8.8.8.8"),
    ],
)
def test_who_comes_through_a_tunnel_is_asked_for_by_the_address_inside(case, tmp_path, address, how, asked_for):
    """Its register tells of the tunnel: of a relay in another country, or nobody; its /64 is a server's."""
    (label,) = lead_case(case, tmp_path, claims(address=address), more=f"{address}/128,AT,,isp\n")
    lead = case.read().execute("SELECT uncertain, caveats FROM leads").fetchone()
    assert lead["uncertain"]
    assert [each for each in json.loads(lead["caveats"]) if how in each and asked_for in each]
    asked = provider.question(case, label, None)
    assert str(asked.inside) == asked_for
    assert asked.country == ""
    assert asked_for in provider.page(case, asked)
    assert how in provider.page(case, asked)


@pytest.mark.parametrize("blind", [{"clock_error_ns": None}, {"clock_offset_ns": None}])
@pytest.mark.parametrize("which", [{1}, {2}, {3}, {1, 3}])
def test_a_contact_by_a_clock_that_was_not_measured_is_left_out_and_counted(case, tmp_path, blind, which):
    rows = [contact(n, 20 - n, **(blind if n in which else {})) for n in (1, 2, 3)]
    (label,) = lead_case(case, tmp_path, rows)
    asked = provider.question(case, label, None)
    assert {line.our_port - 40_000 for line in asked.lines} == {1, 2, 3} - which
    assert (asked.first, asked.last) == (asked.lines[0].first, asked.lines[-1].last)
    are = "1 more is" if len(which) == 1 else "2 more are"
    assert f"{are} left out, since our clock was not measured" in provider.page(case, asked)
    entry = json.loads(case.read().execute("SELECT line FROM ledger ORDER BY seq DESC").fetchone()[0])
    assert entry["counts"] == {"lines": 3 - len(which), "left_out": len(which)}


@pytest.mark.parametrize("blind", [{"clock_error_ns": None}, {"clock_offset_ns": None}])
def test_refused_where_no_clock_was_measured(case, tmp_path, blind):
    (label,) = lead_case(case, tmp_path, [contact(n, 20 - n, **blind) for n in (1, 2, 3)])
    with pytest.raises(Refused, match="clock was not measured at any of the 3") as caught:
        provider.question(case, label, None)
    assert "NTP" in caught.value.hint


def test_a_clock_that_was_not_measured_at_a_contact_it_does_not_rest_on_is_no_matter(case, tmp_path):
    other = contact(9, 5, tier="E1", claim="nothing said", pieces_claimed=None, clock_error_ns=None)
    (label,) = lead_case(case, tmp_path, [*claims(), other])
    assert len(provider.question(case, label, None).lines) == 2


@pytest.mark.parametrize(("hours_ago", "told"), [(15, True), (60, False)])
def test_a_clock_that_was_set_meanwhile_is_said(case, one, hours_ago, told):
    at = clock.now().utc_ns - hours_ago * HOUR
    with case.write("observe") as tx:
        tx.execute(
            "INSERT INTO observe_gaps VALUES (?,?,?,?)", ("r", at, at - HOUR, "the clock was set 3600.000 s back")
        )
    page = provider.page(case, provider.question(case, one, None))
    assert ("the clock was set 3600.000 s back" in page) == told


def test_an_expired_lead_is_asked_no_more(case, tmp_path):
    (label,) = lead_case(case, tmp_path, claims(hours_ago=24 * 9), policy=Policy(keep_days=8))
    with pytest.raises(Refused, match="expired"):
        provider.question(case, label, None)


def test_without_a_period_the_answer_is_at_once(case, one):
    asked = provider.question(case, one, None)
    assert (asked.ask_by, asked.late) == (None, False)
    assert "<b>at once</b>: we do not know how long" in provider.page(case, asked)


def test_with_a_period_each_line_has_its_date(case, one):
    asked = provider.question(case, one, ask_by.Period(90, "section 1 of a made-up law", "2026-11-01"))
    first = case.read().execute("SELECT min(from_ns) FROM subject_intervals").fetchone()[0]
    assert asked.ask_by == asked.lines[0].ask_by == clock.iso(first + 90 * 24 * HOUR)
    page = provider.page(case, asked)
    assert "section 1 of a made-up law" in page
    assert "as of 2026-11-01" in page
    late = provider.question(case, one, ask_by.by_hand(1), now_ns=first + 2 * 24 * HOUR)
    assert late.late
    assert "may be gone already" in provider.page(case, late)


@pytest.mark.parametrize(
    ("kind", "words"),
    [("cgnat", "shared by many customers"), ("mobile", "mobile network"), ("unknown", "do not know whether"),
     ("isp", "no sharing"), ("hosting", "rented it"), ("vpn", "VPN"), ("proxy", "anonymising service may run"),
     ("tor", "Tor network")],
)  # fmt: skip
def test_what_kind_of_network_it_is_and_that_port_and_time_are_needed(case, tmp_path, kind, words):
    (label,) = lead_case(case, tmp_path, claims(), kind=kind)
    page = provider.page(case, provider.question(case, label, None))
    assert words in page
    assert "Port and time to the millisecond are needed" in page


def test_the_page_says_what_it_does_not_show_and_names_neither_client_nor_offence(case, one):
    page = provider.page(case, provider.question(case, one, None))
    assert "nsufficient alone to identify a user; possession not tested" in page
    page = re.sub(r"<style>.*</style>", "", page, flags=re.S)
    for word in ("Transmission", "child", "abuse", "torrent", "mse-rc4"):
        assert word not in page


def test_that_a_provider_is_asked_stands_in_the_ledger_without_the_address(case, one):
    provider.question(case, one, None)
    lines = [row["line"] for row in case.read().execute("SELECT line FROM ledger")]
    assert sum(json.loads(line)["action"] == "provider.asked" for line in lines) == 1
    assert not any("127.10.1" in line for line in lines)


def test_the_lead_page_holds_everything(case, tmp_path):
    failed = contact(8, 3, tier="E0", claim="nothing said", client=None, peer_id=None, missing="unreadable",
                     missing_detail="connection refused", pieces_claimed=None)  # fmt: skip
    rows = [*claims(), contact(3, 15, pieces_claimed=3, inner_claimed=1), failed]
    (label,) = lead_case(case, tmp_path, rows, kind="cgnat")
    urgency.declare(case, lead=label, reason="the reason of a person")
    prior.add(case, address="127.10.1.23", statement="an earlier case", source="file 12")
    page = shown(case, label)
    for text in (
        label, "127.10.1.23", "51413", "W-17", "shrank", "connection refused", "carrier-grade NAT", "no control probe",
        "the reason of a person", "watched files", "plain_sum", "no estimate", "an earlier case",
        "insufficient alone to identify a user", "expires",
    ):  # fmt: skip
        assert text in page, text
    assert forbidden(page) == []


def test_what_peers_call_themselves_is_escaped_masked_and_without_control_codes(case, tmp_path):
    hostile = {"client": HOSTILE, "peer_id": b"<b>" + bytes(17)}
    rows = [*claims(1, 40, **hostile), *claims(3, 20), *claims(5, 10, **hostile)]
    for label in lead_case(case, tmp_path, rows):
        page = shown(case, label)
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
        assert forbidden(page) == []
        assert forbidden(provider.page(case, provider.question(case, label, None))) == []
        told = json.dumps(listing.lead(case, label), ensure_ascii=False)
        assert INFOHASH.hex() not in told
        assert not MARKS.findall(told)


def test_reasons_of_people_are_escaped_too(case, one):
    urgency.declare(case, lead=one, reason="<img src=x onerror=alert(1)>")
    page = shown(case, one)
    assert "<img" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page


def test_nothing_can_run_or_load_on_a_page(case, one):
    for page in (shown(case, one), provider.page(case, provider.question(case, one, None))):
        assert re.search(r"default-src 'none'; style-src 'sha256-[A-Za-z0-9+/]{43}='; base-uri 'none'", page)
        assert not re.search(r"<(script|img|link|iframe|form|a)\b|style=|url\(", page)


def write(tmp_path, text):
    path = tmp_path / "periods.csv"
    path.write_text(text, "utf-8")
    return path


def test_periods_of_countries(tmp_path):
    path = write(tmp_path, "country,days,source,dated\nat,90,made up,2026-11-01\nDE,70,made up too,2026-10-01\n")
    assert ask_by.of_country(path, "AT") == ask_by.Period(90, "made up", "2026-11-01")
    assert ask_by.of_country(path, "de").days == 70
    assert ask_by.of_country(path, "FR") is None


@pytest.mark.parametrize(
    "row",
    ["AT,0,x,2026-11-01", "AT,x,x,2026-11-01", "AT,90,,2026-11-01", "AT,90,x,", "AT,90,x,yesterday", "AT,90",
     "A,9,x,2026-11-01", "AT,9,x,2026-11-01\nAT,8,x,2026-11-01"],
)  # fmt: skip
def test_a_period_without_country_days_source_or_day_is_refused(tmp_path, row):
    with pytest.raises(Damaged, match=r"line [23]"):
        ask_by.of_country(write(tmp_path, f"country,days,source,dated\n{row}\n"), "AT")


@pytest.mark.parametrize("days", [0, -1, 100_000])
def test_a_period_by_hand_that_is_none(days):
    with pytest.raises(Usage):
        ask_by.by_hand(days)


def later(case, *rows):
    """Sightings of a run that began after the leads were made."""
    put(case, "sightings", [row | {"run": "later", "sequence": n} for n, row in enumerate(rows, 1)], "observe")


def test_what_a_lead_does_not_know_yet_is_said_on_its_page_and_no_provider_is_asked(case, tmp_path, one):
    other = contact(20, 2, address="127.10.1.24")
    later(case, other)
    assert "called again" not in shown(case, one), "somebody else was"
    assert "came since the leads were made, and are in none: 1" in shown(case, one)
    provider.question(case, one, None)
    probe = contact(22, 1, kind="control", tier="E0", claim="nothing said", missing="unreadable")
    put(case, "sightings", [contact(21, 1) | {"run": "later", "sequence": 2}], "observe")
    assert "called again, which it does not weigh: contacts 1" in shown(case, one)
    provider.question(case, one, None)  # it claimed the same once more
    put(case, "sightings", [probe | {"run": "later", "sequence": 3}], "observe")
    told = "called again, which it does not weigh: contacts 1, control probes 1"
    assert told in shown(case, one)
    with pytest.raises(Refused, match=told) as caught:
        provider.question(case, one, None)
    assert "clew attribute" in caught.value.hint
    lead_case(case, tmp_path, [], kind="cgnat")
    assert "called again" not in shown(case, one)
    provider.question(case, one, None)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, None),
        ({"pieces_claimed": 90, "inner_claimed": 55}, None),
        ({"client": "-TR4050-"}, None),  # of a contact without an extension handshake: the prefix, which is the same
        ({"pieces_claimed": 8}, "a claim of W-17 shrank: 80 of 100 pieces, 50 inside the file at"),
        ({"inner_claimed": 2}, "80 of 100 pieces, 2 inside the file"),
        ({"client": f"Transmission 4.0.6 {INFOHASH.hex()}"}, r"another client answered: Transmission 4.0.6 \[infohash"),
        ({"peer_id": b"-qB4630-" + bytes(12), "client": None}, "another client answered: -qB4630-"),
        ({"pieces_claimed": 8, "transport": "utp"}, None),
    ],
    ids=["the same", "more", "less told", "fewer", "fewer inside", "a version", "a prefix", "over the other carrier"],
)
def test_no_provider_is_asked_over_a_claim_that_shrank_since_or_is_of_another_client(
    case, tmp_path, one, changes, told
):
    """Such a contact is E2 as those before it: its tier compares the level of the claim alone."""
    later(case, contact(21, 1), contact(22, 0.5, **changes), contact(23, 0.2, **changes))
    if told is None:
        assert len(provider.question(case, one, None).lines) == 3
        return
    with pytest.raises(Refused, match=told) as caught:
        provider.question(case, one, None)
    assert "read the lead page" in caught.value.hint
    lead_case(case, tmp_path, [])
    later_still = contact(24, 0.1, **changes) | {"run": "later", "sequence": 4}
    put(case, "sightings", [later_still], "observe")
    provider.question(case, one, None)  # the lead knows of it by now


def test_no_provider_is_asked_where_nobody_knows_what_the_lead_was_made_of(case, one):
    with case.write("core") as tx, tx.gate.core():
        tx.execute("DELETE FROM ledger_openings")
    assert "whether it was called again since this lead was made is not known" in shown(case, one)
    with pytest.raises(Refused, match="is not known"):
        provider.question(case, one, None)


def test_no_provider_is_asked_about_an_endpoint_that_is_promiscuous_meanwhile(case, one):
    with case.write("observe") as tx:
        sql = "INSERT INTO endpoints (watch, address, port, first_listed_ns, last_listed_ns, source, tier, control)"
        tx.execute(f"{sql} VALUES ('w17', '127.10.1.23', 51413, 1, 1, 't', 'E2', 'promiscuous')")
    with pytest.raises(Refused, match="answers for anything by now"):
        provider.question(case, one, None)


def test_no_provider_is_asked_where_no_country_that_a_register_names_is_in_a_mandate(case, one):
    with case.write("attribute") as tx:
        told = case.read().execute("SELECT lookups FROM leads").fetchone()[0]
        other = [each | {"country": country} for each, country in zip(json.loads(told) * 2, ("DE", "FR"), strict=True)]
        tx.execute("UPDATE leads SET uncertain=1, country='DE', lookups=?", (json.dumps(other),))
    with case.write("core") as tx, tx.gate.core():
        tx.execute("DELETE FROM mandates")
    allow(case, countries=["AT"])
    with pytest.raises(Refused, match="'FR' is out of scope"):
        provider.question(case, one, None)
    allow(case, countries=["DE"])
    provider.question(case, one, None)
