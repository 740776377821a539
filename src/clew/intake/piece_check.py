"""In a worker: what a .torrent says of its files' pieces, and whether the bytes of a seized file have those hashes."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from clew.core.absent import absent
from clew.core.channel import Reply
from clew.intake.api import ByteSource, Probe
from clew.intake.artefacts import _metainfo
from clew.intake.artefacts._bencoded import scan
from clew.intake.artefacts._metainfo import V1, File, Info
from clew.intake.hashing import CHUNK
from clew.intake.piecewise import runners
from clew.intake.reading import find
from clew.model import Reason

MOST_TORRENT = 64 << 20  # bytes
CHANGED = "the exhibit's bytes have changed since intake"


@dataclass(frozen=True, slots=True)
class Check:
    """What a receipt says of how it was checked."""

    name: str = "pieces"
    version: str = "2"


CHECK = Check()


def plan(payload: dict[str, Any], descriptors: list[int]) -> Iterator[Reply]:
    """Entry: the files of the .torrent behind "opener" whose numbers are in "wanted".

    One Reply each, with v1's piece hashes as a blob: {"index", "size", "offset", "first", "length", "zeros", "root"}.
    Raises Absent where its SHA-256 is not "sha256" any more.
    """
    info = metainfo(find(payload["opener"])(payload, descriptors), payload["sha256"])
    for index in payload["wanted"]:
        if index < len(info.files):
            yield _file(info, index)


def check(payload: dict[str, Any], descriptors: list[int]) -> Reply:
    """Entry: reads the content behind "opener" once and finds out all of "checks" (see `piecewise.runners`).

    Raises Absent where some of its bytes cannot be read: its hashes would be those of other bytes.
    """
    source: ByteSource = find(payload["opener"])(payload, descriptors)
    checks, sha256, size = runners(payload["checks"]), hashlib.sha256(), 0
    while chunk := source.read(size, CHUNK):
        size += len(chunk)
        sha256.update(chunk)
        for each in checks:
            each.feed(chunk)
    if source.bad:
        raise absent(Reason.UNREADABLE, f"{len(source.bad)} stretches of it cannot be read")
    return Reply({"sha256": sha256.hexdigest(), "results": [each.end() for each in checks]})


def metainfo(source: ByteSource, sha256: str) -> Info:
    """The info dictionary of a .torrent. Raises Absent where there is none, or it is not the one of that SHA-256."""
    data = _torrent(source, sha256)
    scanned = scan(Probe(memoryview(data), len(data), ""))
    place = scanned.place(b"info") if scanned else None
    if place is None:
        raise absent(Reason.UNPARSABLE, "it has no info dictionary")
    return _metainfo.read(data, place)


def _torrent(source: ByteSource, sha256: str) -> bytes:
    if source.size > MOST_TORRENT:
        raise absent(Reason.TOO_LARGE, f"a .torrent of {source.size:,} bytes")
    data = bytearray()
    while chunk := source.read(len(data), CHUNK):
        data += chunk
    if hashlib.sha256(data).hexdigest() != sha256:
        raise absent(Reason.UNREADABLE, CHANGED)
    return bytes(data)


def _file(info: Info, index: int) -> Reply:
    file = info.files[index]
    said: dict[str, Any] = {"index": file.index, "size": file.size, "offset": file.offset, "pad": file.pad}
    said["root"] = file.root.hex() if file.root else ""
    numbers, zeros = inner_pieces(info, file)
    first = numbers.start * info.piece_length - (file.offset or 0) if numbers else 0
    said |= {"first": first, "length": info.piece_length, "zeros": zeros}
    return Reply(said, (info.pieces[numbers.start * V1 : numbers.stop * V1],))


def inner_pieces(info: Info, file: File) -> tuple[range, int]:
    """Numbers of the pieces that lie wholly inside one file, pads behind it included, and how many zeros of those pads
    the last one needs.
    """
    if file.offset is None or not info.pieces or not info.piece_length:
        return range(0), 0
    end, length = file.offset + file.size, info.piece_length
    pad = next((each.size for each in info.files[file.index + 1 : file.index + 2] if each.pad), 0)
    total = info.files[-1].size + (info.files[-1].offset or 0)
    first, stop = -(-file.offset // length), (end + pad) // length
    if end + pad == total and total % length and "files" not in info.wrong:
        stop += 1  # the torrent's last piece is shorter, where its list of files did not break off
    while stop > first and (stop - 1) * length >= end:
        stop -= 1  # nothing but zeros
    if stop <= first:
        return range(0), 0
    return range(first, stop), max(0, min(stop * length, total) - end)
