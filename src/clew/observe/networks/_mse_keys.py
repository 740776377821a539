"""The arithmetic of Message Stream Encryption (MSE; wiki.vuze.com/w/Message_Stream_Encryption), as its first side, A.

The sections named here are that page's. What side A draws at random comes from the conversation's entropy: SHAKE-256
of b"clew mse 1" and the entropy gives 20 bytes for the private key (its top bit set), 2 for the length of PadA (modulo
513), 1 for that of PadC (modulo 32), and then PadA. A transcript holds the entropy: all keys can be computed again.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha1, shake_256
from typing import Any

from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4
from cryptography.hazmat.primitives.ciphers import Cipher
from gmpy2 import mpz, powmod

# "DH Parameters": a safe prime of 768 bits, generator 2.
PRIME = mpz(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD"
    "EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A63A36210000000000090563",
    16,
)
GENERATOR = 2
KEY_BYTES = 96  # "DH Parameters": P, S, Ya and Yb are 768 bits long
PRIVATE_BYTES = 20  # "DH Parameters": 160 bits whenever possible
MAX_PAD = 512  # "Constants/Variables": PadA to PadD
MAX_PAD_C = 31  # ours is shorter than allowed: it hides nothing from anyone but makes lengths differ
VC = bytes(8)  # "Constants/Variables": the verification constant
WINDOW = 5  # bits of a private key that are looked up at once
RC4_KEY_BYTES = 20  # "Functions": HASH() is SHA-1
DISCARDED = 1024  # "Functions": the first bytes of RC4's output
FIRST_BYTES = 160  # of a keystream: more than all that one conversation of ours needs


@dataclass(frozen=True, slots=True)
class Drawn:
    """What side A draws: its private key, PadA, and the length of PadC (which is zeros)."""

    private: int
    pad_a: bytes
    pad_c: int


def drawn(entropy: bytes) -> Drawn:
    """What this entropy gives; see above."""
    pool = shake_256(b"clew mse 1" + entropy).digest(PRIVATE_BYTES + 3 + MAX_PAD)
    private, rest = int.from_bytes(pool[:PRIVATE_BYTES], "big"), pool[PRIVATE_BYTES:]
    length = int.from_bytes(rest[:2], "big") % (MAX_PAD + 1)
    return Drawn(private | 1 << 159, rest[3 : 3 + length], rest[2] % (MAX_PAD_C + 1))


def public(private: int) -> bytes:
    """The public key, Ya ("DH Parameters"). By the table it costs a quarter of what `powmod` takes."""
    product = mpz(1)
    for row in _powers():
        product = product * row[private & (1 << WINDOW) - 1] % PRIME
        private >>= WINDOW
    return int(product).to_bytes(KEY_BYTES, "big")


@cache
def _powers() -> list[list[Any]]:
    """For each WINDOW bits of a private key, the generator to the power of all that they can be (as mpz)."""
    rows, base = [], mpz(GENERATOR)
    for _ in range(PRIVATE_BYTES * 8 // WINDOW):
        row = [mpz(1)]
        for _ in range((1 << WINDOW) - 1):
            row.append(row[-1] * base % PRIME)
        rows.append(row)
        base = row[-1] * base % PRIME
    return rows


def agreed(private: int, theirs: bytes) -> bytes:
    """The secret S ("DH Parameters"). Raises ValueError where `theirs` is no public key, or one of order 1 or 2."""
    key = int.from_bytes(theirs, "big")
    if not 1 < key < PRIME - 1:
        raise ValueError("no public key")
    return int(powmod(key, private, PRIME)).to_bytes(KEY_BYTES, "big")


def secret_hash(secret: bytes) -> bytes:
    """HASH('req1', S): where PadA ends ("The handshake packet format", step 3)."""
    return _hash(b"req1", secret)


def stream_hash(secret: bytes, infohash: bytes) -> bytes:
    """HASH('req2', SKEY) xor HASH('req3', S), SKEY being the infohash (same place)."""
    return _xor(_hash(b"req2", infohash), _hash(b"req3", secret))


def key_a(secret: bytes, infohash: bytes) -> bytes:
    """The RC4 key of what A sends ("Functions")."""
    return _hash(b"keyA", secret, infohash)


def key_b(secret: bytes, infohash: bytes) -> bytes:
    """The RC4 key of what B sends ("Functions")."""
    return _hash(b"keyB", secret, infohash)


def rc4(key: bytes, at: int = 0) -> Callable[[bytes], bytes]:
    """RC4 as it stands `at` bytes into the stream; it encrypts and decrypts what it is given in turn ("Functions")."""
    cipher = Cipher(ARC4(key), mode=None).encryptor()
    cipher.update(bytes(DISCARDED + at))
    return cipher.update


@dataclass(frozen=True, slots=True)
class Keystream:
    """RC4's output under one key ("Functions"), made of nothing but the key, and its first bytes only once.

    Raises ValueError where the key has another length than those of MSE.
    """

    key: bytes = field(repr=False)
    first: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.key) != RC4_KEY_BYTES:
            raise ValueError(f"the key of a stream is {RC4_KEY_BYTES} bytes")
        object.__setattr__(self, "first", rc4(self.key)(bytes(FIRST_BYTES)))

    def cover(self, data: bytes, at: int) -> bytes:
        """`data` encrypted as it stands `at` bytes into the stream."""
        end = at + len(data)
        stream = self.first if end <= FIRST_BYTES else rc4(self.key)(bytes(end))
        return _xor(data, stream[at:end])


def _xor(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).to_bytes(len(one), "big")


def _hash(*parts: bytes) -> bytes:
    return sha1(b"".join(parts), usedforsecurity=False).digest()
