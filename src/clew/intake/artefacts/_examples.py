"""Benign artefacts made by code, for the examples that each plug-in carries."""

import hashlib
import struct
from collections.abc import Mapping, Sequence

PIECE = 1 << 14
Bencodable = int | str | bytes | Sequence["Bencodable"] | Mapping[str, "Bencodable"]


def bencode(value: Bencodable) -> bytes:
    """BEP 3; the keys in order."""
    match value:
        case int():
            return b"i%de" % value
        case str():
            return bencode(value.encode())
        case bytes():
            return b"%d:%s" % (len(value), value)
        case Mapping():
            pairs = sorted((key.encode(), bencode(each)) for key, each in value.items())
            return b"d" + b"".join(bencode(key) + each for key, each in pairs) + b"e"
        case _:
            return b"l" + b"".join(map(bencode, value)) + b"e"


def single() -> dict[str, Bencodable]:
    """The info dictionary of one file of 40,000 bytes (v1)."""
    return {"length": 40_000, "name": "card.bin", "piece length": PIECE, "pieces": _pieces(bytes(40_000))}


def folder() -> dict[str, Bencodable]:
    """Two files, the second on a piece's border thanks to a pad file (v1, BEP 47)."""
    pad = -40_000 % PIECE
    files: list[Bencodable] = [
        {"length": 40_000, "path": ["card.bin"]},
        {"attr": "p", "length": pad, "path": [".pad", str(pad)]},
        {"length": 5, "path": ["notes", "five.txt"]},
    ]
    return {"files": files, "name": "cards", "piece length": PIECE, "pieces": _pieces(bytes(40_000 + pad) + b"12345")}


def tree() -> dict[str, Bencodable]:
    """The same two files as a tree (v2)."""
    card: dict[str, Bencodable] = {"": {"length": 40_000, "pieces root": hashlib.sha256(b"card").digest()}}
    five: dict[str, Bencodable] = {"": {"length": 5, "pieces root": hashlib.sha256(b"five").digest()}}
    files: dict[str, Bencodable] = {"card.bin": card, "notes": {"five.txt": five}}
    return {"file tree": files, "meta version": 2, "name": "cards", "piece length": PIECE}


def both() -> dict[str, Bencodable]:
    """The same two files both ways (hybrid)."""
    return folder() | tree()


def _pieces(data: bytes) -> bytes:
    parts = [data[at : at + PIECE] for at in range(0, len(data), PIECE)]
    return b"".join(hashlib.sha1(each, usedforsecurity=False).digest() for each in parts)


def record(name: str, size: int, *, uploaded: int = 0) -> bytes:
    """One record of known.met: tags with long and short names, numbers of 32 and 64 bits, strings of both kinds."""
    long = size >> 32
    tags = [
        b"\x02\x01\x00\x01" + struct.pack("<H", len(name)) + name.encode(),
        struct.pack("<BHBQ" if long else "<BHBI", 0x0B if long else 0x03, 1, 0x02, size),
        struct.pack("<BBI", 0x83, 0x50, uploaded & 0xFFFFFFFF),
        struct.pack("<BBI", 0x83, 0x54, uploaded >> 32),
        struct.pack("<BBH", 0x88, 0x51, 3),
        b"\x91\xf0x",
    ]
    hashed = hashlib.sha256(name.encode()).digest()[:16]
    return struct.pack("<I16sHI", 1_700_000_000, hashed, 0, len(tags)) + b"".join(tags)
