"""The Ledger says of each call of a run under which Mandate it was made, and names none where none holds."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from no_wire import START_NS, Network, goes_on
from observe_case import FAST, MANDATE

from clew.core import clock, mandate
from clew.core.case import Case
from clew.model import Missing
from clew.observe.api import REFUSED, SECOND
from clew.observe.networks.bittorrent import PLUGIN
from clew.observe.policy import Go
from clew.observe.run import Observer
from clew.observe.wire import Answer, Call

FIRST, SECOND_ONE = "0" * 32, "1" * 32
ENDS_NS, BEGINS_NS = START_NS + 60 * SECOND, START_NS + 120 * SECOND
NEAR, FAR = "http://127.1.0.33:6969/announce", "http://127.1.0.34:6969/announce"


@pytest.fixture
def decided(network: Network, monkeypatch: pytest.MonkeyPatch) -> Callable[[Observer], Counter[str]]:
    """Has each call of a run end at once, under the Mandate that the Governor finds; counts them by it."""

    def of(observer: Observer) -> Counter[str]:
        made: Counter[str] = Counter()

        def dial(calls: Iterable[Call]) -> None:
            for call in calls:
                verdict, at = observer._governor.decide(call.wish, network.now), network.now
                if isinstance(verdict, Go):
                    observer._governor.release(call.wish.address, call.wish.port)
                    network.answers.append(Answer(call, None, REFUSED, at, at, ("", 0), verdict.mandate))
                else:
                    assert isinstance(verdict, Missing), "one a second is within any rate"
                    network.answers.append(Answer(call, None, verdict, at, at))
                made[verdict.mandate if isinstance(verdict, Go) else ""] += 1

        monkeypatch.setattr(network, "dial", dial)
        return made

    return of


def entries(case: Case, action: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for (line,) in case.read().execute("SELECT line FROM ledger ORDER BY seq")]
    return [each for each in lines if each["action"] == action]


def calls(found: list[dict[str, Any]]) -> Counter[str]:
    """How many calls each Mandate is named for."""
    said: Counter[str] = Counter()
    for each in found:
        said[each["mandate"]] += sum(each["counts"].values())
    return +said


def test_a_call_is_under_the_mandate_that_covers_it_and_not_under_the_first_of_the_run(
    make_case: Callable[..., Case],
    authority: Ed25519PrivateKey,
    network: Network,
    decided: Callable[[Observer], Counter[str]],
) -> None:
    case = make_case(not_after=clock.iso(ENDS_NS))
    other = MANDATE | {"id": SECOND_ONE, "not_before": clock.iso(BEGINS_NS)}
    mandate.add(case, mandate.sign_document("mandate", other, authority))
    observer = Observer(case, PLUGIN, FAST, [NEAR])
    made = decided(observer)
    goes_on(observer, network, 300, SECOND)
    observer._keep()
    intended, kept = entries(case, "contacts.intended"), entries(case, "sightings.kept")
    assert made[FIRST] > 0 < made[SECOND_ONE]
    assert calls(intended) == +made
    assert sum((Counter({each["mandate"]: each["counts"]["dials"]}) for each in kept), Counter()) == +made
    for each in intended:
        at_ns = mandate.parse_time(each["at"])
        assert each["mandate"] == (FIRST if at_ns <= ENDS_NS else SECOND_ONE if at_ns >= BEGINS_NS else "")
    late = [each for each in kept if mandate.parse_time(each["at"]) > ENDS_NS + 5 * SECOND]
    assert len(late) > 3, "that none holds is kept too"
    assert {each["mandate"] for each in late if mandate.parse_time(each["at"]) < BEGINS_NS} == {""}
    assert {each["mandate"] for each in late} == {"", SECOND_ONE}


def test_what_is_called_at_once_under_several_mandates_is_as_many_entries(
    make_case: Callable[..., Case],
    authority: Ed25519PrivateKey,
    network: Network,
    decided: Callable[[Observer], Counter[str]],
) -> None:
    case = make_case(trackers=[NEAR])
    mandate.add(case, mandate.sign_document("mandate", MANDATE | {"id": SECOND_ONE, "trackers": [FAR]}, authority))
    observer = Observer(case, PLUGIN, FAST, [NEAR, FAR])
    made = decided(observer)
    goes_on(observer, network, 1, SECOND)
    observer._keep()
    assert made == {FIRST: 1, SECOND_ONE: 1}
    assert calls(entries(case, "contacts.intended")) == made
    assert calls(entries(case, "sightings.kept")) == made
