"""No lead without a Mandate, and none of a place that lies outside every one."""

import pytest
from attribute_case import NOW, claims

from clew.attribute.run import attribute
from clew.core.errors import Refused


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
