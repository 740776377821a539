"""Frames of a capture file, and how bytes are drawn from its stream."""

from dataclasses import dataclass
from typing import BinaryIO

from clew.model import Missing, Reason
from clew.observe.taken import Account

MAX_FRAME = 1 << 18  # the largest snapshot length that libpcap itself accepts (MAXIMUM_SNAPLEN)
MAX_TIME_NS = 1 << 62


@dataclass(frozen=True, slots=True)
class Frame:
    """One captured frame: UTC nanoseconds, the LINKTYPE, the bytes kept of it, and how many it had on the wire."""

    at_ns: int
    link: int
    data: bytes
    length: int


def exactly(stream: BinaryIO, size: int, account: Account, what: str) -> bytes | None:
    """The next `size` bytes; None at the end of the file, which is a flaw where `what` had begun."""
    data = stream.read(size)
    if len(data) == size:
        return data
    if data or not what.startswith("next "):
        account.flaw(Missing(Reason.UNREADABLE, f"the file is cut short within a {what.removeprefix('next ')}"))
    return None
