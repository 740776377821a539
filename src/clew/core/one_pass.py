"""MD5, SHA-1 and SHA-256 of one stream in one pass, by the machine code of `clew.core.hash_kernel`.

The code is mapped by `install`, once, before a worker locks itself up: afterwards nothing can be made executable any
more. No byte of it is ever writable and executable at once. It counts only where it has shown that it computes what
hashlib does; otherwise hashlib does the work (`three`).
"""

import ctypes
import hashlib
import mmap
import os
import struct
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Protocol

BLOCK = 64
TABLE = 544  # bytes of the code before the function, see `hash_kernel.TABLE`
HASHLIB = "hashlib"
WITH_KERNEL = "one pass over the bytes, with the processor's SHA instructions"

_PROT_READ, _PROT_EXEC = 1, 4
_STATE = struct.Struct("<20I")  # as `hash_kernel` tells: A B C D, D C B A 0 0 0 E, F E B A H G D C
_Words = ctypes.c_char * _STATE.size
_MD5_ENDS, _SHA1, _SHA256 = 16, struct.Struct(">5I"), struct.Struct(">8I")
_SHA1_AT, _SHA256_AT = itemgetter(7, 6, 5, 4, 11), itemgetter(15, 14, 19, 18, 13, 12, 17, 16)
MD5_BEGINS = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476)  # RFC 1321, 3.3
SHA1_BEGINS = (*MD5_BEGINS, 0xC3D2E1F0)  # FIPS 180-4, 5.3.1
SHA256_BEGINS = (  # FIPS 180-4, 5.3.3
    0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19,
)  # fmt: skip
_PROBES = (0, 1, 55, 56, 63, 64, 65, 119, 120, 128, 1000)  # lengths in bytes: about the edges of blocks and padding


@dataclass(frozen=True, slots=True)
class Kernel:
    """The machine code, and what is to be said where there is none."""

    code: bytes = b""
    why: str = "no kernel was asked for"


NO_KERNEL = Kernel()


@dataclass(frozen=True, slots=True)
class Midstate:
    """How far a stream is: each hash's words in its standard's order, the bytes that wait for a whole block, and the
    length of all so far.
    """

    md5: tuple[int, ...] = MD5_BEGINS
    sha1: tuple[int, ...] = SHA1_BEGINS
    sha256: tuple[int, ...] = SHA256_BEGINS
    waiting: bytes = b""
    length: int = 0


class Three(Protocol):
    """The three hashes of one stream."""

    def update(self, data: bytes) -> None:
        """Takes the next bytes."""

    def hexdigests(self) -> dict[str, str]:
        """Of what was taken so far, by the hash's name."""


@dataclass(frozen=True, slots=True)
class _Mapped:
    """The code in this process's memory, for as long as it lives."""

    memory: mmap.mmap
    base: int
    blocks: Any


_mapped: list[_Mapped] = []


def install(kernel: Kernel) -> str:
    """Maps the code into this process and tries it. Says which way hashes are computed from now on."""
    if not kernel.code:
        return f"{HASHLIB}: {kernel.why}"
    if _mapped:
        return WITH_KERNEL
    try:
        found = _map(kernel.code)
    except OSError as error:
        return f"{HASHLIB}: the kernel could not be mapped: {error}"
    _mapped.append(found)
    if wrong := [length for length in _PROBES if not _agrees(length)]:
        _mapped.clear()
        return f"{HASHLIB}: the kernel is wrong about {wrong[0]} bytes"
    return WITH_KERNEL


def installed() -> bool:
    """Whether this process has the code."""
    return bool(_mapped)


def three() -> Three:
    """The three hashes of a new stream, the fastest way there is here."""
    return OnePass() if _mapped else _Plain()


class OnePass:
    """The three hashes by the mapped code. Only where it is `installed`."""

    def __init__(self, at: Midstate | None = None) -> None:
        self._blocks, self._table = _mapped[0].blocks, _mapped[0].base
        self._waiting, self._length = (at.waiting, at.length) if at else (b"", 0)
        self._state = _Words.from_buffer_copy(_packed(at) if at else _BEGIN)

    def update(self, data: bytes) -> None:
        """Takes the next bytes."""
        self._length += len(data)
        if self._waiting:
            self._go_on(data)
            return
        count = len(data) // BLOCK
        self._hash(data, data, count)
        self._waiting = data[count * BLOCK :]

    def _go_on(self, data: bytes) -> None:
        """The same behind some bytes that wait for a whole block."""
        start = BLOCK - len(self._waiting)
        first = self._waiting + data[:start]
        if len(first) < BLOCK:
            self._waiting = first
            return
        self._hash(first, first, 1)
        count = (len(data) - start) // BLOCK
        address = ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value or 0
        self._hash(address + start, address + start, count)
        self._waiting = data[start + count * BLOCK :]

    def hexdigests(self) -> dict[str, str]:
        """Of what was taken so far, by the hash's name; more can be taken afterwards."""
        padded = self._waiting + b"\x80" + bytes(-(len(self._waiting) + 9) % BLOCK)
        bits, before = 8 * self._length, self._state.raw
        self._hash(padded + bits.to_bytes(8, "little"), padded + bits.to_bytes(8, "big"), len(padded) // BLOCK + 1)
        end, self._state.raw = self._state.raw, before
        words = _STATE.unpack(end)
        sha1, sha256 = _SHA1.pack(*_SHA1_AT(words)), _SHA256.pack(*_SHA256_AT(words))
        return {"md5": end[:_MD5_ENDS].hex(), "sha1": sha1.hex(), "sha256": sha256.hex()}

    def midstate(self) -> Midstate:
        """From which another OnePass goes on."""
        words = _STATE.unpack(self._state.raw)
        return Midstate(words[:4], _SHA1_AT(words), _SHA256_AT(words), self._waiting, self._length)

    def _hash(self, little: bytes | int, big: bytes | int, count: int) -> None:
        """Whole blocks; whoever gives an address keeps alive what lies there."""
        self._blocks(self._state, little, big, count, self._table)


class _Plain:
    """The same by hashlib."""

    def __init__(self) -> None:
        self._all = hashlib.md5(usedforsecurity=False), hashlib.sha1(usedforsecurity=False), hashlib.sha256()

    def update(self, data: bytes) -> None:
        view = memoryview(data)
        for at in range(0, len(data), 1 << 20):  # all three while it is in the processor's cache
            for each in self._all:
                each.update(view[at : at + (1 << 20)])

    def hexdigests(self) -> dict[str, str]:
        return {each.name: each.hexdigest() for each in self._all}


def _map(code: bytes) -> _Mapped:
    """Writable first, then executable and never writable again. Raises OSError where the system forbids it."""
    memory = mmap.mmap(-1, len(code), mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.write(code)
    base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mprotect(ctypes.c_void_p(base), ctypes.c_size_t(len(code)), _PROT_READ | _PROT_EXEC):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    pointer, count = ctypes.c_void_p, ctypes.c_uint64
    return _Mapped(memory, base, ctypes.CFUNCTYPE(None, pointer, pointer, pointer, count, pointer)(base + TABLE))


def _agrees(length: int) -> bool:
    data = bytes(at * at % 251 for at in range(length))
    ours, plain = OnePass(), _Plain()
    ours.update(data[: length // 3])
    ours.update(data[length // 3 :])
    plain.update(data)
    return ours.hexdigests() == plain.hexdigests()


def _packed(at: Midstate) -> bytes:
    (a, b, c, d, e), (a2, b2, c2, d2, e2, f2, g2, h2) = at.sha1, at.sha256
    return _STATE.pack(*at.md5, d, c, b, a, 0, 0, 0, e, f2, e2, b2, a2, h2, g2, d2, c2)


_BEGIN = _packed(Midstate())
