"""What MSE can send: nothing but the closed set, whatever is put into it."""

from typing import Any

import pytest
from mse_play import CANARY, ENTROPY, INFOHASH, OURS

from clew.observe.api import Sendable
from clew.observe.networks._messages import Announce, ExtensionHandshake, Handshake
from clew.observe.networks._mse_keys import Keystream
from clew.observe.networks._mse_messages import Encrypted, MseKey, MseProof


class Bytes:
    name = "handshake"

    def encode(self) -> bytes:
        return CANARY


class Sub(Handshake):
    def encode(self) -> bytes:
        return CANARY


STREAM = Keystream(bytes(20))
CONTENT = [CANARY, Bytes(), Sub(INFOHASH, OURS), Announce("h", "/", INFOHASH, OURS, 9, 1, "stopped", 1), None]


@pytest.mark.parametrize("content", CONTENT)
def test_nothing_but_the_closed_set_can_be_wrapped(content: Any) -> None:
    with pytest.raises(TypeError):
        Encrypted(content, STREAM, 0)


class Keyless(Keystream):
    def cover(self, data: bytes, at: int) -> bytes:
        return CANARY


@pytest.mark.parametrize("stream", [CANARY, bytes(20), Keyless(bytes(20)), None])
def test_nothing_is_encrypted_but_under_the_stream_of_a_key(stream: Any) -> None:
    with pytest.raises(TypeError, match="stream of a key"):
        Encrypted(Handshake(INFOHASH, OURS), stream, 0)


def test_the_other_fields_hold_no_content() -> None:
    hello = Handshake(INFOHASH, OURS)
    for wrong in (
        (CANARY, INFOHASH, 3, 0),
        (bytes(96), CANARY, 3, 0),
        (bytes(96), INFOHASH, 4, 0),
        (bytes(96), INFOHASH, 0, 0),
        (bytes(96), INFOHASH, 3, 513),
    ):
        with pytest.raises(ValueError, match=r"proof|PadC"):
            MseProof(*wrong)
    with pytest.raises(ValueError, match="key of a stream"):
        Keystream(CANARY)
    with pytest.raises(ValueError, match="place in its stream"):
        Encrypted(hello, STREAM, -1)
    with pytest.raises(ValueError, match="32 bytes"):
        MseKey(CANARY)
    assert CANARY not in MseKey((CANARY * 2)[:32]).encode()
    assert Encrypted(hello, STREAM, 5).name == hello.name
    proof = MseProof((CANARY * 4)[:96], CANARY[:20], 3, 31).encode()
    assert (len(proof), CANARY[:8] in proof) == (87, False)
    assert [len(Encrypted(m, STREAM, 5).encode()) for m in (hello, ExtensionHandshake())] == [68, 30]


def test_sendables_have_names_for_the_account() -> None:
    messages: list[Sendable] = [MseKey(ENTROPY), MseProof(bytes(96), INFOHASH, 3, 0)]
    assert [m.name for m in messages] == ["mse key", "mse proof"]
