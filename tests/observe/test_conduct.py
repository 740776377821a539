"""Nothing leaves but what DESIGN allows, over every transport, whatever comes in, in whatever order and time.

What went out is judged by parsers that are written here, from the specifications, and share nothing with clew: uTP
headers, MSE with an RC4 of its own (`mse_responder`), BitTorrent's framing, HTTP, the UDP tracker's requests, bencode.
"""

import struct
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from mse_responder import PLAIN, RC4, P, Responder, crypt, keystream, sha1
from random_peers import ENTROPY, INFOHASH, MESSAGES, OURS, TWIN, Talk, streams
from utp_peer import DATA, FIN, HEADER, RESET, STATE, SYN, packet

from clew.observe.api import SECOND, Ask, Conversation, Limits, Send, Target
from clew.observe.networks.bittorrent import PLUGIN

CONTACTS = [f"{kind} {over}" for over in PLUGIN.transports for kind in ("contact", "control", "gossip")]
ASKS = [
    f"{event} {url}"
    for event in ("stopped", "started")
    for url in ("http://127.1.0.1:6969/a?key=1", "udp://127.1.0.1:6969/a", "udp://[::1]:6969", "dht://127.2.0.1:6881")
]
RESERVED = bytes.fromhex("0000000000100000")  # BEP 10 alone: byte 7 has neither the DHT's bit 1 nor the Fast bit 4
TRIES = 4
PRIVATE = 0xB0B
SETTINGS = settings(  # twelve steps are short enough to be read as they are
    max_examples=25, stateful_step_count=12, deadline=None, phases=(Phase.reuse, Phase.generate)
)
MAX_PAD = 512


# the judge --------------------------------------------------------------------------------------------------------


def bdecode(data: bytes) -> tuple[Any, bytes]:
    """A small bencode parser (BEP 3): the value, and what follows it."""
    if data[:1] == b"i":
        number, _, rest = data[1:].partition(b"e")
        return int(number), rest
    if data[:1] in (b"l", b"d"):
        kind, data, found = data[:1], data[1:], []
        while data[:1] != b"e":
            one, data = bdecode(data)
            found.append(one)
        pairs = zip(found[::2], found[1::2], strict=True)
        return (found if kind == b"l" else dict(pairs)), data[1:]
    length, _, rest = data.partition(b":")
    return rest[: int(length)], rest[int(length) :]


def judge_stream(said: bytes, *, gossip: bool) -> None:
    """BEP 3 and 10: one handshake, then at most one extension handshake that offers nothing, or gossip alone."""
    if not said:
        return
    assert said[:20] == b"\x13BitTorrent protocol"
    assert said[20:28] == RESERVED
    assert said[28:48] in (INFOHASH, TWIN)
    assert len(said) >= 68
    rest, messages = said[68:], 0
    while rest:
        (length,) = struct.unpack(">I", rest[:4])
        body, rest = rest[4 : 4 + length], rest[4 + length :]
        assert len(body) == length > 2, "no keep-alive, nothing cut short"
        assert body[0] == 20, f"message {body[0]} was sent"
        assert body[1] == 0, "an extension's message was sent"
        offer, after = bdecode(body[2:])
        assert after == b""
        assert offer[b"m"] in ({b"ut_pex": 1},) if gossip else offer[b"m"] == {}
        assert set(offer) <= {b"m", b"upload_only"}, "no port, no metadata, no version of ours"
        messages += 1
    assert messages <= 1


def unveiled(wire: bytes) -> bytes:
    """MSE's stream as side B, whose private key is PRIVATE, reads it; empty where only our key went out."""
    secret = pow(int.from_bytes(wire[:96], "big"), PRIVATE, P).to_bytes(96, "big")
    at = wire.find(sha1(b"req1", secret), 96)
    if at < 0:
        assert 96 <= len(wire) <= 96 + MAX_PAD
        return b""
    asked = bytes(a ^ b for a, b in zip(wire[at + 20 : at + 40], sha1(b"req3", secret), strict=True))
    (infohash,) = [h for h in (INFOHASH, TWIN) if sha1(b"req2", h) == asked]
    stream, sealed = keystream(sha1(b"keyA", secret, infohash)), wire[at + 40 :]
    head = crypt(stream, sealed[:14])
    assert head[:8] == bytes(8)
    offered, pad = struct.unpack(">IH", head[8:])
    assert 0 < offered <= 3
    assert pad <= MAX_PAD
    assert not any(crypt(stream, sealed[14 : 14 + pad]))
    (length,) = struct.unpack(">H", crypt(stream, sealed[14 + pad : 16 + pad]))
    assert length == 0, "nothing is said to who has not proven to know the infohash"
    rest = sealed[16 + pad :]
    return rest if rest[:20] == b"\x13BitTorrent protocol" else crypt(stream, rest)


def judge_utp(sent: list[bytes]) -> bytes:
    """BEP 29: SYN, STATE, DATA, RESET, without extensions; returns the stream in them."""
    parts: dict[int, bytes] = {}
    for each in sent:
        first, extension, *_, seq, _ = HEADER.unpack(each[:20])
        assert first & 15 == 1
        assert extension == 0
        assert first >> 4 in (SYN, STATE, DATA, RESET)
        assert first >> 4 == DATA or len(each) == 20
        if first >> 4 == DATA:
            assert parts.setdefault(seq, each[20:]) == each[20:]
    return b"".join(parts.values())


def judge_http(sent: list[bytes], event: str) -> None:
    (request,) = sent
    line, *headers = request[:-4].decode("ascii").split("\r\n")
    assert request.endswith(b"\r\n\r\n")
    method, path, version = line.split(" ")
    assert (method, version) == ("GET", "HTTP/1.1")
    asked = dict(parse_qsl(urlsplit(path).query, encoding="latin-1"))
    assert urlsplit(path).path == "/a"
    assert asked.pop("key") == "1"
    assert asked.pop("info_hash").encode("latin-1") == INFOHASH
    assert int(asked.pop("left")) > 0
    assert asked.pop("event") == event
    assert asked.pop("peer_id").encode("latin-1") == OURS
    assert (asked.pop("uploaded"), asked.pop("downloaded"), asked.pop("compact")) == ("0", "0", "1")
    assert set(asked) == {"port", "numwant"}
    assert {each.split(":")[0] for each in headers} == {"Host", "Accept-Encoding", "Connection"}


def judge_udp_tracker(sent: list[bytes], event: str) -> None:
    """BEP 15: connect and announce, no scrape."""
    assert len(sent) <= 2 * TRIES
    for each in sent:
        if len(each) == 16:
            assert each[:12] == bytes.fromhex("000004172710198000000000")
            continue
        assert struct.unpack(">I", each[8:12]) == (1,)
        downloaded, left, uploaded, number, address = struct.unpack(">QQQII", each[56:88])
        assert (each[16:36], each[36:56]) == (INFOHASH, OURS)
        assert left > 0
        assert (downloaded, uploaded, address) == (0, 0, 0)
        assert number == {"started": 2, "stopped": 3}[event]
        options = each[98:]
        while options:
            assert options[0] == 2, "BEP 41: the URL's path alone"
            options = options[2 + options[1] :]


def judge_dht(sent: list[bytes]) -> None:
    assert len(sent) <= TRIES
    for each in sent:
        query, after = bdecode(each)
        assert after == b""
        assert (query[b"y"], query[b"q"], query[b"ro"]) == (b"q", b"get_peers", 1)
        assert set(query) == {b"a", b"q", b"ro", b"t", b"y"}
        assert set(query[b"a"]) == {b"id", b"info_hash", b"want"}
        assert query[b"a"][b"info_hash"] == INFOHASH


def judge(kind: str, sent: list[bytes], received: int) -> None:
    """All that went out in one conversation of this kind."""
    how, over = kind.split(" ", 1)
    if "://" in over:
        judges = {"http": judge_http, "udp": judge_udp_tracker}
        scheme = over.split(":")[0]
        judge_dht(sent) if scheme == "dht" else judges[scheme](sent, how)
        return
    most = 4 if over.startswith("mse") else 2  # the key and the proof of MSE, and two handshakes
    if over.endswith("utp"):
        assert len(sent) <= (1 + most) * TRIES + received + 1
        stream = judge_utp(sent)
    else:
        assert len(sent) <= most
        stream = b"".join(sent)
    clear = unveiled(stream) if over.startswith("mse") and stream else stream
    judge_stream(clear, gossip=how == "gossip")
    if how == "control":
        assert len(clear) in (0, 68), "a control probe says no more than its handshake"


# what comes in ----------------------------------------------------------------------------------------------------


@dataclass
class Held(Talk):
    """A conversation of any kind."""

    kind: str = ""

    def begin(self) -> Conversation:
        how, over = self.kind.split(" ", 1)
        if "://" in over:
            ask = Ask(PLUGIN.tracker(over), "W-1", INFOHASH, how, OURS, 9, 4096)
            return PLUGIN.ask(ask, Limits(), ENTROPY)
        return PLUGIN.contact(self.target, Limits(), over, ENTROPY)


class Conduct(RuleBasedStateMachine):
    """One conversation against a peer that does what it likes."""

    kind = ""

    @initialize(choose=st.sampled_from([RC4, PLAIN, 8]))
    def begin(self, choose: int) -> None:
        how, over = self.kind.split(" ", 1)
        target = Target("W-1", INFOHASH, (INFOHASH, TWIN), OURS, pieces=12, inner=range(2, 9), gossip=how == "gossip")
        if how == "control":
            target = Target("W-1", INFOHASH, (INFOHASH,), OURS, control=True)
        self.talk = Held(over, target, kind=self.kind)
        self.received = 0
        self.utp = over.endswith("utp")
        self.other = Responder(INFOHASH, private=PRIVATE) if over.startswith("mse") else None
        if self.other is not None:
            self.other.choose = choose
        self.proven = self.keyed = False
        self.seq = 1_000
        if self.utp:
            _, _, self.id, _, _, _, self.ack, _ = HEADER.unpack(self.talk.heard[0][:20])
            self.give(packet(STATE, self.id, self.seq, self.ack))

    def give(self, data: bytes) -> None:
        self.received += 1
        self.talk.give(data, 1_000_000)

    def stream(self, data: bytes) -> None:
        if self.utp:
            self.give(packet(DATA, self.id, self.seq, self.ack, data))
            self.seq += 1
        else:
            self.give(data)

    @rule(said=streams() | MESSAGES | st.binary(max_size=80))
    def say(self, said: bytes) -> None:
        """What a peer, a tracker or a node may say; with MSE first its key, and mostly its proof."""
        if self.other is not None and not self.keyed:
            self.keyed = True
            self.stream(self.other.key())
            return
        self.stream(self.other.says(said) if self.other is not None and self.proven else said)

    @precondition(lambda self: self.other is not None and self.keyed and not self.proven and not self.talk.end)
    @rule()
    def prove(self) -> None:
        wire = judge_utp(self.talk.heard) if self.utp else b"".join(self.talk.heard)
        self.stream(self.other.prove(wire))
        self.proven = True

    @precondition(lambda self: "://" in self.kind)
    @rule(peers=st.binary(max_size=36), more=st.booleans())
    def answer(self, peers: bytes, more: bool) -> None:
        """What answers a tracker's or a node's question, by the numbers of the last one that we sent."""
        last = self.talk.heard[-1]
        if self.kind.split(" ")[1].startswith("udp"):
            action = 0 if len(last) == 16 else 1
            self.give(struct.pack(">I4s", action, last[12:16]) + b"CONNECTI" + bytes(4 * more) + peers)
        else:
            reply = b"d1:rd2:id20:" + b"n" * 20 + b"5:token4:abcde1:t4:" + last[-11:-7] + b"1:y1:re"
            self.give(reply if more else b"HTTP/1.1 200 OK\r\n\r\n" + peers)

    @precondition(lambda self: self.utp)
    @rule(
        kind=st.sampled_from([DATA, FIN, STATE, RESET, SYN]),
        ahead=st.integers(-3, 40),
        ack=st.integers(-2, 3),
        data=st.binary(max_size=30),
    )
    def packet(self, kind: int, ahead: int, ack: int, data: bytes) -> None:
        self.give(packet(kind, self.id, self.seq + ahead, self.ack + ack, data))

    @rule(data=st.binary(max_size=60))
    def junk(self, data: bytes) -> None:
        if not self.talk.transport.startswith("mse") or self.keyed:
            self.give(data)

    @rule(after=st.sampled_from([1_000, SECOND, 7 * SECOND]))
    def wait(self, after: int) -> None:
        self.talk.wait(after)

    @rule(how=st.sampled_from(["closed", "stopped", "time"]))
    def close(self, how: str) -> None:
        self.talk.over(how)
        self.talk.give(b"after the end", 0)

    def teardown(self) -> None:
        if not hasattr(self, "talk"):
            return
        self.talk.over("time")
        types = {type(each.message) for each in self.talk.events if isinstance(each, Send)}
        assert types <= set(PLUGIN.sendable)
        judge(self.kind, self.talk.heard, self.received)


@pytest.mark.parametrize("kind", [*CONTACTS, *ASKS])
def test_only_what_is_allowed_leaves(kind: str) -> None:
    machine = type("ConductOf", (Conduct,), {"kind": kind})
    run_state_machine_as_test(machine, settings=SETTINGS)


@pytest.mark.parametrize("choose", [RC4, PLAIN])
@pytest.mark.parametrize("kind", CONTACTS)
def test_the_judge_sees_all_that_may_be_said(kind: str, choose: int) -> None:
    """To a peer that answers, and offers extensions, both handshakes go out, and the judge reads them over MSE too."""
    machine = type("DeepOf", (Conduct,), {"kind": kind})()
    machine.begin(choose)
    if machine.other is not None:
        machine.say(b"")
        machine.prove()
    hello = b"\x13BitTorrent protocol" + RESERVED + INFOHASH + b"-TR3000-123456789012"
    machine.say(hello + struct.pack(">IBB", 24, 20, 0) + b"d1:md6:ut_pexi1eee" + bytes(4))
    machine.talk.over("time")
    said = judge_utp(machine.talk.heard) if machine.utp else b"".join(machine.talk.heard)
    clear = unveiled(said) if machine.other is not None else said
    assert (len(clear) > 68) == (not kind.startswith("control"))
    assert len(clear) >= 68
    machine.teardown()


FORBIDDEN = {
    "interested": b"\0\0\0\1\2",
    "request": b"\0\0\0\x0d\6" + bytes(12),
    "have": b"\0\0\0\5\4" + bytes(4),
    "bitfield": b"\0\0\0\3\5\xff\xf0",
    "piece": b"\0\0\0\x0a\7" + bytes(9),
    "cancel": b"\0\0\0\x0d\x08" + bytes(12),
    "port": b"\0\0\0\3\x09\x1a\xe1",
    "allowed fast": b"\0\0\0\5\x11" + bytes(4),
    "metadata offered": b"\0\0\0\x1b\x14\0d1:md11:ut_metadatai2eee",
    "metadata asked": b"\0\0\0\x1b\x14\2d8:msg_typei0e5:piecei0ee",
}


@pytest.mark.parametrize("name", FORBIDDEN)
def test_the_judge_knows_what_is_forbidden(name: str) -> None:
    hello = b"\x13BitTorrent protocol" + RESERVED + INFOHASH + OURS
    judge_stream(hello, gossip=False)
    with pytest.raises((AssertionError, KeyError, ValueError)):
        judge_stream(hello + FORBIDDEN[name], gossip=False)
    for byte, bit in ((7, 1), (7, 4)):
        reserved = bytearray(RESERVED)
        reserved[byte] |= bit
        with pytest.raises(AssertionError):
            judge_stream(hello.replace(RESERVED, bytes(reserved)), gossip=False)


def test_the_judges_of_trackers_and_nodes_know_what_is_forbidden() -> None:
    """Said as one who has the file, as one who asks for a count alone, as one who lists itself."""
    asked = b"GET /a?info_hash=%s&peer_id=%s&port=9&uploaded=0&downloaded=0&left=%d&compact=1&numwant=50&event=%s&key=1"
    headers = b" HTTP/1.1\r\nHost: a\r\nAccept-Encoding: identity\r\nConnection: close\r\n\r\n"
    words = [b"".join(b"%%%02x" % each for each in value) for value in (INFOHASH, OURS)]
    judge_http([asked % (*words, 1, b"started") + headers], "started")
    for left, event in ((0, b"started"), (1, b"completed")):
        with pytest.raises(AssertionError):
            judge_http([asked % (*words, left, event) + headers], "started")

    def announce(action: int = 1, left: int = 1, event: int = 2) -> bytes:
        head = bytes(8) + struct.pack(">I", action) + bytes(4) + INFOHASH + OURS
        return head + struct.pack(">QQQII", 0, left, 0, event, 0) + bytes(8) + b"\x09\x26"

    judge_udp_tracker([announce()], "started")
    for wrong in (announce(action=2), announce(left=0), announce(event=1)):
        with pytest.raises(AssertionError):
            judge_udp_tracker([wrong], "started")

    query = b"d1:ad2:id20:%s9:info_hash20:%s4:wantl2:n4ee1:q%d:%s2:roi%de1:t2:aa1:y1:qe"
    judge_dht([query % (OURS, INFOHASH, 9, b"get_peers", 1)])
    for method, read_only in ((b"announce_peer", 1), (b"get_peers", 0), (b"ping", 1)):
        with pytest.raises(AssertionError):
            judge_dht([query % (OURS, INFOHASH, len(method), method, read_only)])
