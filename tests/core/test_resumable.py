"""Hashes that are saved and gone on with are hashlib's, wherever the stream was split."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.core import resumable
from clew.core.errors import Damaged
from clew.core.resumable import Digests

NAMES = ("md5", "sha1", "sha256")


def expected(data: bytes) -> dict[str, str]:
    return {name: hashlib.new(name, data).hexdigest() for name in NAMES}


def test_this_system_can_save_a_hash() -> None:
    assert resumable.library() is not None, "libcrypto.so.3 is not there: acquisitions cannot be resumed"


@given(st.binary(max_size=400), st.data())
def test_every_split_point(data: bytes, draw: st.DataObject) -> None:
    at = draw.draw(st.integers(0, len(data)))
    first = Digests()
    first.update(data[:at])
    again = Digests(first.state())
    again.update(memoryview(data)[at:])
    assert again.hexdigests() == expected(data)
    assert first.hexdigests() == expected(data[:at]), "telling the digest must not end the stream"
    first.update(data[at:])
    assert first.hexdigests() == expected(data)


def test_beyond_the_counters_first_word() -> None:
    """The bit count of the low word runs over at 512 MiB."""
    kind, library = resumable.KINDS[1], resumable.library()
    assert library is not None
    block, low, plain = bytes(64 << 20), resumable._Low(kind, library), hashlib.sha1(usedforsecurity=False)
    for _ in range(9):
        low = resumable._Low(kind, library, low.state())
        low.update(block)
        plain.update(block)
    assert low.hexdigest() == plain.hexdigest()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("spoil", [lambda s: s[:-2], lambda s: "zz" + s[2:], lambda s: "f" * len(s), lambda _: None])
def test_what_is_no_state_is_refused(name: str, spoil) -> None:  # type: ignore[no-untyped-def]
    state = Digests().state()
    assert state is not None
    with pytest.raises(Damaged):
        Digests(state | {name: spoil(state[name])})


def test_without_libcrypto_hashlib_does_it_and_nothing_is_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resumable, "library", lambda: None)
    hashes = Digests()
    hashes.update(b"clew")
    assert hashes.hexdigests() == expected(b"clew")
    assert hashes.state() is None
    with pytest.raises(Damaged, match="libcrypto"):
        Digests({"md5": ""})
