"""Unsigned, altered, expired or out of scope is refused, at every use."""

import ipaddress
import json

import pytest
from case_for_tests import MANDATE
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clew.core import keys, mandate, watch
from clew.core.case import Case
from clew.core.errors import ClewError, Damaged, Exit, Refused, Usage
from clew.core.mandate import parse_time
from clew.model import Watch

NOW = parse_time("2026-06-01T00:00:00Z")
WATCH = Watch("1" * 32, "W-1", b"\x01" * 20, None, 16384, 10, 0, 163840, "clew", "1", "tester", NOW, MANDATE["id"])


def signed(**changes: object) -> bytes:
    return mandate.sign_document("mandate", MANDATE | {"id": "2" * 32} | changes, keys.signing_key("authority"))


def test_what_it_covers_is_allowed_and_nothing_else(case: Case) -> None:
    good = {"purpose": "observe", "at_ns": NOW, "network": "bittorrent", "address": "127.12.0.9"}
    good["tracker"] = "http://127.1.0.1:6969/announce"
    assert mandate.require(case, **good).id == MANDATE["id"]
    wrong = {"network": "edonkey", "address": "128.0.0.1", "tracker": "http://other/", "permit": "dht", "at_ns": 0}
    for name, value in wrong.items():
        with pytest.raises(Refused, match="no Mandate covers this"):
            mandate.require(case, **(good | {name: value}))


def test_a_case_without_a_mandate_allows_nothing(tmp_path, key_folder) -> None:
    bare = Case.create(tmp_path / "b", operation="x", force="AT", authority=keys.read_public("authority"), actor="t")
    with pytest.raises(Refused, match="no Mandate allows to intake"):
        mandate.require(bare, purpose="intake", at_ns=NOW)


@pytest.mark.parametrize("purpose", mandate.PURPOSES)
def test_a_purpose_that_is_not_named_is_refused(case: Case, purpose: str) -> None:
    with case.write("core") as tx, tx.gate.core():
        tx.execute("DELETE FROM mandates")
    mandate.add(case, signed(purposes=[p for p in mandate.PURPOSES if p != purpose]))
    with pytest.raises(Refused, match=purpose):
        mandate.require(case, purpose=purpose, at_ns=NOW)


def test_expired_and_not_yet_valid(case: Case) -> None:
    with case.write("core") as tx, tx.gate.core():
        tx.execute("DELETE FROM mandates")
    mandate.add(case, signed(not_before="2026-01-01T00:00:00Z", not_after="2026-02-01T00:00:00Z"))
    for at in ("2025-12-31T23:59:59Z", "2026-02-01T00:00:01Z"):
        with pytest.raises(Refused, match="valid 2026-01-01"):
            mandate.require(case, purpose="observe", at_ns=parse_time(at))
    mandate.require(case, purpose="observe", at_ns=parse_time("2026-02-01T00:00:00Z"))


@given(st.ip_addresses(v=4), st.ip_addresses(v=4), st.integers(0, 32))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
def test_addresses_are_covered_exactly(case: Case, network, address, prefix: int) -> None:
    scope = ipaddress.ip_network((int(network), prefix), strict=False)
    made = mandate.from_body(MANDATE | {"addresses": [str(scope)]})
    first, last = int(scope.network_address), int(scope.broadcast_address)
    assert mandate._covers(made.addresses, str(address)) == (first <= int(address) <= last)


NO_COUNTRY = ("", "at", "At", "AUT", "A1", "A", "AT ", "AT\n", "AT,DE", "Austria", "\N{CYRILLIC CAPITAL LETTER A}T")


def ledger_size(case: Case) -> int:
    return int(case.read().execute("SELECT count(*) FROM ledger").fetchone()[0])


@pytest.mark.parametrize("code", NO_COUNTRY)
def test_a_country_that_is_no_code_is_refused_wherever_a_mandate_is_new(case: Case, tmp_path, clew, code: str) -> None:
    size, draft, bad, out = ledger_size(case), tmp_path / "draft.json", tmp_path / "bad.json", tmp_path / "out.json"
    draft.write_text(json.dumps(MANDATE | {"countries": ["DE", code]}), "utf-8")
    bad.write_bytes(signed(countries=["DE", code]))
    for words in (
        ("mandate", "draft", "--operation", "O", "--country", "DE", "--country", code, "--out", out),
        ("key", "sign", "mandate", draft, "--key", "authority", "--out", out),
        ("mandate", "add", case.folder, bad),
    ):
        status, said, error = clew(*words)
        assert (status, said) == (Exit.USAGE, "")
        assert " is no country code\n" in error
        assert "clew: hint: use ISO 3166-1 alpha-2, two capital letters, e.g. AT" in error
    assert not out.exists()
    assert ledger_size(case) == size
    assert [each.id for each in mandate.all_of(case)] == [MANDATE["id"]]


@pytest.mark.parametrize("countries", [[], ["*"], ["AT"], ["AT", "DE", "XK"], ["AT", "*"]])
def test_codes_and_all_of_them_are_countries(case: Case, countries: list[str]) -> None:
    assert mandate.from_draft(MANDATE | {"countries": countries}).countries == tuple(countries)
    assert mandate.add(case, signed(countries=countries)).countries == tuple(countries)


def test_an_odd_country_that_an_earlier_version_took_is_read_as_ever(case: Case, clew) -> None:
    document = signed(countries=["at", "Austria", "DE"])
    with case.write("core") as tx, tx.gate.core():
        tx.execute("DELETE FROM mandates")
        tx.execute("INSERT INTO mandates VALUES (?,?,?)", ("2" * 32, document, NOW))
    size = ledger_size(case)
    assert [each.countries for each in mandate.all_of(case)] == [("at", "Austria", "DE")]
    assert mandate.require(case, purpose="share", at_ns=NOW, country="DE").id == "2" * 32
    with pytest.raises(Refused, match="the country 'AT' is out of scope"):
        mandate.require(case, purpose="share", at_ns=NOW, country="AT")
    assert mandate.add(case, document).id == "2" * 32
    assert ledger_size(case) == size
    for words in (("mandate", "list"), ("status",), ("verify",)):
        assert clew(*words, case.folder)[0] == 0


def test_another_key_an_altered_body_and_no_signature(case: Case) -> None:
    keys.new_signing_key("stranger")
    foreign = mandate.sign_document("mandate", MANDATE, keys.signing_key("stranger"))
    with pytest.raises(Refused, match="another key"):
        mandate.add(case, foreign)
    altered = json.loads(signed())
    altered["body"]["addresses"] = ["0.0.0.0/0"]
    with pytest.raises(Damaged, match="signature"):
        mandate.add(case, json.dumps(altered).encode())
    with pytest.raises(Refused, match="no signed mandate"):
        mandate.add(case, json.dumps(MANDATE).encode())
    with pytest.raises(Refused, match="not a mandate, but a watch"):
        mandate.add(case, mandate.sign_document("watch", MANDATE, keys.signing_key("authority")))


@pytest.mark.parametrize("change", ["blank", "twice", "more", "nan"])
def test_what_can_be_read_in_two_ways_is_refused(case: Case, change: str) -> None:
    """The bytes that are kept are the bytes that were signed: canonical JSON, and nothing beside it."""
    good = signed().decode()
    bad = {
        "blank": good + "\n",
        "twice": good.replace('{"body"', '{"body":{},"body"'),
        "more": good.replace('{"body"', '{"a":1,"body"'),
        "nan": good.replace('{"addresses"', '{"a":NaN,"addresses"'),
    }[change]
    assert bad != good
    with pytest.raises(Refused):
        mandate.add(case, bad.encode())


def test_a_text_is_no_list() -> None:
    with pytest.raises(Usage, match="networks is no list"):
        mandate.from_body(MANDATE | {"networks": "*"})


@given(st.binary(max_size=200))
def test_junk_is_refused(junk: bytes) -> None:
    with pytest.raises(ClewError):
        mandate.open_document("mandate", junk, "00" * 32)


def test_a_row_altered_in_the_case_is_worthless(case: Case) -> None:
    with case.write("core") as tx, tx.gate.core():
        row = tx.execute("SELECT document FROM mandates").fetchone()
        altered = bytes(row[0]).replace(b"127.0.0.0/8", b"0.0.0.0/0")
        tx.execute("UPDATE mandates SET document = ?", (altered,))
    with pytest.raises(Damaged):
        mandate.require(case, purpose="observe", at_ns=NOW, address="198.51.100.1")


@pytest.mark.parametrize("field", [f for f in MANDATE if f != "operation"])
def test_a_field_that_is_missing_or_wrong_is_named(field: str) -> None:
    with pytest.raises(Usage, match=field):
        mandate.from_body({k: v for k, v in MANDATE.items() if k != field})


def test_watches_stand_under_a_mandate_of_the_case(case: Case) -> None:
    key = keys.signing_key("authority")
    body = watch.to_body(WATCH)
    assert watch.add(case, mandate.sign_document("watch", body, key)) == WATCH
    assert watch.add(case, mandate.sign_document("watch", body, key)) == WATCH  # again changes nothing
    assert watch.all_of(case) == [watch.get(case, "W-1")] == [WATCH]
    with pytest.raises(Refused, match="another Watch is called W-1"):
        watch.add(case, mandate.sign_document("watch", body | {"id": "3" * 32}, key))
    with pytest.raises(Refused, match="Mandate that is not in this case"):
        watch.add(case, mandate.sign_document("watch", body | {"label": "W-2", "id": "4" * 32, "mandate": "x"}, key))


@pytest.mark.parametrize(
    "change",
    [{"infohash_v1": "00"}, {"infohash_v1": None}, {"piece_length": 0}, {"pieces": "10"}, {"graded": "2026-01-01"}],
)
def test_a_watch_that_cannot_be_is_refused(change: dict) -> None:
    with pytest.raises(Usage):
        watch.from_body(watch.to_body(WATCH) | change)
