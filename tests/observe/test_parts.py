"""The parts by themselves: bencoding, claims, tiers, transcripts, HTTP replies."""

import errno
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.core.errors import Damaged
from clew.model import Claim, Missing, Reason, Tier
from clew.observe.api import Ask, Contact, Limits, Sighted, Target
from clew.observe.endpoints import Endpoint
from clew.observe.lines import unconnected
from clew.observe.networks._claims import Pieces
from clew.observe.networks._http import Reply, Unusable
from clew.observe.networks._messages import PROTOCOL, Announce, ExtensionHandshake, Handshake, quote
from clew.observe.networks._peer import client_of
from clew.observe.networks._words import plain
from clew.observe.networks.bittorrent import PLUGIN as BITTORRENT
from clew.observe.tiers import about_twin, undecided, weigh
from clew.observe.transcript import Kind, Transcript, decode


@given(st.integers(1, 200), st.data())
def test_pieces_are_counted_as_by_hand(total: int, data: st.DataObject) -> None:
    held = data.draw(st.sets(st.integers(0, total - 1)))
    start = data.draw(st.integers(0, total))
    inner = range(start, data.draw(st.integers(start, total)))
    bits = "".join("1" if n in held else "0" for n in range(total)).ljust(-(-total // 8) * 8, "0")
    packed = int(bits, 2).to_bytes(len(bits) // 8, "big")
    by_field, by_have = Pieces(total, inner), Pieces(total, inner)
    assert by_field.bitfield(packed) is None
    assert all(by_have.have(n) is None for n in held)
    assert by_field.claimed == len(held)
    assert (by_field.inner or 0) == len(held & set(inner)) == (by_have.inner or 0)
    expected = Claim.WATCHED_FILE if held & set(inner) else Claim.TORRENT_ONLY if held else Claim.NONE
    assert by_field.claim is expected
    assert by_have.claim is (expected if held else Claim.NOTHING_SAID)


@given(st.integers(1, 200), st.binary(max_size=40))
def test_a_bitfield_of_another_length_or_with_spare_bits_is_wrong(total: int, data: bytes) -> None:
    right = len(data) == -(-total // 8) and not int.from_bytes(data, "big") & ((1 << (len(data) * 8 - total)) - 1)
    assert (Pieces(total, range(0)).bitfield(data) is None) == right


@pytest.mark.parametrize("after", [b"\0\0\0\x02\x05\xff", b"\0\0\0\x03\x05\xff\xff", b"\0\0\0\x01\x0f",
                                   b"\0\0\0\x05\x04\0\0\1\0"],
                         ids=["wrong length", "spare bits", "have_none", "a HAVE beyond the last"])  # fmt: skip
def test_what_a_peer_denies_in_the_same_breath_is_no_claim(after: bytes) -> None:
    target = Target("W-1", b"i" * 20, (b"i" * 20,), b"p" * 20, pieces=12, inner=range(2, 9))
    talk = BITTORRENT.contact(target, Limits(), "tcp", bytes(32))
    talk.opened(0)
    have = b"\0\0\0\x05\x04\0\0\0\5"
    hello = PROTOCOL + bytes((0, 0, 0, 0, 0, 0x10, 0, 4)) + b"i" * 20 + b"t" * 20
    assert not any(isinstance(event, Sighted) for event in talk.receive(hello + have, 1))
    (end,) = talk.receive(after, 2)
    assert isinstance(end, Sighted)
    assert isinstance(end.finding, Contact)
    assert (end.finding.answered, end.finding.claim) == (True, Claim.NOTHING_SAID)
    assert (end.finding.pieces_claimed, end.finding.inner_claimed) == (None, None)
    assert end.finding.missing is not None


def endpoint() -> Endpoint:
    return Endpoint(1, "W", "127.0.0.1", 1, 0, 0, "t")


def weighed(
    one: Endpoint, contact: Contact, sighting: str, at_ns: int, *, twin: bool = False
) -> tuple[Tier, str | None]:
    return weigh(one, contact, sighting, at_ns, 300, "tcp", twin=twin)


def said(claim: Claim, client: str | None = "A") -> Contact:
    return Contact(answered=True, claim=claim, client=client)


WATCHED, TORRENT, NONE = Claim.WATCHED_FILE, Claim.TORRENT_ONLY, Claim.NONE


@pytest.mark.parametrize(
    ("visits", "tiers"),
    [
        ([(0, WATCHED), (300, WATCHED)], ["E1", "E2"]),
        ([(0, WATCHED), (299, WATCHED), (300, WATCHED)], ["E1", "E1", "E2"]),
        ([(0, TORRENT), (300, TORRENT)], ["E1", "E2"]),
        ([(0, TORRENT), (300, WATCHED), (600, WATCHED)], ["E1", "E1", "E2"]),
        ([(0, WATCHED), (300, TORRENT)], ["E1", "E2"]),
        ([(0, NONE), (300, NONE), (600, Claim.NOTHING_SAID)], ["E1", "E1", "E1"]),
        ([(0, NONE), (300, WATCHED)], ["E1", "E1"]),
        ([(1000, WATCHED), (100, WATCHED), (400, WATCHED)], ["E1", "E1", "E2"]),
    ],
)
def test_a_claim_becomes_e2_by_repetition_alone(visits: list[tuple[int, Claim]], tiers: list[str]) -> None:
    one = endpoint()
    found = [weighed(one, said(claim), f"s{n}", at) for n, (at, claim) in enumerate(visits)]
    assert [tier.value for tier, _ in found] == tiers
    assert all((repeats is not None) == (tier is Tier.CLAIMS) for tier, repeats in found)


def test_another_client_is_no_repetition() -> None:
    one = endpoint()
    assert weighed(one, said(WATCHED, "A"), "s0", 0) == (Tier.ANSWERED, None)
    assert weighed(one, said(WATCHED, "B"), "s1", 300) == (Tier.ANSWERED, None)
    assert weighed(one, said(WATCHED, "B"), "s2", 600) == (Tier.CLAIMS, "s1")


TR = b"-TR4040-aaaaaaaaaaaa"


@pytest.mark.parametrize("first", [True, False])
def test_a_client_whose_name_was_not_heard_is_the_same_client(first: bool) -> None:
    """Without an extension handshake a contact's client is the prefix of its peer id, which tells nothing further."""
    one, named = endpoint(), Contact(True, WATCHED, peer_id=TR, client="Transmission 4.0.4")
    unheard = replace(named, client="-TR4040-")
    assert weighed(one, named if first else unheard, "s0", 0) == (Tier.ANSWERED, None)
    assert weighed(one, unheard if first else named, "s1", 300) == (Tier.CLAIMS, "s0")
    assert weighed(one, named, "s2", 600) == (Tier.CLAIMS, "s0")
    assert weighed(one, replace(named, client="Transmission 4.0.5"), "s3", 900) == (Tier.ANSWERED, None)


def test_what_an_earlier_version_kept_of_a_client_is_still_read() -> None:
    one = endpoint()
    one.first_claim, one.first_claim_ns, one.first_level = "s0", 0, WATCHED.value
    one.first_client, one.first_carrier, one.first_twin = f"{TR[:8].hex()} -TR4040-", "tcp", 0
    assert weighed(one, Contact(True, WATCHED, peer_id=TR, client="Transmission 4.0.4"), "s1", 300)[1] == "s0"


def test_a_claim_about_the_twin_is_no_repetition() -> None:
    """The twins of a hybrid torrent number their pieces apart (BEP 52)."""
    one = endpoint()
    assert weighed(one, said(WATCHED), "s0", 0, twin=False) == (Tier.ANSWERED, None)
    assert weighed(one, said(WATCHED), "s1", 300, twin=True) == (Tier.ANSWERED, None)
    assert weighed(one, said(WATCHED), "s2", 600, twin=True) == (Tier.CLAIMS, "s1")


@pytest.mark.parametrize("sent_twin", [False, True])
def test_a_claim_is_about_the_infohash_that_was_answered(sent_twin: bool) -> None:
    one, other = b"1" * 20, b"2" * 20
    for echoed, flipped in ((one, False), (None, False), (other, True)):
        contact = Contact(answered=True, infohash_echoed=echoed)
        assert about_twin(contact, one, sent_twin=sent_twin) is (sent_twin != flipped)


def test_a_peer_id_of_another_style_is_another_client() -> None:
    one = endpoint()
    first, second = (
        Contact(True, WATCHED, peer_id=each) for each in (b"M4-20-8-aaaaaaaaaaaa", b"-qB4520-aaaaaaaaaaaa")
    )
    assert weighed(one, first, "s0", 0) == (Tier.ANSWERED, None)
    assert weighed(one, second, "s1", 300) == (Tier.ANSWERED, None)


@pytest.mark.parametrize(
    "contact",
    [
        Contact(missing=unconnected(OSError(errno.EHOSTUNREACH, "No route to host"))),
        Contact(missing=unconnected(ConnectionRefusedError())),
        Contact(missing=Missing(Reason.UNREADABLE, "no MSE: the peer closed before its key"), shut=True),
        Contact(missing=Missing(Reason.LIMIT_REACHED, "no answer in time")),
    ],
    ids=lambda contact: contact.missing.detail,
)
def test_a_probe_that_was_not_heard_decides_nothing(contact: Contact) -> None:
    """Over uTP such an end comes from within the conversation, which then has a finding all the same."""
    assert undecided(contact) == contact.missing


def test_a_probe_decides_by_an_echo_or_by_a_peer_that_hangs_up() -> None:
    closed = Missing(Reason.UNREADABLE, "the peer closed before it answered")
    assert undecided(Contact(missing=closed)) is None
    assert undecided(Contact(missing=closed, infohash_echoed=bytes(20), shut=True)) is None


def test_words_of_strangers_hold_no_infohash() -> None:
    for code in ("ab" * 20, "MFRA" * 8):
        assert code not in plain(f"x {code} y".encode(), 64)
    assert plain("µTorrent 3.5.5\n".encode(), 64) == "µTorrent 3.5.5?"
    assert plain(b"x" * 31 + b" " + b"y" * 31, 40) == "x" * 31 + " " + "y" * 8


def test_long_names_of_keys_and_long_replies_are_not_kept() -> None:
    infohash, block = b"i" * 20, b"CANARY-BYTES" * 50
    talk = BITTORRENT.contact(Target("W-1", infohash, (infohash,), b"p" * 20), Limits(), "tcp", bytes(32))
    talk.opened(0)
    body = b"\x14\x00d%d:%si1e1:v4:Testee"[:-1] % (len(block), block)
    hello = PROTOCOL + bytes((0, 0, 0, 0, 0, 0x10, 0, 0)) + infohash + b"-TE1234-abcdefghijkl"
    talk.receive(hello + len(body).to_bytes(4, "big") + body, 1)
    (end,) = [e for e in talk.closed(2) if isinstance(e, Sighted)]
    assert b"CANARY" not in end.transcript
    assert end.finding.client == "Test"
    ask = BITTORRENT.ask(
        Ask(BITTORRENT.tracker("http://127.1.0.1:1/a"), "W-1", infohash, "stopped", b"p" * 20, 9, 1),
        Limits(),
        bytes(32),
    )
    ask.opened(0)
    long = block * 2
    reply = b"d1:a%d:%s5:peers6:\x7f\x0a\x00\x01\x1a\xe11:z%d:%se" % (len(long), long, len(long), long)
    (heard,) = ask.receive(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(reply) + reply, 1)
    (one,) = heard.finding.listed
    assert b"CANARY" not in heard.finding.proof(one)
    assert b"\x7f\x0a\x00\x01\x1a\xe1" in heard.finding.proof(one)


def test_who_did_not_answer_is_only_listed() -> None:
    silent = Contact(missing=Missing(Reason.LIMIT_REACHED, ""))
    assert weighed(endpoint(), silent, "s", 0) == (Tier.LISTED, None)


SEGMENTS = st.lists(
    st.tuples(st.sampled_from(["sent", "received", "left out"]), st.binary(max_size=300), st.integers(0, 10**12))
)


@given(SEGMENTS, st.integers(0, 2**62))
def test_a_transcript_is_read_back(segments: list[tuple[str, bytes, int]], start: int) -> None:
    made, sent, received, left_out, now = Transcript(), b"", b"", 0, start
    for kind, data, pause in segments:
        now += pause
        if kind == "sent":
            made.sent(data, now)
            sent += data
        elif kind == "received":
            made.received(data, now)
            received += data
        else:
            made.left_out("payload", len(data), now)
            left_out += len(data)
    found = decode(made.encode())
    assert b"".join(s.data for s in found if s.kind is Kind.SENT) == sent
    assert b"".join(s.data for s in found if s.kind is Kind.RECEIVED) == received
    assert sum(s.length for s in found if s.label) == left_out
    assert [s.at_ns for s in found] == sorted(s.at_ns for s in found)


@given(st.binary(max_size=60))
def test_a_damaged_transcript_is_said_to_be_one(junk: bytes) -> None:
    made = Transcript()
    made.sent(b"hello", 5)
    for stored in (b"CT\x01" + junk, made.encode() + b"\x07", made.encode()[:-1]):
        try:
            decode(stored)
        except Damaged:
            continue
        assert stored.startswith(b"CT\x01")


BODY = bytes(range(256)) * 3


@pytest.mark.parametrize("step", [1, 3, 64, 10_000])
@pytest.mark.parametrize("form", ["length", "chunked", "until closed"])
def test_a_reply_is_read_in_any_pieces(form: str, step: int) -> None:
    head = {"length": b"Content-Length: 768\r\n", "chunked": b"Transfer-Encoding: chunked\r\n"}.get(form, b"")
    chunks = b"100\r\n%s\r\n200;x=y\r\n%s\r\n0\r\nTrailer: 1\r\n\r\n" % (BODY[:256], BODY[256:])
    data = b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + (chunks if form == "chunked" else BODY)
    reply = Reply(1000)
    for at in range(0, len(data), step):
        reply.receive(data[at : at + step])
    if form == "until closed":
        reply.closed()
    assert reply.complete
    assert bytes(reply.body) == BODY


@given(st.lists(st.binary(max_size=50), max_size=20), st.sampled_from([b"", b"Transfer-Encoding: chunked\r\n"]))
def test_any_reply_is_bounded(parts: list[bytes], head: bytes) -> None:
    reply = Reply(100)
    try:
        reply.receive(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n")
        for part in parts:
            reply.receive(part)
            assert reply.held <= 100 + 4 * 1024 + 50
        reply.closed()
    except Unusable:
        return
    assert len(reply.body) <= 100


def test_what_can_be_sent_says_what_it_should() -> None:
    assert Handshake(b"i" * 20, b"p" * 20).encode()[20:28].hex() == "0000000000100000"
    assert len(Handshake(b"i" * 20, b"p" * 20).encode()) == 68
    assert ExtensionHandshake().encode()[6:] == b"d1:mde11:upload_onlyi1ee"
    asked = Announce("h", "/a?k=1", b"\x00A", b"p" * 20, 9, 1, "stopped", 200).encode()
    assert asked.startswith(b"GET /a?k=1&info_hash=%00A&peer_id=pppp")
    assert b"event=stopped HTTP/1.1\r\n" in asked
    assert quote(b"a/ ~\xff") == "a%2F%20~%FF"


@pytest.mark.parametrize(
    ("peer_id", "client"),
    [(b"-TR3000-abcdefghijkl", "-TR3000-"), (b"M7-9-2--abcdefghijkl", None), (bytes(20), None), (None, None)],
)
def test_the_client_of_a_peer_id(peer_id: bytes | None, client: str | None) -> None:
    assert client_of(peer_id) == client
