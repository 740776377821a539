"""Whom several list may be called where a Mandate names one of them, whoever was first; and never otherwise."""

from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from observe_case import FAST, MANDATE, new_case, watch_body
from observe_stage import INNER, Stage, answers, bitfield

from clew.core import clock, mandate, shards
from clew.core.case import Case
from clew.model import Missing, Reason
from clew.observe.api import SECOND
from clew.observe.book import Book
from clew.observe.endpoints import INSERT, Endpoint, row
from clew.observe.networks.bittorrent import PLUGIN
from clew.observe.policy import NOT_NAMED, Governor, Policy, Wish, named
from clew.observe.replay import replay
from clew.observe.run import Observer, observe

ONE, OTHER = "http://127.1.0.1:6969/announce", "udp://127.1.0.2:6969/announce"
NODE, PEER = "dht://127.1.101.1:6881", "pex://127.10.9.9:6881"
THERE = "192.0.2.1"
BEYOND = Policy(allow=("127.0.0.0/8", "192.0.2.0/24"))


def known_before(case: Case, address: str, port: int, source: str) -> None:
    """An endpoint as an earlier run left it: listed by somebody whom no Mandate names, and therefore not called."""
    one = Endpoint(1, watch_body()["id"], address, port, clock.now().utc_ns, clock.now().utc_ns, source)
    one.last_failure = str(NOT_NAMED)
    with case.write("observe") as tx:
        tx.execute(INSERT, row(one))


@pytest.mark.parametrize("first", [PEER, NODE, ONE])
def test_who_is_listed_by_a_tracker_that_is_named_is_called_whoever_was_first(
    make_case: Callable[..., Case], stage: Stage, infohash: bytes, first: str
) -> None:
    tracker = stage.tracker("127.1.0.13", tells_stopped=True)
    peer = stage.peer("127.29.2.1", answers(bitfield(*INNER), torrents={infohash}))
    case = make_case(trackers=[tracker.url])
    known_before(case, peer.address, peer.port, first)
    observe(case, trackers=[tracker.url], policy=FAST, seconds=1)
    assert peer.heard == [], "nobody who is named lists it"
    tracker.listed[infohash] = [(peer.address, peer.port)]
    observe(case, trackers=[tracker.url], policy=FAST, seconds=2)
    visits = len(peer.heard)
    assert visits > 0, "it was looked at again as soon as it was listed"
    tracker.listed[infohash] = []
    observe(case, trackers=[tracker.url], policy=FAST, seconds=2)
    assert len(peer.heard) > visits, "also in a run in which nobody lists it"
    rows = shards.query(case, "SELECT kind, source FROM sightings ORDER BY run, sequence").to_pylist()
    assert {each["source"] for each in rows} == {tracker.url}, "what covered the contact, and who listed it"
    kept = case.read().execute("SELECT source, further FROM endpoints").fetchall()
    assert [*map(tuple, kept)] == [(first, tracker.url)]
    assert replay(case).differing == []


def test_who_might_not_be_called_is_due_where_somebody_of_another_kind_lists_it_and_not_sooner() -> None:
    made = Book([], FAST, 0, lambda _: ("tcp",))

    def lists(source: str, at_ns: int) -> Endpoint:
        return made.listed("w", "127.10.0.1", 1, source=source, twin=False, at_ns=at_ns, due_ns=at_ns)[0]

    one = lists(PEER, 0)
    lists(NODE, 0)
    assert not made.due(0, 9), "it is not in the case yet, whoever lists it"
    made.saved(made.changed())
    assert made.due(0, 9) == [(one, "contact")]
    made.never(one, NOT_NAMED)
    for at_s, source, due in ((1, PEER, False), (2, "pex://127.10.9.8:1", False), (3, ONE, True), (4, ONE, False)):
        lists(source, at_s * SECOND)
        assert bool(made.due(at_s * SECOND, 9)) == due, source
        if due:
            made.never(one, NOT_NAMED)
    lists(OTHER, 5 * SECOND)
    assert made.due(5 * SECOND, 9) == [(one, "contact")]
    made.refused(one, Missing(Reason.REFUSED, "too soon"), 90 * SECOND)
    lists("http://127.1.0.3:1/a", 6 * SECOND)
    assert not made.due(89 * SECOND, 9), "a further source makes nobody due who waits for something else"
    assert one.sources == (PEER, NODE, ONE, OTHER, "http://127.1.0.3:1/a")
    assert made.due(90 * SECOND, 9) == [(one, "contact")]


def test_what_a_further_mandate_permits_holds_by_the_tracker_that_it_names(
    make_case: Callable[..., Case], authority: Ed25519PrivateKey
) -> None:
    """Each contact is by the tracker whose Mandate covers it: one in plaintext by the one with that permit."""
    case = make_case(addresses=["192.0.2.0/24"], trackers=[ONE], permits=[])
    loud = {"id": "1" * 32, "addresses": ["192.0.2.0/24"], "trackers": [OTHER], "permits": ["plaintext", "pex"]}
    mandate.add(case, mandate.sign_document("mandate", MANDATE | loud, authority))
    observer = Observer(case, PLUGIN, BEYOND, [ONE])
    whom = Endpoint(1, "W", THERE, 6881, 0, 0, PEER)
    offered, governor, now = observer._offers(), observer._governor, clock.now()
    whom.listed_by(ONE)
    assert offered(whom) == ("mse/tcp", "mse/utp")
    whom.listed_by(OTHER)
    assert offered(whom) == ("mse/tcp", "mse/utp", "tcp", "utp")
    for transport, gossip, source in (("mse/tcp", False, ONE), ("tcp", False, OTHER), ("mse/tcp", True, OTHER)):
        wish = Wish("contact", "W", THERE, 6881, whom.source, transport=transport, gossip=gossip)
        found = governor.covered(wish, whom.sources, now)
        assert isinstance(found, Wish)
        assert (found.source, found.transport, found.gossip) == (source, transport, gossip)
    wish = Wish("contact", "W", THERE, 6881, PEER, transport="mse/tcp")
    assert isinstance(governor.covered(wish, (PEER, NODE), now), Missing)


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Callable[[list[list[str]]], Case]:
    """Makes a case with a Mandate for each list of trackers."""
    folder, numbers, key = tmp_path_factory.mktemp("covering"), count(), Ed25519PrivateKey.generate()

    def make(mandates: list[list[str]]) -> Case:
        made = new_case(Path(folder) / str(next(numbers)), key, trackers=mandates[0], addresses=["*"])
        for number, trackers in enumerate(mandates[1:], 1):
            body = MANDATE | {"id": f"{number:032x}", "trackers": trackers, "addresses": ["*"]}
            mandate.add(made, mandate.sign_document("mandate", body, key))
        return made

    return make


NAMES = st.lists(st.sampled_from([ONE, OTHER, "dht", "pex", "*"]), max_size=2)


@settings(max_examples=25, deadline=None)
@given(
    mandates=st.lists(NAMES, min_size=1, max_size=3),
    listings=st.lists(st.sampled_from([ONE, OTHER, NODE, PEER, "dht://127.1.101.2:1"]), min_size=1, max_size=6),
)
def test_nobody_is_called_without_a_mandate_that_names_who_listed_it(
    cases: Callable[[list[list[str]]], Case], mandates: list[list[str]], listings: list[str]
) -> None:
    """In whatever order it is listed, and however often: no source takes away what another covers, or adds to it."""
    case, whom = cases(mandates), Endpoint(1, "W", THERE, 6881, 0, 0, listings[0])
    for source in listings[1:]:
        whom.listed_by(source)
    governor = Governor(case, BEYOND, "bittorrent")
    wish = Wish("contact", "W", THERE, 6881, whom.source, transport="mse/tcp")
    found = governor.covered(wish, whom.sources, clock.now())
    in_scope = {name for trackers in mandates for name in trackers}
    naming = [source for source in whom.sources if named(source) in in_scope]
    assert {named(source) for source in whom.sources} == {named(source) for source in listings}
    assert (found.source if isinstance(found, Wish) else None) == (naming[0] if naming else None)
    case.close()
