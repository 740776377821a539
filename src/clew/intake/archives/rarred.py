"""RAR archives: libarchive unpacks them, and their own block headers say what it leaves out.

libarchive 3.6 hands out stored members without looking at their checksum, and encrypted members of RAR 5 as if they
were content. The block headers are read here for both (technote.txt of RAR 4.x and of RAR 5.0), and counted against
what libarchive lists.
"""

import struct
import zlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace

from clew.core.absent import Absent
from clew.intake.api import ByteSource
from clew.intake.archives import ends
from clew.intake.archives.kinds import Kind
from clew.intake.archives.members import Header, Stated, What, encrypted, exactly, lost
from clew.intake.archives.streamed import Streamed
from clew.model import Missing, Reason

_RAR4, _RAR5 = b"Rar!\x1a\x07\x00", b"Rar!\x1a\x07\x01\x00"
_MOST_HEADER = 1 << 21  # bytes (RAR 5 allows 2 MiB)
_MAIN4, _FILE4, _END4 = 0x73, 0x74, 0x7B
_FILE4_FORM = struct.Struct("<HBHHIIBI")
_MAIN5, _FILE5, _CRYPT5, _END5 = 1, 2, 4, 5
_JOIN = "unpack all volumes with another tool and take in what comes out as an exhibit of its own"


@dataclass(frozen=True, slots=True)
class Block:
    """What one file header states. `crc` is None where none is of the whole file; `packed` are bytes behind it.
    `split`: a part of the file lies in the volume before this one, or in the next.
    """

    crc: int | None
    closed: bool
    packed: int
    split: bool = False


@dataclass(frozen=True, slots=True)
class End:
    """Behind which byte an archive ends, as far as its blocks tell, and whether volumes come before and behind it."""

    at: int | None
    earlier: bool = False
    later: bool = False


class Rarred:
    """One RAR archive, unpacked by libarchive and held against its block headers."""

    def __init__(self, source: ByteSource, kind: Kind, stem: bytes, seekable: bool) -> None:
        self._streamed = Streamed(source, kind, stem, seekable)
        self.notes = self._streamed.notes
        self._source, self._read = source, blocks(source)
        self._blocks: list[Block] = []
        self._end = End(None)  # behind the last block, once that was read
        self._closed: Absent | None = None  # the block headers themselves are encrypted

    def headers(self, first: int) -> Iterator[Header]:
        """Members, each with what its block header says. Raises Absent where the two do not list the same."""
        count = first
        self._block(0)
        if self._closed is not None:
            raise self._closed
        for header in self._streamed.headers(first):
            count = header.number + 1
            block = self._block(header.number)
            if block is not None:
                header = _held_against(header, block)  # noqa: PLW2901
            yield header
        if self._block(count) is not None:
            raise lost(f"{count} members could be listed, and its block headers name more")
        if self._end.at is not None and ends.anything_behind(self._source, self._end.at):
            self.notes["rar archives with bytes behind their end"] = 1
        if self._end.earlier or self._end.later:
            raise Absent(_volumes(self._end))

    def chunks(self, number: int) -> Iterator[bytes]:
        """The content, checked against its CRC-32."""
        block = self._block(number)
        if block is not None and block.closed:
            raise Absent(encrypted("this member"))
        crc = 0
        for chunk in self._streamed.chunks(number):
            crc = zlib.crc32(chunk, crc)
            yield chunk
        if block is not None and block.crc is not None and block.crc != crc:
            raise lost(f"its CRC-32 is {crc:08x}, where the archive states {block.crc:08x}")
        if block is not None and block.split:
            raise Absent(Missing(Reason.UNREADABLE, f"a part of it lies in another volume of the archive: {_JOIN}"))

    def stated(self, number: int) -> Stated:
        """As Archive; without a size where only the block header has one."""
        block, stated = self._block(number), self._streamed.stated(number)
        return replace(stated, size=stated.size or None) if block is not None and block.packed else stated

    def place(self, _number: int) -> ByteSource | None:
        """As Archive: libarchive does not say."""
        return None

    def close(self) -> None:
        """As Archive."""
        self._streamed.close()

    def _block(self, number: int) -> Block | None:
        """File header `number`; None where they end before or make no sense: libarchive's word is all there is then."""
        while len(self._blocks) <= number:
            try:
                block = next(self._read)
            except StopIteration as end:
                block, self._end = None, end.value or self._end
            except Absent as absent:
                self._closed = absent if absent.missing.reason is Reason.ENCRYPTED else None
                block = None
            if block is None:
                return None
            self._blocks.append(block)
        return self._blocks[number]


def _volumes(end: End) -> Missing:
    """What the other volumes hold is not here."""
    where = " and ".join(["before"] * end.earlier + ["behind"] * end.later)
    return Missing(
        Reason.UNREADABLE, f"it is one of several volumes, and what those {where} it hold is not here: {_JOIN}"
    )


def _held_against(header: Header, block: Block) -> Header:
    """A member with what its block says: whether it is encrypted; of what is called no file, the bytes that it has."""
    size = header.size if header.what is What.FILE else block.packed and (header.size or block.packed)
    return replace(header, size=size, missing=encrypted("this member") if block.closed else header.missing)


def blocks(source: ByteSource) -> Generator[Block, None, End]:
    """The file headers of an archive, in order, and its end, as far as they tell. Raises Absent where they make
    no sense or are encrypted themselves.
    """
    magic = source.read(0, len(_RAR5))
    if magic == _RAR5:
        return (yield from _blocks5(source, len(_RAR5)))
    return (yield from _blocks4(source, len(_RAR4))) if magic.startswith(_RAR4) else End(None)


def _blocks4(source: ByteSource, at: int) -> Generator[Block, None, End]:
    earlier = False
    while True:
        head = exactly(source, at, 7)
        _, kind, flags, size = struct.unpack("<HBHH", head)
        if size < 7:
            return End(None)
        if kind == _END4:
            return End(at + int(size), earlier, bool(flags & 0x01))
        if kind == _MAIN4:
            if flags & 0x80:
                raise Absent(encrypted("its list of members"))
            earlier = flags & 0x101 == 0x01  # a volume, not the first one
        body = exactly(source, at, size)
        behind = int.from_bytes(body[7:11], "little") if flags & 0x8000 and size >= 11 else 0
        if kind == _FILE4 and size >= 32:
            _, _, _, _, _, _, _, crc = _FILE4_FORM.unpack_from(body)
            behind += int.from_bytes(body[32:36], "little") << 32 if flags & 0x100 else 0
            folder = flags & 0xE0 == 0xE0
            yield Block(
                None if flags & 0x03 or (folder and not behind) else crc, bool(flags & 0x04), behind, bool(flags & 0x03)
            )
        at += size + behind


def _blocks5(source: ByteSource, at: int) -> Generator[Block, None, End]:
    earlier = False
    while True:
        length, used = _number(exactly(source, at + 4, 3), 0)
        if not 0 < length <= _MOST_HEADER:
            raise lost("a block header of RAR makes no sense")
        body = exactly(source, at + 4 + used, length)
        kind, here = _number(body, 0)
        flags, here = _number(body, here)
        extra, here = _number(body, here) if flags & 1 else (0, here)
        behind, here = _number(body, here) if flags & 2 else (0, here)
        if kind == _END5:
            return End(at + 4 + used + length, earlier, bool(_number(body, here)[0] & 1))
        if kind == _MAIN5:
            earlier = _number(body, here)[0] & 3 == 3  # a volume with a number: the first one has none
        if kind == _CRYPT5:
            raise Absent(encrypted("its list of members"))
        if kind == _FILE5:
            yield _file5(body, here, flags, extra, behind)
        at += 4 + used + length + behind


def _file5(body: bytes, at: int, flags: int, extra: int, packed: int) -> Block:
    what, at = _number(body, at)
    _, at = _number(body, at)  # its size
    _, at = _number(body, at)  # its attributes
    at += 4 if what & 2 else 0  # its time
    crc = int.from_bytes(body[at : at + 4], "little") if what & 4 else None
    closed, here = False, len(body) - extra
    while extra and 0 <= here < len(body):
        size, start = _number(body, here)
        kind, _ = _number(body, start)
        closed |= kind == 1
        here = start + max(size, 1)
    return Block(None if flags & 0x18 else crc, closed, packed, bool(flags & 0x18))


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A variable length integer, and where it ends: seven bits a byte, the lowest first."""
    value = 0
    for count in range(10):
        if at + count >= len(data):
            break
        value |= (data[at + count] & 0x7F) << 7 * count
        if not data[at + count] & 0x80:
            return value, at + count + 1
    raise lost("a block header of RAR makes no sense")
