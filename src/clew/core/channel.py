"""The pipe between supervisor and worker: length-prefixed frames of JSON and blobs, read-only descriptors beside
them.

An AF_UNIX socket pair, because only such a pipe carries descriptors (SCM_RIGHTS). A frame is, in network byte
order, `u32 total`, `u32 json length`, the JSON, then the blobs one after the other; their lengths stand in the
JSON. Nothing is ever unpickled, and everything that comes from a worker is checked: it may belong to an attacker
once it has parsed his bytes.
"""

import array
import fcntl
import json
import os
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from clew.core.errors import Damaged

HEADER = struct.Struct("!II")
MOST_TEXT = 8 << 20  # bytes of JSON in one frame from a worker: what they decode to can be twenty times as large
MOST_DESCRIPTORS = 253  # SCM_MAX_FD of Linux, for one message
_CHUNK = 1 << 18


@dataclass(frozen=True, slots=True)
class Reply:
    """What an entry answers: `value` is anything JSON can say, `blobs` are raw bytes beside it."""

    value: Any
    blobs: tuple[bytes, ...] = ()


def pair() -> tuple[socket.socket, socket.socket]:
    """The two ends: the supervisor's does not block, the worker's does."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    ours.setblocking(False)
    return ours, theirs


def end(descriptor: int) -> socket.socket:
    """The worker's end, from the descriptor number it was started with."""
    return socket.socket(fileno=descriptor)


def encode(message: Any, blobs: Sequence[bytes] = (), ascii_only: bool = True) -> bytes:
    """One frame. Raises TypeError or ValueError where JSON cannot say the message: what is no data, and NaN.

    Without `ascii_only`, half characters (lone surrogates) are refused too.
    """
    text = json.dumps(message, separators=(",", ":"), allow_nan=False, ensure_ascii=ascii_only).encode()
    total = len(text) + sum(map(len, blobs))
    return b"".join((HEADER.pack(total, len(text)), text, *blobs))


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number")


_JSON = json.JSONDecoder(parse_constant=_no_number)


def decode(text: bytes) -> list[Any]:
    """The JSON of a frame. Raises Damaged for anything but a list in sane JSON, every string of which is UTF-8."""
    try:
        message = _JSON.decode(text.decode())
        if b"\\ud" in text.lower():
            json.dumps(message, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise Damaged("a frame does not hold JSON", str(error)) from error
    if not isinstance(message, list):
        raise Damaged("a frame holds JSON that is no list")
    return message


class Splitter:
    """Cuts a stream of bytes into frames, never holding more than one frame of `most` bytes plus one read."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = bytearray()

    def feed(self, data: bytes) -> list[tuple[list[Any], bytes]]:
        """The frames that `data` completes, as (message, blobs). Raises Damaged at the first that breaks the rules."""
        self._held += data
        held, at, frames = self._held, 0, []
        try:
            while len(held) - at >= HEADER.size:
                total, text = HEADER.unpack_from(held, at)
                if total > self._most or text > min(total, MOST_TEXT):
                    raise Damaged(f"a frame of {total} bytes, {text} of them text, is over the limit of {self._most}")
                start = at + HEADER.size
                if len(held) - start < total:
                    break
                message = decode(bytes(held[start : start + text]))
                frames.append((message, bytes(held[start + text : start + total])))
                at = start + total
        finally:
            del held[:at]
        return frames


def cut(blobs: bytes, lengths: Any) -> tuple[bytes, ...]:
    """The blobs of a frame, by the lengths its JSON states. Raises Damaged where the two do not add up."""
    if not isinstance(lengths, list) or not all(type(n) is int and n >= 0 for n in lengths):
        raise Damaged("a frame states lengths that are no numbers")
    if sum(lengths) != len(blobs):
        raise Damaged("a frame's blobs do not add up")
    parts, at = [], 0
    for length in lengths:
        parts.append(blobs[at : at + length])
        at += length
    return tuple(parts)


def send_some(connection: socket.socket, data: memoryview, descriptors: Sequence[int]) -> int:
    """Sends what fits now, all descriptors with the first byte. Returns the number of bytes; 0 means later.

    Raises OSError where the other end is gone.
    """
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
    try:
        return connection.sendmsg([data], rights, socket.MSG_NOSIGNAL)
    except BlockingIOError:
        return 0


def receive_some(connection: socket.socket) -> bytes | None:
    """What is there now: bytes, b"" at the end of the stream, None where nothing is there yet.

    Descriptors that a worker might send along are never taken: the kernel closes them.
    """
    try:
        return connection.recv(_CHUNK)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def receive_frame(connection: socket.socket) -> tuple[list[Any], list[int]] | None:
    """The worker's side: one whole frame and its descriptors, None at the end of the stream."""
    descriptors: list[int] = []
    header = _exactly(connection, HEADER.size, descriptors)
    if header is None:
        return None
    body = _exactly(connection, HEADER.unpack(header)[0], descriptors)
    return None if body is None else (json.loads(body), descriptors)


def _exactly(connection: socket.socket, size: int, descriptors: list[int]) -> bytes | None:
    held = bytearray()
    room = socket.CMSG_SPACE(MOST_DESCRIPTORS * 4)
    while len(held) < size:
        data, rights, _, _ = connection.recvmsg(min(size - len(held), _CHUNK), room, socket.MSG_CMSG_CLOEXEC)
        for level, kind, content in rights:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                received = array.array("i")
                received.frombytes(content[: len(content) - len(content) % received.itemsize])
                descriptors.extend(received)
        if not data:
            return None
        held += data
    return bytes(held)


def read_only(descriptor: int) -> int:
    """The same file, opened for reading alone: the descriptor itself where it is so already, else a new one in its
    place.

    A worker must not be able to write to what was seized, even where a caller opened it carelessly.
    """
    if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        return descriptor
    again = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
    os.close(descriptor)
    return again
