"""exFAT's directory entries, for what The Sleuth Kit does not tell of them (Microsoft, exFAT file system specification,
2019, sections 6 and 7).

Deleting a file clears the in-use bit of its entries and its bits in the allocation bitmap. A file without a chain in
the table (NoFatChain, section 6.3.4.2) lay in one run for certain; of any other that was deleted nobody can tell.
"""

import struct

from clew.intake.api import ByteSource

IN_USE = 0x80
LABEL = 0x03  # without the in-use bit
_OWN = {0x81, 0x82}  # the volume's bitmap and table of upper case letters
_FILE, _STREAM = 0x05, 0x40  # without the in-use bit
_NO_CHAIN = 2
_FIRST_ADDRESS = 3  # The Sleuth Kit numbers the entries of 32 bytes in the cluster heap from here
_ENTRY = 32


class Entries:
    """The entries of the volume at byte `offset`, by The Sleuth Kit's addresses. Raises struct.error, IndexError."""

    def __init__(self, source: ByteSource, offset: int) -> None:
        boot = source.read(offset, 512)
        (heap,) = struct.unpack_from("<I", boot, 88)
        self._source, self._heap = source, offset + (heap << min(boot[108], 12))

    def own(self, address: int) -> bool:
        """Whether the entry is one of the volume's own."""
        return bool(_OWN.intersection(self._read(address, 1)))

    def one_run(self, address: int) -> bool:
        """Whether the file whose entry has that address is known to have lain in one run; False where nothing tells."""
        entry = self._read(address, 2 * _ENTRY)
        if len(entry) < 2 * _ENTRY or entry[0] & ~IN_USE != _FILE or entry[_ENTRY] & ~IN_USE != _STREAM:
            return False
        return bool(entry[_ENTRY + 1] & _NO_CHAIN)

    def _read(self, address: int, length: int) -> bytes:
        at = self._heap + (address - _FIRST_ADDRESS) * _ENTRY
        return self._source.read(at, length) if address >= _FIRST_ADDRESS else b""
