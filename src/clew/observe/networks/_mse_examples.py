"""Benign scripts over MSE, made of the plain ones: what both sides would send with fixed keys."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from clew.model import Missing, Reason
from clew.observe.api import ENTROPY_BYTES, Example, Target
from clew.observe.networks import _mse_keys as keys
from clew.observe.networks._mse_messages import PLAINTEXT, RC4, MseKey, MseProof

ENTROPY = bytes(range(ENTROPY_BYTES))  # what the contract test gives
_DRAWN, _PRIVATE = keys.drawn(ENTROPY), 0x5EED
_OURS, _THEIRS = MseKey(ENTROPY).encode(), keys.public(_PRIVATE)
_SECRET = keys.agreed(_PRIVATE, _OURS[: keys.KEY_BYTES])
_PAD_B, _PAD_D = b"pad of B" * 9, b"pad of D"


def around(plain: Iterable[Example]) -> Iterator[Example]:
    """Each contact with RC4, the first also with plaintext after the choice, and ways to fail."""
    contacts = [example for example in plain if isinstance(example.about, Target)]
    yield from (_over(example, RC4) for example in contacts)
    yield _over(contacts[0], PLAINTEXT)
    begun = _begun(contacts[0])
    yield _failing(contacts[0], "no MSE: nothing but padding", (*begun, ("in", bytes(keys.MAX_PAD + 8))))
    yield _failing(contacts[0], "no MSE: no key", (begun[0], ("in", bytes(keys.KEY_BYTES))), Reason.UNPARSABLE)


def _begun(example: Example) -> tuple[tuple[str, bytes], ...]:
    return ("out", _OURS), ("in", _THEIRS), ("out", _proof(example).encode())


def _proof(example: Example) -> MseProof:
    return MseProof(_SECRET, example.about.infohash, PLAINTEXT | RC4, _DRAWN.pad_c)


def _over(example: Example, chosen: int) -> Example:
    infohash, proof = example.about.infohash, _proof(example)
    ours = keys.rc4(keys.key_a(_SECRET, infohash), proof.encrypted)
    theirs = keys.rc4(keys.key_b(_SECRET, infohash))
    choice = theirs(keys.VC + chosen.to_bytes(4, "big") + len(_PAD_D).to_bytes(2, "big") + _PAD_D)
    if chosen == PLAINTEXT:
        ours = theirs = bytes
    rest = [(way, (ours if way == "out" else theirs)(data)) for way, data in example.script]
    method = "rc4" if chosen == RC4 else "plain"
    return replace(
        example,
        name=f"{example.name}, over MSE ({method})",
        script=(*_begun(example), ("in", _PAD_B + choice), *rest),
        expect={**example.expect, "transport": f"mse-{method}/tcp"},
        transport="mse/tcp",
    )


def _failing(
    example: Example, name: str, script: tuple[tuple[str, bytes], ...], reason: Reason = Reason.LIMIT_REACHED
) -> Example:
    detail = {
        Reason.LIMIT_REACHED: "no MSE: no proof within 520 bytes of its key",
        Reason.UNPARSABLE: "no MSE: its key is none",
    }[reason]
    expect = {"answered": False, "transport": "mse/tcp", "missing": Missing(reason, detail)}
    return replace(example, name=name, script=script, expect=expect, transport="mse/tcp")
