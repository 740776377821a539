"""Merging: only what certainly belongs together becomes one Subject."""

from dataclasses import replace

import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

from clew.attribute.beside import contradictions, refused_merges
from clew.attribute.evidence import Contact
from clew.attribute.identity import prefix
from clew.attribute.links import possible_links
from clew.attribute.merge import HOUR_NS, Policy, merge
from clew.model import Claim, SightingKind, Tier

MINUTE = 60_000_000_000
QB, TR = b"-qB4630-", b"-TR4050-"


def seen(n, at_minutes, **changes):
    """A contact with a claim, ten seconds long."""
    base = Contact(
        id=f"s{n:03d}", kind=SightingKind.CONTACT, watch="w1", tier=Tier.CLAIMS, claim=Claim.WATCHED_FILE,
        address="127.10.0.1", port=6881, transport="tcp", started_ns=at_minutes * MINUTE,
        ended_ns=at_minutes * MINUTE + MINUTE // 6, peer_id=QB + bytes([n % 256] * 12), client="qBittorrent/4.6.3",
        pieces_claimed=10, inner_claimed=5,
    )  # fmt: skip
    return replace(base, **changes)


def first_and_repeat(**changes):
    return [seen(0, 0, tier=Tier.ANSWERED, **changes), seen(1, 20, repeats="s000", **changes)]


def test_two_claims_of_one_client_are_one_subject():
    (draft,) = merge(first_and_repeat()).drafts
    assert (draft.address, draft.port, draft.carrier) == ("127.10.0.1", 6881, "tcp")
    (interval,) = draft.intervals
    assert interval.sightings == ("s000", "s001")
    assert (interval.from_ns, interval.to_ns) == (0, 20 * MINUTE + MINUTE // 6)
    assert not interval.torrent_only


def test_the_full_peer_id_may_change_but_not_the_client_in_it():
    assert len(merge(first_and_repeat()).drafts) == 1
    changed = [seen(0, 0), seen(1, 20, client=None, peer_id=TR + bytes(12))]
    assert merge(changed).drafts == ()


@pytest.mark.parametrize(
    "other",
    [{"client": "Transmission 4.0.5", "peer_id": TR + bytes(12)}, {"client": "qBittorrent/4.6.4"},
     {"address": "127.10.0.2"}, {"port": 6882}, {"transport": "utp"}, {"transport": "mse-rc4/utp"}],
    ids=["client", "version", "address", "port", "carrier", "encrypted carrier"],
)  # fmt: skip
def test_nothing_merges_across(other):
    contacts = [seen(0, 0), seen(1, 20), seen(2, 40, **other), seen(3, 60, **other)]
    merged = merge(contacts)
    assert len(merged.drafts) == 2
    held = [{s for i in d.intervals for s in i.sightings} for d in merged.drafts]
    assert sorted(map(sorted, held)) == [["s000", "s001"], ["s002", "s003"]]


def test_claims_of_the_two_twins_do_not_repeat_each_other():
    """We send one infohash; the peer may answer with its twin, whose pieces it then tells."""
    v1, v2 = ({"infohash_sent": b"1" * 20, "infohash_echoed": each * 20} for each in (b"1", b"2"))
    crossed = [seen(0, 0, tier=Tier.ANSWERED, **v1), seen(1, 20, repeats="s000", **v2)]
    assert merge(crossed).drafts == ()
    (draft,) = merge([*crossed, seen(2, 40, repeats="s000", **v1)]).drafts
    assert draft.intervals[0].sightings == ("s000", "s001", "s002")


def test_a_clock_set_back_hides_no_reassignment():
    """By its times the other client's contact came first, by the observer's numbers in between."""
    other = {"client": "Transmission 4.0.5", "peer_id": TR + bytes(12), "tier": Tier.ANSWERED}
    contacts = [
        seen(0, 90, run="r", sequence=1, tier=Tier.ANSWERED),
        seen(1, 40, run="r", sequence=2, **other),
        seen(2, 50, run="r", sequence=3, tier=Tier.ANSWERED),
        seen(3, 70, run="r", sequence=4, repeats="s002"),
    ]
    (draft,) = merge(contacts).drafts
    assert draft.intervals[0].sightings == ("s002", "s003")
    assert draft.from_ns == 50 * MINUTE


def by(n, at_minutes, clock_minutes, number=1, **changes):
    """A contact by both times: the one that nobody can set, and UTC as the clock stood."""
    steady = {"number": number, "steady_ns": at_minutes * MINUTE, "sequence": n + 1, "run": f"r{number}"}
    return seen(n, clock_minutes, **steady | changes)


@pytest.mark.parametrize("number", [1, 2], ids=["in one run", "over two runs"])
@pytest.mark.parametrize("step", [-60, 0, 60])
def test_a_clock_that_is_set_costs_no_subject(step, number):
    contacts = [by(0, 720, 720, tier=Tier.ANSWERED), by(1, 735, 735 + step, number, repeats="s000")]
    (draft,) = merge(contacts).drafts
    assert draft.intervals[0].sightings == ("s000", "s001")
    assert draft.from_ns <= draft.to_ns


def test_a_clock_that_is_set_makes_no_repeat():
    assert merge([by(0, 0, 0), by(1, 1, 61)], Policy(loopback_repeat_ns=5 * MINUTE)).drafts == ()


def test_a_clock_set_back_by_more_than_a_day_is_no_silence_and_hides_none():
    assert len(merge([by(0, 0, 0), by(1, 20, 20 - 60 * 25, repeats="s000")]).drafts) == 1
    silent = [by(n, 20 * n, 20 * n) for n in (0, 1)] + [by(n, 25 * 60 + n, n, repeats="s000") for n in (2, 3)]
    assert len(merge(silent).drafts) == 2


def test_where_utc_alone_tells_of_a_silence_it_cuts_too():
    """A virtual machine that was paused: its own time stood still. Another customer may have that client by then."""
    monday = 72 * 60
    ours = [by(0, 0, 0, tier=Tier.ANSWERED), by(1, 20, 20, repeats="s000")]
    theirs = [by(2, 30, monday, 2, tier=Tier.ANSWERED), by(3, 50, monday + 20, 2, repeats="s002")]
    merged = merge([*ours, *theirs])
    assert sorted([c.id for c in draft.run] for draft in merged.drafts) == [["s000", "s001"], ["s002", "s003"]]
    (cut,) = merged.endpoints["127.10.0.1", 6881].cuts
    assert cut.kind == "silence"


def test_after_a_restart_with_another_clock_a_claim_is_a_first_one_again():
    """Before it the clock was a year ahead."""
    year = 365 * 24 * 60
    wrong = by(0, year, year, tier=Tier.ANSWERED)
    again = [by(1, 10, 10, 2, tier=Tier.ANSWERED), by(2, 25, 25, 2, repeats="s001")]
    merged = merge([wrong, *again])
    (draft,) = merged.drafts
    assert draft.intervals[0].sightings == ("s001", "s002"), "how long it was away before them is not known"
    (told,) = refused_merges(draft, merged.endpoints["127.10.0.1", 6881])
    assert "started again with its clock behind: for how long it was not heard is not known" in told


def test_over_a_restart_no_customer_takes_over_from_another():
    """The first clock was 90 days ahead; the machine was off for 60."""
    day = 24 * 60
    first = [by(0, 90 * day, 90 * day, tier=Tier.ANSWERED), by(1, 90 * day + 20, 90 * day + 20, repeats="s000")]
    later = [by(2, 60 * day, 60 * day, 2, tier=Tier.ANSWERED), by(3, 60 * day + 20, 60 * day + 20, 2, repeats="s002")]
    merged = merge([*first, *later])
    assert sorted([c.id for c in draft.run] for draft in merged.drafts) == [["s000", "s001"], ["s002", "s003"]]
    assert [cut.kind for cut in merged.endpoints["127.10.0.1", 6881].cuts] == ["untimed"]


def test_calls_of_one_run_that_overlap_are_no_restart():
    """They are numbered as they end."""
    assert len(merge([by(0, 1, 1), by(1, 0, 0, watch="w2"), by(2, 20, 20, repeats="s000")]).drafts) == 1


@pytest.mark.parametrize("transport", ["mse-rc4/tcp", "mse-plain/tcp"])
def test_encryption_is_no_other_carrier(transport):
    (draft,) = merge([seen(0, 0), seen(1, 20, transport=transport), seen(2, 40)]).drafts
    assert (draft.carrier, draft.intervals[0].sightings) == ("tcp", ("s000", "s001", "s002"))


@pytest.mark.parametrize("other", [{}, {"client": "Transmission 4.0.5", "peer_id": TR + bytes(12)}])
def test_the_other_carrier_of_an_address_and_port_is_only_a_possible_link(other):
    over_utp = [seen(n, 20 * n, transport="mse-rc4/utp", **other) for n in (2, 3)]
    drafts = merge([*first_and_repeat(), *over_utp]).drafts
    assert {d.carrier for d in drafts} == {"tcp", "utp"}
    (link,) = possible_links(drafts)
    assert "over the other carrier" in link.why
    assert ("another client" in link.why) == bool(other)


def test_a_repeat_across_a_reassignment_repeats_nothing():
    other = {"client": "Transmission 4.0.5", "peer_id": TR + bytes(12)}
    merged = merge([seen(0, 0, tier=Tier.ANSWERED), seen(1, 20, repeats="s000", **other)])
    assert merged.drafts == ()
    assert merged.endpoints["127.10.0.1", 6881].cuts[0].kind == "client"


def test_a_reassignment_and_back_is_three_runs():
    other = {"client": "Transmission 4.0.5", "peer_id": TR + bytes(12)}
    contacts = [seen(0, 0), seen(1, 20), seen(2, 40, **other), seen(3, 60, **other), seen(4, 80), seen(5, 100)]
    merged = merge(contacts)
    assert len(merged.drafts) == 3
    whys = {link.why for link in possible_links(merged.drafts)}
    assert any("another client" in why for why in whys)


def test_an_unclear_contact_beside_a_cut_belongs_to_neither():
    """Same peer-id prefix on both sides, client strings differ: the contact between tells the prefix alone."""
    between = seen(2, 40, client=None)
    contacts = [seen(0, 0), seen(1, 20), between, seen(3, 60, client="other"), seen(4, 80, client="other")]
    held = {s for d in merge(contacts).drafts for i in d.intervals for s in i.sightings}
    assert held == {"s000", "s001", "s003", "s004"}


def test_an_unclear_contact_within_a_run_belongs_to_it():
    contacts = [seen(0, 0), seen(1, 20, client=None), seen(2, 40)]
    (draft,) = merge(contacts).drafts
    assert draft.intervals[0].sightings == ("s000", "s001", "s002")


HANDSHAKE_ALONE = {"client": "-qB4630-", "tier": Tier.ANSWERED, "claim": Claim.NOTHING_SAID, "pieces_claimed": None}


def test_a_client_that_closed_after_its_handshake_is_no_other_client():
    """Transmission does so at its peer limit; the observer then writes the peer-id's prefix where a name would be."""
    turns = [seen(n, 20 * n, **({} if n % 2 == 0 else HANDSHAKE_ALONE)) for n in range(5)]
    merged = merge(turns)
    (draft,) = merged.drafts
    assert [c.id for c in draft.run] == [c.id for c in turns]
    assert draft.identity.client == "qBittorrent/4.6.3"
    assert merged.endpoints["127.10.0.1", 6881].cuts == ()
    assert merged.addresses["127.10.0.1"].clients == {"qBittorrent/4.6.3"}
    assert contradictions(draft, merged.endpoints["127.10.0.1", 6881], {}) == ()


def test_a_handshake_of_another_client_still_cuts():
    between = seen(2, 40, **HANDSHAKE_ALONE | {"client": "-TR4050-", "peer_id": TR + bytes(12)})
    merged = merge([seen(0, 0), seen(1, 20), between, seen(3, 60), seen(4, 80)])
    assert len(merged.drafts) == 2
    assert merged.addresses["127.10.0.1"].clients == {"qBittorrent/4.6.3", "-TR4050-"}


def test_without_anything_known_of_the_client_nothing_merges():
    nothing = {"client": None, "peer_id": None}
    assert merge([seen(0, 0, **nothing), seen(1, 20, **nothing)]).drafts == ()


def test_a_silence_longer_than_stated_splits_and_leaves_a_possible_link():
    contacts = [seen(0, 0), seen(1, 20), seen(2, 60 * 30), seen(3, 60 * 30 + 20)]
    assert len(merge(contacts).drafts) == 2
    assert len(merge(contacts, Policy(max_gap_ns=48 * HOUR_NS)).drafts) == 1
    (link,) = possible_links(merge(contacts).drafts)
    assert "after a silence" in link.why


def test_several_watches_at_one_endpoint_are_one_subject():
    contacts = [seen(0, 0), seen(1, 5, watch="w2"), seen(2, 20), seen(3, 25, watch="w2")]
    (draft,) = merge(contacts).drafts
    assert draft.watches == ("w1", "w2")


def test_one_claim_in_each_of_two_watches_repeats_nothing():
    assert merge([seen(0, 0), seen(1, 20, watch="w2")]).drafts == ()


def test_outside_the_range_a_repeat_needs_five_minutes():
    far = {"address": "192.0.2.1"}
    assert merge([seen(0, 0, **far), seen(1, 4, **far)]).drafts == ()
    assert len(merge([seen(0, 0, **far), seen(1, 5, **far)]).drafts) == 1
    assert len(merge([seen(0, 0), seen(1, 4)]).drafts) == 1


@pytest.mark.parametrize("kind", [SightingKind.CONTROL, SightingKind.CONTACT])
@pytest.mark.parametrize("watch", ["w1", "w9"])
@pytest.mark.parametrize("transport", ["tcp", "utp", "mse-rc4/utp"])
def test_a_promiscuous_endpoint_is_no_subject_wherever_it_was_found_so(kind, watch, transport):
    echo = seen(9, 90, kind=kind, watch=watch, transport=transport, promiscuous=True, claim=Claim.NOTHING_SAID)
    other_port = [seen(5, 0, port=7000), seen(6, 20, port=7000)]
    merged = merge([*first_and_repeat(), echo, *other_port])
    assert [d.port for d in merged.drafts] == [7000]
    assert merged.addresses["127.10.0.1"].promiscuous_ports == {6881}
    assert merge(first_and_repeat(), None, [("127.10.0.1", 6881)]).drafts == ()


@pytest.mark.parametrize("tier", [Tier.LISTED, Tier.ANSWERED])
def test_less_than_e2_makes_no_subject(tier):
    assert merge([seen(n, 20 * n, tier=tier) for n in range(5)]).drafts == ()


@pytest.mark.parametrize(
    "weaker",
    [{"claim": Claim.TORRENT_ONLY}, {"inner_claimed": 0}, {"inner_claimed": None}],
    ids=["told so", "no inner piece", "no count of inner pieces"],
)
def test_the_tier_is_never_higher_than_the_bytes(weaker):
    for contacts in ([seen(0, 0, **weaker), seen(1, 20)], [seen(0, 0), seen(1, 20, **weaker)]):
        (draft,) = merge(contacts).drafts
        assert draft.intervals[0].torrent_only
    for nothing in ({"pieces_claimed": 0}, {"pieces_claimed": None}, {"claim": Claim.NONE}):
        assert merge([seen(0, 0, **nothing), seen(1, 20, **nothing)]).drafts == ()


def test_torrent_only_claims_do_not_stretch_an_interval_of_the_watched_file():
    boundary = {"claim": Claim.TORRENT_ONLY, "inner_claimed": 0}
    (draft,) = merge([seen(0, 0, **boundary), seen(1, 20), seen(2, 40), seen(3, 60, **boundary)]).drafts
    assert draft.intervals[0].sightings == ("s001", "s002")


def test_an_address_change_is_only_a_possible_link():
    later = [seen(2, 60, address="127.10.0.2"), seen(3, 80, address="127.10.0.2")]
    merged = merge([*first_and_repeat(), *later])
    assert len(merged.drafts) == 2
    (link,) = possible_links(merged.drafts)
    assert "address change?" in link.why


def test_many_subjects_of_one_address_are_linked_one_to_the_next():
    contacts = [seen(n, 20 * (n % 2), port=7000 + n // 2) for n in range(200)]
    drafts = merge(contacts).drafts
    assert len(drafts) == 100
    assert len(possible_links(drafts)) == 99


def test_prefixes():
    assert prefix(b"-qB4630-abcdefghijkl") == b"-qB4630-"
    assert prefix(b"M7-10-1--abcdefghijk") == b"M7-10-1--"
    assert prefix(b"S58B-----abcdefghijk") == b"S58B----"
    assert prefix(b"") is None


CLIENTS = [("qBittorrent/4.6.3", QB), ("Transmission 4.0.5", TR), (None, QB), (None, None), ("qBittorrent/4.6.4", QB)]


@st.composite
def worlds(draw):
    """Contacts at a few endpoints; each tells one of a few clients, or less."""
    contacts = []
    for n in range(draw(st.integers(0, 24))):
        client, start = draw(st.sampled_from(CLIENTS))
        contacts.append(
            seen(
                n,
                draw(st.integers(0, 40)) * 10,
                client=client,
                peer_id=start + bytes([n] * 12) if start else None,
                address=draw(st.sampled_from(["127.10.0.1", "127.10.0.2"])),
                port=draw(st.sampled_from([6881, 6882])),
                watch=draw(st.sampled_from(["w1", "w2"])),
                transport=draw(st.sampled_from(["tcp", "mse-rc4/tcp", "utp"])),
                tier=draw(st.sampled_from([Tier.CLAIMS, Tier.ANSWERED])),
                claim=draw(st.sampled_from([Claim.WATCHED_FILE, Claim.TORRENT_ONLY, Claim.NONE])),
                repeats=draw(st.none() | st.integers(0, 23).map("s{:03d}".format)),
            )
        )
    return contacts


def test_there_are_worlds_with_several_subjects_beside_a_reassignment():
    """What the properties below say, they say of something."""

    def told(contacts):
        merged = merge(contacts)
        return len(merged.drafts) >= 2 and any(endpoint.cuts for endpoint in merged.endpoints.values())

    assert find(worlds(), told, settings=settings(max_examples=2_000, database=None))


@given(worlds(), st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_the_order_of_contacts_does_not_matter(contacts, rng):
    shuffled = list(contacts)
    rng.shuffle(shuffled)
    assert merge(shuffled) == merge(contacts)
    assert merge(contacts + shuffled) == merge(contacts)


@given(worlds())
@settings(max_examples=300, deadline=None)
def test_no_subject_spans_a_reassignment(contacts):
    """Between the first and last sighting of a Subject, nothing at its endpoint tells another client."""
    merged = merge(contacts)
    used = [s for d in merged.drafts for i in d.intervals for s in i.sightings]
    assert len(used) == len(set(used)), "a sighting counts for two Subjects"
    by_id = {c.id: c for c in contacts}
    for draft in merged.drafts:
        mine = [by_id[s] for i in draft.intervals for s in i.sightings]
        assert {(c.address, c.port, c.carrier) for c in mine} == {(draft.address, draft.port, draft.carrier)}
        for field, of in (("client", lambda c: c.client), ("prefix", lambda c: prefix(c.peer_id))):
            begin, end = min((c.started_ns, c.id) for c in mine), max((c.started_ns, c.id) for c in mine)
            told = {
                of(c) for c in contacts
                if (c.address, c.port, c.carrier) == (draft.address, draft.port, draft.carrier)
                and c.answered and begin <= (c.started_ns, c.id) <= end
            }  # fmt: skip
            assert len(told - {None}) <= 1, field
        assert any(c.tier is Tier.CLAIMS for c in mine)
        assert all(c.claims_file for c in mine) or any(i.torrent_only for i in draft.intervals)


@given(worlds(), st.integers(0, 23))
@settings(max_examples=100, deadline=None)
def test_subjects_keep_their_ids_when_later_contacts_come(contacts, cut):
    """New evidence may add Subjects or cut one short at its end; one whose first contact stays keeps its id."""
    early = [c for c in contacts if c.started_ns <= cut * 10 * MINUTE]
    before, after = {d.id: d for d in merge(early).drafts}, {d.id: d for d in merge(contacts).drafts}
    for draft in before.values():
        same = [d for d in after.values() if d.run[0].id == draft.run[0].id]
        assert all(d.id == draft.id for d in same)
