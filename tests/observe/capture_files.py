"""Captures for tests: frames, flows and files, made without the code under test."""

import ipaddress
import random
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

START = 1_700_000_000_000_000_000
MS = 1_000_000
FIN, SYN, RST, ACK = 1, 2, 4, 16
PROTOCOL = b"\x13BitTorrent protocol"
Timed = tuple[int, bytes]


def raw(address: str) -> bytes:
    return ipaddress.ip_address(address).packed


def ip(source: str, target: str, protocol: int, data: bytes, *, fragment: int = 0) -> bytes:
    a, b = raw(source), raw(target)
    if len(a) == 4:
        return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(data), 0, fragment, 64, protocol, 0) + a + b + data
    if fragment:
        data, protocol = struct.pack("!BBHI", protocol, 0, fragment, 7) + data, 44
    return struct.pack("!IHBB", 6 << 28, len(data), protocol, 64) + a + b + data


def tcp(a: tuple[str, int], b: tuple[str, int], sequence: int, flags: int, data: bytes = b"") -> bytes:
    segment = struct.pack("!HHIIBBHHH", a[1], b[1], sequence % 2**32, 0, 0x50, flags, 0, 0, 0) + data
    return ip(a[0], b[0], 6, segment)


def udp(a: tuple[str, int], b: tuple[str, int], data: bytes) -> bytes:
    return ip(a[0], b[0], 17, struct.pack("!HHHH", a[1], b[1], 8 + len(data), 0) + data)


def ethernet(packet: bytes, *tags: int) -> bytes:
    kind = b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd"
    return bytes(12) + b"".join(struct.pack("!HH", tag, 5) for tag in tags) + kind + packet


def pppoe(packet: bytes) -> bytes:
    """A session's data, RFC 2516 section 4 and 6."""
    protocol = b"\x00\x21" if packet[0] >> 4 == 4 else b"\x00\x57"
    return struct.pack("!BBHH", 0x11, 0, 0x1234, 2 + len(packet)) + protocol + packet


def wrapped(packet: bytes, link: int) -> bytes:
    """A packet in a frame of a link type."""
    kind = b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd"
    ppp = b"\x00\x21" if packet[0] >> 4 == 4 else b"\x00\x57"
    return {
        9: b"\xff\x03" + ppp + packet,
        50: ppp[1:] + packet,  # protocol field compression (RFC 1661 section 6.5)
        51: pppoe(packet),
        0: struct.pack("<I", 2 if kind == b"\x08\x00" else 30) + packet,
        1: ethernet(packet),
        101: packet,
        108: struct.pack(">I", 2) + packet,
        113: bytes(14) + kind + packet,
        276: kind + bytes(18) + packet,
    }[link]


@dataclass
class Flow:
    """A TCP connection as frames of IP packets, side 0 its opener; every packet a millisecond after the one before."""

    a: tuple[str, int]
    b: tuple[str, int]
    at_ns: int = START
    isn: tuple[int, int] = (100, 2**32 - 30)  # the second wraps within a handshake
    packets: list[Timed] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sequence = [self.isn[0] + 1, self.isn[1] + 1]
        self.add(0, self.isn[0], SYN)
        self.add(1, self.isn[1], SYN | ACK)

    def add(self, side: int, sequence: int, flags: int, data: bytes = b"") -> None:
        ends = (self.a, self.b) if side == 0 else (self.b, self.a)
        self.packets.append((self.at_ns, tcp(*ends, sequence, flags, data)))
        self.at_ns += MS

    def say(self, side: int, data: bytes, size: int = 1400) -> "Flow":
        for at in range(0, len(data), size):
            part = data[at : at + size]
            self.add(side, self.sequence[side], ACK, part)
            self.sequence[side] += len(part)
        return self

    def close(self) -> "Flow":
        for side in (0, 1):
            self.add(side, self.sequence[side], FIN | ACK)
        return self


def utp(kind: int, connection: int, number: int, ack: int, data: bytes = b"", extension: bytes = b"") -> bytes:
    first = struct.pack("!BBHIIIHH", kind << 4 | 1, 1 if extension else 0, connection, 0, 0, 1 << 20, number, ack)
    return first + (bytes((0, len(extension))) + extension if extension else b"") + data


@dataclass
class UtpFlow:
    """A uTP connection as IP packets. `style` 0: as libtorrent numbers, 1: as BEP 29's text does."""

    a: tuple[str, int]
    b: tuple[str, int]
    at_ns: int = START
    connection: int = 7
    style: int = 0
    packets: list[Timed] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.number = [1, 65_535]
        self.add(0, 4, self.connection, self.number[0], 0)
        self.add(1, 2, self.connection, self.number[1], self.number[0])
        self.number = [2, (self.number[1] + self.style) % 65_536]

    def add(self, side: int, kind: int, connection: int, number: int, ack: int, data: bytes = b"") -> None:
        ends = (self.a, self.b) if side == 0 else (self.b, self.a)
        extension = b"\0\0\0\0" if kind == 2 and number % 2 else b""
        self.packets.append((self.at_ns, udp(*ends, utp(kind, connection, number, ack, data, extension))))
        self.at_ns += MS

    def say(self, side: int, data: bytes, size: int = 600) -> "UtpFlow":
        for at in range(0, len(data), size):
            ack = (self.number[1 - side] - 1) % 65_536
            self.add(side, 0, self.connection + (side == 0), self.number[side], ack, data[at : at + size])
            self.number[side] = (self.number[side] + 1) % 65_536
        return self

    def close(self) -> "UtpFlow":
        for side in (0, 1):
            self.add(side, 1, self.connection + (side == 0), self.number[side], 0)
        return self


def message(kind: int, body: bytes = b"") -> bytes:
    return struct.pack(">IB", len(body) + 1, kind) + body


def hello(infohash: bytes, peer_id: bytes, reserved: bytes = bytes(8)) -> bytes:
    return PROTOCOL + reserved + infohash + peer_id


def pcap(packets: Iterable[Timed], *, order: str = "<", nano: bool = False, link: int = 101) -> bytes:
    out = struct.pack(order + "IHHIIII", 0xA1B23C4D if nano else 0xA1B2C3D4, 2, 4, 0, 0, 1 << 18, link)
    for at_ns, packet in packets:
        data, (seconds, rest) = wrapped(packet, link), divmod(at_ns, 10**9)
        out += struct.pack(order + "IIII", seconds, rest if nano else rest // 1000, len(data), len(data)) + data
    return out


def block(order: str, kind: int, body: bytes) -> bytes:
    length = struct.pack(order + "I", 12 + len(body))
    return struct.pack(order + "I", kind) + length + body + length


def pcapng(
    packets: Iterable[Timed], *, order: str = "<", link: int = 101, resolution: int = 6, old: bool = False
) -> bytes:
    out = block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))
    out += block(
        order, 1, struct.pack(order + "HHI", link, 0, 1 << 18) + struct.pack(order + "HHBxxx", 9, 1, resolution)
    )
    out += block(order, 4, b"names that nobody reads.")
    for at_ns, packet in packets:
        data, ticks = wrapped(packet, link), at_ns // 10 ** (9 - resolution)
        stamp = (ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data))
        head = struct.pack(order + "HHIIII", 0, 0, *stamp) if old else struct.pack(order + "IIIII", 0, *stamp)
        out += block(order, 2 if old else 6, head + data + bytes(-len(data) % 4))
    return out


# a conversation that the tests share ---------------------------------------------------------------------------

INFOHASH = b"\x51" * 20
A, B, C = ("127.10.0.1", 40_001), ("127.10.0.2", 6_881), ("127.10.0.3", 6_882)
OURS, THEIRS = b"-TR3000-aaaaaaaaaaaa", b"-qB4520-bbbbbbbbbbbb"
CANARY = bytes(random.Random(7).randbytes(16_384))
ALL = message(5, b"\xff\xff\xf0")
EXTENSION = message(20, b"\x00d1:pi51413e1:v16:Transmission 3.0e")


def piece(number: int) -> bytes:
    return message(7, number.to_bytes(4, "big") + bytes(4) + CANARY)


def leech_and_seed(flow: Any) -> Any:
    """A leecher opens, a seeder answers; pieces go one way, PEX and metadata the other."""
    reserved = bytes((0, 0, 0, 0, 0, 0x10, 0, 4))
    flow.say(0, hello(INFOHASH, OURS, reserved) + EXTENSION + message(15))
    flow.say(1, hello(INFOHASH, THEIRS, reserved) + ALL)
    for number in range(6):
        flow.say(0, message(6, bytes(12)))
        flow.say(1, piece(number))
        flow.say(0, message(4, number.to_bytes(4, "big")) + message(20, b"\x01" + CANARY[:200]))
    return flow.close()
