"""exFAT's directory entries, for what The Sleuth Kit does not tell of them (Microsoft, exFAT file system specification,
2019, sections 6 and 7).

Deleting a file clears the in-use bit of its entries and its bits in the allocation bitmap.

A file may be longer than what was ever written of it (ValidDataLength, section 7.6.5): behind that it reads as zeros,
whatever its clusters hold. The Sleuth Kit gives what they hold.
"""

import struct

from clew.intake.api import ByteSource
from clew.intake.disk.boot_sector import boot_sector

IN_USE = 0x80
LABEL = 0x03  # without the in-use bit
_OWN = {0x81, 0x82}  # the volume's bitmap and table of upper case letters
_FILE = 0x05  # without the in-use bit
_NOT_SUMMED = frozenset({2, 3})  # the bytes in which the checksum over a file's entries stands
_STREAM = 0x40  # without the in-use bit
_ZONES = 22  # where the distances from UTC of the times of creation, writing and access stand (section 7.4.10)
_STATED = 0x80  # of such a byte; the rest are quarters of an hour, signed
_QUARTER = 15 * 60
_FIRST_ADDRESS = 3  # The Sleuth Kit numbers the entries of 32 bytes in the cluster heap from here
_ENTRY = 32


def _checksum(entries: bytes) -> int:
    """That over the entries of one file, which are taken for ones in use."""
    total = 0
    for number, byte in enumerate(entries):
        if number not in _NOT_SUMMED:
            total = (total << 15 | total >> 1) + (byte if number % _ENTRY else byte | IN_USE) & 0xFFFF
    return total


def _east(stated: int) -> int | None:
    """In seconds."""
    quarters = (stated & 0x7F) - ((stated & 0x40) << 1)
    return quarters * _QUARTER if stated & _STATED else None


class Entries:
    """The entries of the volume at byte `offset`, by The Sleuth Kit's addresses. Raises struct.error, IndexError."""

    def __init__(self, source: ByteSource, offset: int) -> None:
        boot = boot_sector(lambda at, length: source.read(offset + at, length))
        fat, _, heap = struct.unpack_from("<3I", boot, 80)
        sector = min(boot[108], 12)
        self._source, self._heap, self._fat = source, offset + (heap << sector), offset + (fat << sector)
        self._cluster = 1 << sector + min(boot[109], 25 - sector)

    def own(self, address: int) -> bool:
        """Whether the entry is one of the volume's own."""
        return bool(_OWN.intersection(self._read(address, 1)))

    def begins(self, address: int) -> int:
        """The first cluster of the file whose entry has that address; 0 where it names none."""
        stream = self._stream(address, 0)
        return int.from_bytes(stream[20:24], "little")

    def written(self, address: int, size: int) -> int:
        """How many of the `size` bytes of the file whose entry has that address were ever written: behind them are
        zeros. Raises OSError where its stream entry cannot be read.
        """
        return min(int.from_bytes(self._stream(address, size)[8:16], "little"), size)

    def intact(self, address: int) -> bool:
        """Whether the checksum over a file's entries is right (section 6.3.3), of deleted ones as they were in use.
        True of what is no file's entry.
        """
        first = self._read(address, _ENTRY)
        if len(first) < _ENTRY or first[0] & ~IN_USE != _FILE:
            return True
        length, said = (1 + first[1]) * _ENTRY, int.from_bytes(first[2:4], "little")
        return any(_checksum(each) == said for each in (self._read(address, length), self._chained(address, length)))

    def zones(self, address: int) -> list[int | None]:
        """Seconds east of UTC by which the times of writing, access and creation of a file's entry are local ones; None
        where it does not say so.
        """
        entry = self._read(address, _ENTRY)
        if len(entry) < _ENTRY or entry[0] & ~IN_USE != _FILE:
            return [None] * 3
        born, written, accessed = (_east(byte) for byte in entry[_ZONES : _ZONES + 3])
        return [written, accessed, born]

    def _chained(self, address: int, length: int) -> bytes:
        """So many bytes from an entry on, on the way that the table tells."""
        cluster, inside = divmod((address - _FIRST_ADDRESS) * _ENTRY, self._cluster)
        data = b""
        while cluster >= 0 and len(data) < length:
            part = self._source.read(self._heap + cluster * self._cluster + inside, self._cluster - inside)
            data += part[: length - len(data)]
            cluster = int.from_bytes(self._source.read(self._fat + 4 * (cluster + 2), 4), "little") - 2 if part else -1
            inside = 0
        return data

    def _stream(self, address: int, size: int) -> bytes:
        """The stream entry of a file of that size. Raises OSError."""
        both = self._read(address, 2 * _ENTRY)
        kind = (both[:1] or b"\0")[0] & IN_USE | _STREAM
        for entry in (both[_ENTRY:], self._next(address)):
            if len(entry) == _ENTRY and entry[0] == kind and entry[24:] == size.to_bytes(8, "little"):
                return entry
        raise OSError("its stream entry cannot be read")

    def _next(self, address: int) -> bytes:
        """Of an entry that is the last of its cluster: the one with which the directory's next cluster begins."""
        cluster, inside = divmod((address + 1 - _FIRST_ADDRESS) * _ENTRY, self._cluster)
        if inside:
            return b""
        after = int.from_bytes(self._source.read(self._fat + 4 * (cluster + 1), 4), "little") - 2
        return self._source.read(self._heap + after * self._cluster, _ENTRY) if after >= 0 else b""

    def _read(self, address: int, length: int) -> bytes:
        at = self._heap + (address - _FIRST_ADDRESS) * _ENTRY
        return self._source.read(at, length) if address >= _FIRST_ADDRESS else b""
