"""Whatever carries a conversation, it is the same one: what is said, what is pushed, what is audited."""

import random
import struct

import pytest
from range_callers import dial, handshake, message, messages
from range_stage import ALL, CANARY, PORT, TORRENTS, party, playing, scenario, until

from clew.range.bdecode import dictionary
from clew.range.clients import CLIENTS
from clew.range.fake import read_handshake
from clew.range.scenario import Carrier, Disturbance, Holding, Manner, Saying, Source

INFOHASH = TORRENTS[0].infohash
UNWATCHED = TORRENTS[2].infohash
EXTENSIONS = message(20, b"\x00d1:md6:ut_pexi7eee")


def at(whom):
    return whom.stays[0].address, whom.stays[0].port


@pytest.mark.parametrize("carrier", list(Carrier))
def test_the_same_is_said_over_every_carrier(carrier):
    whom, other = party(1), party(2, holding=Holding(0, Saying.BITFIELD, (0, 3)))
    with playing(scenario(whom, other)) as range_:
        said, partial = dial(at(whom), carrier, INFOHASH), dial(at(other), carrier, INFOHASH)
        assert read_handshake(said).infohash == INFOHASH
        assert [kind for kind, _ in messages(said)][:2] == [20, 14]
        assert sorted(kind for kind, _ in messages(said)) == [7, 14, 20, 20, 99]
        assert sum(CANARY in payload for _, payload in messages(said)) == 3
        assert dict(messages(partial))[5] == bytes((0x90,)) + bytes(-(-TORRENTS[0].pieces // 8) - 1)
        heard = range_.audit.report()
        assert heard["handshakes"] == 2
        assert sum(heard["canary_bytes_pushed_by_carrier"].values()) == heard["canary_bytes_pushed"] > 0
        assert heard["forbidden_messages"] == 0


@pytest.mark.parametrize("carrier", list(Carrier))
def test_what_is_forbidden_is_forbidden_inside_every_carrier(carrier):
    wanted = [(2, b""), (6, bytes(12)), (4, bytes(4)), (9, bytes(2)), (14, b""), (20, b"\x02x"), (99, b"")]
    allowed = [(0, b""), (3, b""), (15, b""), (20, b"\x00de")]
    with playing(scenario(party(1), revisit=60)) as range_:
        more = b"".join(message(*each) for each in wanted + allowed)
        said = dial(at(party(1)), carrier, INFOHASH, more=more, enough=lambda found: b"\0\0\0\1\1" in found)
        assert b"\0\0\0\1\1" in said, "who is interested is unchoked"
        dial(at(party(1)), carrier, UNWATCHED, reserved=bytes.fromhex("0000000000000001"), key=INFOHASH)
        dial(at(party(1)), carrier, INFOHASH)
        assert range_.audit.forbidden == {
            "interested": 1, "request": 1, "have": 1, "port": 1, "have_all": 1, "extended message 2": 1,
            "message 99": 1, "handshake with the DHT bit": 1, "handshake for a torrent that is not watched": 1,
            "handshake sooner than the revisit interval": 1,
        }  # fmt: skip


def test_each_way_of_mse_is_taken_by_some_and_counted(tmp_path):
    fakes = [party(number) for number in range(12)]
    with playing(scenario(*fakes)) as range_:
        for whom in fakes:
            for provide in (1, 2, 3):
                dial(at(whom), Carrier.MSE_TCP, INFOHASH, provide=provide, enough=bool)
        assert until(lambda: range_.audit.connections.total() == 36)
        counted, refused = range_.audit.handshakes, range_.audit.refused["mse/tcp"]
        assert set(counted) == {"mse-rc4/tcp", "mse-plain/tcp"}
        assert refused > 0, "some take RC4 alone"
        assert counted.total() + refused == 36


@pytest.mark.parametrize("accepts", list(Carrier))
@pytest.mark.parametrize("carrier", list(Carrier))
def test_what_a_party_does_not_accept_is_refused_and_no_handshake(accepts, carrier):
    with playing(scenario(party(1, accepts={accepts}), revisit=60)) as range_:
        said = dial(at(party(1)), carrier, INFOHASH, wait=3 if accepts is carrier else 0.2)
        assert bool(said) == (accepts is carrier)
        assert range_.audit.handshakes.total() == (accepts is carrier)
        assert bool(dial(at(party(1)), accepts, INFOHASH))
        assert range_.audit.forbidden.total() == (accepts is carrier), "the second one alone came too soon"


def test_mse_for_another_torrent_or_of_another_kind_of_bytes(tmp_path):
    with playing(scenario(party(1), party(2, manner=Manner.ECHOES))) as range_:
        assert dial(at(party(1)), Carrier.MSE_TCP, TORRENTS[1].infohash) == b""
        assert dial(at(party(1)), Carrier.MSE_UTP, TORRENTS[1].infohash) == b""
        assert not range_.audit.forbidden
        echoed = dial(at(party(2)), Carrier.MSE_TCP, TORRENTS[1].infohash)
        assert read_handshake(echoed).infohash == TORRENTS[1].infohash
        nothing = bytes(20)
        assert dial(at(party(2)), Carrier.MSE_TCP, nothing) == b"", "who does not know the infohash cannot answer"
        assert read_handshake(dial(at(party(2)), Carrier.TCP, nothing)).infohash == nothing


def test_pex_tells_who_is_listed_there_before_the_canaries(tmp_path):
    listed = [party(number, listed_by={Source.PEX}) for number in range(3)]
    beside = [party(3), party(4, client=CLIENTS[-1], listed_by={Source.PEX}, holding=Holding(1, Saying.WHOLE))]
    made_up = ((0, "192.0.2.9", 7777),)
    with playing(scenario(*listed, *beside, spoofed=made_up)) as range_:
        for carrier in Carrier:
            said = messages(dial(at(beside[0]), carrier, INFOHASH, more=EXTENSIONS))
            (told,) = [n for n, (kind, payload) in enumerate(said) if kind == 20 and payload[:1] == b"\x07"]
            assert told < min(n for n, (kind, _) in enumerate(said) if kind in (7, 99))
            added = dictionary(said[told][1][1:])[b"added"]
            endpoints = {added[n : n + 6] for n in range(0, len(added), 6)}
            expected = {(127, 10, 7, 1), (127, 10, 7, 2), (127, 10, 7, 3)}
            assert endpoints == {bytes(e) + struct.pack(">H", PORT) for e in expected} | {
                bytes((192, 0, 2, 9)) + struct.pack(">H", 7777)
            }
        unasked = messages(dial(at(beside[0]), Carrier.TCP, INFOHASH))
        assert {payload[:1] for kind, payload in unasked if kind == 20} == {b"\x00", b"\x02"}
        assert 7 in [kind for kind, _ in unasked], "the canaries come without it, a little later"
        with_port = message(20, b"\x00d1:mde1:pi6881ee")
        dial(at(beside[0]), Carrier.TCP, INFOHASH, more=with_port)
        counted = range_.audit.report()["gossiped"]
        assert counted == {
            "connections that a ut_pex message would list": 6, "of these, with a listen port told": 1,
        }  # fmt: skip


def test_a_line_that_loses_and_reorders_changes_nothing_of_what_is_said():
    whom = party(1)
    random.seed(3)
    with playing(scenario(whom, disturbance=Disturbance(lost=0.0, doubled=0.4, overtaken=0.4))):
        said = dial(at(whom), Carrier.UTP, INFOHASH)
        assert sorted(kind for kind, _ in messages(said)) == [7, 14, 20, 20, 99]


HOSTILE = [
    (Manner.OTHER, Carrier.TCP), (Manner.OTHER, Carrier.UTP), (Manner.GIANT, Carrier.MSE_TCP),
    (Manner.GIANT, Carrier.UTP), (Manner.GARBAGE, Carrier.MSE_UTP), (Manner.DRIP, Carrier.UTP),
    (Manner.MALFORMED, Carrier.TCP), (Manner.MALFORMED, Carrier.MSE_UTP), (Manner.ENDLESS, Carrier.TCP),
    (Manner.ENDLESS, Carrier.MSE_UTP), (Manner.PEX_FLOOD, Carrier.TCP), (Manner.PEX_FLOOD, Carrier.MSE_UTP),
    (Manner.ENDLESS_PAD, Carrier.MSE_TCP), (Manner.ENDLESS_PAD, Carrier.MSE_UTP), (Manner.ABSURD, Carrier.UTP),
]  # fmt: skip
SHOWN = {
    Manner.OTHER: lambda said: len(said) > 68 and read_handshake(said).infohash != INFOHASH,
    Manner.GIANT: lambda said: said[68:72] == b"\x7f\xff\xff\xff",
    Manner.GARBAGE: lambda said: len(said) > 4000 and read_handshake(said) is None,
    Manner.DRIP: lambda said: 1 <= len(said) < 68,
    Manner.MALFORMED: lambda said: len(messages(said)) >= 6 and CANARY in said,
    Manner.ENDLESS: lambda said: b"d1:m" * 15_000 in said and len(said) > 90_000,
    Manner.PEX_FLOOD: lambda said: (7, 60_000) in [
        (payload[0], len(dictionary(payload[1:])[b"added"])) for kind, payload in messages(said)[1:2] if kind == 20
    ],
}  # fmt: skip


@pytest.mark.parametrize(("manner", "carrier"), HOSTILE)
def test_the_hostile_are_hostile(manner, carrier):
    with playing(scenario(party(1, manner=manner), party(2))) as range_:
        shown = SHOWN.get(manner)
        wait, enough = (3, shown) if shown else (0.4, bool)
        said = dial(at(party(1)), carrier, INFOHASH, more=EXTENSIONS, wait=wait, enough=enough)
        assert shown(said) if shown else said == b"", said[:200]
        assert dial(at(party(2)), carrier, INFOHASH), "they cost nobody else anything"
        assert not range_.audit.forbidden, range_.audit.examples


@pytest.mark.parametrize("carrier", list(Carrier))
@pytest.mark.parametrize("manner", [Manner.SILENT, Manner.CLOSES])
def test_the_silent_and_the_closing(manner, carrier):
    with playing(scenario(party(1, manner=manner))) as range_:
        assert dial(at(party(1)), carrier, INFOHASH, wait=0.2) == b""
        assert not range_.audit.forbidden


def test_who_is_not_there_is_not_there():
    from clew.range.scenario import Stay

    gone = party(1, stays=(Stay("127.10.7.9", PORT, 300.0, 400.0),))
    with playing(scenario(gone)) as range_:
        for carrier in ALL:
            assert dial(("127.10.7.9", PORT), carrier, INFOHASH, wait=0.2) == b""
        assert not range_.audit.forbidden
        dial(("127.10.7.77", PORT), Carrier.UTP, INFOHASH, wait=0.2)
        assert range_.audit.forbidden == {"a connection to an endpoint that no source lists": 1}


def test_datagrams_and_bytes_that_are_nothing_are_forbidden():
    import socket

    with playing(scenario(party(1))) as range_:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"no uTP packet of any kind", at(party(1)))
        for sent in (bytes(68), bytes(700), b"\x7f" * 96 + bytes(700), handshake(INFOHASH)[:30]):
            with socket.create_connection(at(party(1))) as sock:
                sock.sendall(sent)
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(4096):
                    pass
        assert until(lambda: range_.audit.forbidden.total() == 4)
        assert range_.audit.forbidden == {
            "a datagram that is no uTP packet": 1,
            "something that is no handshake": 1,
            "no MSE handshake: a public key without a secret in it": 1,
            "no MSE handshake: no HASH('req1', S) after at most 512 bytes of PadA": 1,
        }
