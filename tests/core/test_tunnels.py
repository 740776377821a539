"""The IPv4 address inside an IPv6 one, by the examples of the RFCs."""

import pytest

from clew.core.tunnels import Inside, inside

TEREDO = "2001:0:4136:e378:8000:63bf:3fff:fdd2"  # by server 65.54.227.120


@pytest.mark.parametrize(
    ("address", "found", "told"),
    [
        (TEREDO, Inside("Teredo (RFC 4380)", "192.0.2.45", 40_000), "192.0.2.45, UDP port 40000"),
        ("2002:c000:22d:1::5", Inside("6to4 (RFC 3056)", "192.0.2.45"), "192.0.2.45"),
        ("64:ff9b::192.0.2.33", Inside("NAT64 (RFC 6052)", "192.0.2.33"), "192.0.2.33"),
        ("2001:db8::1", None, "None"), ("64:ff9b:0:0:0:1::1", None, "None"), ("192.0.2.45", None, "None"),
        ("no address", None, "None"),
    ],
)  # fmt: skip
def test_the_address_inside(address: str, found: Inside | None, told: str) -> None:
    assert inside(address) == found
    assert str(inside(address)) == told


@pytest.mark.parametrize(
    ("address", "public"), [("2002:808:808::1", True), ("2002:a00:1::1", False), ("2002:e000:1::1", False)]
)
def test_a_private_one_is_no_provider_s(address: str, public: bool) -> None:
    found = inside(address)
    assert found is not None
    assert found.public is public
