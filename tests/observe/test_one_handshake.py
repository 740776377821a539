"""For one Watch nobody hears two handshakes of ours within the revisit interval: over any transport, over any end of a
run. By the queue's own plan, and, whatever the queue says, by the Governor's word.
"""

import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from unittest.mock import Mock

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import example, given, settings
from hypothesis import strategies as st
from observe_case import FAST, ends_when, new_case, watch_body
from observe_stage import PROTOCOL, Stage
from utp_peer import HEADER, STATE, packet

from clew.core import clock
from clew.core.case import Case, new_id
from clew.core.clock import Instant
from clew.model import Claim, Missing, Reason, carrier
from clew.observe import keeping
from clew.observe.account import Account
from clew.observe.api import REFUSED, SECOND, TOO_SLOW, Contact, Sighted
from clew.observe.book import Book
from clew.observe.calls import Errand
from clew.observe.chance import Chance
from clew.observe.endpoints import Endpoint
from clew.observe.gaps import Gaps
from clew.observe.keeping import Keeper
from clew.observe.lines import Ending
from clew.observe.networks.bittorrent import PLUGIN
from clew.observe.policy import Go, Governor, Policy, Wish
from clew.observe.results import Results
from clew.observe.rows import Run
from clew.observe.run import observe
from clew.observe.steady import steady
from clew.observe.wire import STOPPED, Call, Wire

TRACKER = "http://127.1.0.1:6969/announce"
POLICY = Policy(revisit=300.0, attempts=2)
WAIT_NS = 300 * SECOND
START_NS, UTC_NS = 1_000 * SECOND, 1_800_000_000 * SECOND
WATCHES = [watch_body(number)["id"] for number in (1, 2)]
PLACE = ("127.20.0.1", 6881)
WHOM = [(WATCHES[0], PLACE), (WATCHES[0], PLACE), (WATCHES[1], PLACE)]
CLOSED = Missing(Reason.UNREADABLE, "the peer closed before it answered")
BROKE = Missing(Reason.UNPARSABLE, "clew could not read it: ValueError")
CLAIMED = Contact(answered=True, claim=Claim.WATCHED_FILE, peer_id=b"-TE1234-000000000000")
# What becomes of a contact: whether there was a connection, what was found, whether a handshake of ours went out.
ENDS: dict[str, tuple[bool, Contact | None, bool]] = {
    "unconnected": (False, None, False),
    "shut": (True, Contact(missing=CLOSED, shut=True), False),
    "silent": (True, Contact(missing=CLOSED), True),
    "refused later": (True, Contact(missing=REFUSED), True),
    "stopped": (True, Contact(missing=STOPPED), True),
    "broke": (True, None, True),
    "answered": (True, CLAIMED, True),
}


@dataclass(frozen=True)
class Step:
    """After how long the next call is tried, what becomes of it, how long it lasts, when in it our handshake goes out
    for the last time, and whether the run then ends: in order, killed with what it has not kept, or not at all.

    `named`: a list that did not name them lately does so before and after it.
    """

    after_ns: int
    end: str
    lasts_ns: int
    share: float
    over: str
    whom: tuple[str, tuple[str, int]]
    transport: str
    clock_ns: int
    named: bool = False


# Chosen so that what lies just within the interval of a dial, or of the end of a call, comes often.
seconds = st.sampled_from([280.0, 299.0, 300.0, 0.0, 1.0, 600.0])
STEPS = st.builds(
    Step,
    after_ns=seconds.map(lambda s: int(s * SECOND)),
    end=st.sampled_from(["answered", "silent", *sorted(ENDS)]),
    lasts_ns=st.sampled_from([26 * SECOND, SECOND, 0]),
    share=st.sampled_from([0.0, 1.0, 0.5]),
    over=st.sampled_from(["no", "no", "in order", "killed", "killed at once"]),
    whom=st.sampled_from(WHOM),
    transport=st.sampled_from(PLUGIN.transports),
    clock_ns=st.sampled_from([0, 0, -3_600 * SECOND, 3_600 * SECOND]),
    named=st.booleans(),
)
SILENT = Step(280 * SECOND, "silent", 26 * SECOND, 0.0, "no", WHOM[0], "tcp", 0)


@dataclass
class Play:
    """Runs of the observer in one case, one call at a time, on a clock that the steps move."""

    case: Case
    mono_ns: int = START_NS
    utc_ns: int = UTC_NS
    handshakes: list[tuple[str, tuple[str, int], int]] = field(default_factory=list)

    def now(self) -> Instant:
        return Instant(self.utc_ns + self.mono_ns, self.mono_ns)

    def begin(self) -> None:
        """A run begins, as `Observer` does it."""
        run, self.lasting = Run(new_id(), "t", "c", "v", None, None), steady(self.case, self.now())
        keeping.begin(self.case, run, "{}", self.now(), "m", self.lasting, WAIT_NS)
        self.governor = Governor(self.case, POLICY, "bittorrent")
        self.governor.recall(keeping.heard(self.case, self.now(), self.lasting, WAIT_NS))
        rows = self.case.read().execute("SELECT * FROM endpoints")
        self.book = Book(rows, POLICY, self.lasting.at(self.now()), lambda _: PLUGIN.transports)
        self.keeper = Keeper(self.case, run, self.book, Gaps())
        self.results = Results(
            run, self.book, self.keeper, Mock(), Account(), POLICY.revisit, self.lasting, Gaps(), Chance(), Mock()
        )
        self.run, self.wire = run, Wire(self.governor, PLUGIN.sendable)

    def end(self, how: str) -> None:
        """The run ends, and with it whatever it has not kept, unless it was in order."""
        if how == "in order":
            self.keeper.flush("m", {})
            summary = {"coverage": {}, "limits": {}, "contacts": 0, "controls": 0, "announces": 0, "stopped": "time"}
            summary |= {"ourselves": {"gossiped": 0, "listed": 0, "presumed": 0}, "questions": {}}
            keeping.end(self.case, self.run, self.now().utc_ns, summary, "m")
        self.wire._reactor.close()

    def endpoint(self, watch: str, place: tuple[str, int]) -> Endpoint:
        at_ns = self.lasting.at(self.now())
        found, new = self.book.listed(watch, *place, source=TRACKER, twin=False, at_ns=at_ns, due_ns=at_ns)
        if new:
            self.keeper.flush("m", {})
        return found

    def call(self, endpoint: Endpoint, kind: str, transport: str, step: Step) -> bool:
        """One call to its end, where it may be made, or to the moment at which the run is killed in it."""
        wish = Wish(kind, endpoint.watch, *endpoint.place, TRACKER, transport=transport)
        made = Call(new_id(), wish, Mock())
        self.keeper.intend([(made, endpoint.id)], self.now().utc_ns, "m")
        began = self.now()
        verdict = self.governor.decide(wish, began)
        if not isinstance(verdict, Go):
            return False
        connected, found, goes_out = ENDS[step.end]
        datagrams = carrier(transport) != "tcp"
        if datagrams and found is None and not connected:  # over UDP it is the conversation that finds nobody there
            connected, found = True, Contact(missing=REFUSED, shut=True)
        if kind == "control":
            connected, found = True, CLAIMED
        self.mono_ns += int(step.lasts_ns * step.share)
        sent = self.now()
        if goes_out and kind == "contact":
            self.handshakes.append((endpoint.watch, endpoint.place, sent.mono_ns))
        if step.over == "killed at once":
            return True
        self.mono_ns += step.lasts_ns - int(step.lasts_ns * step.share)
        sighted = Sighted(found, b"") if found is not None else None
        missing = None if sighted is not None else BROKE if connected else TOO_SLOW
        # Who did not answer may get what went out first at any time until the end: TCP repeats it.
        last = sent if found is not None and found.answered else began
        local = ("127.9.0.1", 5) if connected else ("", 0)
        self.wire._lines[made.id] = made, Mock()
        self.wire._over(made, verdict.mandate, Ending(sighted, missing, began, self.now(), local, last))
        (answer,) = self.wire.collect(0)
        self.results.take(answer, Errand(endpoint, None, b"h" * 20))
        return True

    def name(self) -> None:
        """All are named by a list that did not name them lately."""
        for endpoint in self.book:
            self.book.listed(endpoint.watch, *endpoint.place, source=TRACKER, twin=False, at_ns=0, due_ns=self.now_ns)
            self.book.returned(endpoint, self.now_ns)

    @property
    def now_ns(self) -> int:
        """By the time that intervals are counted by."""
        return self.lasting.at(self.now())

    def step(self, step: Step) -> None:
        """The run goes on, or another begins after it."""
        if step.over != "no":
            self.end(step.over)
            self.begin()

    def judge(self) -> None:
        """No two handshakes within the interval."""
        last: dict[tuple[str, tuple[str, int]], int] = {}
        for watch, place, at_ns in self.handshakes:
            assert at_ns - last.get((watch, place), -WAIT_NS) >= WAIT_NS
            last[watch, place] = at_ns


@contextmanager
def playing() -> Iterator[Play]:
    with tempfile.TemporaryDirectory() as folder:
        authority = Ed25519PrivateKey.generate()
        case = new_case(Path(folder) / "case", authority, watch_body(1), watch_body(2))
        play = Play(case)
        play.begin()
        yield play
        play.wire._reactor.close()
        case.close()


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, min_size=2, max_size=8))
def test_whatever_the_queue_says_the_governor_holds_to_it(steps: list[Step]) -> None:
    with playing() as play:
        for step in steps:
            play.mono_ns += step.after_ns
            play.call(play.endpoint(*step.whom), "contact", step.transport, step)
            play.utc_ns += step.clock_ns  # set by hand, or by a time server
            play.step(step)
        play.judge()


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, min_size=2, max_size=8))
@example([SILENT, replace(SILENT, lasts_ns=0)])
def test_the_queue_plans_nothing_that_the_governor_would_refuse(steps: list[Step]) -> None:
    with playing() as play:
        for watch in WATCHES:
            play.endpoint(watch, PLACE)
        for step in steps:
            play.mono_ns += step.after_ns
            if step.named:
                play.name()
            for endpoint, kind in play.book.due(play.now_ns, 10):
                assert play.call(endpoint, kind, play.book.transport(endpoint, kind), step), "refused"
                if step.over == "killed at once":
                    break
                if step.named:
                    play.name()
            play.step(step)
        play.judge()


@settings(max_examples=25, deadline=None)
@given(st.lists(STEPS, min_size=1, max_size=6), st.integers(0, 40))
def test_whom_a_list_names_anew_is_due_within_the_interval_whatever_became_of_him(
    steps: list[Step], failures: int
) -> None:
    with playing() as play:
        one = play.endpoint(*WHOM[0])
        one.failures, one.claims, one.tier = failures, failures % 2, ("E0", "E1")[failures % 2]
        for step in steps:
            play.mono_ns += step.after_ns
            for endpoint, kind in play.book.due(play.now_ns, 10):
                play.call(endpoint, kind, play.book.transport(endpoint, kind), step)
            play.name()
            assert all(each.next_ns is not None and each.next_ns <= play.now_ns + WAIT_NS for each in play.book)
            play.step(replace(step, over="no"))


def test_who_is_gone_after_our_handshake_went_out_over_utp_has_heard_us(
    case: Case, stage: Stage, infohash: bytes
) -> None:
    """ICMP then says "connection refused", as it does where nobody was ever there."""
    heard: list[bytes] = []

    def vanish(sock: socket.socket) -> None:
        """Takes the connection and the handshake, confirms nothing of it, and closes the port."""
        syn, sender = sock.recvfrom(4_096)
        _, _, connection, *_, seq, _ = HEADER.unpack(syn[:20])
        sock.sendto(packet(STATE, connection, 1_000, seq), sender)
        heard.append(sock.recv(4_096))
        sock.close()

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.20.0.1", 0))
        sock.settimeout(10)
        place = sock.getsockname()
        tracker = stage.tracker("127.1.0.5", tells_stopped=True)
        tracker.listed[infohash] = [place]
        thread = threading.Thread(target=vanish, args=(sock,))
        thread.start()
        policy = replace(FAST, revisit=60.0, answer=6.0, transports=("utp",))
        observe(case, trackers=[tracker.url], policy=policy, progress=ends_when(lambda: _failed(case)), seconds=10)
        thread.join()
    assert heard[0][20:40] == PROTOCOL
    (dial,) = case.read().execute("SELECT * FROM dials WHERE kind='contact'").fetchall()
    assert dial["detail"] == str(REFUSED)
    now = clock.now()
    ((watch, address, port, at_ns),) = keeping.heard(case, now, steady(case, now), 60 * SECOND)
    assert (watch, address, port) == (watch_body()["id"], *place)
    assert at_ns < now.mono_ns


def _failed(case: Case) -> bool:
    return bool(case.read().execute("SELECT 1 FROM dials WHERE kind='contact' AND state='failed'").fetchone())
