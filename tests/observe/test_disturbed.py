"""Long runs that are disturbed come to the facts of an undisturbed one: killed, disk full, clock set, network gone."""

import contextlib
import json
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from disturbed_runs import HERE, SOAK, Facts, balanced, facts, start, troupe
from no_wire import Network
from observe_case import FAST
from observe_stage import PIECES, Stage, answers, bitfield

from clew.attribute import evidence
from clew.attribute.merge import merge
from clew.core import clock, shards
from clew.core.case import Case
from clew.core.clock import Instant
from clew.model import Missing, Reason, SightingKind
from clew.observe.account import coverage
from clew.observe.api import SECOND, Event, Listing, Sighted
from clew.observe.exactness import Exactness
from clew.observe.lines import Line
from clew.observe.networks._peer import PeerConversation
from clew.observe.networks.bittorrent import PLUGIN
from clew.observe.run import Observer, observe
from clew.observe.wire import Answer

HOUR = 3_600_000_000_000
NO_WAY = "Network is unreachable"
KILLS = 20 if SOAK else 2
TRIES = 20 if SOAK else 1
POLICY = replace(FAST, revisit=0.4, announce=0.3)


@pytest.fixture
def undisturbed(stage: Stage, infohash: bytes) -> Callable[[Case], Facts]:
    """The facts about the troupe, told by hand."""

    def tell(case: Case) -> Facts:
        ports = dict(map(tuple, case.read().execute("SELECT address, port FROM endpoints")))
        found: Facts = {(f"127.26.0.{n}", ports[f"127.26.0.{n}"], "E2", 2, "clean") for n in range(1, 6)}
        return found | {
            ("127.26.1.1", ports["127.26.1.1"], "E2", 1, "clean"),
            ("127.26.1.2", ports["127.26.1.2"], "E1", 0, "clean"),
            ("127.26.1.3", ports["127.26.1.3"], "E1", 2, "promiscuous"),
            ("127.26.1.4", ports["127.26.1.4"], "E0", 0, None),
            ("127.26.1.5", 9, "E0", 0, None),
        }

    return tell


def subjects(case: Case) -> set[tuple[object, ...]]:
    """Of whom `clew attribute` makes Subjects, and so Leads."""
    drafts = merge(evidence.read(case), marked=evidence.promiscuous(case)).drafts
    return {(d.address, d.port, d.carrier, d.watches, tuple(i.torrent_only for i in d.intervals)) for d in drafts}


def led(found: Facts) -> set[tuple[object, ...]]:
    """The Subjects that have to come of these facts."""
    claimed = [each for each in found if each[2] == "E2" and each[4] == "clean"]
    return {(address, port, "tcp", (f"{1:032x}",), (level == 1,)) for address, port, _, level, _ in claimed}


def test_undisturbed(case: Case, stage: Stage, infohash: bytes, undisturbed: Callable[[Case], Facts]) -> None:
    tracker, peers = troupe(stage, infohash)
    assert observe(case, trackers=[tracker.url], policy=POLICY).stopped == "settled"
    assert facts(case) == undisturbed(case)
    assert subjects(case) == led(undisturbed(case))
    assert len(subjects(case)) == 6
    balanced(case, peers)


def test_killed_at_random_moments(
    case: Case, stage: Stage, infohash: bytes, undisturbed: Callable[[Case], Facts]
) -> None:
    """One long run, cut off again and again, each time gone on with by the same command."""
    dice = random.Random(7)
    tracker, peers = troupe(stage, infohash)
    for _ in range(KILLS):
        run = start(case, tracker, "60")
        assert run.stdout is not None
        assert run.stdout.readline() == "begin\n"
        time.sleep(dice.uniform(0.1, 1.5))
        run.kill()
        assert run.wait(30) == -signal.SIGKILL
        run.communicate()
    ended = start(case, tracker)
    out, problem = ended.communicate(timeout=60)
    assert ended.returncode == 0, problem
    assert json.loads(out.splitlines()[-1])["stopped"] == "settled"
    assert facts(case) == undisturbed(case)
    balanced(case, peers)
    assert tracker.announced == set()


def test_a_disk_that_is_full(case: Case, stage: Stage, infohash: bytes, undisturbed: Callable[[Case], Facts]) -> None:
    """From one moment on every write of the case fails; then there is room again."""
    dice = random.Random(8)
    tracker, peers = troupe(stage, infohash)
    code = "from clew.cli.main import main; main()"
    options = ["--tracker", tracker.url, "--interval", "0.4", "--hold", "2.5", "--transport", "tcp", "--seconds", "3"]
    command = [sys.executable, "-c", code, "observe", str(case.folder), *options, "--json"]
    ends = set()
    for _ in range(TRIES):
        inject = f"inject=write,pwrite64:error=ENOSPC:when={dice.randrange(20, 400)}+"
        tracer = ["strace", "-qq", "-o", "/dev/null", "-e", "trace=write,pwrite64", "-e", inject]
        ended = subprocess.run([*tracer, *command], capture_output=True, text=True, check=False)
        assert ended.returncode in {0, 1}, ended.stderr
        told = "clew: error:" in ended.stderr and "Traceback" not in ended.stderr
        assert ended.returncode == 0 or told, ended.stderr
        ends.add(ended.returncode)
    assert 1 in ends, "no run was disturbed"
    assert observe(case, trackers=[tracker.url], policy=POLICY).stopped == "settled"
    assert facts(case) == undisturbed(case)
    balanced(case, peers)


@pytest.mark.parametrize("jump_ns", [HOUR, -HOUR])
def test_a_clock_that_is_set_by_an_hour(
    case: Case,
    stage: Stage,
    infohash: bytes,
    undisturbed: Callable[[Case], Facts],
    monkeypatch: pytest.MonkeyPatch,
    jump_ns: int,
) -> None:
    tracker, peers = troupe(stage, infohash)
    began = time.monotonic()

    def now() -> Instant:
        return Instant(time.time_ns() + (time.monotonic() - began > 0.6) * jump_ns, clock.mono_ns())

    def quality() -> clock.Quality:
        return clock.Quality(0, (2 if time.monotonic() - began > 0.6 else 1) * SECOND, "test")

    monkeypatch.setattr("clew.core.clock.now", now)
    monkeypatch.setattr("clew.core.clock.quality", quality)
    assert observe(case, trackers=[tracker.url], policy=POLICY).stopped == "settled"
    assert facts(case) == undisturbed(case)
    assert subjects(case) == led(undisturbed(case))
    balanced(case, peers)
    covered = coverage(case, [])
    assert (covered["gaps"], covered["downtime_seconds"]) == ([], 0), "nobody stopped watching for that"
    (told,) = covered["clock_set"]
    way = "forward" if jump_ns > 0 else "back"
    near = rf"the clock was set 3(600\.[0-4]|599\.[5-9])\d\d s {way}"  # a busy machine is slow between two clocks
    assert re.fullmatch(near, told["why"])
    sql = "SELECT started_ns - monotonic_ns AS base, ended_ns - started_ns AS took, clock_error_ns FROM sightings"
    rows = shards.query(case, f"{sql} ORDER BY sequence").to_pylist()
    bases = [row["base"] - rows[0]["base"] for row in rows]
    assert {round(base / HOUR) for base in bases} == {0, jump_ns // HOUR}
    for row, base in zip(rows, bases, strict=True):
        late, across = abs(base) > HOUR // 2, abs(row["took"]) > HOUR // 2
        error_ns = row["clock_error_ns"]
        told = error_ns and round(error_ns / SECOND)  # it grows by half a millisecond a second
        assert told in ({None} if across else {2} if late else {1, None}), row


def test_an_error_of_the_clock_holds_for_the_clock_that_it_was_measured_of(monkeypatch: pytest.MonkeyPatch) -> None:
    second, at, told = 1_000_000_000, [Instant(0, 0)], [clock.Quality(1, 10, "test")]
    monkeypatch.setattr("clew.core.clock.now", lambda: at[0])
    monkeypatch.setattr("clew.core.clock.quality", lambda: told[0])
    exactness = Exactness()
    assert exactness.of(at[0], at[0]) == (1, 10)
    told[0], at[0] = clock.Quality(2, 20, "test"), Instant(second, second)
    assert exactness.of(at[0], at[0]) == (1, 500_010), "measured once a minute, and a second ago"
    assert exactness.of(Instant(-19 * second, -19 * second), at[0]) == (1, 9_500_010), "it began before that"
    before, at[0] = at[0], Instant(3_602 * second, 2 * second)
    assert exactness.of(before, at[0]) == (None, None), "it began by another clock than it ended by"
    assert exactness.of(at[0], at[0]) == (2, 20), "measured again at once"
    told[0] = Missing(Reason.UNKNOWN, "nothing keeps this clock in time")
    at[0] = Instant(3_602 * second + 61 * second, 63 * second)
    assert exactness.of(at[0], at[0]) == (None, None)


@pytest.mark.parametrize(("set_ns", "known"), [(0, (1, 2)), (-HOUR, (None, None))])
def test_how_exact_the_time_is_in_which_we_were_listed_holds_for_both_calls(
    case: Case, network: Network, monkeypatch: pytest.MonkeyPatch, set_ns: int, known: tuple[int | None, int | None]
) -> None:
    monkeypatch.setattr("clew.core.clock.quality", lambda: clock.Quality(1, 2 * SECOND, "test"))
    url = "http://127.1.0.34:6969/announce"
    observer = Observer(case, PLUGIN, FAST, [url])
    (one,) = observer._questions(network.now)
    calls = observer._caller.question(replace(one, event="started"))
    for each, made in calls:
        began, network.now = network.now, Instant(network.now.utc_ns + SECOND, network.now.mono_ns + SECOND)
        said = Sighted(Listing(), b"", {})
        answer = Answer(each, said, None, began, network.now, ("127.9.0.1", 5), "0" * 32)
        observer._results.take(answer, made)
        network.now = Instant(network.now.utc_ns + set_ns, network.now.mono_ns)
    (row,) = (row for row in observer._keeper._rows if row["kind"] == SightingKind.OURSELVES)
    error_ns = row["clock_error_ns"]
    assert (row["clock_offset_ns"], error_ns and round(error_ns / SECOND)) == known


def test_a_network_that_is_gone_for_a_while(make_case: Any, infohash: bytes) -> None:
    """In a network namespace of its own, where the only route goes and comes back."""
    case: Case = make_case()
    command = ["unshare", "-rn", sys.executable, str(HERE / "without_network.py"), str(case.folder), infohash.hex()]
    ended = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False, timeout=90)
    assert ended.returncode == 0, ended.stderr
    said = json.loads(ended.stdout.splitlines()[-1])
    assert said["stopped"] == "settled"
    assert [gap["why"] for gap in said["coverage"]["gaps"]] == ["this machine had no network"]
    assert said["coverage"]["downtime_seconds"] > 0
    refused = {"unreadable: connection refused", "unparsable: the answer is not BitTorrent"}
    assert set(said["coverage"]["not_answered"]) <= refused, "that we had no network is not held against anybody"


def test_what_a_router_says_of_one_address_is_said_of_that_peer_alone(tmp_path: Path) -> None:
    """A router tells that it has no way there once the connection is under way: we have a network all the same."""
    command = ["unshare", "-rn", sys.executable, str(HERE / "beyond_a_router.py"), str(tmp_path / "case")]
    ended = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False, timeout=90)
    assert ended.returncode == 0, ended.stderr
    said = json.loads(ended.stdout.splitlines()[-1])
    assert said["gaps"] == []
    assert said["dials"] == [
        ["127.255.255.255", "failed", f"unreadable: no connection: {NO_WAY}"],
        ["127.26.4.1", "done", None],
        *(
            [each, "failed", f"unreadable: no connection: {why}"]
            for each, why in (
                ("192.0.2.77", "No route to host"),
                ("198.51.100.7", NO_WAY),
                ("203.0.113.9", NO_WAY),
            )
        ),
    ]


def test_a_stop_takes_effect_within_a_second_over_udp(case: Case, stage: Stage, infohash: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.26.2.1", 0))
        silent.settimeout(20)
        tracker = stage.tracker("127.1.0.13", tells_stopped=True)
        tracker.listed[infohash] = [silent.getsockname()]
        run = start(case, tracker, "60", "utp")
        assert silent.recv(2048)
        began = time.monotonic()
        run.send_signal(signal.SIGTERM)
        out, problem = run.communicate(timeout=20)
    assert run.returncode == 0, problem
    assert time.monotonic() - began < 2.0, "a second, and the end of the interpreter on a busy machine"
    assert json.loads(out.splitlines()[-1])["stopped"] == "interrupted"
    states = case.read().execute("SELECT state FROM dials WHERE kind = 'contact'").fetchall()
    assert [row["state"] for row in states] == ["interrupted"]


def test_going_on_visits_those_who_are_settled_again(case: Case, stage: Stage, infohash: bytes) -> None:
    peer = stage.peer("127.26.3.1", answers(bitfield(*range(PIECES)), torrents={infohash}))
    tracker = stage.tracker("127.1.0.14", tells_stopped=True)
    tracker.listed[infohash] = [(peer.address, peer.port)]
    policy = replace(POLICY, revisit=0.2)
    assert observe(case, trackers=[tracker.url], policy=policy).stopped == "settled"
    before = len(peer.heard)
    assert observe(case, trackers=[tracker.url], policy=policy, seconds=3, go_on=True).stopped == "time"
    assert len(peer.heard) > before + 2
    starts = [row["monotonic_ns"] for row in _contacts(case)]
    pauses = [later - earlier for earlier, later in pairwise(starts)]
    assert len(starts) > 9
    assert pauses[-1] > 0.38e9, "after eight visits the interval is doubled"


def _contacts(case: Case) -> list[dict[str, Any]]:
    return shards.query(case, "SELECT * FROM sightings WHERE kind = 'contact' ORDER BY monotonic_ns").to_pylist()


@pytest.mark.parametrize(("answer", "seconds"), [(30.0, 2.5), (0.5, None)], ids=["cut off", "given up"])
def test_the_next_run_sends_no_second_handshake_too_soon(
    case: Case, stage: Stage, infohash: bytes, answer: float, seconds: float | None
) -> None:
    """Neither to whom the end of a run cut off before it answered, nor to whom that run had given up."""
    silent = stage.peer("127.24.9.1", answers(bitfield(6), torrents={infohash}, wait=60))
    tracker = stage.tracker("127.1.0.29", tells_stopped=True)
    tracker.listed[infohash] = [(silent.address, silent.port)]
    policy = replace(FAST, revisit=60.0, attempts=1, answer=answer)
    observe(case, trackers=[tracker.url], policy=policy, seconds=seconds)
    assert len(silent.heard) == 1
    observe(case, trackers=[tracker.url], policy=policy, seconds=2.5)
    assert len(silent.heard) == 1, "the revisit interval is not over"
    due = case.read().execute("SELECT next_ns FROM endpoints").fetchone()["next_ns"]
    assert due is not None, "it is called again, later"


def test_a_stop_takes_us_off_the_list_of_a_slow_tracker(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has our `started` and has not replied: `stopped` follows all the same, before the run is over."""
    heard: list[str] = []
    dial = Line.dial

    def from_afar(line: Line, *given: Any, **named: Any) -> None:
        line._reactor.at(clock.mono_ns() + 150_000_000, partial(dial, line, *given, **named))

    monkeypatch.setattr(Line, "dial", from_afar)
    with socket.create_server(("127.1.0.30", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    conn, _ = server.accept()
                    threading.Thread(target=reply, args=(conn,), daemon=True).start()

        def reply(conn: socket.socket) -> None:
            with conn:
                event = conn.recv(4096).partition(b"event=")[2].split(b" ")[0].decode()
                heard.append(event)
                if event == "started":
                    conn.recv(1)  # until we hang up
                else:
                    conn.sendall(b"HTTP/1.0 200 OK\r\n\r\nd8:intervali1e5:peers0:e")

        threading.Thread(target=serve, daemon=True).start()
        url = f"http://127.1.0.30:{server.getsockname()[1]}/a"
        observe(case, trackers=[url], policy=replace(FAST, answer=20.0), seconds=2.0)
        assert heard.count("started") == 1
        assert heard[-1] == "stopped"
        server.shutdown(socket.SHUT_RDWR)


def test_a_conversation_that_breaks_is_not_begun_again_over_the_other_carrier(
    case: Case, stage: Stage, infohash: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> list[Event]:
        raise ValueError("a mistake of ours")

    monkeypatch.setattr(PeerConversation, "receive", broken)
    peer = stage.peer("127.24.9.2", answers(bitfield(6), torrents={infohash}))
    tracker = stage.tracker("127.1.0.31", tells_stopped=True)
    tracker.listed[infohash] = [(peer.address, peer.port)]
    policy = replace(FAST, revisit=60.0, transports=("tcp", "utp"))
    observe(case, trackers=[tracker.url], policy=policy, seconds=2.5)
    dials = case.read().execute("SELECT transport FROM dials WHERE kind='contact'").fetchall()
    assert [row["transport"] for row in dials] == ["tcp"]
