"""Random peers over every transport: what is found in a replay of the transcript is what was found live."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mse_responder import PLAIN, RC4, Responder
from random_peers import CANARY, INFOHASH, Link, Talk, streams, target

from clew.model import Missing, Reason
from clew.observe.api import Contact
from clew.observe.networks.bittorrent import PLUGIN
from clew.observe.replay import play
from clew.observe.transcript import Kind, decode


def unread(found: Contact) -> Contact:
    """Of an extension handshake that could not be read, how it broke is not kept."""
    missing = found.missing
    cut_off = missing is not None and missing.detail.startswith("extension handshake: ")
    return replace(found, missing=Missing(Reason.UNPARSABLE, "")) if cut_off else found


@pytest.mark.parametrize("transport", PLUGIN.transports)
@settings(max_examples=100, deadline=None)
@given(st.data(), streams(), st.booleans(), st.sampled_from(["time", "closed", "stopped"]))
def test_live_and_replayed_are_the_same(
    transport: str, data: st.DataObject, said: bytes, control: bool, how: str
) -> None:
    draw: st.DrawFn = data.draw  # type: ignore[assignment]  # the same, but for a label
    talk = Talk(transport, target(control))
    link = Link(talk, draw)
    if transport.startswith("mse") and not talk.end:
        other = Responder(INFOHASH, pad_b=draw(st.binary(max_size=40)), pad_d=draw(st.binary(max_size=20)))
        other.choose = draw(st.sampled_from([RC4, RC4, PLAIN, 8]))
        link.say(other.key(), mixed=False)
        if not talk.end:
            proof = other.prove(link.sent())
            link.say(draw(st.binary(max_size=700)) if draw(st.integers(0, 9)) == 9 else proof, mixed=False)
            said = other.says(said)
    link.say(said, mixed=True)
    live = talk.over(how)
    assert CANARY not in live.transcript
    segments = decode(live.transcript)
    again = play(talk.begin(), PLUGIN.filled(segments, talk.target.infohash))
    assert again is not None, PLUGIN.describe(live.transcript, {INFOHASH: "W-1"})
    assert isinstance(live.finding, Contact)
    assert isinstance(again.finding, Contact)
    assert unread(again.finding) == unread(live.finding)
    stream = [b"".join(s.data for s in decode(t) if s.kind is Kind.SENT) for t in (live.transcript, again.transcript)]
    assert stream[0] == stream[1]
    assert PLUGIN.describe(live.transcript, {INFOHASH: "W-1"})
