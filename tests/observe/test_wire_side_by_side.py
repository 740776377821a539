"""Calls side by side in one wire: which of those that wait goes first, and that one that goes wrong costs no other."""

import errno
import socket
import time
from dataclasses import dataclass, replace
from unittest.mock import Mock

import pytest
from observe_stage import Stage, says
from utp_stage import INFOHASH, OURS, SAID
from wire_calls import answers, call, serving, wire

from clew.core.case import Case
from clew.core.clock import Instant
from clew.model import Missing, Reason
from clew.observe.api import SECOND, Event, Send
from clew.observe.networks._messages import Handshake
from clew.observe.policy import Go, Wait, Wish


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
            deadline = time.monotonic() + 20
            while not (heard or peer.heard) and time.monotonic() < deadline:
                time.sleep(0.02)
            assert heard or peer.heard
            made.stop()
        answer = answers(made, 1)["broken"]
        if at != "closed":
            made.dial([call("after", "127.24.0.7", 9)])
            assert answers(made, 1)["after"].sighted is not None, "the wire goes on"
    error = "TypeError" if at == "sending" else "ValueError"
    assert answer.sighted is None
    assert answer.missing == Missing(Reason.UNPARSABLE, f"clew could not read it: {error}")
    assert b"anything" not in b"".join(heard) + b"".join(peer.heard)


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
