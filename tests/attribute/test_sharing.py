"""Whether others share a lead's address: whatever is known of a second port or client there stands on it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lead_case import claims, contact, lead_case

from clew.attribute import listing, provider
from clew.attribute.api import NetworkKind
from clew.attribute.beside import Beside
from clew.attribute.caveats import FORGOTTEN, LIMITS, caveats
from clew.attribute.evidence import Contact
from clew.attribute.merge import merge
from clew.attribute.replay import replay
from clew.attribute.where import Where
from clew.core import clock
from clew.model import Claim, SightingKind, Tier
from clew.observe.endpoints import INSERT, Endpoint, row
from clew.observe.retention import KEEP_NS, purge

HERE, LEADS_PORT, OTHER_PORT = "127.10.1.23", 51413, 7000
TRACKER, NODE, PEER = "http://127.1.0.1:6969/announce", "dht://127.1.101.1:6881", "pex://127.10.9.9:6881"
ONE_LISTED = "perhaps a shared address: 1 other port listed here; 1 not called to an end"
ONE_SILENT = "perhaps a shared address: 1 other port listed here; 1 did not answer"
MINUTE = 60_000_000_000


def listed(case, *ports, address=HERE, first=1, **changes):
    """Puts endpoints into the observer's queue, as a listing does."""
    now_ns = clock.now().utc_ns
    with case.write("observe") as tx:
        for number, port in enumerate(ports, first):
            values = {"watch": "w17", "address": address, "port": port, "source": TRACKER, "next_ns": now_ns} | changes
            one = Endpoint(id=number, first_listed_ns=now_ns, last_listed_ns=now_ns, **values)
            tx.execute(INSERT, row(one))


def unanswered(n, **changes):
    """A call that brought no answer."""
    said = {"tier": "E0", "claim": "nothing said", "client": None, "peer_id": None, "missing": "unreadable"}
    return contact(n, 3, port=OTHER_PORT, pieces_claimed=None, inner_claimed=None, **said | changes)


def caveats_of(case):
    (found,) = case.read().execute("SELECT caveats FROM leads").fetchone()
    return json.loads(found)


def test_a_lead_that_is_alone_at_its_address_has_no_such_caveat(case, tmp_path):
    listed(case, LEADS_PORT)
    listed(case, OTHER_PORT, address="127.10.1.24", first=2)
    lead_case(case, tmp_path, claims())
    assert caveats_of(case) == [LIMITS]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"source": NODE},
        {"source": PEER},
        {"watch": "another Watch"},
        {"twin": 1},
        {"next_ns": None, "last_failure": "refused: no Mandate covers this"},
        {"last_failure": "interrupted: the run was stopped", "tried": "mse/tcp"},
    ],
    ids=["a tracker", "a node", "a peer", "another Watch", "the twin", "barred", "cut off"],
)
def test_a_port_that_is_only_listed_is_said(case, tmp_path, changes):
    listed(case, LEADS_PORT)
    listed(case, OTHER_PORT, first=2, **changes)
    lead_case(case, tmp_path, claims())
    assert caveats_of(case) == [LIMITS, ONE_LISTED]


@pytest.mark.parametrize(
    "changes",
    [{"missing_detail": "connection refused"}, {"missing_detail": "closed"}, {"transport": "mse/utp"},
     {"missing": "limit_reached", "missing_detail": "no answer in time"}],
    ids=["refused", "closed", "over uTP", "silent"],
)  # fmt: skip
def test_a_port_that_was_called_and_gave_no_answer_is_said(case, tmp_path, changes):
    listed(case, LEADS_PORT, OTHER_PORT)
    lead_case(case, tmp_path, [*claims(), unanswered(9, **changes)])
    assert caveats_of(case) == [LIMITS, ONE_SILENT]


def test_how_many_of_each_there_are(case, tmp_path):
    listed(case, LEADS_PORT, OTHER_PORT, 7001, 7002)
    lead_case(case, tmp_path, [*claims(), unanswered(9)])
    told = "perhaps a shared address: 3 other ports listed here; 1 did not answer, 2 not called to an end"
    assert caveats_of(case) == [LIMITS, told]


@pytest.mark.parametrize("missing", [None, "unreadable"])
def test_a_port_that_answered_is_more_than_perhaps(case, tmp_path, missing):
    """Also where the contact broke off, or told nothing of its client."""
    listed(case, LEADS_PORT, OTHER_PORT, 7001)
    answered = contact(9, 3, port=OTHER_PORT, tier="E1", claim="none", client=None, peer_id=None, missing=missing)
    lead_case(case, tmp_path, [*claims(), answered])
    assert [each.partition(":")[0] for each in caveats_of(case)[1:]] == ["shared address"]


@pytest.mark.parametrize(("days", "told"), [(9, [FORGOTTEN]), (6, [])])
def test_where_listings_may_be_forgotten_it_is_unknown(case, tmp_path, days, told):
    lead_case(case, tmp_path, claims(hours_ago=24 * days))
    assert caveats_of(case) == [LIMITS, *told]


def test_replay_takes_the_list_as_it_was_and_misses_what_is_gone(case, tmp_path):
    listed(case, LEADS_PORT, OTHER_PORT)
    lead_case(case, tmp_path, claims())
    assert replay(case).differing == []
    listed(case, 7001, 7002, first=3)
    assert replay(case).differing == [], "listed since the leads were made"
    with case.write("observe") as tx:
        tx.execute("DELETE FROM endpoints WHERE port=?", (OTHER_PORT,))
    assert len(replay(case).differing) == 1


def test_what_retention_took_from_the_list_is_not_held_against_a_caveat(case, tmp_path):
    listed(case, OTHER_PORT, tier="E0")
    lead_case(case, tmp_path, claims())
    assert caveats_of(case) == [LIMITS, ONE_LISTED]
    purge(case, clock.now().utc_ns + 2 * KEEP_NS)
    assert case.read().execute("SELECT count(*) FROM endpoints").fetchone()[0] == 0
    found = replay(case)
    assert found.differing == []
    assert any(name.startswith("caveats: ") for name in found.not_derived)


@pytest.mark.parametrize(("kind", "words"), [("isp", ""), ("unknown", "do not know whether")])
def test_the_provider_is_told_of_signs_and_not_that_there_are_none(case, tmp_path, kind, words):
    listed(case, OTHER_PORT)
    (label,) = lead_case(case, tmp_path, claims(), kind=kind)
    page = provider.page(case, provider.question(case, label, None))
    assert provider.SIGNS in page
    assert words in page
    assert "no sharing" not in page


OLD = {"client": "qBittorrent/4.5.2", "peer_id": b"-qB4520-" + bytes(12)}
NEW = {"client": "qBittorrent/4.6.3", "peer_id": b"-qB4630-" + bytes(12)}
MOVED = {"port": OTHER_PORT}
GONE = {"tier": "E0", "claim": "nothing said", "client": None, "peer_id": None, "missing": "unreadable"}
THERE = "answered here, each after the one before was gone; an update of one program"


@pytest.mark.parametrize(
    ("rows", "at_once"),
    [
        ([OLD, OLD, NEW, NEW], False),
        ([OLD, OLD, {}, {}], False),
        ([OLD, OLD, NEW, NEW, OLD], True),
        ([{}, {}, GONE, MOVED, MOVED], False),
        ([{}, {}, MOVED, MOVED, GONE], False),
        ([{}, {}, GONE, {}, MOVED, MOVED, GONE, MOVED], False),
        ([{}, {}, MOVED, MOVED], True),
        ([{}, {}, GONE, MOVED, MOVED, {}], True),
        ([{}, GONE, {}, MOVED, MOVED], True),
        ([OLD, OLD, GONE, NEW | MOVED, NEW | MOVED, NEW | MOVED, OLD | MOVED, NEW | MOVED], True),
    ],
    ids=["an update", "another program", "and back", "another port", "the old one called later", "it was away before",
         "the old one not called since", "the old one again", "called and there", "turns at the second port"],
)  # fmt: skip
def test_what_only_followed_one_another_is_no_sign_of_several_at_once(case, tmp_path, rows, at_once):
    """A client's update, or its next start at another port, is what most addresses show in the course of months."""
    for label in lead_case(case, tmp_path, [contact(n, 20 - n, **each) for n, each in enumerate(rows, 1)]):
        (said,) = listing.lead(case, label)["caveats"][1:]
        assert said.startswith("shared address: " if at_once else "perhaps a shared address over time: ")
        assert (THERE in said) == (not at_once)
        assert (provider.question(case, label, None).shared == provider.SIGNS) == at_once
    assert replay(case).differing == []


def test_what_is_listed_beside_those_that_followed_one_another_is_said_too(case, tmp_path):
    listed(case, OTHER_PORT)
    (label, *_) = lead_case(case, tmp_path, [contact(n, 20 - n, **each) for n, each in enumerate([OLD, OLD, NEW, NEW])])
    assert caveats_of(case)[2:] == [ONE_LISTED]
    assert provider.question(case, label, None).shared == provider.SIGNS


PORTS = st.integers(LEADS_PORT, LEADS_PORT + 3)
CLIENTS = st.sampled_from(["Transmission 4.0.5", "qBittorrent/4.6.3", None])
SEEN = st.tuples(PORTS, st.sampled_from(["called", "answered"]), CLIENTS, st.sampled_from(["tcp", "mse/utp"]))


def seen(n, port, what, client, transport):
    """A contact with a claim where it answered, twenty minutes after the one before."""
    answered = what == "answered"
    return Contact(
        id=f"{n:03d}", kind=SightingKind.CONTACT, watch=f"w{n % 3}" if n > 1 else "w0", address=HERE, port=port,
        tier=Tier.CLAIMS if answered else Tier.LISTED, claim=Claim.WATCHED_FILE if answered else Claim.NOTHING_SAID,
        transport=transport, started_ns=20 * n * MINUTE, ended_ns=(20 * n + 1) * MINUTE, client=client,
        pieces_claimed=10, inner_claimed=5,
    )  # fmt: skip


@given(st.lists(SEEN, max_size=6), st.sets(PORTS), st.sets(PORTS))
def test_whatever_is_known_of_a_second_port_or_client_is_on_every_lead_there(others, on_a_list, promiscuous):
    known = [(LEADS_PORT, "answered", "Transmission 4.0.5", "tcp")] * 2 + others
    contacts = [seen(n, *each) for n, each in enumerate(known)]
    places = [{(HERE, port) for port in ports} for ports in (promiscuous - {LEADS_PORT}, on_a_list)]
    merged = merge(contacts, None, *places)
    ports = {each[0] for each in known} | on_a_list | promiscuous
    clients = {client for _, what, client, _ in known if what == "answered" and client}
    place = Where("AT", None, False, (NetworkKind.ISP,), (), ())
    for draft in merged.drafts:
        told = caveats(draft, place, merged.addresses[HERE], Beside(), torrent_only=False, now_ns=draft.to_ns)
        said = any(word in each for each in told[1:] for word in ("shared address", "unknown"))
        assert said == (len(ports) > 1 or len(clients) > 1)
    assert merged.drafts
