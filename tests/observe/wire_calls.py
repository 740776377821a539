"""Calls as the tests hand them to a wire, the answers to them, and who is called over UDP."""

import random
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from observe_case import FAST
from utp_stage import TARGET, conversation

from clew.core.case import Case
from clew.observe.api import Target
from clew.observe.networks.bittorrent import PLUGIN
from clew.observe.policy import Governor, Wish
from clew.observe.wire import Answer, Call, Wire


@contextmanager
def wire(case: Case, **policy: Any) -> Iterator[Wire]:
    with Wire(Governor(case, replace(FAST, answer=6.0, **policy), "bittorrent"), PLUGIN.sendable) as made:
        yield made


def call(name: str, address: str, port: int, target: Target = TARGET) -> Call:
    wish = Wish("contact", "0" * 31 + "1", address, port, "http://127.1.0.1:1/a", transport="utp")
    return Call(name, wish, conversation(target, entropy=random.Random(name).randbytes(32)))


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
