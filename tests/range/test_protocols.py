"""The range's own protocol code under random bytes and bad lines: nothing escapes, is lost, or grows."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from range_callers import Ended, Mse, P, handshake

from clew.range import mse, utp
from clew.range.bdecode import Malformed, dictionary
from clew.range.dht import BOOTSTRAP, Dht, place
from clew.range.torrents import bencode
from clew.range.udp_tracker import UdpTracker

KEYS = [bytes([n]) * 20 for n in range(3)]
VALUES = st.recursive(
    st.integers(-(2**40), 2**40) | st.binary(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcxyz", max_size=4), inner, max_size=4),
    max_leaves=12,
)


def read(value):
    """A value as it reads back: keys are bytes."""
    if isinstance(value, dict):
        return {key.encode(): read(item) for key, item in value.items()}
    return [read(item) for item in value] if isinstance(value, list) else value


@given(st.dictionaries(st.text("abc", max_size=3), VALUES, max_size=4))
def test_what_is_encoded_reads_back(value):
    assert dictionary(bencode(value)) == read(value)


PARTS = st.sampled_from([b"d", b"l", b"e", b"i1e", b"1:a", b"3:", b"i-"])


@given(st.binary(max_size=200) | st.lists(PARTS).map(b"".join))
def test_no_bytes_make_the_decoder_do_anything_but_refuse(data):
    try:
        dictionary(data)
    except Malformed:
        return


class Wire:
    """A stream to a Responder, which gets it in the pieces that `cuts` says."""

    def __init__(self, responder, cuts):
        self.responder, self.cuts = responder, cuts

    def send(self, data):
        at = 0
        while at < len(data):
            size = next(self.cuts)
            self.responder.receive(data[at : at + size])
            at += size

    def recv(self):
        found = bytes(self.responder.out)
        self.responder.out.clear()
        if not found:
            raise Ended
        return found


@given(
    st.integers(0, 2**30), st.sampled_from([(2,), (2, 1), (1, 2)]), st.sampled_from([1, 2, 3]),
    st.lists(st.integers(1, 700), min_size=1, max_size=5), st.integers(0, 512), st.binary(max_size=200),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_mse_in_any_pieces_and_with_any_padding(seed, ways, provide, cuts, pad, said):
    responder = mse.Responder(KEYS, ways, random.Random(seed))
    endless = (size for _ in iter(int, 1) for size in cuts)
    first = handshake(KEYS[1])
    if not provide & sum(ways):
        with pytest.raises(mse.Refused):
            Mse(Wire(responder, endless), KEYS[1], first, provide, bytes(pad))
        return
    caller = Mse(Wire(responder, endless), KEYS[1], first, provide, bytes(pad))
    assert caller.selected == responder.selected == next(way for way in ways if way & provide)
    caller.send(said)
    assert bytes(responder.inner) == first + said
    responder.out += responder.seal(b"back" + said)
    assert caller.recv() == b"back" + said


@given(st.integers(0, P - 1), st.integers(0, 1 << 160))
@settings(deadline=None)
def test_a_power_is_that_of_python(base, exponent):
    assert mse.power(base, exponent) == pow(base, exponent, P).to_bytes(96, "big")


@given(st.binary(min_size=96, max_size=1500), st.integers(0, 2**30))
@settings(deadline=None)
def test_what_is_no_mse_fails_and_nothing_is_kept_for_long(data, seed):
    responder = mse.Responder(KEYS, (2,), random.Random(seed))
    try:
        responder.receive(data)
    except (mse.Failed, mse.Refused):
        return
    assert len(data) < 96 + 532
    assert not responder.selected


def test_a_torrent_that_is_not_held_is_refused():
    responder = mse.Responder(KEYS, (2,), random.Random(1))
    with pytest.raises(mse.Refused):
        Mse(Wire(responder, iter(lambda: 100, 0)), b"\x09" * 20, b"")


@given(st.binary(max_size=80))
def test_a_datagram_is_a_packet_or_none(data):
    packet = utp.parse(data)
    assert packet is None or (len(data) >= 20 and packet.kind <= utp.SYN)


def test_extensions_of_a_packet_are_skipped():
    head = utp.HEADER.pack(utp.DATA << 4 | 1, 1, 9, 0, 0, 0, 5, 6)
    assert utp.parse(head + b"\x02\x04abcd" + b"\x00\x01x" + b"payload").payload == b"payload"
    assert utp.parse(head + b"\x02\xffabcd") is None
    assert utp.parse(head[:1] + b"\x00" + head[2:]).payload == b""


def packet(kind, seq, ack, payload=b"", window=1 << 20):
    return utp.Packet(kind, 8, 0, window, seq & 0xFFFF, ack & 0xFFFF, payload)


@given(st.integers(0, 2**30), st.integers(0, 4), st.sampled_from([1, 1000, 5000, 90_000]))
@settings(max_examples=60, deadline=None)
def test_a_connection_over_a_bad_line_says_and_hears_everything_in_order(seed, lost, size):
    """`lost` per cent of the packets of each direction are lost, as many are doubled, and all come in random order.

    Of worse lines the fake gives up now and then, as real clients do."""
    rng = random.Random(seed)
    out, heard, got, now = [], [], {}, 0.0
    connection = utp.Connection(packet(utp.SYN, 0xFFF0, 0), rng, out.append, heard.append)
    connection.answer(now)
    first = utp.parse(out.pop()).seq
    said, told = rng.randbytes(size), rng.randbytes(size // 10)
    parts = [told[at : at + 700] for at in range(0, len(told), 700)]
    ack, acked, closing = first - 1, 0xFFF0, False
    connection.write(said, now)
    connection.close(now)
    for _ in range(600):
        now += 0.3
        sends = [packet(utp.DATA, 0xFFF1 + n, ack, part) for n, part in enumerate(parts)]
        sends += [packet(utp.FIN, 0xFFF1 + len(parts), ack)] if closing else []
        sends = [*[p for p in sends if utp.after(p.seq, acked)][:20], packet(utp.STATE, 0xFFF1, ack)]
        rng.shuffle(sends)
        for each in sends:
            for _ in range((rng.random() * 100 >= lost) + (rng.random() * 100 < lost)):
                connection.receive(each, now)
        connection.tick(now)
        rng.shuffle(out)
        for data in out:
            if rng.random() * 100 >= lost:
                found = utp.parse(data)
                acked = found.ack if utp.after(found.ack, acked) else acked
                if found.kind in (utp.DATA, utp.FIN):
                    got[found.seq] = found
        out.clear()
        while (following := (ack + 1) & 0xFFFF) in got:
            ack = following
        closing = closing or any(p.kind == utp.FIN and not utp.after(p.seq, ack) for p in got.values())
        if connection.over:
            break
    assert connection.over
    assert b"".join(heard) == told
    order = sorted(got.values(), key=lambda p: (p.seq - first) & 0xFFFF)
    assert b"".join(p.payload for p in order) == said
    assert order[-1].kind == utp.FIN


def test_what_is_never_acknowledged_is_given_up():
    out, heard = [], []
    connection = utp.Connection(packet(utp.SYN, 1, 0), random.Random(1), out.append, heard.append)
    connection.write(b"x" * 5000, 0.0)
    for second in range(60):
        connection.tick(float(second))
    assert connection.over
    assert heard == [b""]
    assert len(out) <= 5 * utp.MOST_TRIES


def test_the_window_of_the_caller_is_kept():
    out = []
    connection = utp.Connection(packet(utp.SYN, 1, 0, window=3000), random.Random(1), out.append, lambda _: None)
    connection.write(b"x" * 50_000, 0.0)
    assert sum(len(each) - 20 for each in out) <= 3000


@given(st.binary(max_size=130))
@settings(deadline=None)
def test_services_answer_anything_or_nothing(data):
    from range_stage import party, scenario

    played = scenario(party(1))
    sender = ("127.9.0.1", 7)
    UdpTracker(played, 0).answer(data, sender, 5.0)
    dht = Dht(played, 7)
    for address in (*BOOTSTRAP, place(48), "127.1.9.9"):
        dht.answer(data, dht.node(address), sender)
    dht.answer(
        bencode({"a": {"info_hash": data}, "q": "get_peers", "t": data, "y": "q"}), dht.node(BOOTSTRAP[0]), sender
    )
