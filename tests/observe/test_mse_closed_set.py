"""What MSE can send: nothing but the closed set, whatever is put into it."""

from typing import Any

import pytest
from mse_play import CANARY, ENTROPY, INFOHASH, OURS

from clew.observe.api import Sendable
from clew.observe.networks._messages import Announce, ExtensionHandshake, Handshake
from clew.observe.networks._mse_messages import Encrypted, MseKey, MseProof


class Bytes:
    name = "handshake"

    def encode(self) -> bytes:
        return CANARY


class Sub(Handshake):
    def encode(self) -> bytes:
        return CANARY


CONTENT = [CANARY, Bytes(), Sub(INFOHASH, OURS), Announce("h", "/", INFOHASH, OURS, 9, 1, "stopped", 1), None]


@pytest.mark.parametrize("content", CONTENT)
def test_nothing_but_the_closed_set_can_be_wrapped(content: Any) -> None:
    with pytest.raises(TypeError):
        Encrypted(content, bytes(20), 0)


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
    for key, at in ((CANARY, 0), (bytes(20), -1)):
        with pytest.raises(ValueError, match="key of a stream"):
            Encrypted(hello, key, at)
    with pytest.raises(ValueError, match="32 bytes"):
        MseKey(CANARY)
    assert CANARY not in MseKey((CANARY * 2)[:32]).encode()
    assert Encrypted(hello, bytes(20), 5).name == hello.name
    proof = MseProof((CANARY * 4)[:96], CANARY[:20], 3, 31).encode()
    assert (len(proof), CANARY[:8] in proof) == (87, False)
    assert [len(Encrypted(m, bytes(20), 5).encode()) for m in (hello, ExtensionHandshake())] == [68, 30]


def test_sendables_have_names_for_the_account() -> None:
    messages: list[Sendable] = [MseKey(ENTROPY), MseProof(bytes(96), INFOHASH, 3, 0)]
    assert [m.name for m in messages] == ["mse key", "mse proof"]
