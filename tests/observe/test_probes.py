"""A control probe speaks for the client and carrier that it was made of: another one gets its own."""

from asyncio import StreamReader, StreamWriter
from dataclasses import replace
from typing import Any

from observe_case import FAST
from observe_stage import INNER, PROTOCOL, Peer, Stage, bitfield, hear

from clew.attribute import evidence
from clew.attribute.merge import merge
from clew.core import shards
from clew.model import Claim
from clew.observe.api import SECOND, Contact
from clew.observe.book import Book
from clew.observe.endpoints import Endpoint
from clew.observe.policy import Policy
from clew.observe.probes import MOST_OTHERS
from clew.observe.replay import replay
from clew.observe.run import observe

ALL = ("mse/tcp", "tcp", "mse/utp", "utp")
REVISIT = 100 * SECOND


def book(*watches: str) -> tuple[Book, list[Endpoint]]:
    made = Book([], Policy(revisit=100), 0, lambda _: ALL)
    found = [
        made.listed(watch, "127.10.0.1", 6881, source="t", twin=False, at_ns=0, due_ns=0)[0]
        for watch in watches or ("w",)
    ]
    made.saved(made.changed())
    return made, found


def claim(made: Book, one: Endpoint, at_ns: int, client: str, *, over: str = "tcp", what: str = "watched file") -> None:
    said = Contact(True, Claim(what), peer_id=b"-%s40-aaaaaaaaaaaa" % client.encode(), client=client, transport=over)
    made.contacted(one, said, f"s{at_ns}", at_ns, REVISIT, over, heard_ns=at_ns)


def probed(made: Book, at_ns: int) -> bool:
    """Whether a probe is due within the interval after this moment; it comes out clean."""
    found = [one for one, kind in made.due(at_ns + 2 * SECOND, 9) if kind == "control"]
    for one in found:
        made.controlled(one, "clean")
    return bool(found)


def test_each_further_client_that_claims_is_probed_once() -> None:
    made, (one,) = book()
    took_turns = []
    for visit, client in enumerate(["AA", "AA", "BB", "BB", "AA", "BB", "AA"]):
        claim(made, one, visit * REVISIT, client)
        took_turns.append(probed(made, visit * REVISIT))
    assert took_turns == [True, False, True, False, True, False, False]


def test_the_other_carrier_is_probed_and_over_itself() -> None:
    made, (one,) = book()
    claim(made, one, 0, "AA")
    assert probed(made, 0)
    claim(made, one, REVISIT, "AA", over="mse-rc4/utp")
    assert made.transport(one, "control") == "utp"
    assert probed(made, REVISIT)


def test_the_same_client_that_claims_more_is_not_probed_again() -> None:
    made, (one,) = book()
    claim(made, one, 0, "AA", what="torrent only")
    assert probed(made, 0)
    claim(made, one, REVISIT, "AA")
    assert not probed(made, REVISIT)


def test_another_client_on_several_watches_is_probed_once() -> None:
    made, both = book("w", "x")
    for visit, (client, expected) in enumerate([("AA", True), ("BB", True)]):
        for each in both:
            claim(made, each, visit * REVISIT, client)
        assert probed(made, visit * REVISIT) is expected
        for each in both:
            claim(made, each, visit * REVISIT + 3 * SECOND, client)
        assert not probed(made, visit * REVISIT + 3 * SECOND)


def test_who_calls_itself_something_else_each_time_is_not_probed_for_ever() -> None:
    made, (one,) = book()
    found = []
    for visit in range(9):
        claim(made, one, visit * REVISIT, "ABCDEFGHI"[visit] * 2)
        found.append(probed(made, visit * REVISIT))
    assert found == [True] * (1 + MOST_OTHERS) + [False] * (8 - MOST_OTHERS)


def test_an_echo_that_took_over_from_an_honest_client_is_promiscuous(
    make_case: Any, stage: Stage, infohash: bytes
) -> None:
    """It has the port of somebody who was probed and came out clean."""
    calls: list[bytes] = []

    async def talk(peer: Peer, reader: StreamReader, writer: StreamWriter) -> None:
        asked = (await hear(peer, reader, 68))[28:48]
        calls.append(asked)
        if len(calls) > 2:
            writer.write(PROTOCOL + bytes(8) + asked + b"-EC1234-000000000000" + bitfield(*INNER))
        elif asked == infohash:
            writer.write(PROTOCOL + bytes(8) + asked + b"-TE1234-000000000000" + bitfield(*INNER))
        else:
            return  # closes on a torrent that it does not know
        await reader.read(1)

    peer = stage.peer("127.20.0.1", talk)
    tracker = stage.tracker("127.1.0.5", tells_stopped=True)
    tracker.listed[infohash] = [(peer.address, peer.port)]
    case = make_case()
    observe(case, trackers=[tracker.url], policy=replace(FAST, revisit=0.3, announce=0.25, quiet_rounds=1))
    assert case.read().execute("SELECT control FROM endpoints").fetchone()[0] == "promiscuous"
    kinds = [row["kind"] for row in shards.query(case, "SELECT kind FROM sightings ORDER BY sequence").to_pylist()]
    assert [kind for kind in kinds if kind != "listed"] == ["contact", "control"] * 2
    assert replay(case).differing == []
    assert merge(evidence.read(case), marked=evidence.promiscuous(case)).drafts == ()
