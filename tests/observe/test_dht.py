"""A node of the DHT is asked once (BEP 5, BEP 32, BEP 43), read as it answers, and never answered."""

from typing import Any

import pytest
from discovery_talk import (
    INFOHASH,
    NODE,
    PEER,
    PEER6,
    bencoded,
    get_peers,
    listing,
    only_one_is_told,
    packed,
    reply,
    usable,
)
from hypothesis import given
from hypothesis import strategies as st

from clew.model import Missing, Reason
from clew.observe.api import Sighted
from clew.observe.networks._dht import MAX_DATAGRAM


def test_the_query_is_read_only_and_asks_for_both_families() -> None:
    _, query = get_peers()
    expected = {
        b"t": query.transaction, b"y": b"q", b"q": b"get_peers", b"ro": 1,
        b"a": {b"id": query.node_id, b"info_hash": INFOHASH, b"want": [b"n4", b"n6"]},
    }  # fmt: skip
    assert query.encode() == bencoded(expected)
    assert len(query.node_id) == 20


@given(
    st.lists(PEER | PEER6, max_size=20, unique_by=lambda p: p[0]),
    st.lists(st.binary(max_size=5) | st.integers(0, 9), max_size=3),
)
def test_values_of_either_family_are_read_as_written(peers: list[tuple[str, int]], junk: list[Any]) -> None:
    talk, query = get_peers()
    values = [packed([p]) for p in peers] + junk
    found = listing(talk.receive(reply(query, values=values, token=b"SECRET-TOKEN"), 1))
    assert [(e.address, e.port) for e in found.listed] == usable(peers)
    assert found.unusable == len(values) - len(found.listed)
    assert found.node == NODE
    for one in found.listed[:3]:
        only_one_is_told(found.proof(one), (one.address, one.port), peers)
        assert b"TOKEN" not in found.proof(one)


@given(
    st.lists(st.tuples(st.binary(min_size=20, max_size=20), PEER), max_size=8),
    st.lists(st.tuples(st.binary(min_size=20, max_size=20), PEER6), max_size=8),
)
def test_nodes_of_both_families_but_nobody_and_not_ourselves(four: list[Any], six: list[Any]) -> None:
    talk, query = get_peers()
    four = [*four, (query.node_id, ("127.3.3.3", 7)), (b"z" * 20, ("0.0.0.0", 7)), (b"p" * 20, ("127.3.3.4", 0))]
    nodes, nodes6 = (b"".join(i + packed([p]) for i, p in some) for some in (four, six))
    found = listing(talk.receive(reply(query, nodes=nodes + b"cut", nodes6=nodes6), 1))
    right = [(a, p, i) for i, (a, p) in [*four, *six] if p and a not in ("0.0.0.0", "::") and i != query.node_id]
    assert list(found.nodes) == right
    assert found.listed == ()


@pytest.mark.parametrize(
    "data",
    [
        b"", b"d", b"d1:t" * 900, b"l" * 3000, b"d1:rd2:id" + b"9" * 3000, b"i" + b"1" * 3000,
        bencoded({b"t": b"\0\0\0\0", b"y": b"r", b"r": {b"id": NODE, b"values": [b"\x7f\x42\x06\x06\0\1"]}}),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_dropped_and_ends_nothing(data: bytes) -> None:
    talk, query = get_peers()
    assert talk.receive(data, 1) == []
    assert (
        talk.receive(
            reply(query, values=[b"\x7f\x42\x06\x06\0\1"])[:-1] + b"0:" + bencoded(b"x" * MAX_DATAGRAM) + b"e", 1
        )
        == []
    )
    found = listing(talk.receive(reply(query, values=[packed([("127.10.0.1", 7)])]), 2))
    assert [e.address for e in found.listed] == ["127.10.0.1"]


def test_queries_are_never_answered() -> None:
    talk, query = get_peers()
    for name in (b"ping", b"find_node", b"get_peers", b"announce_peer"):
        ask = {b"t": query.transaction, b"y": b"q", b"q": name, b"a": {b"id": NODE}}
        assert talk.receive(bencoded(ask), 1) == []
    events = talk.closed(2)
    assert listing(events).missing == Missing(
        Reason.UNREADABLE, "node: closed before it answered; datagrams that are no answer: 4"
    )


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({b"y": b"e", b"e": [203, b"Protocol Error"]}, Reason.REFUSED),
        ({b"y": b"e", b"e": 7}, Reason.REFUSED),
        ({b"y": b"e"}, Reason.REFUSED),
        ({b"y": b"r", b"r": [1]}, Reason.UNPARSABLE),
        ({b"y": b"r"}, Reason.UNPARSABLE),
        ({b"y": b"r", b"r": {b"id": b"short"}}, Reason.UNPARSABLE),
    ],
)
def test_errors_and_replies_that_are_none(fields: dict[bytes, Any], reason: Reason) -> None:
    talk, query = get_peers()
    missing = listing(talk.receive(bencoded({b"t": query.transaction, **fields}), 1)).missing
    assert missing is not None
    assert missing.reason is reason


def test_content_in_unknown_fields_is_not_kept() -> None:
    talk, query = get_peers()
    canary = b"CANARY-BYTES" * 20
    data = reply(query, values=[packed([("127.10.0.1", 7)])], token=canary, **{canary.decode(): canary, "x": canary})
    (end,) = talk.receive(data, 1)
    assert isinstance(end, Sighted)
    assert b"CANARY" not in end.transcript
    (one,) = listing([end]).listed
    assert b"CANARY" not in listing([end]).proof(one)


# gossip ---------------------------------------------------------------------------------------------------------------
