"""What the MSE layer can send: three frozen types, none with a field that could carry content.

MseKey is made of nothing but the entropy. Encrypted carries one of the messages of a stream, as an object of exactly
these types; whatever else MseProof and it are made of goes through a hash or is the key of a cipher. What is costly is
computed once, as they are made: a tape and a wire, and uTP around them, ask for their bytes again.
Sections as in `_mse_keys`.
"""

from dataclasses import dataclass, field

from clew.observe.api import ENTROPY_BYTES
from clew.observe.networks import _mse_keys as keys
from clew.observe.networks._messages import AfterHandshake, ExtensionHandshake, GossipHandshake, Handshake
from clew.observe.networks._mse_keys import Drawn, Keystream

PLAINTEXT, RC4 = 1, 2  # "Constants/Variables": bits of crypto_provide and crypto_select
INFOHASH_BYTES = 20  # "Functions": SKEY, for BitTorrent the infohash
IA_LENGTH_BYTES = 2  # "The handshake packet format", step 3: len(IA)


@dataclass(frozen=True, slots=True)
class MseKey:
    """Step 1 of "The handshake packet format": Ya, PadA."""

    entropy: bytes = field(repr=False)
    name: str = "mse key"
    drawn: Drawn = field(init=False, repr=False, compare=False)
    data: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.entropy) != ENTROPY_BYTES:
            raise ValueError(f"entropy is {ENTROPY_BYTES} bytes")
        drawn = keys.drawn(self.entropy)
        object.__setattr__(self, "drawn", drawn)
        object.__setattr__(self, "data", keys.public(drawn.private) + drawn.pad_a)

    def encode(self) -> bytes:
        """96 to 608 bytes."""
        return self.data


@dataclass(frozen=True, slots=True)
class MseProof:
    """Step 3: that we know S and the infohash, what we offer, `pad` zeros as PadC, and no IA.

    An IA, the handshake, would tell our peer id to whoever has not yet proven to know the infohash. Transmission 3.00
    that chooses plaintext takes an IA for plaintext, too, although it is encrypted.
    """

    secret: bytes = field(repr=False)
    infohash: bytes = field(repr=False)
    provide: int
    pad: int
    name: str = "mse proof"
    stream: Keystream = field(init=False, repr=False, compare=False)  # of what we send, the proof at its beginning
    data: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.secret) != keys.KEY_BYTES or len(self.infohash) != INFOHASH_BYTES:
            raise ValueError("a proof needs the agreed secret and an infohash")
        if not 0 < self.provide <= PLAINTEXT | RC4:
            raise ValueError("a proof needs a method that exists")
        if not 0 <= self.pad <= keys.MAX_PAD:
            raise ValueError(f"PadC is at most {keys.MAX_PAD} bytes")
        hashes = keys.secret_hash(self.secret) + keys.stream_hash(self.secret, self.infohash)
        stream = Keystream(keys.key_a(self.secret, self.infohash))
        object.__setattr__(self, "stream", stream)
        object.__setattr__(self, "data", hashes + stream.cover(self._clear(), 0))

    def encode(self) -> bytes:
        """The two hashes and what is encrypted."""
        return self.data

    @property
    def encrypted(self) -> int:
        """How many bytes of our RC4 stream this uses."""
        return len(self._clear())

    def _clear(self) -> bytes:
        head = keys.VC + self.provide.to_bytes(4, "big") + self.pad.to_bytes(2, "big") + bytes(self.pad)
        return head + bytes(IA_LENGTH_BYTES)


@dataclass(frozen=True, slots=True)
class Encrypted:
    """Step 5 with RC4: a message as it stands `at` bytes into a stream."""

    message: Handshake | AfterHandshake
    stream: Keystream = field(repr=False)
    at: int

    def __post_init__(self) -> None:
        if type(self.message) not in (Handshake, ExtensionHandshake, GossipHandshake):
            raise TypeError(f"{type(self.message).__name__} is not in the closed set of what can be sent")
        if type(self.stream) is not Keystream:
            raise TypeError("what is encrypted is so under the stream of a key")
        if self.at < 0:
            raise ValueError("what is encrypted has a place in its stream")

    @property
    def name(self) -> str:
        """The message's name."""
        return self.message.name

    def encode(self) -> bytes:
        """As many bytes as the message has."""
        return self.stream.cover(self.message.encode(), self.at)
