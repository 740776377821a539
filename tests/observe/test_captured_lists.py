"""Who is listed in a capture: announces to trackers and the DHT, and their replies, each to what was asked for."""

from urllib.parse import quote_from_bytes

import pytest
from capture_files import INFOHASH, OURS, START, THEIRS, A, Flow, pcap, udp
from capture_read import OTHER, TWIN, read

from clew.observe.captures._announce import NO_WATCH, NO_WATCH_SO_FAR, NOT_READ, TOGETHER
from clew.observe.taken import Finding


def test_http_announces_and_replies() -> None:
    tracker = ("127.1.0.1", 6969)
    ask = (
        b"GET /announce?info_hash="
        + b"%51" * 20
        + b"&peer_id=%2dTR3000-aaaaaaaaaaaa&port=51413&left=0 HTTP/1.1\r\nHost: x\r\n\r\n"
    )
    listed = bytes((127, 10, 0, 7, 0x1A, 0xE1, 127, 10, 0, 8, 0x1A, 0xE2))
    body = b"d8:intervali60e5:peers12:" + listed + b"e"
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    found, account = read(pcap(Flow(A, tracker).say(0, ask, 30).say(1, reply, 30).close().packets))
    assert [(f.address, f.port, f.contact, f.source) for f in found] == [
        ("127.10.0.1", 51_413, None, "announced to http://127.1.0.1:6969"),
        ("127.10.0.7", 6_881, None, "listed by http://127.1.0.1:6969"),
        ("127.10.0.8", 6_882, None, "listed by http://127.1.0.1:6969"),
    ]
    assert account.counts["announces for Watches"] == 1
    kept = [f.transcript for f in found]
    assert not any(b"%51" in each or INFOHASH in each for each in kept), "an infohash stands in no listing's transcript"
    assert listed[:6] in kept[1]
    assert listed[6:] not in kept[1]


def test_udp_trackers() -> None:
    tracker = ("127.1.0.1", 6969)
    ask = (
        bytes(8)
        + (1).to_bytes(4, "big")
        + b"TRAN"
        + INFOHASH
        + OURS
        + bytes(24)
        + bytes(4)
        + bytes(4)
        + bytes(4)
        + b"\xff" * 4
        + (51_413).to_bytes(2, "big")
    )
    answer = (1).to_bytes(4, "big") + b"TRAN" + bytes(12) + bytes((127, 10, 0, 7, 0x1A, 0xE1)) + bytes(6)
    stray = (1).to_bytes(4, "big") + b"TRAX" + bytes(12) + bytes((127, 10, 0, 9, 0x1A, 0xE1))
    other = ask.replace(INFOHASH, OTHER).replace(b"TRAN", b"TROT")
    packets = [
        (START + n, udp(*pair))
        for n, pair in enumerate(
            [
                (A, tracker, ask),
                (tracker, A, stray),
                (tracker, A, answer),
                (tracker, A, answer),
                (A, tracker, other),
                (tracker, A, answer.replace(b"TRAN", b"TROT")),
            ]
        )
    ]
    found, account = read(pcap(packets))
    assert [(f.address, f.port, f.source) for f in found] == [
        ("127.10.0.1", 51_413, "announced to udp://127.1.0.1:6969"),
        ("127.10.0.7", 6_881, "listed by udp://127.1.0.1:6969"),
    ]
    assert account.counts["listed endpoints that are none, or have port 0"] == 1


def test_the_dht() -> None:
    node, six = ("127.2.0.1", 7_000), bytes((127, 10, 0, 7, 0x1A, 0xE1))
    query = b"d1:ad2:id20:" + OURS + b"9:info_hash20:" + INFOHASH + b"e1:q9:get_peers1:t2:xy1:y1:qe"
    answer = (
        b"d1:rd2:id20:"
        + THEIRS
        + b"5:nodes26:"
        + bytes(range(26))
        + b"5:token2:tk6:valuesl6:"
        + six
        + b"6:"
        + bytes((127, 10, 0, 8, 0x1A, 0xE2))
        + b"ee1:t2:xy1:y1:re"
    )
    announce = (
        b"d1:ad2:id20:"
        + OURS
        + b"12:implied_porti1e9:info_hash20:"
        + INFOHASH
        + b"4:porti9e5:token2:tke1:q13:announce_peer1:t2:xz1:y1:qe"
    )
    packets = [
        (START, udp(A, node, query)),
        (START + 1, udp(node, A, answer)),
        (START + 2, udp(A, node, announce)),
        (START + 3, udp(node, A, answer)),
    ]
    found, account = read(pcap(packets))
    assert [(f.address, f.port, f.source) for f in found] == [
        ("127.10.0.7", 6_881, "listed by dht://127.2.0.1:7000"),
        ("127.10.0.8", 6_882, "listed by dht://127.2.0.1:7000"),
        ("127.10.0.1", 40_001, "announced to dht://127.2.0.1:7000"),
    ]
    assert account.counts["searches in the DHT for Watches"] == 1
    assert six in found[0].transcript
    assert six not in found[1].transcript
    assert bytes(range(26)) not in b"".join(f.transcript for f in found), "other nodes are left out"


TRACKER = ("127.1.0.1", 6969)


def asks(infohash: bytes, port: int = 51_413) -> bytes:
    ask = b"GET /announce?info_hash=" + quote_from_bytes(infohash).encode() + b"&port=%d HTTP/1.1\r\n" % port
    return ask + b"Host: 127.1.0.1\r\nAccept-Encoding: deflate, gzip\r\n\r\n"


def replies(last: int) -> bytes:
    body = b"d8:intervali60e5:peers6:" + bytes((127, 10, 0, last, 0x1A, 0xE1)) + b"e"
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def told(found: list[Finding]) -> list[tuple[str, int, str]]:
    return [(f.address, f.port, f.source.partition(" ")[0]) for f in found]


@pytest.mark.parametrize("size", [1, 7, 60, 1400])
@pytest.mark.parametrize(
    "unwatched",
    [replies(99), b"HTTP/1.1 404 Not Found\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\n\x1f\x8b45"],
)
def test_every_announce_of_a_connection_is_read_and_has_its_own_reply(size: int, unwatched: bytes) -> None:
    """Clients ask for all their torrents over one connection, and at their end say `stopped` of all of them so."""
    flow = Flow(A, TRACKER)
    for number, infohash in enumerate((OTHER, INFOHASH, OTHER, TWIN, OTHER)):
        flow.say(0, asks(infohash, 50_000 + number), size)
        flow.say(1, unwatched if infohash == OTHER else replies(number), size)
    found, account = read(pcap(flow.close().packets))
    assert told(found) == [
        (A[0], 50_001, "announced"), ("127.10.0.1", 6_881, "listed"),
        (A[0], 50_003, "announced"), ("127.10.0.3", 6_881, "listed"),
    ]  # fmt: skip
    assert account.counts["announces for Watches"] == 2
    assert not [name for name in account.counts if "HTTP" in name or "not read" in name]


def test_whose_reply_it_is_is_not_guessed_where_requests_did_not_wait() -> None:
    flow = Flow(A, TRACKER).say(0, asks(OTHER) + asks(INFOHASH)).say(1, replies(1) + replies(2)).close()
    found, account = read(pcap(flow.packets))
    assert told(found) == [(A[0], 51_413, "announced")]
    assert account.counts["announces for Watches"] == account.counts[TOGETHER] == 1


def test_a_reply_that_the_next_request_cuts_short_lists_nobody() -> None:
    flow = Flow(A, TRACKER).say(0, asks(INFOHASH)).say(1, replies(1)[:-4])
    found, account = read(pcap(flow.say(0, asks(TWIN)).say(1, replies(2)).close().packets))
    assert told(found) == [(A[0], 51_413, "announced")] * 2 + [("127.10.0.2", 6_881, "listed")]
    assert account.counts["answers of trackers not read: unreadable"] == 1


@pytest.mark.parametrize(
    ("last", "why"),
    [(b"POST /a HTTP/1.1\r\n\r\n", NOT_READ), (b"GET /" + b"a" * 5_000, NOT_READ), (asks(OTHER), NO_WATCH)],
)
def test_of_a_connection_that_asks_for_no_watch_nothing_is_kept(last: bytes, why: str) -> None:
    flow = Flow(A, TRACKER).say(0, asks(OTHER)).say(1, replies(1)).say(0, b"GET /favicon.ico HTTP/1.1\r\n\r\n")
    found, account = read(pcap(flow.say(1, replies(2)).say(0, last).close().packets))
    assert not found
    assert account.counts[why] == 1
    assert account.counts[NO_WATCH] == (why == NO_WATCH)


def test_a_connection_that_the_capture_does_not_hold_to_its_end_is_not_said_to_ask_for_no_watch() -> None:
    found, account = read(pcap(Flow(A, TRACKER).say(0, asks(OTHER)).say(1, replies(1)).packets))
    assert not found
    assert account.counts[NO_WATCH_SO_FAR] == 1
    assert not account.counts[NO_WATCH]


def test_an_answer_of_a_tracker_that_cannot_be_read_is_counted() -> None:
    ask = b"GET /a?info_hash=" + b"%51" * 20 + b"&port=0 HTTP/1.1\r\n\r\n"
    answers = {
        b"HTTP/1.1 302 Found\r\n\r\n": "unparsable",
        b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\nd8:": "unreadable",
        b"HTTP/1.1 200 OK\r\nContent-Length: 37\r\n\r\nd14:failure reason15:unknown torrente": "refused",
    }
    for answer, why in answers.items():
        found, account = read(pcap(Flow(A, ("127.1.0.1", 80)).say(0, ask).say(1, answer).close().packets))
        assert not found
        assert account.counts[f"answers of trackers not read: {why}"] == 1, dict(account.counts)
