"""The other side of Message Stream Encryption, written from the page on it and from nothing of clew's: an oracle."""

import hashlib
from collections.abc import Iterator

P = int(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74"
    "020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437"
    "4FE1356D6D51C245E485B576625E7EC6F44C42E9A63A36210000000000090563",
    16,
)
PLAIN, RC4 = 1, 2


def sha1(*parts: bytes) -> bytes:
    return hashlib.sha1(b"".join(parts)).digest()


def keystream(key: bytes) -> Iterator[int]:
    """RC4, its first 1024 bytes thrown away."""
    s, j = list(range(256)), 0
    for i in range(256):
        j = (j + s[i] + key[i % len(key)]) % 256
        s[i], s[j] = s[j], s[i]
    i = j = n = 0
    while True:
        i = (i + 1) % 256
        j = (j + s[i]) % 256
        s[i], s[j] = s[j], s[i]
        n += 1
        if n > 1024:
            yield s[(s[i] + s[j]) % 256]


def crypt(stream: Iterator[int], data: bytes) -> bytes:
    return bytes(b ^ next(stream) for b in data)


class Responder:
    """Answers our key, then our proof. Fields set before use make it lie."""

    def __init__(self, *infohashes: bytes, private: int = 0xB0B, pad_b: bytes = b"", pad_d: bytes = b"") -> None:
        self.infohashes, self.private, self.pad_b, self.pad_d = infohashes, private, pad_b, pad_d
        self.choose, self.vc, self.length = RC4, bytes(8), len(pad_d)
        self.offered = self.pad_a = self.pad_c = -1
        self.heard = b""  # what we sent, in plaintext; ours has no IA

    def key(self) -> bytes:
        return pow(2, self.private, P).to_bytes(96, "big")

    def prove(self, sent: bytes) -> bytes:
        """Reads steps 1 and 3 of ours from all that was sent so far, and makes step 4."""
        secret = pow(int.from_bytes(sent[:96], "big"), self.private, P).to_bytes(96, "big")
        at = sent.index(sha1(b"req1", secret))
        self.pad_a = at - 96
        asked = bytes(a ^ b for a, b in zip(sent[at + 20 : at + 40], sha1(b"req3", secret), strict=True))
        [infohash] = [h for h in self.infohashes if sha1(b"req2", h) == asked]
        self._in, self._out = keystream(sha1(b"keyA", secret, infohash)), keystream(sha1(b"keyB", secret, infohash))
        plain = crypt(self._in, sent[at + 40 :])
        assert plain[:8] == bytes(8)
        self.offered, self.pad_c = int.from_bytes(plain[8:12], "big"), int.from_bytes(plain[12:14], "big")
        assert not any(plain[14 : 14 + self.pad_c])
        rest = plain[14 + self.pad_c :]
        assert rest == bytes(2), "len(IA) is 0, and nothing more is said before the answer"
        head = self.vc + self.choose.to_bytes(4, "big") + self.length.to_bytes(2, "big") + self.pad_d
        return self.pad_b + crypt(self._out, head)

    def says(self, data: bytes) -> bytes:
        return crypt(self._out, data) if self.choose & RC4 else data

    def hears(self, data: bytes) -> None:
        self.heard += crypt(self._in, data) if self.choose & RC4 else data
