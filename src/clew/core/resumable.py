"""MD5, SHA-1 and SHA-256 of one long stream, whose state can be saved and gone on with: a run over 29 TB that is killed
does not begin again at byte 0.

`hashlib` cannot hand its state out. libcrypto's low-level functions keep theirs in plain structures of fixed size
(MD5state_st, SHAstate_st, SHA256state_st in openssl/md5.h and openssl/sha.h; deprecated since OpenSSL 3.0, and still
there), whose bytes are the state. Where this process has the code of `core.one_pass`, that does the work; it saves and
takes the same structures, so that a run goes on on a machine without it. Where neither is there, hashlib does the work
and nothing can be saved.
"""

import ctypes
import hashlib
import struct
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from clew.core import one_pass
from clew.core.errors import Damaged
from clew.core.one_pass import Midstate, OnePass

_LIBRARY = "libcrypto.so.3"


@dataclass(frozen=True, slots=True)
class _Kind:
    name: str
    prefix: str
    state: int  # bytes of the structure
    digest: int
    held: int  # where the number of bytes that wait for a whole block of 64 stands in it


KINDS = (_Kind("md5", "MD5", 92, 16, 88), _Kind("sha1", "SHA1", 96, 20, 92), _Kind("sha256", "SHA256", 112, 32, 104))
_SHA256_LENGTH = (32).to_bytes(4, "little").hex()
NAMES = tuple(kind.name for kind in KINDS)


@cache
def library() -> ctypes.CDLL | None:
    """libcrypto, once it has shown that it computes what hashlib does; None where it is not there. To be called before
    a worker's lock.
    """
    try:
        found = ctypes.CDLL(_LIBRARY)
        for kind in KINDS:
            for function in ("Init", "Update", "Final"):
                getattr(found, f"{kind.prefix}_{function}").restype = ctypes.c_int
            getattr(found, f"{kind.prefix}_Update").argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
    except (OSError, AttributeError):
        return None
    for kind in KINDS:
        probe = _Low(kind, found)
        probe.update(b"clew" * 100)
        again = _Low(kind, found, probe.state())
        again.update(b"clew")
        if again.hexdigest() != hashlib.new(kind.name, b"clew" * 101, usedforsecurity=False).hexdigest():
            return None
    return found


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


class _Low:
    """One hash by libcrypto."""

    def __init__(self, kind: _Kind, lib: ctypes.CDLL, state: bytes | None = None) -> None:
        self._kind = kind
        self._context = ctypes.create_string_buffer(kind.state)
        self._update = getattr(lib, f"{kind.prefix}_Update")
        self._final = getattr(lib, f"{kind.prefix}_Final")
        if state is None:
            getattr(lib, f"{kind.prefix}_Init")(self._context)
        else:
            self._context.raw = _sound(kind, state)

    def update(self, data: bytes, /) -> None:
        self._update(self._context, data, len(data))

    def state(self) -> bytes:
        return self._context.raw

    def hexdigest(self) -> str:
        copy = ctypes.create_string_buffer(self._context.raw, self._kind.state)
        out = ctypes.create_string_buffer(self._kind.digest)
        self._final(out, copy)
        return out.raw.hex()


class Digests:
    """The three hashes of one stream, or those of `names`. `state` is what an earlier one gave; raises Damaged where it
    is none.
    """

    def __init__(self, state: dict[str, str] | None = None, names: Collection[str] = NAMES) -> None:
        kinds = [kind for kind in KINDS if kind.name in names]
        lib = library()
        self._low: dict[str, _Low] = {}
        self._fast: OnePass | None = None
        if one_pass.installed() and len(kinds) == len(KINDS):
            self._fast = OnePass(_midstate(state) if state else None)
            kinds = []
        elif lib is not None:
            self._low = {kind.name: _Low(kind, lib, _bytes(state, kind) if state else None) for kind in kinds}
        elif state is not None:
            raise Damaged("the state of a hash was saved, but this system has no libcrypto to go on with it")
        plain = {kind.name: hashlib.new(kind.name, usedforsecurity=False) for kind in kinds}
        self._all: dict[str, _Hash] = {**(self._low or plain)}

    def update(self, data: bytes | memoryview) -> None:
        """Takes the next bytes."""
        data = data if isinstance(data, bytes) else data.tobytes()
        if self._fast is not None:
            self._fast.update(data)
        for each in self._all.values():
            each.update(data)

    def state(self) -> dict[str, str] | None:
        """Hexadecimal, by the hash's name; None where this system cannot hand it out."""
        if self._fast is not None:
            return _structures(self._fast.midstate())
        return {name: each.state().hex() for name, each in self._low.items()} or None

    def hexdigests(self) -> dict[str, str]:
        """The digests of what was taken so far, by the hash's name."""
        if self._fast is not None:
            return self._fast.hexdigests()
        return {name: each.hexdigest() for name, each in self._all.items()}


def saves() -> bool:
    """Whether this process can save a state and go on from one."""
    return one_pass.installed() or library() is not None


def _bytes(state: dict[str, Any], kind: _Kind) -> bytes:
    try:
        return bytes.fromhex(state[kind.name])
    except (KeyError, TypeError, ValueError) as error:
        raise Damaged(f"this is no state of a hash: {error}") from error


def _sound(kind: _Kind, state: bytes) -> bytes:
    """Libcrypto trusts these two fields; nothing else in the state can lead it astray."""
    held = int.from_bytes(state[kind.held : kind.held + 4], "little")
    length = int.from_bytes(state[kind.held + 4 :], "little")
    if len(state) != kind.state or held >= 64 or (kind.name == "sha256" and length != kind.digest):
        raise Damaged(f"this is no state of a {kind.name}")
    return state


def _structures(at: Midstate) -> dict[str, str]:
    """The same as libcrypto keeps it: words, bits so far (low, high), waiting bytes, their number, length of digest."""
    rest = struct.pack("<Q64sI", 8 * at.length % 2**64, at.waiting, len(at.waiting))
    words = {"md5": at.md5, "sha1": at.sha1, "sha256": at.sha256}
    made = {kind.name: struct.pack(f"<{kind.digest // 4}I", *words[kind.name]) + rest for kind in KINDS}
    return {"md5": made["md5"].hex(), "sha1": made["sha1"].hex(), "sha256": made["sha256"].hex() + _SHA256_LENGTH}


def _midstate(state: dict[str, str]) -> Midstate:
    """Raises Damaged where the three structures are not those of one stream."""
    words: dict[str, tuple[int, ...]] = {}
    places = set[tuple[bytes, int]]()
    for kind in KINDS:
        structure = f"<{kind.digest // 4}IQ64sI"
        *found, bits, waiting, count = struct.unpack_from(structure, _sound(kind, _bytes(state, kind)))
        words[kind.name] = tuple(found)
        places.add((waiting[:count], bits))
    (waiting, bits), *others = places
    if others or bits // 8 % 64 != len(waiting):
        raise Damaged("these are no states of one stream")
    return Midstate(words["md5"], words["sha1"], words["sha256"], waiting, bits // 8)
