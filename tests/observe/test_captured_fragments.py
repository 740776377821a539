"""Fragments of IP: what the kernel cuts is read as tshark reads it; whatever does not fit is counted, never guessed."""

import io
import ipaddress
import os
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from capture_files import START, THEIRS, A, B, UtpFlow, ip, leech_and_seed, pcap, udp
from fragmenting import ANNOUNCE, ENDPOINTS, INFOHASH, TRANSACTION, response
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from clew.observe.captures import _fragments
from clew.observe.captures._dissect import dissect
from clew.observe.captures._fragments import LOST, MAX_AGE_NS, UNSUMMED, UNSUMMED_AGE_NS, Fragment, Fragments, Whole
from clew.observe.captures._packets import packet
from clew.observe.captures.pcap import frames
from clew.observe.taken import Account, Finding, Watched, Watchlist

TOGETHER, AGAIN = "datagrams put together from fragments of IP", "fragments of IP sent again"
CONTRADICT = "datagrams whose fragments contradict each other"
NAMESPACE = ["unshare", "--net", *(["--user", "--map-current-user", "--keep-caps"] if os.geteuid() else [])]
V4, V6 = (b"\x7f\0\0\1", b"\x7f\0\0\2"), (b"\xfd" + bytes(15), b"\xfd" + bytes(14) + b"\1")


def folded(data: bytes) -> int:
    """The Internet checksum (RFC 1071), reckoned as its text does."""
    total = 0
    for at in range(0, len(data), 2):
        total += int.from_bytes(data[at : at + 2].ljust(2, b"\0"), "big")
        total = (total & 0xFFFF) + (total >> 16)
    return total


def datagram(ends: tuple[bytes, bytes], payload: bytes, checksum: int | None = None) -> bytes:
    length = 8 + len(payload)
    head = struct.pack("!HHHH", 6969, 40_000, length, 0)
    if checksum is None:
        pseudo = b"".join(ends) + struct.pack("!IHH", length, 0, 17)
        checksum = ~folded(pseudo + head + payload) & 0xFFFF or 0xFFFF
    return head[:6] + checksum.to_bytes(2, "big") + payload


def cut(data: bytes, ends: tuple[bytes, bytes], number: int, places: list[int], at_ns: int = START) -> list[Fragment]:
    """A datagram cut at these multiples of eight bytes."""
    inner = {8 * (1 + place % ((len(data) - 1) // 8)) for place in places}
    stops = sorted({0, *inner}), sorted({*inner, len(data)})
    return [Fragment(at_ns, (*ends, number), a, b < len(data), data[a:b]) for a, b in zip(*stops, strict=True)]


cuts = st.lists(st.integers(0, 30), min_size=1, max_size=12)
whole = st.binary(min_size=16, max_size=250)


@settings(max_examples=300)
@given(st.data(), st.sampled_from((V4, V6)), whole, cuts)
def test_in_any_order_and_twice_it_is_what_was_sent(data: Any, ends: Any, payload: bytes, places: list[int]) -> None:
    sent = datagram(ends, payload)
    parts = cut(sent, ends, 7, places)
    order = data.draw(st.permutations([*parts, *data.draw(st.lists(st.sampled_from(parts), max_size=5))]))
    account = Account()
    fragments = Fragments(account)
    found = [each for each in map(fragments.take, order) if each is not None]
    fragments.finish()
    assert found == [Whole(sent, unsummed=False)]
    assert account.counts == {TOGETHER: 1} | ({AGAIN: len(order) - len(parts)} if len(order) > len(parts) else {})


@settings(max_examples=200)
@given(st.data(), whole, cuts)
def test_with_one_missing_nothing_is_read_and_all_are_counted(data: Any, payload: bytes, places: list[int]) -> None:
    parts = cut(datagram(V6, payload), V6, 7, places)
    parts.remove(data.draw(st.sampled_from(parts)))
    account = Account()
    fragments = Fragments(account)
    assert [fragments.take(each) for each in parts] == [None] * len(parts)
    fragments.finish()
    assert account.counts[LOST] == len(parts)


@settings(max_examples=200)
@given(st.data(), whole, cuts, st.integers(0, 30), st.binary(min_size=1, max_size=9))
def test_an_overlap_spoils_the_datagram(data: Any, payload: bytes, places: list[int], at: int, other: bytes) -> None:
    """RFC 5722: no way of putting it together is chosen; not even the rest of it, which comes later, is read."""
    parts = cut(datagram(V6, payload), V6, 7, places)
    first = len(parts[0].data)
    wrong = Fragment(START, (*V6, 7), 8 * at % first, True, 8 * other)
    assume((wrong.offset, wrong.data) != (0, parts[0].data))
    order = [parts[0], wrong, *parts[1:]] if data.draw(st.booleans()) else [wrong, *parts]
    account = Account()
    fragments = Fragments(account)
    found = [fragments.take(each) for each in order]
    fragments.finish()
    assert not any(found)
    assert account.counts == {LOST: len(order), CONTRADICT: 1}


FIELDS = st.tuples(st.integers(0, 3), st.integers(0, 12), st.booleans(), st.binary(max_size=24), st.integers(0, 3))


@settings(max_examples=300)
@given(st.lists(FIELDS, max_size=40))
def test_whatever_comes_each_fragment_is_accounted_for(told: list[tuple[int, int, bool, bytes, int]]) -> None:
    account = Account()
    fragments = Fragments(account)
    for number, offset, more, data, ages in told:
        at_ns = START + ages * MAX_AGE_NS
        fragments.take(Fragment(at_ns, (*V4, number), 8 * offset, more, data))
    fragments.finish()
    assert not fragments._bytes
    assert account.counts[LOST] + account.counts[AGAIN] == len(told), "no whole datagram can come of these by chance"


def test_what_a_datagram_says_of_itself_has_to_hold() -> None:
    for ends, spoilt in (
        (V4, datagram(V4, bytes(40), checksum=0x1234)),
        (V6, datagram(V6, bytes(40), checksum=0)),
        (V4, datagram(V4, bytes(40)) + bytes(8)),
    ):
        account = Account()
        fragments = Fragments(account)
        parts = cut(spoilt, ends, 7, [1, 3])
        assert not any(map(fragments.take, parts))
        assert account.counts == {LOST: len(parts), CONTRADICT: 1}
    unsummed = datagram(V4, bytes(40), checksum=0)
    account = Account()
    assert list(map(Fragments(account).take, cut(unsummed, V4, 7, [2]))) == [None, Whole(unsummed, unsummed=True)]
    assert account.counts == {TOGETHER: 1, UNSUMMED: 1}
    first, second = cut(unsummed, V4, 7, [2])
    for late in (START + UNSUMMED_AGE_NS + 1, START - UNSUMMED_AGE_NS - 1):
        fragments = Fragments(account := Account())
        assert not any(map(fragments.take, (first, replace(second, at_ns=late))))
        assert account.counts == {LOST: 2, CONTRADICT: 1}


def test_an_identification_that_comes_again_is_another_datagram() -> None:
    fragments = Fragments(Account())
    first, second = (datagram(V4, bytes([n]) * 40) for n in (1, 2))
    found = [fragments.take(each) for sent in (first, second) for each in cut(sent, V4, 7, [2])]
    assert found == [None, Whole(first, False), None, Whole(second, False)]


@pytest.mark.parametrize(("checksum", "words"), [(None, ""), (0, ", from fragments without checksum")])
def test_hearsay_that_no_checksum_held_together_says_so(checksum: int | None, words: str) -> None:
    """RFC 4963: with one fragment of each lost, two datagrams of one identification look like one."""
    said = struct.pack("!I4sIII", 1, TRANSACTION, 1800, 0, 0) + bytes((127, 10, 0, 7, 0x1A, 0xE1))
    told, (tracker, asker) = datagram(V4, said, checksum), map(str, map(ipaddress.ip_address, V4))
    packets = [
        udp((asker, 40_000), (tracker, 6969), ANNOUNCE),
        ip(tracker, asker, 17, told[:16], fragment=0x2000),
        ip(tracker, asker, 17, told[16:], fragment=2),
    ]
    (found,) = of_watch(packets)[0]
    assert (found.address, found.source) == ("127.10.0.7", f"listed by udp://{tracker}:6969{words}")


def test_no_claim_rests_on_what_no_checksum_held_together() -> None:
    packets = [packet for _, packet in leech_and_seed(UtpFlow(A, B)).packets]
    at = next(n for n, each in enumerate(packets) if THEIRS in each)
    spoilt = [ip(B[0], A[0], 17, packets[at][20:68], fragment=0x2000), ip(B[0], A[0], 17, packets[at][68:], fragment=6)]
    claims = {each.address for each in of_watch(packets)[0] if each.contact and each.contact.answered}
    assert claims == {A[0], B[0]}
    found, account = of_watch([*packets[:at], *spoilt, *packets[at + 1 :]])
    assert {each.address for each in found if each.contact and each.contact.answered} == {A[0]}
    assert account.counts["uTP datagrams from fragments without checksum, not read"] == 1


def of_watch(packets: list[bytes]) -> tuple[list[Finding], Account]:
    account = Account()
    watched = Watched("1" * 32, "W-1", (INFOHASH,), (), 20, range(5, 15))
    capture = io.BytesIO(pcap([(START + n, each) for n, each in enumerate(packets)]))
    return list(dissect(frames(capture, account), Watchlist([watched]), account)), account


def test_what_waits_is_bounded_in_time_number_and_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = cut(datagram(V4, bytes(40)), V4, 7, [2])
    late = Fragment(START + MAX_AGE_NS + 1, *(getattr(parts[1], n) for n in ("key", "offset", "more", "data")))
    account = Account()
    fragments = Fragments(account)
    assert not any(map(fragments.take, (parts[0], late)))
    for name, most in (("MAX_DATAGRAMS", 5), ("MAX_WAITING", 100)):
        monkeypatch.setattr(_fragments, name, most)
        account = Account()
        fragments = Fragments(account)
        for number in range(50):
            fragments.take(Fragment(START, (*V4, number), 0, True, bytes(16)))
            assert len(fragments._open) <= 7
        fragments.finish()
        assert account.counts[LOST] == 50
        monkeypatch.undo()


def test_tcp_and_what_the_capture_cut_off_is_only_counted() -> None:
    fragment = ip("127.10.0.1", "127.10.0.2", 6, bytes(40), fragment=0x2000)
    account = Account()
    list(dissect(frames(io.BytesIO(pcap([(START, fragment)])), account), Watchlist([]), account))
    assert account.counts[LOST] == 1


def test_what_the_kernel_cuts_is_read_as_tshark_reads_it(tmp_path: Path) -> None:
    """A tracker's answers over IPv4 and IPv6, larger than the line takes."""
    path = tmp_path / "fragments.pcap"
    command = [*NAMESPACE, sys.executable, str(Path(__file__).with_name("fragmenting.py")), str(path)]
    shared = {**os.environ, "PYTHONPATH": f"{Path(__file__).parents[1]}:{os.environ.get('PYTHONPATH', '')}"}
    subprocess.run(command, check=True, capture_output=True, timeout=60, env=shared)
    account = Account()
    fragments = Fragments(account)
    with path.open("rb") as stream:
        found = [one for frame in frames(stream, account) if (one := packet(frame, account, fragments))]
    fragments.finish()
    ours = sorted(one.payload.hex() for one in found if 6969 in (one.source_port, one.target_port))
    fields = ["tshark", "-n", "-r", str(path), "-Y", "udp.port==6969", "-T", "fields", "-e", "udp.payload"]
    theirs = subprocess.run(fields, check=True, capture_output=True, text=True).stdout.split()
    assert ours == sorted(theirs)
    assert len(ours) == 4
    assert account.counts[TOGETHER] == 2
    assert not account.counts[LOST]
    watched = Watched("1" * 32, "W-1", (INFOHASH,), (), 20, range(5, 15))
    with path.open("rb") as stream:
        listed = {one.address for one in dissect(frames(stream, account), Watchlist([watched]), account)}
    assert len(listed) == 2 * ENDPOINTS
    assert str(ipaddress.ip_address(response(2)[20:24])) in listed
