"""The answering side of MSE, as its specification has it (Vuze wiki, "Message Stream Encryption").

1 A->B: Ya, PadA · 2 B->A: Yb, PadB · 3 A->B: HASH('req1', S), HASH('req2', SKEY) xor HASH('req3', S),
ENCRYPT(VC, crypto_provide, len(PadC), PadC, len(IA)), ENCRYPT(IA) · 4 B->A: ENCRYPT(VC, crypto_select, len(padD),
padD), then the payload. Which torrent is meant is found by its SKEY (the infohash) among those that the party holds.
"""

import hashlib
import random
import secrets
from collections.abc import Callable, Iterable
from functools import lru_cache

from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4
from cryptography.hazmat.primitives.ciphers import Cipher
from gmpy2 import mpz, powmod

PRIME = mpz(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B"
    "302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A63A36210000000000090563",
    16,
)
GENERATOR = 2
KEY_BYTES = 96
PRIVATE_BITS = 128  # the least that the specification has; a key of 160 bits costs a fake a quarter more
MOST_PADDING = 512
DISCARDED = 1024  # the first bytes of each RC4 stream
VERIFICATION = bytes(8)  # VC
PLAIN, RC4 = 0x01, 0x02  # bits of crypto_provide and crypto_select
HASH_BYTES = 20
HEAD_BYTES = 8 + 4 + 2  # VC, crypto_provide, len(PadC)


class Failed(Exception):
    """The caller's bytes are no MSE."""


class Refused(Exception):
    """The caller's bytes are MSE, for a torrent that this party does not hold or in no way that it takes."""


def digest(*parts: bytes) -> bytes:
    """HASH of the specification: SHA-1 over everything put together."""
    return hashlib.sha1(b"".join(parts), usedforsecurity=False).digest()


def power(base: int, exponent: int) -> bytes:
    """A public key, or a secret, as it is said and hashed. GMP takes about a tenth of the time of Python's `pow`."""
    return int(powmod(base, exponent, PRIME)).to_bytes(KEY_BYTES, "big")


@lru_cache(256)
def _key_pair(_number: int) -> tuple[int, bytes]:
    """One of the 256 key pairs that all fakes share, each drawn at random when it is first wanted.

    A pair of its own for every connection would double what a fake of MSE costs. Which pair it is tells nothing.
    """
    private = secrets.randbits(PRIVATE_BITS)
    return private, power(GENERATOR, private)


class Responder:
    """One MSE conversation. `receive` takes the caller's bytes; `out` collects ours, `inner` what is inside theirs.

    `selected` is 0 until the handshake is through, then PLAIN or RC4; from then on `seal` wraps what we say.
    """

    def __init__(self, keys: Iterable[bytes], ways: tuple[int, ...], rng: random.Random) -> None:
        """`keys`: infohashes that the party holds; `ways`: PLAIN and RC4 as far as it takes them, the best first."""
        self._keys, self._ways, self._rng = tuple(keys), ways, rng
        self._held = bytearray()
        self._secret = b""
        self._hears: Callable[[bytes], bytes] = bytes  # once the torrent is known, RC4 from where it stands
        self._says: Callable[[bytes], bytes] = bytes
        self._need = KEY_BYTES
        self._step = self._public_key
        self._key = b""
        self._provided = 0
        self.selected = 0
        self.out = bytearray()
        self.inner = bytearray()

    def receive(self, data: bytes) -> None:
        """Goes as far as the bytes reach. Raises Failed, Refused."""
        self._held += data if not self.selected else self._open(data)
        while not self.selected and len(self._held) >= self._need and self._step():
            continue
        if self.selected:
            self.inner += self._held
            self._held.clear()

    def seal(self, data: bytes) -> bytes:
        """What goes over the line for something that we say."""
        return self._says(data) if self.selected == RC4 else data

    def _open(self, data: bytes) -> bytes:
        return self._hears(data) if self.selected == RC4 else data

    def _take(self, count: int) -> bytes:
        found = bytes(self._held[:count])
        del self._held[:count]
        return found

    def _public_key(self) -> bool:
        theirs = int.from_bytes(self._take(KEY_BYTES), "big")
        if not 1 < theirs < PRIME - 1:
            raise Failed("a public key without a secret in it")
        private, public = _key_pair(self._rng.randrange(256))
        self._secret = power(theirs, private)
        self.out += public + self._padding()
        self._need, self._step = HASH_BYTES, self._synchronise
        return True

    def _synchronise(self) -> bool:
        """Skips PadA: HASH('req1', S) marks its end."""
        at = self._held.find(digest(b"req1", self._secret))
        if at > MOST_PADDING or (at < 0 and len(self._held) >= MOST_PADDING + HASH_BYTES):
            raise Failed("no HASH('req1', S) after at most 512 bytes of PadA")
        if at < 0:
            return False
        del self._held[: at + HASH_BYTES]
        self._need, self._step = HASH_BYTES, self._torrent
        return True

    def _torrent(self) -> bool:
        named = self._take(HASH_BYTES)
        mask = digest(b"req3", self._secret)
        wanted = bytes(a ^ b for a, b in zip(named, mask, strict=True))
        key = next((k for k in self._keys if digest(b"req2", k) == wanted), None)
        if key is None:
            raise Refused("an SKEY that this party does not hold")
        self._hears, self._says = self._stream(b"keyA", key), self._stream(b"keyB", key)
        self._need, self._step = HEAD_BYTES, self._head
        return True

    def _stream(self, name: bytes, key: bytes) -> Callable[[bytes], bytes]:
        stream = Cipher(ARC4(digest(name, self._secret, key)), mode=None).encryptor()
        stream.update(bytes(DISCARDED))
        return stream.update

    def _head(self) -> bool:
        head = self._hears(self._take(HEAD_BYTES))
        if head[:8] != VERIFICATION:
            raise Failed("a verification constant other than eight zeros")
        self._provided = int.from_bytes(head[8:12], "big")
        length = int.from_bytes(head[12:14], "big")
        if length > MOST_PADDING:
            raise Failed("more than 512 bytes of PadC")
        self._need, self._step = length + 2, self._padding_and_length
        return True

    def _padding_and_length(self) -> bool:
        self._need = int.from_bytes(self._hears(self._take(self._need))[-2:], "big")
        self._step = self._initial
        return True

    def _initial(self) -> bool:
        """Takes IA, says which of the offered ways it shall be, and lets the rest follow that way."""
        said = self._hears(self._take(self._need))
        select = next((way for way in self._ways if self._provided & way), None)
        if select is None:
            raise Refused("no crypto_provide that this party takes")
        padding = self._padding()
        answer = VERIFICATION + select.to_bytes(4, "big") + len(padding).to_bytes(2, "big") + padding
        self.out += self._says(answer)
        self.selected = select
        self.inner += said
        rest = self._open(bytes(self._held))
        self._held[:] = rest
        return True

    def _padding(self) -> bytes:
        return self._rng.randbytes(self._rng.randrange(MOST_PADDING + 1))
