"""Tiny callers of the tests' own, over every carrier: enough to say one thing and to hear what comes back."""

import hashlib
import random
import socket
import struct

from Cryptodome.Cipher import ARC4

from clew.range.scenario import Carrier

HELLO = b"\x13BitTorrent protocol"
FAST_AND_EXTENDED = bytes.fromhex("0000000000100004")
PEER_ID = b"-XX0000-abcdefghijkl"
P = int(
    "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404ddef9519b3cd3a431b"
    "302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a63a36210000000000090563",
    16,
)


class Ended(Exception):
    """The peer said nothing more."""


def handshake(infohash, reserved=FAST_AND_EXTENDED):
    return HELLO + reserved + infohash + PEER_ID


def message(kind, payload=b""):
    return struct.pack(">IB", len(payload) + 1, kind) + payload


def messages(data):
    """(kind, payload) of every whole message after the handshake."""
    at, found = 68, []
    while at + 4 < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        if at + 4 + length > len(data):
            break
        found.append((data[at + 4], data[at + 5 : at + 4 + length]))
        at += 4 + length
    return found


class Tcp:
    """A TCP stream."""

    def __init__(self, endpoint, wait):
        self.sock = socket.socket()
        self.sock.settimeout(wait)
        self.sock.bind(("127.9.0.7", 0))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.connect(endpoint)

    def send(self, data):
        self.sock.sendall(data)

    def recv(self):
        try:
            found = self.sock.recv(1 << 16)
        except (TimeoutError, ConnectionResetError):
            raise Ended from None
        if not found:
            raise Ended
        return found

    def close(self):
        self.sock.close()


class Utp:
    """A uTP stream (BEP 29) as its initiator: in order, acknowledging, sending again what is not acknowledged."""

    def __init__(self, endpoint, wait):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.9.0.7", 0))
        self.sock.connect(endpoint)
        self.wait, self.id, self.seq, self.ack, self.theirs = wait, random.randrange(1 << 16), 1, 0, None
        self.ahead, self.kinds, self.acked = {}, [], 0
        self.sock.settimeout(wait)
        self._packet(4, b"", self.id)
        kind, seq = self._hear()
        if kind != 2:
            raise Ended
        self.ack, self.theirs = (seq - 1) & 0xFFFF, seq
        self.seq = 2

    def _packet(self, kind, payload, connection=None):
        connection = (self.id + 1) & 0xFFFF if connection is None else connection
        head = struct.pack(">BBHIIIHH", kind << 4 | 1, 0, connection, 1, 0, 1 << 20, self.seq, self.ack)
        self.sock.send(head + payload)

    def _hear(self):
        try:
            data = self.sock.recv(1 << 16)
        except (TimeoutError, ConnectionRefusedError):
            raise Ended from None
        first, _, connection, _, _, _, seq, self.acked = struct.unpack_from(">BBHIIIHH", data)
        assert first & 15 == 1
        assert connection == self.id
        self.kinds.append(first >> 4)
        if first >> 4 == 3:
            raise Ended
        if first >> 4 in (0, 1):
            self.ahead.setdefault(seq, (first >> 4, data[20:]))
        return first >> 4, seq

    def send(self, data):
        for at in range(0, len(data), 1000):
            self._packet(0, data[at : at + 1000])
            self.seq = (self.seq + 1) & 0xFFFF

    def recv(self):
        while (following := (self.ack + 1) & 0xFFFF) not in self.ahead:
            self._hear()
        self.ack = following
        kind, found = self.ahead.pop(following)
        self._packet(2, b"")
        if kind == 1:
            raise Ended
        return found

    def close(self):
        self._packet(1, b"")
        self.sock.close()


class Mse:
    """Message Stream Encryption as its initiator, over another stream."""

    def __init__(self, stream, key, first, provide=2, pad=b"p" * 33):
        self.stream, self.held = stream, b""
        private = random.getrandbits(160)
        stream.send(pow(2, private, P).to_bytes(96, "big") + pad)
        secret = pow(int.from_bytes(self._exactly(96), "big"), private, P).to_bytes(96, "big")
        self.out, self.into = self._cipher(b"keyA" + secret + key), self._cipher(b"keyB" + secret + key)
        masked = bytes(a ^ b for a, b in zip(sha(b"req2" + key), sha(b"req3" + secret), strict=True))
        offer = bytes(8) + struct.pack(">IH", provide, 5) + b"ccccc" + struct.pack(">H", len(first))
        stream.send(sha(b"req1" + secret) + masked + self.out.encrypt(offer + first))
        mark = self.into.encrypt(bytes(8))
        while mark not in self.held:
            if len(self.held) > 600:
                raise Ended
            self.held += stream.recv()
        self.held = self.held[self.held.index(mark) + 8 :]
        self.selected, length = struct.unpack(">IH", self.into.decrypt(self._exactly(6)))
        self.into.decrypt(self._exactly(length))
        self.held = self._open(self.held)

    def _cipher(self, seed):
        found = ARC4.new(sha(seed))
        found.encrypt(bytes(1024))
        return found

    def _exactly(self, count):
        while len(self.held) < count:
            self.held += self.stream.recv()
        found, self.held = self.held[:count], self.held[count:]
        return found

    def _open(self, data):
        return self.into.decrypt(data) if self.selected == 2 else data

    def send(self, data):
        self.stream.send(self.out.encrypt(data) if self.selected == 2 else data)

    def recv(self):
        if self.held:
            found, self.held = self.held, b""
            return found
        return self._open(self.stream.recv())

    def close(self):
        self.stream.close()


def sha(data):
    return hashlib.sha1(data).digest()


def whole(found):
    """Whether a peer has said what it holds and pushed what nobody asked for."""
    kinds = [(kind, payload[:1] if kind == 20 else b"") for kind, payload in messages(found)]
    return {(7, b""), (99, b""), (20, b"\x02")} <= set(kinds) and len(found) == _end(found)


def _end(found):
    return 68 + sum(5 + len(payload) for _, payload in messages(found))


def dial(
    endpoint, carrier, infohash, *, more=b"", reserved=FAST_AND_EXTENDED, wait=3.0, key=None, provide=2, enough=whole
):
    """What a peer says to a handshake and `more` until that is `enough`, or it ends or is silent for `wait` seconds."""
    stream, found = None, b""
    try:
        stream = (Utp if carrier in (Carrier.UTP, Carrier.MSE_UTP) else Tcp)(endpoint, wait)
        if carrier in (Carrier.MSE_TCP, Carrier.MSE_UTP):
            stream = Mse(stream, key or infohash, handshake(infohash, reserved), provide)
            stream.send(more)
        else:
            stream.send(handshake(infohash, reserved) + more)
        while not enough(found):
            found += stream.recv()
    except (Ended, ConnectionError):
        pass
    if stream is not None:
        stream.close()
    return found
