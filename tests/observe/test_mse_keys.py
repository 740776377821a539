"""The arithmetic of MSE by GMP, and RC4 computed once, against Python's own `pow` and the tests' own RC4."""

from itertools import islice

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from mse_responder import P, crypt, keystream, sha1

from clew.observe.networks import _mse_keys as keys
from clew.observe.networks._mse_messages import MseKey, MseProof

PRIVATE = st.integers(1 << 159, (1 << 160) - 1)


@settings(deadline=None)
@given(PRIVATE, st.integers(2, P - 2))
@example(1 << 159, 2)
@example((1 << 160) - 1, P - 2)
def test_the_keys_are_those_of_pythons_pow(private: int, other: int) -> None:
    assert keys.public(private) == pow(2, private, P).to_bytes(96, "big")
    assert keys.agreed(private, other.to_bytes(96, "big")) == pow(other, private, P).to_bytes(96, "big")


@pytest.mark.parametrize("other", [0, 1, P - 1, P, P + 1, (1 << 768) - 1])
def test_what_is_no_public_key_agrees_on_nothing(other: int) -> None:
    with pytest.raises(ValueError, match="no public key"):
        keys.agreed(1 << 159, other.to_bytes(96, "big"))


@settings(deadline=None)
@given(st.binary(min_size=20, max_size=20), st.binary(max_size=100), st.integers(0, 400))
@example(bytes(20), bytes(1), keys.FIRST_BYTES - 1)
@example(bytes(20), bytes(2), keys.FIRST_BYTES - 1)
def test_a_keystream_covers_what_rc4_does_at_any_place(key: bytes, data: bytes, at: int) -> None:
    stream = keystream(key)
    list(islice(stream, at))
    assert keys.Keystream(key).cover(data, at) == crypt(stream, data)


@settings(max_examples=30, deadline=None)
@given(st.binary(min_size=96, max_size=96), st.binary(min_size=20, max_size=20), st.integers(0, 512))
def test_a_proof_is_the_same_however_often_it_is_asked_for(secret: bytes, infohash: bytes, pad: int) -> None:
    proof = MseProof(secret, infohash, 3, pad)
    first = proof.encode()
    clear = crypt(keystream(sha1(b"keyA", secret, infohash)), first[40:])
    assert clear == bytes(8) + bytes((0, 0, 0, 3)) + pad.to_bytes(2, "big") + bytes(pad + 2)
    assert first[:20] == sha1(b"req1", secret)
    assert proof.encode() == first
    assert proof.encrypted == len(clear)


@given(st.binary(min_size=32, max_size=32))
def test_all_that_is_drawn_stands_in_the_entropy(entropy: bytes) -> None:
    assert MseKey(entropy).drawn == keys.drawn(entropy)
    assert MseKey(entropy).encode()[96:] == keys.drawn(entropy).pad_a
