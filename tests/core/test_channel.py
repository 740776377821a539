"""What comes from a worker may be anything: it is frames by the rules, or Damaged, and never holds more than it may."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.core import channel
from clew.core.errors import Damaged

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.lists(st.tuples(st.lists(values), st.lists(st.binary()))), st.integers(1, 50))
def test_what_is_encoded_comes_back_however_it_is_chopped(messages, step):
    stream = b"".join(channel.encode([*m, [len(b) for b in blobs]], blobs) for m, blobs in messages)
    splitter, back = channel.Splitter(1 << 20), []
    for at in range(0, len(stream), step):
        back += splitter.feed(stream[at : at + step])
    assert [(m[:-1], channel.cut(b, m[-1])) for m, b in back] == [(m, tuple(blobs)) for m, blobs in messages]


@given(st.lists(st.binary()))
def test_junk_is_damaged_and_nothing_else(pieces):
    splitter = channel.Splitter(1000)
    try:
        for piece in pieces:
            for message, blobs in splitter.feed(piece):
                assert isinstance(message, list)
                assert len(blobs) <= 1000
    except Damaged:
        pass


@given(st.binary(max_size=200))
def test_json_is_decoded_or_damaged(text):
    try:
        message = channel.decode(text)
    except Damaged:
        return
    json.dumps(message, ensure_ascii=False, allow_nan=False).encode()


@given(st.binary(), values)
def test_blobs_add_up_or_are_damaged(blobs, lengths):
    try:
        parts = channel.cut(blobs, lengths)
    except Damaged:
        return
    assert b"".join(parts) == blobs


def test_a_frame_over_the_limit_is_refused_before_it_is_held():
    with pytest.raises(Damaged, match="over the limit"):
        channel.Splitter(1000).feed(channel.HEADER.pack(1001, 10))
    with pytest.raises(Damaged, match="over the limit"):
        channel.Splitter(1 << 30).feed(channel.HEADER.pack(1 << 29, channel.MOST_TEXT + 1))
