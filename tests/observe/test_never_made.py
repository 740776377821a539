"""Calls that were intended and never made: nobody was called, and nothing says otherwise."""

from dataclasses import dataclass
from typing import Any
from unittest.mock import Mock

import pytest
from observe_case import FAST, watch_body

from clew.core import clock, shards
from clew.core.case import Case, new_id
from clew.model import Missing, Reason
from clew.observe import keeping
from clew.observe.account import Account
from clew.observe.announces import Round
from clew.observe.api import SECOND, Tracker
from clew.observe.book import Book
from clew.observe.calls import Errand
from clew.observe.chance import Chance
from clew.observe.comparing import Flow, _Forgotten, _undisclosed
from clew.observe.endpoints import Endpoint
from clew.observe.gaps import Gaps
from clew.observe.keeping import Keeper
from clew.observe.policy import Wish
from clew.observe.probes import CONTROL_ATTEMPTS
from clew.observe.results import Results
from clew.observe.rows import Run
from clew.observe.steady import steady
from clew.observe.wire import STOPPED, Answer, Call

TRACKER = Tracker("http://127.1.0.1:6969/announce", "127.1.0.1", 6969, "/announce", "tcp")
OURS = "127.9.0.1"
ENDED = Missing(Reason.REFUSED, "no Mandate covers this: Mandate 00000000: valid until a moment ago")


@dataclass
class Played:
    """A run by hand, with one endpoint that answered and is to be probed."""

    case: Case
    run: str
    endpoint: Endpoint
    book: Book
    keeper: Keeper
    results: Results
    account: Account

    def never(self, wish: Wish, errand: Errand, why: Missing) -> None:
        """Intends a call, and hears that it was not made."""
        call = Call(new_id(), wish, Mock())
        self.keeper.intend([(call, self.endpoint.id)], clock.now().utc_ns, "0" * 32)
        self.results.take(Answer(call, None, why, clock.now(), clock.now()), errand)
        self.keeper.flush("0" * 32, {})

    def state(self) -> str:
        return str(self.case.read().execute("SELECT state FROM dials").fetchone()[0])

    def undisclosed(self, address: str, port: int) -> list[dict[str, Any]]:
        """What a capture with one flow of ours to that place shows."""
        row = self.case.read().execute("SELECT * FROM observe_runs WHERE id=?", (self.run,)).fetchone()
        flow = Flow(OURS, 40_000, address, port, "tcp", clock.now().utc_ns, 68, 0)
        return list(_undisclosed(self.case, row, [flow], {OURS}, _Forgotten(self.case, self.run)))


@pytest.fixture
def played(case: Case) -> Played:
    now = clock.now()
    run, lasting = Run(new_id(), "clew 0 bittorrent 1", "c", "v", None, None), steady(case, now)
    keeping.begin(case, run, "{}", now, "0" * 32, lasting, 0)
    book, account, gaps = Book([], FAST, 0, lambda _: ("tcp",)), Account(), Gaps()
    keeper = Keeper(case, run, book, gaps)
    results = Results(run, book, keeper, Mock(), account, FAST.revisit, lasting, gaps, Chance(), Mock())
    endpoint, _ = book.listed(
        watch_body()["id"], "127.20.0.1", 6881, source=TRACKER.url, twin=False, at_ns=1, due_ns=10 * SECOND
    )
    endpoint.tier = "E1"
    keeper.flush("0" * 32, {})
    return Played(case, run.id, endpoint, book, keeper, results, account)


@pytest.mark.parametrize("why", [STOPPED, ENDED])
def test_a_control_probe_that_was_never_made_is_no_call(played: Played, why: Missing) -> None:
    endpoint = played.endpoint
    wish = Wish("control", endpoint.watch, *endpoint.place, TRACKER.url)
    for _ in range(CONTROL_ATTEMPTS + 1):
        played.book._probes.plan(endpoint, 0)
        played.never(wish, Errand(endpoint, None, b"r" * 20), why)
    assert played.state() == keeping.NOT_MADE
    assert shards.query(played.case, "SELECT id FROM sightings").num_rows == 0
    assert played.account.controls == 0
    assert endpoint.control is None
    assert played.book._probes.wanted(endpoint), "it counts as no try"
    assert endpoint.next_ns is not None
    (found,) = played.undisclosed(*endpoint.place)
    assert found["why"] == "no dial accounts for it"


@pytest.mark.parametrize("why", [STOPPED, ENDED])
@pytest.mark.parametrize("goodbye", [False, True])
def test_an_announce_that_was_never_made_is_none(played: Played, why: Missing, goodbye: bool) -> None:
    watched = Mock(id=played.endpoint.watch)
    one = Round(TRACKER, TRACKER.host, (watched,), b"h" * 20, "stopped")
    wish = Wish("announce", watched.id, TRACKER.host, TRACKER.port, TRACKER.url, "stopped", goodbye=goodbye)
    played.never(wish, Errand(None, one, one.infohash, goodbye_to="x" if goodbye else ""), why)
    assert played.state() == keeping.NOT_MADE
    assert played.account.announces == 0
    assert played.undisclosed(TRACKER.host, TRACKER.port)
