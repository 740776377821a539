"""Whose a lead is: the force of its place, by registers that are near in time and agree, or the coordinator's."""

import hashlib
import json
from datetime import UTC, datetime

import pytest
from attribute_case import DAY, MINUTE, NOW, claims, sight

from clew.attribute.api import RegisterSpec
from clew.attribute.caveats import LIMITS
from clew.attribute.run import Policy, _open
from clew.attribute.where import where
from clew.core.errors import Damaged


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


def test_a_region_is_the_same_with_its_country_before_it_and_without(full, countries, register, run):
    second = register("127.11.1.0/24,DE,DE-N,\n", name="second")
    _, (lead,) = run(full, claims("127.11.1.1"), [countries, second])
    assert (lead["force"], lead["uncertain"]) == ("DE-N", 0)
    assert "contradict each other" not in lead["against"]


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


@pytest.mark.parametrize("dated", ["9999-01-01", "1811-01-01", "0001-01-01"])
def test_a_register_of_a_date_that_none_can_have_is_refused_in_words(full, register, run, dated):
    with pytest.raises(Damaged, match="is dated before 1970 or after 2116"):
        run(full, claims(), [register("127.10.0.0/16,AT,,\n", dated=dated)])
    assert not full.read().execute("SELECT * FROM registers").fetchall()
