"""uTP through the wire, which opens one connected UDP socket each."""

import socket
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from unittest.mock import MagicMock, Mock

import pytest
from utp_peer import SYN, UtpPeer
from utp_stage import INFOHASH, OURS, SAID, numbers
from wire_calls import answers, call, serving, wire

from clew.core import clock
from clew.core.case import Case
from clew.model import Claim, Missing, Reason
from clew.observe.account import Account
from clew.observe.api import REFUSED, TOO_SLOW, Ask, Contact, Limits, Sighted
from clew.observe.calls import Errand
from clew.observe.networks.bittorrent import PLUGIN
from clew.observe.probes import CLEAN
from clew.observe.results import Results
from clew.observe.rows import Run
from clew.observe.wire import STOPPED, Answer, _socket


def test_nobody_there(case: Case) -> None:
    with wire(case) as made:
        made.dial([call("none", "127.24.0.9", 9)])
        answer = answers(made, 1)["none"]
    assert answer.sighted is not None
    assert answer.sighted.finding.missing == REFUSED
    assert answer.sighted.finding.transport == ""


@pytest.mark.parametrize(("why", "verdict"), [(REFUSED, str(REFUSED)), (TOO_SLOW, str(TOO_SLOW)), (None, CLEAN)])
def test_a_control_probe_that_was_not_heard_decides_nothing(why: Missing | None, verdict: str) -> None:
    book, now = MagicMock(), clock.now()
    why = why or Missing(Reason.UNREADABLE, "the peer closed before it answered")
    probe = call("probe", "127.24.0.9", 9)
    probe = replace(probe, wish=replace(probe.wish, kind="control"))
    run, endpoint = Run("r", "t", "c", "v", None, None), Mock()
    results = Results(run, book, Mock(), Mock(), Account(), 1.0, Mock(), Mock(), Mock(), Mock())
    found = Sighted(Contact(missing=why, transport="utp"), b"")
    results.take(Answer(probe, found, None, now, now, mandate="m"), Errand(endpoint))
    ((told, said),) = [each.args for each in book.controlled.call_args_list]
    assert (told, str(said)) == (endpoint, verdict)


def test_who_is_silent_is_hung_up_on_when_the_wire_stops(case: Case) -> None:
    with serving("127.24.0.3", lambda _: []) as port, wire(case) as made:
        made.dial([call("silent", "127.24.0.3", port)])
        deadline = time.monotonic() + 20
        while not (rows := udp_sockets(port)) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert rows == ["127.24.0.3"], "our socket is connected: it hears its one peer alone"
        made.stop()
        assert udp_sockets(port) == []
        assert answers(made, 1)["silent"].sighted.finding.missing == STOPPED


def udp_sockets(port: int) -> list[str]:
    """The remote addresses of this machine's UDP sockets that are connected to `port`."""
    rows = [line.split()[2].split(":") for line in Path("/proc/net/udp").read_text("ascii").splitlines()[1:]]
    return [socket.inet_ntoa(bytes.fromhex(ip)[::-1]) for ip, at in rows if int(at, 16) == port]


def test_a_datagram_too_large_ends_it(case: Case) -> None:
    with serving("127.24.0.4", lambda data: [data + bytes(4_100)]) as port, wire(case) as made:
        made.dial([call("large", "127.24.0.4", port)])
        answer = answers(made, 1)["large"]
    assert answer.sighted is not None
    assert answer.sighted.finding.missing == Missing(Reason.TOO_LARGE, "a datagram of more than 4096 bytes")


def test_a_list_of_as_many_as_we_ask_for_is_read_over_ipv6_too(case: Case) -> None:
    """BEP 15, "IPv6": 18 bytes each. It comes in pieces, and is one datagram by the time that we read it."""
    listed = b"".join(bytes.fromhex("20010db8") + n.to_bytes(12, "big") + b"\x1a\xe1" for n in range(1, 201))

    def tracker(data: bytes) -> list[bytes]:
        action, transaction = (data[8:12], data[12:16])
        return [action + transaction + (bytes(8) if action == bytes(4) else bytes(12) + listed)]

    ask = Ask(PLUGIN.tracker("udp://[2001:db8::7]:6969"), "W-1", INFOHASH, "stopped", OURS, 9, 1)
    with serving("127.24.0.6", tracker) as port, wire(case) as made:
        one = call("list", "127.24.0.6", port)
        wish = replace(one.wish, kind="announce", event="stopped", transport="udp")
        made.dial([replace(one, wish=wish, conversation=PLUGIN.ask(ask, Limits(), bytes(32)))])
        answer = answers(made, 1)["list"]
    assert answer.sighted is not None
    assert answer.sighted.finding.missing is None
    assert len(answer.sighted.finding.listed) == ask.want == 200


def test_many_at_once_through_the_wire(case: Case) -> None:
    peers: dict[int, UtpPeer] = {}

    def take(data: bytes) -> list[bytes]:
        kind, connection, _, _ = numbers(data)
        one = peers.setdefault(connection if kind == SYN else connection - 1, UtpPeer(SAID))
        return one.take(data, 0)

    addresses = [f"127.24.1.{n}" for n in range(1, 21)]
    with ExitStack() as stack, wire(case) as made:
        ports = [stack.enter_context(serving(each, take)) for each in addresses]
        made.dial([call(a, a, port) for a, port in zip(addresses, ports, strict=True)])
        found = answers(made, len(addresses))
    assert {a.sighted.finding.claim for a in found.values() if a.sighted} == {Claim.WATCHED_FILE}
    assert len(found) == len(addresses) == len({a.local[1] for a in found.values()})
    assert all(peer.reset for peer in peers.values())


@pytest.mark.parametrize(
    ("address", "bind", "bound"),
    [
        ("127.24.0.6", "127.9.0.1", "127.9.0.1"), ("::1", "::1", "::1"), ("::1", "127.9.0.1", "::"),
        ("127.24.0.6", "::1", "0.0.0.0"), ("192.0.2.1", "127.9.0.1", "0.0.0.0"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("datagrams", [False, True])
def test_our_own_address_is_bound_for_its_own_family_alone(
    address: str, bind: str, bound: str, datagrams: bool
) -> None:
    with _socket(address, bind, datagrams=datagrams) as sock:
        assert sock.getsockname()[:2] == (bound, 0), "and no port is chosen before connect"


def test_what_came_before_the_peer_was_gone_is_read(case: Case) -> None:
    """recv(2) tells of an ICMP error before it gives the datagrams that came earlier: the claim is among them."""
    peer = UtpPeer(SAID, size=24)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, wire(case) as made:
        sock.bind(("127.24.0.8", 0))
        sock.settimeout(20)
        made.dial([call("gone", "127.24.0.8", sock.getsockname()[1])])
        said: list[bytes] = []
        while not said:  # the SYN is confirmed, and with the next datagram all is said at once
            data, sender = sock.recvfrom(4_096)
            first = peer.take(data, 0)
            for each in first:
                sock.sendto(each, sender)
            data, sender = sock.recvfrom(4_096)
            said = peer.take(data, 0)
        made._reactor.hand(lambda: time.sleep(0.2))  # all of it lies there, and nobody listens any more
        for each in said:
            sock.sendto(each, sender)
        sock.close()
        answer = answers(made, 1)["gone"]
    assert answer.sighted is not None
    assert answer.sighted.finding.claim is Claim.WATCHED_FILE
