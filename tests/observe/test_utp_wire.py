"""uTP through the wire, which opens one connected UDP socket each, and with libtorrent at the other end."""

import errno
import os
import random
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock, Mock

import libtorrent as lt
import pytest
from observe_case import FAST
from observe_stage import Stage, says
from test_libtorrent import NAMES, PIECE, SETTINGS, make_torrent
from utp_peer import SYN, UtpPeer
from utp_stage import INFOHASH, OURS, SAID, TARGET, conversation, end, numbers, sent

from clew.core import clock
from clew.core.case import Case
from clew.core.clock import Instant
from clew.model import Claim, Missing, Reason
from clew.observe.account import Account
from clew.observe.api import REFUSED, SECOND, TOO_SLOW, Ask, Contact, Event, Limits, Send, Sighted, Target
from clew.observe.calls import Errand
from clew.observe.networks._messages import Handshake
from clew.observe.networks.bittorrent import PLUGIN
from clew.observe.policy import Go, Governor, Wait, Wish
from clew.observe.probes import CLEAN
from clew.observe.results import Results
from clew.observe.rows import Run
from clew.observe.wire import STOPPED, Answer, Call, Wire, _socket

UTP_ALONE = {"enable_incoming_tcp": False, "enable_outgoing_tcp": False}


@contextmanager
def wire(case: Case, **policy: Any) -> Iterator[Wire]:
    with Wire(Governor(case, replace(FAST, answer=6.0, **policy), "bittorrent"), PLUGIN.sendable) as made:
        yield made


def call(name: str, address: str, port: int, target: Target = TARGET, limits: Limits | None = None) -> Call:
    wish = Wish("contact", "0" * 31 + "1", address, port, "http://127.1.0.1:1/a", transport="utp")
    return Call(name, wish, conversation(target, limits, random.Random(name).randbytes(32)))


def test_a_question_goes_before_visits_that_wait(case: Case) -> None:
    """With one connection at a time, whoever waits to be called does not keep us from hearing of others."""
    asked = replace(call("ask", "127.1.0.9", 9).wish, kind="announce", event="stopped", transport="tcp")
    visits = [call(f"visit {n}", f"127.20.0.{n}", 9) for n in range(1, 4)]
    with wire(case, concurrent=1) as made:
        made.dial([*visits, replace(visits[0], id="ask", wish=asked)])
        found = list(answers(made, 4))
    assert found[0] == "ask"


def test_what_asks_for_more_of_a_list_goes_before_questions_that_wait_for_the_same_tracker(case: Case) -> None:
    """A list of thousands, told by hundreds, would else take one turn through all Watches for each of its parts."""
    asked = replace(call("ask", "127.1.0.9", 9).wish, kind="announce", event="stopped", transport="tcp")
    names = ("first", "second", "third", "more")
    with wire(case) as made:
        made.dial(replace(call(each, "127.1.0.9", 9), wish=asked, goes_on=each == "more") for each in names)
        found = list(answers(made, 4))
    assert found == ["first", "more", "second", "third"]


def answers(made: Wire, number: int) -> dict[str, Answer]:
    found: dict[str, Answer] = {}
    deadline = time.monotonic() + 30
    while len(found) < number and time.monotonic() < deadline:
        found |= {each.call.id: each for each in made.collect(0.5)}
    return found


@contextmanager
def serving(address: str, take: Callable[[bytes], list[bytes]]) -> Iterator[int]:
    """A UDP socket in a thread that answers each datagram."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, 0))
    stop = threading.Event()

    def serve() -> None:
        while not stop.is_set():
            if select.select([sock], [], [], 0.05)[0]:
                data, sender = sock.recvfrom(4_096)
                for each in take(data):
                    sock.sendto(each, sender)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield sock.getsockname()[1]
    finally:
        stop.set()
        thread.join()
        sock.close()


@pytest.fixture(scope="module")
def seeder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Any]]:
    """A libtorrent session that takes and makes uTP connections alone, and its torrent's handle."""
    folder = tmp_path_factory.mktemp("seeder")
    session = lt.session({**SETTINGS, **UTP_ALONE, "listen_interfaces": "127.24.0.2:0"})
    wanted = lt.add_torrent_params()
    wanted.ti, wanted.save_path = make_torrent(folder), str(folder)
    handle = session.add_torrent(wanted)
    deadline = time.monotonic() + 20
    while not (handle.status().is_seeding and session.is_listening()) and time.monotonic() < deadline:
        time.sleep(0.05)
    yield session, handle
    session.pause()


def seeders_target(handle: Any) -> Target:
    infohash = bytes.fromhex(str(handle.info_hash()))
    inner = range(-(-NAMES["a.bin"] // PIECE), sum(NAMES.values()) // PIECE)
    return Target("W-1", infohash, (infohash,), OURS, handle.torrent_file().num_pieces(), inner)


def assert_claims(found: Sighted, target: Target) -> None:
    assert isinstance(found.finding, Contact)
    assert found.finding.missing is None
    assert found.finding.claim is Claim.WATCHED_FILE
    assert (found.finding.pieces_claimed, found.finding.inner_claimed) == (target.pieces, len(target.inner))
    assert str(found.finding.client).startswith("libtorrent")
    assert found.finding.transport == ""


def test_a_real_seeder_that_takes_utp_alone(case: Case, seeder: tuple[Any, Any]) -> None:
    session, handle = seeder
    target = seeders_target(handle)
    with wire(case, revisit=1e-6) as made:
        for name in ("first", "second"):
            made.dial([call(name, "127.24.0.2", session.listen_port(), target)])
            answer = answers(made, 1)[name]
            assert answer.sighted is not None
            assert_claims(answer.sighted, target)
            assert answer.local[0] == FAST.bind
    assert handle.status().total_payload_upload == 0


def test_a_real_seeder_of_very_many_pieces(case: Case, tmp_path: Path) -> None:
    pieces = 100_000
    (tmp_path / "many").touch()
    os.truncate(tmp_path / "many", pieces * PIECE)  # nothing is stored, and with seed_mode nothing is hashed
    about = {b"name": b"many", b"length": pieces * PIECE, b"piece length": PIECE, b"pieces": bytes(20 * pieces)}
    wanted = lt.load_torrent_buffer(lt.bencode({b"info": about}))
    wanted.save_path, wanted.flags = str(tmp_path), wanted.flags | lt.torrent_flags.seed_mode
    session = lt.session({**SETTINGS, **UTP_ALONE, "listen_interfaces": "127.24.0.5:0"})
    infohash = bytes.fromhex(str(session.add_torrent(wanted).info_hash()))
    target = Target("W-1", infohash, (infohash,), OURS, pieces, range(7, 90_000))
    with wire(case) as made:
        made.dial([call("many", "127.24.0.5", session.listen_port(), target)])
        answer = answers(made, 1)["many"]
    assert answer.sighted is not None
    assert_claims(answer.sighted, target)
    session.pause()


# What is lost of the conversation with libtorrent, by number, outwards and inwards.
LOSSES = {
    "the SYN": ({0}, set()),
    "its confirmation": (set(), {0}),
    "the handshake": ({1}, set()),
    "the answer": (set(), {1, 2}),
    "both": ({0, 2}, {1}),
}


@pytest.mark.parametrize("losses", LOSSES.values(), ids=LOSSES)
def test_libtorrent_over_a_link_that_loses(losses: tuple[set[int], set[int]], seeder: tuple[Any, Any]) -> None:
    session, handle = seeder
    target = seeders_target(handle)
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.9.0.1", 0))
    sock.connect(("127.24.0.2", session.listen_port()))
    talk, counts = conversation(target, entropy=random.Random(str(losses)).randbytes(32)), [0, 0]

    def arrives(way: int) -> bool:
        counts[way] += 1
        return counts[way] - 1 not in losses[way]

    events: list[Event] = talk.opened(time.monotonic_ns())
    while True:
        for data in sent(events):
            if arrives(0):
                sock.send(data)
        if any(isinstance(e, Sighted) for e in events):
            break
        left = max(0.0, (talk.wake_ns - time.monotonic_ns()) / SECOND)
        if select.select([sock], [], [], left)[0]:
            data = sock.recv(4_096)
            events = talk.receive(data, time.monotonic_ns()) if arrives(1) else []
        else:
            events = talk.tick(time.monotonic_ns())
    sock.close()
    assert_claims(end(events), target)


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
    results = Results(run, book, Mock(), Mock(), Account(), 1.0, Mock(), Mock(), Mock())
    found = Sighted(Contact(missing=why, transport="utp"), b"")
    results.take(Answer(probe, found, None, now, now, mandate="m"), Errand(endpoint))
    ((told, said),) = [each.args for each in book.controlled.call_args_list]
    assert (told, str(said)) == (endpoint, verdict)


@pytest.mark.parametrize("transport", ["tcp", "utp"])
def test_a_socket_that_cannot_be_had_is_answered_for(
    case: Case, monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    def none_left(*_: object, **__: object) -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("clew.observe.wire._socket", none_left)
    with wire(case) as made:
        one = call("none", "127.24.0.9", 9)
        made.dial([replace(one, wish=replace(one.wish, transport=transport))])
        answer = answers(made, 1)["none"]
    assert answer.missing == Missing(Reason.UNREADABLE, "no connection: Too many open files")


def test_who_is_silent_is_hung_up_on_when_the_wire_stops(case: Case) -> None:
    with serving("127.24.0.3", lambda _: []) as port, wire(case) as made:
        made.dial([call("silent", "127.24.0.3", port)])
        while not (rows := udp_sockets(port)):
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


@dataclass
class Broken:
    """A conversation with a mistake in it, `at` one of its steps."""

    at: str
    wake_ns: int = 0
    held: int = 0

    def _step(self, name: str, now_ns: int, *events: Event) -> list[Event]:
        self.wake_ns = now_ns + SECOND // 5
        if name == self.at:
            raise ValueError(name)
        return list(events)

    def opened(self, now_ns: int) -> list[Event]:
        foreign = Mock(encode=lambda: b"anything") if self.at == "sending" else Handshake(INFOHASH, OURS)
        return self._step("opened", now_ns, Send(foreign))

    def receive(self, data: bytes, now_ns: int) -> list[Event]:
        return self._step("receive", now_ns)

    def tick(self, now_ns: int) -> list[Event]:
        return self._step("tick", now_ns)

    def closed(self, now_ns: int, why: Missing | None = None) -> list[Event]:
        return self._step("closed", now_ns)


@pytest.mark.parametrize("transport", ["tcp", "utp"])
@pytest.mark.parametrize("at", ["opened", "receive", "tick", "closed", "sending"])
def test_a_conversation_that_breaks_costs_only_itself(case: Case, stage: Stage, at: str, transport: str) -> None:
    heard: list[bytes] = []
    peer = stage.peer("127.24.0.6", says(SAID))

    def take(data: bytes) -> list[bytes]:
        heard.append(data)
        return [data]

    with serving("127.24.0.6", take) as port, wire(case) as made:
        place = peer.port if transport == "tcp" else port
        one = call("broken", "127.24.0.6", place)
        one = replace(one, wish=replace(one.wish, transport=transport), conversation=Broken(at))
        made.dial([one])
        if at == "closed":
            while not (heard or peer.heard):
                time.sleep(0.02)
            made.stop()
        answer = answers(made, 1)["broken"]
        if at != "closed":
            made.dial([call("after", "127.24.0.7", 9)])
            assert answers(made, 1)["after"].sighted is not None, "the wire goes on"
    error = "TypeError" if at == "sending" else "ValueError"
    assert answer.sighted is None
    assert answer.missing == Missing(Reason.UNPARSABLE, f"clew could not read it: {error}")
    assert b"anything" not in b"".join(heard) + b"".join(peer.heard)


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


def test_who_waits_behind_a_refused_call_has_its_turn(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Mandate's time is over while several calls wait for one address and port: each has its answer."""
    with socket.create_server(("127.24.0.11", 0)) as server, wire(case) as made:
        decide, went = made._governor.decide, []

        def once(wish: Wish, at: Instant) -> Go | Wait | Missing:
            if made._governor.busy(wish.address, wish.port):
                return Wait(None)
            went.append(wish)
            return decide(wish, at) if len(went) == 1 else Missing(Reason.REFUSED, "its time is over")

        monkeypatch.setattr(made._governor, "decide", once)
        calls = [call(str(n), "127.24.0.11", server.getsockname()[1]) for n in range(4)]
        made.dial(
            [replace(each, wish=replace(each.wish, transport="tcp"), conversation=Broken("tick")) for each in calls]
        )
        found = answers(made, 4)
    assert sorted(found) == ["0", "1", "2", "3"]
