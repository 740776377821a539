"""MD5, SHA-1 and SHA-256 of one long stream, whose state can be saved and gone on with: a run over 29 TB that is killed
does not begin again at byte 0.

`hashlib` cannot hand its state out. libcrypto's low-level functions keep theirs in plain structures of fixed size
(MD5state_st, SHAstate_st, SHA256state_st in openssl/md5.h and openssl/sha.h; deprecated since OpenSSL 3.0, and still
there), whose bytes are the state. Where they cannot be loaded, hashlib does the work and nothing can be saved.
"""

import ctypes
import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from clew.core.errors import Damaged

_LIBRARY = "libcrypto.so.3"


@dataclass(frozen=True, slots=True)
class _Kind:
    name: str
    prefix: str
    state: int  # bytes of the structure
    digest: int
    held: int  # where the number of bytes that wait for a whole block of 64 stands in it


KINDS = (_Kind("md5", "MD5", 92, 16, 88), _Kind("sha1", "SHA1", 96, 20, 92), _Kind("sha256", "SHA256", 112, 32, 104))
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
        if lib is not None:
            self._low = {kind.name: _Low(kind, lib, _bytes(state, kind) if state else None) for kind in kinds}
        elif state is not None:
            raise Damaged("the state of a hash was saved, but this system has no libcrypto to go on with it")
        plain = {kind.name: hashlib.new(kind.name, usedforsecurity=False) for kind in kinds}
        self._all: dict[str, _Hash] = {**(self._low or plain)}

    def update(self, data: bytes | memoryview) -> None:
        """Takes the next bytes."""
        data = data if isinstance(data, bytes) else data.tobytes()
        for each in self._all.values():
            each.update(data)

    def state(self) -> dict[str, str] | None:
        """Hexadecimal, by the hash's name; None where this system cannot hand it out."""
        return {name: each.state().hex() for name, each in self._low.items()} or None

    def hexdigests(self) -> dict[str, str]:
        """The digests of what was taken so far, by the hash's name."""
        return {name: each.hexdigest() for name, each in self._all.items()}


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
