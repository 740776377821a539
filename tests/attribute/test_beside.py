"""What stands beside a lead: claims that shrink, clients in turn, refused merges, failed contacts, the IPv6 prefix."""

from dataclasses import replace

import pytest
from test_merge import MINUTE, TR, by, first_and_repeat, seen

from clew.attribute.beside import MOST, beside, refused_merges
from clew.attribute.links import possible_links
from clew.attribute.masked import Masked
from clew.attribute.merge import merge
from clew.attribute.prefix import household
from clew.model import Claim, SightingKind, Tier

OTHER = {"client": "Transmission 4.0.5", "peer_id": TR + bytes(12)}
SIX = ("2001:db8:1:2::10", "2001:db8:1:2:ffff::99", "2001:db8:1:3::10")


def of(contacts, n=0):
    merged = merge(contacts)
    return beside(merged.drafts[n], merged, {"w1": "W-1"}, Masked(()))


def test_a_bitfield_that_shrinks_is_a_contradiction():
    have_all = [seen(0, 0, pieces_claimed=100, inner_claimed=60), seen(1, 20, pieces_claimed=100, inner_claimed=60)]
    partial = seen(2, 40, pieces_claimed=30, inner_claimed=60)
    inside = seen(3, 60, pieces_claimed=30, inner_claimed=12)
    nothing = seen(4, 80, claim=Claim.NONE, pieces_claimed=None, inner_claimed=None)
    found = of([*have_all, partial, inside, nothing]).contradictions
    assert len(found) == 3
    assert "W-1 shrank: 100 pieces, 60 inside the file at 1970-01-01T00:20" in found[0]
    assert "that a bitfield left out and that were named after the contact could" in found[0]
    assert "30 pieces, 12 inside the file" in found[1]
    assert "0 pieces, 0 inside the file" in found[2]
    assert of(have_all).contradictions == ()
    assert of([seen(0, 0, pieces_claimed=7), seen(1, 20)]).contradictions == (), "a download grows"


def test_a_shrunk_claim_of_a_contact_that_broke_off_says_so():
    (line,) = of([*first_and_repeat(), seen(2, 40, pieces_claimed=1, missing="limit reached")]).contradictions
    assert "broke off: limit reached" in line


def test_pieces_of_the_twins_of_a_hybrid_are_never_compared():
    v1, v2 = {"infohash_sent": b"1" * 20}, {"infohash_sent": b"2" * 20, "pieces_claimed": 4, "inner_claimed": 2}
    assert of([seen(0, 0, **v1), seen(1, 20, **v1), seen(2, 40, **v2), seen(3, 60, **v1)]).contradictions == ()
    answered = [{"infohash_sent": b"1" * 20, "infohash_echoed": each} for each in (b"1" * 20, b"2" * 20)]
    twin = seen(2, 40, pieces_claimed=4, inner_claimed=2, **answered[1])
    assert of([seen(0, 0, **answered[0]), seen(1, 20, **answered[0]), twin]).contradictions == ()


def test_what_nobody_said_is_no_claim_of_fewer():
    silent = seen(2, 40, tier=Tier.ANSWERED, claim=Claim.NOTHING_SAID, pieces_claimed=None, inner_claimed=None)
    assert of([*first_and_repeat(), silent]).contradictions == ()


def test_a_clock_set_back_puts_no_other_client_in_between_and_shortens_no_silence():
    """The other client was there an hour before; by UTC it came between the two claims."""
    other = by(0, 0, 90, **OTHER, tier=Tier.ANSWERED)
    mine = [by(1, 60, 60, tier=Tier.ANSWERED), by(2, 120, 120, repeats="s001")]
    assert of([other, *mine]).contradictions == ()
    silent = [by(3, 120 + 25 * 60, 180), by(4, 140 + 25 * 60, 200, repeats="s003")]
    assert "it was not heard for 25.0 hours" in of([*mine, *silent]).refused[0]


def test_all_pieces_of_an_unknown_number_are_not_none():
    """have_all (BEP 6) under a Watch without a piece map: how many that is, nobody knows."""
    bitfield = {"claim": Claim.TORRENT_ONLY, "pieces_claimed": 50, "inner_claimed": None}
    known = [seen(0, 0, tier=Tier.ANSWERED, **bitfield), seen(1, 20, repeats="s000", **bitfield)]
    everything = seen(2, 40, claim=Claim.TORRENT_ONLY, pieces_claimed=None, inner_claimed=None)
    assert of([*known, everything]).contradictions == ()
    fewer = seen(3, 60, **bitfield | {"pieces_claimed": 30})
    (line,) = of([*known, everything, fewer]).contradictions
    assert "shrank: 50 pieces" in line
    assert "1970-01-01T00:20:00.000Z, 30 pieces" in line


def test_only_the_first_of_many_are_spelled_out_and_all_are_counted():
    shrinking = [seen(n, 10 * n, pieces_claimed=100 - n) for n in range(20)]
    found = of(shrinking).contradictions
    assert len(found) == MOST + 1
    assert "19 claims of fewer pieces in all" in found[-1]


@pytest.mark.parametrize("transport", ["tcp", "mse-rc4/utp"])
def test_two_clients_in_turn_at_one_address_and_port(transport):
    between = [seen(2, 40, transport=transport, **OTHER)]
    later = [seen(3, 60), seen(4, 80)]
    found = of([*first_and_repeat(), *between, *later])
    assert any("two clients" in line and "Transmission 4.0.5" in line for line in found.contradictions)
    after = of([*first_and_repeat(), *[seen(n, 20 * n, transport=transport, **OTHER) for n in (5, 6)]])
    assert after.contradictions == (), "one after the other is a reassignment"


def test_a_refused_merge_says_why():
    merged = [*first_and_repeat(), seen(2, 40, **OTHER), seen(3, 60, **OTHER)]
    assert all("from qBittorrent/4.6.3 to Transmission 4.0.5" in line for n in (0, 1) for line in of(merged, n).refused)
    silent = [*first_and_repeat(), seen(2, 60 * 40), seen(3, 60 * 40 + 20)]
    assert "not heard for 39.7 hours" in of(silent).refused[0]
    unclear = [*first_and_repeat(), seen(2, 40, client=None), seen(3, 60, client="qBittorrent/4.6.4")]
    assert any("too little of its client" in line for line in of(unclear).refused)
    assert of(first_and_repeat()).refused == ()


V452 = {"client": "qBittorrent/4.5.2", "peer_id": b"-qB4520-" + bytes(12)}
UPDATED = "an update of the same program, a reassignment, or several machines"
CHANGED = "a reassignment, or several machines"


@pytest.mark.parametrize(
    ("before", "after", "back", "why"),
    [
        (V452, {}, None, UPDATED),
        ({}, V452, None, UPDATED),  # a downgrade, which nobody can tell apart
        (V452, {"peer_id": None}, None, UPDATED),
        (V452, {"client": None}, None, UPDATED),
        (V452, {}, V452, CHANGED),
        (V452, OTHER, None, CHANGED),
        (V452, {"client": "qBittorrent/4.6.3", "peer_id": TR + bytes(12)}, None, CHANGED),
        ({"client": "1.0", "peer_id": None}, {"client": "2.0", "peer_id": None}, None, CHANGED),
    ],
    ids=["updated", "downgraded", "name alone", "prefix alone", "and back", "another program", "half", "no name"],
)
def test_a_newer_version_of_the_same_client_may_be_an_update(before, after, back, why):
    rows = [
        seen(n, 20 * n, **changes) for n, changes in enumerate([before] * 2 + [after] * 2 + [back] * 2 * bool(back))
    ]
    merged = merge(rows)
    found = {each for draft in merged.drafts for each in refused_merges(draft, merged.endpoints["127.10.0.1", 6881])}
    assert found
    assert all(each.endswith(f": {why}") for each in found), found
    whys = {link.why for link in possible_links(merged.drafts)}
    assert all(each.endswith(f": {why}") for each in whys if "client" in each), whys


def test_failed_contacts_are_counted_by_carrier_and_reason_with_their_times():
    refused = {"tier": Tier.LISTED, "claim": Claim.NOTHING_SAID, "missing": "unreadable", "client": None}
    failures = [
        seen(5, 50, missing_detail="connection refused", **refused),
        seen(6, 70, missing_detail="connection refused", transport="mse/tcp", **refused),
        seen(7, 90, transport="utp", missing_detail="no answer", **refused),
        seen(8, 95, address="127.10.0.2", **refused),
    ]
    found = of([*first_and_repeat(), *failures])
    assert found.failed.reasons == (("tcp: unreadable: connection refused", 2), ("utp: unreadable: no answer", 1))
    assert (found.failed.count, found.failed.first_ns, found.failed.last_ns) == (3, 50 * MINUTE, 90 * MINUTE)
    assert found.contradictions == (), "a contact that failed is no claim"
    assert found.contacts == 2


def test_control_probes_are_no_contacts():
    probe = seen(5, 50, kind=SightingKind.CONTROL, tier=Tier.LISTED, claim=Claim.NOTHING_SAID, missing="unreadable")
    assert of([*first_and_repeat(), probe]).failed.count == 0


@pytest.mark.parametrize(
    ("address", "prefix"),
    [(SIX[0], "2001:db8:1:2::/64"), (SIX[1], "2001:db8:1:2::/64"), ("127.0.0.1", None), ("no address", None),
     ("2001:0:4136:e378:8000:63bf:3fff:fdd2", None), ("64:ff9b::c000:221", None),
     ("2002:c000:22d:1::5", "2002:c000:22d:1::/64")],
)  # fmt: skip
def test_the_prefix_by_which_ipv6_is_compared(address, prefix):
    assert household(address) == prefix


def test_addresses_of_one_ipv6_prefix_are_linked_and_never_merged():
    contacts = [seen(2 * n + m, 60 * n + 20 * m, address=a) for n, a in enumerate(SIX) for m in (0, 1)]
    contacts = [replace(each, peer_id=each.peer_id[:8] + bytes([n] * 12)) for n, each in enumerate(contacts)]
    merged = merge(contacts)
    assert {d.address for d in merged.drafts} == set(SIX)
    links = [link for link in possible_links(merged.drafts) if "IPv6 prefix 2001:db8:1:2::/64" in link.why]
    (link,) = links
    held = {d.address for d in merged.drafts if d.id in (link.first, link.second)}
    assert held == set(SIX[:2])
    sides = {d.address: beside(d, merged, {}, Masked(())) for d in merged.drafts}
    assert [(sides[a].prefix, sides[a].prefix_addresses) for a in SIX] == [
        ("2001:db8:1:2::/64", 1), ("2001:db8:1:2::/64", 1), ("2001:db8:1:3::/64", 0)
    ]  # fmt: skip


def test_another_client_in_the_prefix_is_no_link():
    contacts = [seen(n, 20 * n, address=SIX[0]) for n in (0, 1)] + [
        seen(n, 20 * n, address=SIX[1], **OTHER) for n in (2, 3)
    ]
    assert possible_links(merge(contacts).drafts) == []


def test_names_that_peers_chose_are_masked_and_cut():
    hostile = {"client": "ab" * 20 + "\x1b[31m" + "x" * 500, "peer_id": TR + bytes(12)}
    (line,) = of([*first_and_repeat(), seen(2, 40, **hostile), seen(3, 60, **hostile)]).refused
    assert "ab" * 20 not in line
    assert "\x1b" not in line
    assert len(line) < 400
