"""Bencoding: what is read back, where it stands, and what is refused; a BitTorrent client's own reader as oracle."""

from typing import Any

import libtorrent
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.core import bencode

VALUES = st.recursive(
    st.integers(-(10**18), 10**18) | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.binary(max_size=6), inner, max_size=4),
    max_leaves=12,
)


def encode(value: Any) -> bytes:
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    if isinstance(value, list):
        return b"l" + b"".join(map(encode, value)) + b"e"
    return b"d" + b"".join(encode(k) + encode(v) for k, v in value.items()) + b"e"


def depth(value: Any) -> int:
    """How many containers are open at once in it."""
    if not isinstance(value, dict | list):
        return 0
    inner = value.values() if isinstance(value, dict) else value
    return 1 + max((depth(each) for each in inner), default=0)


@given(st.dictionaries(st.binary(max_size=6), VALUES, max_size=5))
def test_bencoding_is_read_back_with_its_places(value: dict[bytes, Any]) -> None:
    data = encode(value)
    if depth(value) > bencode.WIRE.depth:
        with pytest.raises(bencode.Malformed, match="nested"):
            bencode.dictionary(data)
        return
    found = bencode.dictionary(data)
    assert {key: each for key, (each, _) in found.items()} == value
    assert all(data[place] == encode(each) for each, place in found.values())


@given(st.binary(max_size=200))
def test_junk_is_malformed_and_nothing_else(data: bytes) -> None:
    try:
        bencode.dictionary(b"d" + data)
    except bencode.Malformed:
        return


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"i1e",
        b"d1:ai01ee",
        b"d1:ai-0ee",
        b"d1:a01:xe",
        b"d1:ai1e1:ai2ee",
        b"d1:a9:xe",
        b"dee",
        b"d" * 100,
        b"d1:a" + b"l" * 50 + b"e" * 51,
        b"d1:ai" + b"9" * 40 + b"ee",
        b"d1:al" + b"i0e" * 30_000 + b"ee",
    ],
)
def test_what_is_not_bencoding_is_refused(data: bytes) -> None:
    with pytest.raises(bencode.Malformed):
        bencode.dictionary(data)


@given(st.dictionaries(st.binary(max_size=6), VALUES, max_size=5))
def test_a_client_reads_the_same(value: dict[bytes, Any]) -> None:
    data = encode(value)
    assert {key: each for key, each, _ in bencode.members(data, 0, bencode.Limits(depth=50))} == libtorrent.bdecode(
        data
    )


@pytest.mark.parametrize(
    "bomb", [b"d1:a" + b"l" * 10**6, b"d1:a" + b"d1:a" * 10**6, b"d1:a" + b"l" * 10**6 + b"e" * 10**6]
)
def test_a_bomb_of_nesting_is_refused_at_its_depth(bomb: bytes) -> None:
    with pytest.raises(bencode.Malformed, match="nested") as refused:
        bencode.dictionary(bomb, bencode.Limits(depth=100))
    assert refused.value.at < 500


def test_what_stands_before_the_break_is_yielded() -> None:
    reading = bencode.members(b"xxd1:ai1e1:bl2:abe1:c9:cut", 2)
    assert next(reading) == (b"a", 1, slice(6, 9))
    assert next(reading) == (b"b", [b"ab"], slice(12, 18))
    with pytest.raises(bencode.Malformed) as broken:
        next(reading)
    assert broken.value.at == 21
