"""Starts and stops the actors of an operation: own processes, ended by their id; they end when their parent is gone."""

import fcntl
import json
import os
import secrets
import socket
import string
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import IO, Any, Self

from clew.core import descriptors
from clew.core.errors import ClewError
from clew.range.dht import BOOTSTRAP
from clew.range.places import TRACKER_ADDRESSES
from clew.range.play import Playbill
from clew.range.scenario import Manner, Scenario, Source
from clew.range.sockets import wildcard

# Ports that real clients use, below the range of ephemeral ports, so that no outgoing connection can stand on one.
WISHED_PORTS = (*range(6881, 6900), 8999, 16881, 21413, 26881, *range(20_001, 22_000, 7))
PORTS = 40
A_SESSION = 6  # descriptors of one libtorrent session that seeds
ANSWER_WITHIN = 60.0
STOP_WITHIN = 10.0


class Actor:
    """One process of the range."""

    def __init__(self, part: str, bill: Playbill) -> None:
        self.part = part
        self._process = subprocess.Popen(
            [sys.executable, "-m", "clew.range.play", part],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._errors: list[str] = []
        threading.Thread(target=self._drain, daemon=True).start()
        self._send(bill.to_json())

    def ask(self, order: dict[str, Any] | None = None) -> dict[str, Any]:
        """Sends an order, if any, and waits for the next line. Raises ClewError where the process is gone or slow."""
        if order is not None:
            self._send(json.dumps(order))
        assert self._process.stdout is not None
        timer = threading.Timer(ANSWER_WITHIN, self._process.kill)
        timer.start()
        try:
            line = self._process.stdout.readline()
        finally:
            timer.cancel()
        if not line:
            said = "".join(self._errors[-3:]).strip() or "it said nothing"
            raise ClewError(
                f"the range's {self.part} ended: {said}", "try again; another program may have taken a port"
            )
        found: dict[str, Any] = json.loads(line)
        return found

    def end(self) -> None:
        """Ends this process by its id, kindly at first."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            try:
                self._process.stdin.close()
            except BrokenPipeError:
                self._errors.append("gone before it was told")
        try:
            self._process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _send(self, line: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise ClewError(f"the range's {self.part} is gone", "".join(self._errors[-3:]).strip()) from error

    def _drain(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as stream:
            for line in stream:
                self._errors.append(line)
                del self._errors[:-50]


class Operation:
    """A running range: `with Operation.prepare(...) as operation: operation.go()`."""

    def __init__(self, bill: Playbill, reservation: IO[str]) -> None:
        self.bill = bill
        self._reservation = reservation
        self.scenario = bill.scenario()
        self.start_at = 0.0
        self._actors: dict[str, Actor] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="clew-range-") if not bill.folder else None

    @classmethod
    def prepare(cls, seed: int, scenario_file: str) -> Self:
        """Chooses free ports and a fresh canary for a scenario file's text; starts nothing.

        Until the operation is entered, another one that prepares waits, so that two do not choose the same ports.
        """
        reservation = (Path(tempfile.gettempdir()) / f"clew-range-{os.getuid()}.lock").open("w")
        fcntl.flock(reservation, fcntl.LOCK_EX)
        ports = free_ports(PORTS + 1)
        return cls(
            Playbill(
                seed=seed,
                scenario_file=scenario_file,
                ports=ports[:PORTS],
                real_port=ports[PORTS],
                tracker_port=_tracker_port(),
                folder="",
                canary="".join(secrets.choice(string.ascii_letters) for _ in range(32)).encode().hex(),
            ),
            reservation,
        )

    @property
    def canary(self) -> bytes:
        """The 32 bytes that every fake pushes and that may be found nowhere afterwards.

        Letters, so that they stay what they are where somebody keeps them as text.
        """
        return bytes.fromhex(self.bill.canary)

    @property
    def trackers(self) -> list[str]:
        """Announce URLs of both HTTP trackers, and of both UDP ones where the scenario lists anybody there."""
        udp = any(p.listed and Source.UDP in p.listed_by for p in self.scenario.parties)
        return [
            f"{scheme}://{address}:{self.bill.tracker_port}/announce"
            for scheme in (("http", "udp") if udp else ("http",))
            for address in TRACKER_ADDRESSES
        ]

    @property
    def dht_nodes(self) -> list[str]:
        """Nodes of the DHT that one can begin with; none where the scenario lists nobody there."""
        dht = any(p.listed and Source.DHT in p.listed_by for p in self.scenario.parties)
        return [f"dht://{address}:{self.bill.tracker_port}" for address in BOOTSTRAP] if dht else []

    def __enter__(self) -> Self:
        try:
            _room(self.scenario)
            self._actors["swarm"] = Actor("swarm", self.bill)
            self._actors["swarm"].ask()
            assert self._folder is not None
            fields = json.loads(self.bill.to_json()) | {"folder": str(Path(self._folder.name))}
            self._actors["seeders"] = Actor("seeders", Playbill.from_json(json.dumps(fields)))
            self._actors["seeders"].ask()
        except BaseException:
            self.__exit__()
            raise
        self._reservation.close()
        return self

    def go(self) -> float:
        """Second 0 of the operation, in seconds since 1970; the scenario runs from here."""
        self.start_at = time.time()
        self._actors["swarm"].ask({"start_at": self.start_at})
        return self.start_at

    def finish(self) -> dict[str, Any]:
        """Stops the swarm and returns what it audited: forbidden messages by kind, announces, who is still listed."""
        return self._actors["swarm"].ask({"stop": True})

    def __exit__(self, *_: object) -> None:
        for actor in self._actors.values():
            actor.end()
        self._actors.clear()
        self._reservation.close()
        if self._folder is not None:
            self._folder.cleanup()


def _room(scenario: Scenario) -> None:
    """Raises Usage where a process may not hold as many sockets open as the operation asks for."""
    real = sum(party.manner is Manner.REAL for party in scenario.parties)
    most = max(scenario.pace.at_once + 2 * PORTS, real * A_SESSION)
    descriptors.room_for(most, f"this operation has {most:,} sockets open", "lower at_once in the scenario file")


def free_ports(count: int) -> tuple[int, ...]:
    """The first `count` wished ports that nobody has. Raises ClewError where too few are left."""
    found: list[int] = []
    for port in WISHED_PORTS:
        if len(found) == count:
            break
        try:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                wildcard(port, kind).close()
        except PermissionError as error:
            raise ClewError(
                "this system lets no program bind to the device lo", "Linux 5.7 or newer is needed"
            ) from error
        except OSError:
            continue
        found.append(port)
    if len(found) < count:
        raise ClewError(
            f"only {len(found)} of {count} ports are free", "stop what listens on 6881-6899 and 20001-22000"
        )
    return tuple(found)


def _tracker_port() -> int:
    for port in (6969, 6968, *range(7060, 7090)):
        try:
            for address in TRACKER_ADDRESSES:
                with socket.socket() as sock:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    sock.bind((address, port))
            wildcard(port, socket.SOCK_DGRAM).close()
        except OSError:
            continue
        return int(port)
    raise ClewError("no port is free for the trackers", "stop what listens on 6968-7090")
