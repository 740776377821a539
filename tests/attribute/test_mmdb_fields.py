"""What the .mmdb files that are sold or given out say is read as their makers mean it, and nothing is made of the rest.

Records: MaxMind's own test data (github.com/maxmind/MaxMind-DB), IPinfo's samples (github.com/ipinfo/sample-database),
the schema pages of DB-IP, and what IP2Location's converter writes; addresses of documentation (RFC 5737).
"""

import json

import pytest
from attribute_case import NOW, claims
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from clew.attribute.api import Answer, NetworkKind, RegisterSpec
from clew.attribute.replay import replay
from clew.core import plugins

MMDB = plugins.load("clew.attribute.registers", "mmdb")
FALSE = ("anonymous", "anycast", "hosting", "mobile", "proxy", "relay", "satellite", "tor", "vpn")
PLUS = {"country": "Australia", "country_code": "AU", "region": "New South Wales", "region_code": "NSW"}
PLUS |= {f"is_{each}": False for each in FALSE}
PRIVACY = dict.fromkeys(("hosting", "proxy", "relay", "tor", "vpn"), False)
TEXT = dict.fromkeys(("hosting", "proxy", "relay", "tor", "vpn", "service"), "")
RESIDENTIAL = {"user_type": "residential", "connection_type": "Cable/DSL"}


@pytest.fixture
def mmdb(tmp_path):
    """Writes a register of one record."""

    def write(record, network="192.0.2.0/24"):
        writer = MMDBWriter(ip_version=4, database_type="test")
        writer.insert_network(IPSet([network]), record)
        path = tmp_path / "register.mmdb"
        writer.to_db_file(str(path))
        return RegisterSpec("mmdb", path, NOW)

    return write


@pytest.fixture
def answer(mmdb):
    return lambda record: MMDB.open(mmdb(record).path).lookup("192.0.2.1")


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        ({"is_anonymous": True, "is_hosting_provider": True}, "hosting"),
        ({"is_anonymous": True, "is_anonymous_vpn": True}, "vpn"),
        ({"is_anonymous": True, "is_anonymous_vpn": True, "is_tor_exit_node": True}, "tor"),
        ({"is_anonymous": True, "is_public_proxy": True}, "proxy"),
        ({"is_anonymous": True, "is_residential_proxy": True}, "proxy"),
        ({"is_anonymous": True, "is_hosting_provider": True, "is_public_proxy": True}, "proxy"),
        ({"is_anonymous": True}, "proxy"),
        ({"provider_name": "a", "anonymizer_confidence": 82, "network_last_seen": "2026-05-11"}, "proxy"),
        ({"provider_name": "a", "network_last_seen": "2026-02-19"}, "proxy"),
        ({"is_anonymous": True, "is_hosting_provider": True, "anonymizer_confidence": 80}, "hosting"),
        ({"ip_risk": 85}, "unknown"),
        ({"connection_type": "Cellular"}, "mobile"),
        ({"connection_type": "Cable/DSL"}, "unknown"),
        ({"connection_type": "Corporate"}, "unknown"),
        ({"traits": RESIDENTIAL}, "isp"),
        ({"traits": RESIDENTIAL | {"is_legitimate_proxy": True}}, "proxy"),
        ({"traits": {"user_type": "business", "connection_type": "Cellular"}}, "mobile"),
        ({"traits": {"user_type": "hosting", "connection_type": "Cable/DSL"}}, "hosting"),
        ({"traits": {"user_type": "consumer_privacy_network"}}, "proxy"),
        ({"traits": {"user_type": "content_delivery_network"}}, "unknown"),
        ({"traits": {"user_type": "library", "mobile_country_code": "310"}}, "unknown"),
        (PLUS, "unknown"),
        (PLUS | {"is_hosting": True}, "hosting"),
        (PLUS | {"is_anonymous": True, "is_hosting": True, "is_vpn": True}, "vpn"),
        (PLUS | {"is_anonymous": True, "is_hosting": True}, "proxy"),
        (PLUS | {"is_anonymous": True, "is_relay": True}, "proxy"),
        (PLUS | {"is_anonymous": True, "is_tor": True}, "proxy"),
        (PLUS | {"is_mobile": True}, "mobile"),
        (PLUS | {"as_type": "hosting", "is_satellite": True}, "unknown"),
        (PRIVACY, "unknown"),
        (PRIVACY | {"hosting": True}, "hosting"),
        (PRIVACY | {"hosting": True, "vpn": True}, "vpn"),
        (TEXT, "unknown"),
        (TEXT | {"hosting": "true"}, "hosting"),
        (TEXT | {"vpn": "true"}, "vpn"),
        ({"service": "a", "last_seen": "2026-07-12", "percent_days_seen": 3}, "proxy"),
        ({"country": "JP", "mcc": "440", "mnc": "20", "name": "a"}, "mobile"),
        (PLUS | {"mcc": "", "carrier_name": ""}, "unknown"),
        ({"asn": "AS1", "type": "hosting"}, "unknown"),
        ({"kind": "cgnat"}, "cgnat"),
        ({"kind": "Tor", "is_hosting": True}, "tor"),
        ({"kind": ["tor"], "is_tor": {"a": 1}, "user_type": "of tomorrow"}, "unknown"),
    ],
)  # fmt: skip
def test_the_kind_of_network_is_what_the_file_says(answer, record, kind):
    assert answer(record).kind == NetworkKind(kind)


@pytest.mark.parametrize(
    ("record", "country", "subdivision"),
    [
        ({"country": {"iso_code": "DE"}, "subdivisions": [{"iso_code": "BY"}, {"iso_code": "X"}]}, "DE", "BY"),
        ({"country": {"iso_code": "US"}, "subdivisions": [{"names": {"en": "California"}}]}, "US", None),
        ({"country": {"iso_code": "-"}, "subdivisions": [{"names": {"en": "-"}}]}, None, None),
        ({"continent": {"code": "EU"}, "registered_country": {"iso_code": "FR"}}, None, None),
        ({"country": "Germany", "country_code": "DE", "continent": "Europe", "continent_code": "EU"}, "DE", None),
        (PLUS, "AU", "NSW"),
        ({"country": "AU", "country_name": "Australia", "region": "NSW", "region_name": "New South"}, "AU", "NSW"),
        ({"country": "CH", "region": "Uri"}, "CH", None),
        ({"country": "IN", "region": "Gujarat", "region_code": "GJ"}, "IN", "GJ"),
        ({"country_code": "AT", "state1": "Wien"}, "AT", None),
        ({"country": "de", "subdivision": "de-by"}, "DE", "DE-BY"),
        ({"country": "Germany"}, None, None),
        ({"country": {"iso_code": "CLOUDFLARE"}}, None, None),
        ({"country": {"iso_code": "A1"}}, None, None),
        ({"country": {"iso_code": "EU"}}, None, None),
        ({"country": "ÄÖ", "country_code": ["DE"]}, None, None),
        ({"country": {"names": {"en": "Germany"}}, "country_code": "DE"}, "DE", None),
    ],
)  # fmt: skip
def test_a_country_is_a_code_of_two_letters_and_a_subdivision_a_code(answer, record, country, subdivision):
    assert answer(record) == Answer(country, subdivision, NetworkKind.UNKNOWN, "192.0.2.0/24")


def test_a_lead_by_a_file_that_names_its_country_stands_beside_other_registers_and_is_replayed(
    full, countries, mmdb, run
):
    lite = {"country": "Austria", "country_code": "AT", "continent": "Europe", "is_anonymous": True}
    register = mmdb(lite, "127.10.0.0/16")
    summary, (lead,) = run(full, claims(), [countries, register])
    assert (lead["force"], lead["uncertain"], lead["network_kind"]) == ("AT", 0, "proxy")
    assert summary.refused["outside every mandate"] == 0
    assert any("(proxy, relay or another anonymising service)" in line for line in json.loads(lead["caveats"]))
    register.path.unlink()
    found = replay(full)
    assert (found.differing, dict(found.not_derived), found.same["lead"]) == ([], {}, 1)
