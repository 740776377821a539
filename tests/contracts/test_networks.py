"""Every network plug-in: its benign examples, whole and byte by byte, and junk."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.core import plugins
from clew.core.errors import Usage
from clew.model import carrier
from clew.observe.api import (
    SECOND,
    Ask,
    Contact,
    Example,
    Listing,
    Network,
    Send,
    Sighted,
)
from clew.observe.transcript import Kind, decode
from example_talk import begin, heard

PACKAGE = "clew.observe.networks"
NETWORKS = plugins.load_all(PACKAGE)
EXAMPLES = [pytest.param(n, e, id=f"{name}: {e.name}") for name, n in NETWORKS.items() for e in n.examples]
MOST_HELD = 256 * 1024
MOST_SENT = (
    4  # messages of a stream, two of them of MSE; over UDP also what is repeated, and an answer to each datagram
)
MOST_REPEATED = 10


def datagrams(example: Example) -> bool:
    """Whether what comes in is datagrams, each of them whole."""
    about = example.about
    return carrier(about.tracker.transport if isinstance(about, Ask) else example.transport) in ("utp", "udp")


def play(network: Network, example: Example, step: int | None) -> tuple[bytes, Sighted]:
    """Plays the script; returns all that was sent, and the end. `step` cuts a stream to so many bytes a time."""
    step = None if datagrams(example) else step
    talk, now = begin(network, example), 1_000
    events = talk.opened(now)
    for direction, data in example.script:
        if direction == "in":
            for at in range(0, len(data), step or len(data)):
                now += 1_000
                events += talk.receive(data[at : at + (step or len(data))], now)
    for _ in range(3):
        now = max(now, talk.wake_ns)
        events += talk.tick(now)
    ends = [e for e in events if isinstance(e, Sighted)]
    assert len(ends) == 1
    assert isinstance(events[-1], Sighted)
    assert all(type(e.message) in network.sendable for e in events if isinstance(e, Send))
    return b"".join(e.message.encode() for e in events if isinstance(e, Send)), ends[0]


@pytest.mark.parametrize(("network", "example"), EXAMPLES)
@pytest.mark.parametrize("step", [None, 1, 7])
def test_an_example_says_and_finds_what_it_should(network: Network, example: Example, step: int | None) -> None:
    sent, end = play(network, example, step)
    assert sent == b"".join(data for direction, data in example.script if direction == "out")
    for name, value in example.expect.items():
        assert getattr(end.finding, name) == value, name


@pytest.mark.parametrize(("network", "example"), EXAMPLES)
def test_what_was_said_is_in_the_transcript_and_can_be_shown(network: Network, example: Example) -> None:
    _, end = play(network, example, None)
    segments = decode(end.transcript)
    first = next(segment for segment in segments if segment.kind is not Kind.ENTROPY)
    assert first.kind in (Kind.SENT, Kind.SENT_HEADER)
    lines = network.describe(end.transcript, {example.about.infohash: "W-1"})
    assert len(lines) >= 2
    assert not any(example.about.infohash.hex() in line for line in lines)


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_every_network_has_examples_of_both_conversations(name: str) -> None:
    kinds = {type(play(NETWORKS[name], e, None)[1].finding) for e in NETWORKS[name].examples}
    assert kinds == {Contact, Listing}
    assert NETWORKS[name].name == name


@pytest.mark.parametrize("name", sorted(NETWORKS))
@pytest.mark.parametrize(
    "url",
    [
        *("", "ftp://127.0.0.1/", "https://127.0.0.1/a", "http://a b/", "http://x:99999/a", "magnet:?x"),
        *("http://[::x]/a", "http://::1/a", "udp://127.0.0.1/a", "udp://127.0.0.1:0", "dht://a.name:1"),
        *("dht://127.0.0.1", "dht://127.0.0.1:1/a", "udp://[127.0.0.1]:1/ b", "wss://127.0.0.1:1/a"),
    ],
)
def test_no_tracker_but_by_http_udp_and_the_dht(name: str, url: str) -> None:
    with pytest.raises(Usage):
        NETWORKS[name].tracker(url)


@st.composite
def junk(draw: st.DrawFn) -> tuple[str, int, list[bytes]]:
    """Which network and example, and bytes that begin like its script and go on as anything."""
    name = draw(st.sampled_from(sorted(NETWORKS)))
    number = draw(st.integers(0, len(NETWORKS[name].examples) - 1))
    said = heard(NETWORKS[name].examples[number])
    more = draw(st.lists(st.binary(max_size=40) | messages(), max_size=12))
    if datagrams(NETWORKS[name].examples[number]):
        return name, number, said[: draw(st.integers(0, len(said)))] + more
    told = b"".join(said)
    kept = draw(st.integers(0, len(told)))
    data = told[:kept] + b"".join(more)
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=8)))
    return name, number, [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def messages() -> st.SearchStrategy[bytes]:
    """Length-prefixed messages of any type, whose length may be a lie."""
    body = st.binary(max_size=64)
    lengths = st.one_of(st.none(), st.integers(0, 2**32 - 1))
    return st.builds(
        lambda kind, data, lie: (len(data) + 1 if lie is None else lie).to_bytes(4, "big") + bytes([kind]) + data,
        st.integers(0, 255), body, lengths,
    )  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(junk())
def test_whatever_comes_in_only_the_closed_set_goes_out_and_it_ends(case: tuple[str, int, list[bytes]]) -> None:
    name, number, parts = case
    network = NETWORKS[name]
    talk, now = begin(network, network.examples[number]), random.Random(0).randrange(SECOND)
    events = talk.opened(now)
    for part in parts:
        now += 1_000_000
        events += talk.receive(part, now)
        assert talk.held <= MOST_HELD
    for _ in range(4):
        now = max(now + 1, talk.wake_ns)
        events += talk.tick(now)
    assert [type(e) for e in events].count(Sighted) == 1
    assert isinstance(events[-1], Sighted)
    assert {type(e.message) for e in events[:-1] if isinstance(e, Send)} <= set(network.sendable)
    most = MOST_SENT + (len(parts) + MOST_REPEATED) * datagrams(network.examples[number])
    assert sum(isinstance(e, Send) for e in events) <= most
    decode(events[-1].transcript)
    network.describe(events[-1].transcript, {})
    assert talk.receive(b"anything", now) == talk.tick(now + 100 * SECOND) == talk.closed(now) == []
