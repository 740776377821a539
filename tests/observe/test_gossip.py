"""Gossip of a peer (BEP 11): heard where it was offered, bounded, and the first thing to be given up."""

import pytest
from discovery_talk import (
    FEW,
    FIELD,
    HELLO,
    OFFER,
    PEER,
    PEER6,
    contact,
    end,
    only_one_is_told,
    packed,
    sent,
    told,
    usable,
)
from hypothesis import given
from hypothesis import strategies as st
from observe_stage import EXTENSION, message

from clew.model import Claim, Missing, Reason
from clew.observe.api import SECOND, Listing
from clew.observe.networks._pex import MOST
from clew.observe.networks.bittorrent import PLUGIN


@FEW
@given(st.lists(PEER, max_size=20, unique_by=lambda p: p[0]), st.lists(PEER6, max_size=20, unique_by=lambda p: p[0]))
def test_gossip_is_read_as_written(four: list[tuple[str, int]], six: list[tuple[str, int]]) -> None:
    talk = contact()
    assert sent(talk.receive(HELLO, 1))[0].encode() == bytes.fromhex("000000141400") + b"d1:md6:ut_pexi1eee"
    assert talk.receive(OFFER + FIELD, 2) == []
    assert talk.tick(100 * SECOND) == [], "it stays"
    data = told(added=packed(four), added_f=bytes(len(four)), added6=packed(six), dropped=packed([("127.66.6.6", 6)]))
    found, transcript = end(talk.receive(data, 101 * SECOND))
    assert (found.claim, found.missing) == (Claim.WATCHED_FILE, None)
    assert found.gossip is not None
    assert [(e.address, e.port) for e in found.gossip.listed] == usable(four) + usable(six)
    assert found.gossip.unusable == sum(not port for _, port in four + six)
    assert packed([("127.66.6.6", 6)]) not in transcript
    for one in found.gossip.listed[:2]:
        only_one_is_told(found.gossip.proof(one), (one.address, one.port), [*four, *six, ("127.66.6.6", 6)])
        assert packed([(one.address, one.port)]) not in transcript
    assert PLUGIN.describe(transcript, {})


def test_without_gossip_a_peer_that_sends_it_is_left() -> None:
    talk = contact(gossip=False)
    talk.receive(HELLO + OFFER, 1)
    found, _ = end(talk.receive(told(added=b""), 2))
    assert found.missing is not None
    assert found.missing.reason is Reason.REFUSED
    assert found.gossip is None


@pytest.mark.parametrize("kind", [2, 3, 7, 255])
def test_what_was_not_offered_is_never_held(kind: int) -> None:
    talk = contact()
    talk.receive(HELLO + OFFER + FIELD, 1)
    found, transcript = end(talk.receive(message(20, bytes([kind]) + b"CANARY" * 100)[:11], 2))
    assert found.missing is not None
    assert found.missing.reason is Reason.REFUSED
    assert b"CANARY" not in transcript
    assert talk.held == 0


def test_gossip_that_never_comes_or_was_never_offered_is_missing() -> None:
    talk = contact()
    talk.receive(HELLO + OFFER + FIELD, 1)
    late, _ = end(talk.tick(120 * SECOND))
    assert (late.missing, late.claim) == (None, Claim.WATCHED_FILE)
    assert late.gossip == Listing(missing=Missing(Reason.LIMIT_REACHED, "the peer told of nobody while we were there"))
    talk = contact()
    talk.receive(HELLO, 1)
    never, _ = end(talk.receive(message(20, EXTENSION) + FIELD, 2))
    assert never.gossip is not None
    assert never.gossip.missing is not None
    assert never.gossip.missing.reason is Reason.NOT_APPLICABLE


def test_much_gossip_is_bounded_and_counted() -> None:
    peers = [(f"127.{n % 200}.{n // 200}.9", 1 + n) for n in range(MOST + 50)]
    talk = contact()
    talk.receive(HELLO + OFFER + FIELD, 1)
    found, _ = end(talk.receive(told(added=packed(peers), added6=7), 2))
    assert found.gossip is not None
    assert len(found.gossip.listed) == MOST
    assert found.gossip.unusable == 50 + 1
    talk = contact()
    talk.receive(HELLO + OFFER + FIELD, 1)
    large, _ = end(talk.receive(told(added=packed(peers * 6)), 2))
    assert large.missing is not None
    assert large.missing.reason is Reason.TOO_LARGE


def test_gossip_before_the_bitfield_does_not_keep_us() -> None:
    talk = contact()
    talk.receive(HELLO + OFFER + told(added=b""), 1)
    assert talk.wake_ns <= 2 * SECOND
    talk = contact()
    talk.receive(HELLO + OFFER + told(added=b"") + told(added=packed([("127.4.4.4", 4)])), 1)
    found, _ = end(talk.receive(FIELD, 2))
    assert found.gossip == Listing()
    assert found.claim is Claim.WATCHED_FILE


def test_broken_gossip_costs_the_gossip_alone() -> None:
    talk = contact()
    talk.receive(HELLO + OFFER + FIELD, 1)
    found, _ = end(talk.receive(message(20, b"\x01d5:added" + b"9" * 50), 2))
    assert found.gossip is not None
    assert found.gossip.missing is not None
    assert found.gossip.missing.reason is Reason.UNPARSABLE
    assert (found.claim, found.missing) == (Claim.WATCHED_FILE, None)
