"""A uTP peer for the observer's tests (BEP 29, the accepting side), without sockets. Shares no code with clew."""

import struct
from dataclasses import dataclass, field

HEADER = struct.Struct(">BBHIIIHH")
DATA, FIN, STATE, RESET, SYN = range(5)
AGAIN_NS = 1_000_000_000


def packet(
    kind: int, connection: int, seq: int, ack: int, payload: bytes = b"", *, extensions: bytes = b"", first: int = 0
) -> bytes:
    """One datagram; `extensions` as they follow the header, `first` the type of the first."""
    head = HEADER.pack(kind << 4 | 1, first, connection & 0xFFFF, 7, 0, 1 << 20, seq & 0xFFFF, ack & 0xFFFF)
    return head + extensions + payload


@dataclass
class UtpPeer:
    """Takes one connection: hears the 68 bytes of a handshake, says `said` in packets of `size` bytes.

    In `said`, {infohash} stands for the one that was asked for. It repeats what is not confirmed until it is, and
    keeps all that it hears.
    """

    said: bytes
    first: int = 1_000
    size: int = 1_400
    fin: bool = False
    heard: list[bytes] = field(default_factory=list)
    stream: bytes = b""
    reset: bool = False
    _id: int | None = None
    _ack: int = 0
    _seq: int = 0
    _later: dict[int, bytes] = field(default_factory=dict)
    _open: dict[int, tuple[int, bytes, int]] = field(default_factory=dict)
    _spoke: bool = False

    def take(self, data: bytes, now_ns: int) -> list[bytes]:
        """A datagram came in; what goes out for it."""
        self.heard.append(data)
        kind, _, connection, _, _, _, seq, ack = HEADER.unpack(data[:20])
        kind >>= 4
        if kind == SYN:
            if self._id is None:
                self._id, self._ack, self._seq = connection, seq, self.first & 0xFFFF
            return [packet(STATE, self._id, self.first, seq)]
        if self._id is None or connection != (self._id + 1) & 0xFFFF:
            return []
        if kind == RESET:
            self.reset = True
            self._open.clear()
            return []
        self._open = {s: each for s, each in self._open.items() if (ack - s) & 0xFFFF >= 1 << 15}
        if kind != DATA:
            return []
        self._later[seq] = data[20:]
        while (self._ack + 1) & 0xFFFF in self._later:
            self._ack = (self._ack + 1) & 0xFFFF
            self.stream += self._later.pop(self._ack)
        if len(self.stream) >= 68 and not self._spoke:
            return self._speak(now_ns)
        return [packet(STATE, self._id, self._seq, self._ack)]

    def due(self, now_ns: int) -> list[bytes]:
        """What is repeated now."""
        out = []
        for seq, (kind, payload, at_ns) in list(self._open.items()):
            if now_ns >= at_ns:
                self._open[seq] = (kind, payload, now_ns + AGAIN_NS)
                out.append(packet(kind, self._id or 0, seq, self._ack, payload))
        return out

    def _speak(self, now_ns: int) -> list[bytes]:
        self._spoke = True
        said = self.said.replace(b"{infohash}", self.stream[28:48])
        parts = [(DATA, said[at : at + self.size]) for at in range(0, len(said), self.size)]
        for kind, payload in parts + [(FIN, b"")] * self.fin:
            self._open[self._seq] = (kind, payload, now_ns)
            self._seq = (self._seq + 1) & 0xFFFF
        return self.due(now_ns)
