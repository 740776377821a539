"""Whether it is us who have no network: by what connect(2) says, and by the ways to others."""

import errno
import socket

import pytest
from observe_case import FAST

from clew.core.clock import Instant
from clew.model import Missing
from clew.observe.api import SECOND
from clew.observe.gaps import NO_IPV4, NO_IPV6, NO_NETWORK, Gaps
from clew.observe.ways import Ways
from clew.observe.wire import _has_way

UNREACHABLE, NOT_OURS = OSError(errno.ENETUNREACH, ""), OSError(errno.EADDRNOTAVAIL, "")
NO_FAMILY = OSError(errno.EAFNOSUPPORT, "")  # ipv6.disable=1
PEER, OTHER, LOST = "198.51.100.7", "192.0.2.9", "203.0.113.9"
SIX, OTHER_SIX, LOST_SIX = "2001:db8::1", "fd00::9", "2001:db8::9"


@pytest.mark.parametrize(
    ("been", "has_way", "address", "error", "gone"),
    [
        ([], [], LOST, UNREACHABLE, NO_NETWORK),
        ([], [LOST], LOST, UNREACHABLE, None),  # only TCP has none
        ([PEER, OTHER], [PEER, OTHER], LOST, UNREACHABLE, None),
        ([PEER, OTHER], [PEER], LOST, UNREACHABLE, NO_NETWORK),  # a neighbour has still a way
        ([PEER, "198.51.100.8"], ["198.51.100.8"], LOST, UNREACHABLE, None),  # the last of each /8
        (["127.0.0.1"], ["127.0.0.1"], LOST, UNREACHABLE, NO_NETWORK),
        ([PEER], [PEER], LOST, NOT_OURS, NO_NETWORK),
        ([PEER], [PEER, LOST], LOST, OSError(errno.EACCES, ""), None),
        ([SIX], [], LOST, UNREACHABLE, NO_NETWORK),
        ([SIX], [SIX], LOST, UNREACHABLE, NO_IPV4),  # IPv6 goes on
        ([SIX, OTHER_SIX], [OTHER_SIX], LOST, UNREACHABLE, NO_NETWORK),  # a neighbour alone is no IPv6 that goes on
        ([], [], LOST_SIX, UNREACHABLE, NO_IPV6),
        ([PEER], [PEER], LOST_SIX, UNREACHABLE, NO_IPV6),
        ([PEER], [PEER], LOST_SIX, NOT_OURS, NO_IPV6),  # no address of ours that reaches there
        ([PEER], [PEER], LOST_SIX, NO_FAMILY, NO_IPV6),
        ([SIX, OTHER_SIX], [OTHER_SIX], LOST_SIX, UNREACHABLE, NO_IPV6),
        ([SIX, OTHER_SIX], [SIX, OTHER_SIX], LOST_SIX, UNREACHABLE, None),
        ([], [LOST_SIX], LOST_SIX, UNREACHABLE, None),
    ],
)
def test_whether_the_network_is_gone(
    been: list[str], has_way: list[str], address: str, error: OSError, gone: Missing | None
) -> None:
    ways = Ways(has_way.__contains__)
    for each in been:
        ways.left(each)
    assert ways.gone(address, error) == gone


@pytest.mark.parametrize("address", ["127.255.255.255", "127.0.0.1"])
def test_a_broadcast_address_has_a_way_of_datagrams_alone(address: str) -> None:
    assert _has_way(address, FAST.bind)
    with socket.socket() as sock:
        sock.setblocking(False)
        told = sock.connect_ex((address, 9))
    assert (told == errno.ENETUNREACH) == (address != "127.0.0.1")


def test_who_has_no_socket_to_look_by_knows_of_no_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: object, **__: object) -> socket.socket:
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr("clew.observe.wire._socket", none_left)
    assert not _has_way("127.0.0.1", "")


def test_what_got_out_of_the_last_that_was_handed_out_lets_the_others_go_on() -> None:
    gaps, at = Gaps(), [Instant(n * SECOND, n * SECOND) for n in range(9)]
    gaps.probed(at[1])
    gaps.call(at[3], at[3], NO_NETWORK)
    assert gaps.open
    assert gaps.waits(at[3])
    gaps.left(at[2])
    assert not gaps.open
    assert not gaps.waits(at[3])
    assert gaps.take() == [(3 * SECOND, 3 * SECOND, NO_NETWORK.detail)]
    gaps.probed(at[4])
    gaps.call(at[4], at[5], NO_NETWORK)
    gaps.left(at[2])
    assert gaps.open
    assert gaps.take() == [(3 * SECOND, 5 * SECOND, NO_NETWORK.detail)]
