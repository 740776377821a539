"""VHDX, fixed and dynamic (Microsoft, [MS-VHDX]: Virtual Hard Disk v2 File Format).

Headers and region tables carry CRC-32C, blocks do not: flipped bytes of a block cannot be noticed here. Numbers are
little-endian.
"""

import struct
from uuid import UUID

from clew.intake.containers._mapped import Mapped, Piece, damaged, length_of, numbers, table, unsupported
from clew.model import Missing, Reason

MAGIC = b"vhdxfile"
_MIB, _KIB64 = 1 << 20, 64 << 10
_HEADERS, _REGIONS = (1 * _KIB64, 2 * _KIB64), (3 * _KIB64, 4 * _KIB64)
_MOST_ENTRIES = 2047  # of the region table and of the metadata table

_BAT = UUID("2DC27766-F623-4200-9D64-115E9BFD4A08")
_METADATA = UUID("8B7CA206-4790-4B9A-B8FE-575F050F886E")
_PARAMETERS = UUID("CAA16737-FA36-4D43-B3B6-33F0AA44E76B")
_SIZE = UUID("2FA54224-CD1B-4876-B211-5DBED83BF4B8")
_SECTOR = UUID("8141BF1D-A96F-4709-BA47-F233A8FAAB5F")
_LOCATOR = UUID("A8D35F2D-B30B-454D-ABF7-D3D84834AB0C")
_HAS_PARENT = 2
_NOT_PRESENT, _UNDEFINED, _ZERO, _UNMAPPED, _PRESENT = 0, 1, 2, 3, 6


def open_vhdx(descriptors: list[int]) -> Mapped:
    """The image. Raises Absent where it is damaged, or only a difference to another file."""
    file = descriptors[0]
    log = _log(file)
    regions = _regions(file)
    block, flags, size, sector = _metadata(file, *regions[_METADATA])
    if flags & _HAS_PARENT:
        way = "`qemu-img convert` or Hyper-V's Merge-VHD makes one image of both"
        raise unsupported(f"it holds only what differs from another file, which is not read; {way}")
    if not _MIB <= block <= 256 * _MIB or block & (block - 1) or sector not in {512, 4096}:
        raise damaged(f"blocks of {block} bytes, sectors of {sector}")
    said = []
    if log.int:
        why = "it was not closed properly: changes that wait in its log are not applied"
        said.append(Missing(Reason.UNPARSABLE, f"{why}; `qemu-img check -r all` on a copy applies them"))
    return Mapped(size, _Blocks(file, regions[_BAT], block, sector, size).locate, said)


def _log(file: int) -> UUID:
    """The id of the log that waits to be applied, zero where there is none: from the newer header that is whole."""
    found: list[tuple[int, UUID]] = []
    for at in _HEADERS:
        raw = table(file, at, 4096, "its header")
        if raw[:4] == b"head" and _whole(raw):
            found.append((struct.unpack_from("<Q", raw, 8)[0], UUID(bytes_le=raw[48:64])))
    if not found:
        raise damaged("neither of its two headers is whole")
    return max(found, key=lambda each: each[0])[1]


def _regions(file: int) -> dict[UUID, tuple[int, int]]:
    """Where the table of blocks and the metadata lie: (byte, bytes)."""
    for at in _REGIONS:
        raw = table(file, at, _KIB64, "its region table")
        count = struct.unpack_from("<I", raw, 8)[0]
        if raw[:4] != b"regi" or count > _MOST_ENTRIES or not _whole(raw):
            continue
        found: dict[UUID, tuple[int, int]] = {}
        for each in range(16, 16 + 32 * count, 32):
            start, length = struct.unpack_from("<QI", raw, each + 16)
            found[UUID(bytes_le=raw[each : each + 16])] = start, length
        if _BAT in found and _METADATA in found:
            return found
    raise damaged("neither of its two region tables is whole")


def _metadata(file: int, at: int, length: int) -> tuple[int, int, int, int]:
    """Bytes of a block, flags, bytes of the disk, bytes of a sector."""
    raw = table(file, at, min(length, _MIB), "its metadata")
    items = _items(raw)
    try:
        block, flags = struct.unpack_from("<II", raw, items[_PARAMETERS])
        return (
            block,
            flags,
            struct.unpack_from("<Q", raw, items[_SIZE])[0],
            struct.unpack_from("<I", raw, items[_SECTOR])[0],
        )
    except (KeyError, struct.error) as error:
        raise damaged("its metadata do not say how it is laid out") from error


def _items(metadata: bytes) -> dict[UUID, int]:
    """Where in the region each item of its table lies."""
    count = struct.unpack_from("<H", metadata, 10)[0] if metadata[:8] == b"metadata" else 0
    places = range(32, min(32 + 32 * min(count, _MOST_ENTRIES), len(metadata) - 31), 32)
    return {UUID(bytes_le=metadata[at : at + 16]): struct.unpack_from("<I", metadata, at + 16)[0] for at in places}


def parent_name(file: int) -> str | None:
    """The path of the file that an image is only a difference to, as its parent locator has it (2.6.2.6); None for any
    other. Raises Absent.
    """
    at, length = _regions(file)[_METADATA]
    raw = table(file, at, min(length, _MIB), "its metadata")
    at = _items(raw).get(_LOCATOR, length)
    said: dict[str, str] = {}
    try:
        for each in range(struct.unpack_from("<H", raw, at + 18)[0]):
            key, value, *lengths = struct.unpack_from("<IIHH", raw, at + 20 + 12 * each)
            name, path = (raw[at + start :][:size] for start, size in zip((key, value), lengths, strict=True))
            said[name.decode("utf-16-le", "replace")] = path.decode("utf-16-le", "replace")
    except struct.error:
        pass  # what it names before its end counts
    return next((said[key] for key in ("relative_path", "absolute_win32_path", "volume_path") if key in said), None)


class _Blocks:
    """Where each block lies: after every `ratio` entries of the table stands one for their sector bitmap."""

    def __init__(self, file: int, region: tuple[int, int], block: int, sector: int, size: int) -> None:
        self._file, self._block, self._end = file, block, length_of(file)
        self._ratio = (sector << 23) // block
        blocks = -(-size // block)
        entries = blocks + max(blocks - 1, 0) // self._ratio
        if entries * 8 > region[1]:
            raise damaged("its table of blocks is too short for its size")
        self._table = numbers(table(file, region[0], entries * 8, "its table of blocks"), "Q")

    def locate(self, offset: int, most: int) -> Piece:
        """One block, or what is asked of it."""
        number, inside = divmod(offset, self._block)
        length = min(most, self._block - inside)
        entry = self._table[number + number // self._ratio]
        state, at = entry & 7, (entry >> 20) * _MIB
        if state in {_NOT_PRESENT, _ZERO, _UNMAPPED, _UNDEFINED}:
            return Piece(length)
        if state != _PRESENT or at < _MIB or at + inside >= self._end:
            return Piece(length, lost=True)
        return Piece(length, self._file, at + inside)


def _whole(raw: bytes) -> bool:
    """Whether the checksum at byte 4 is that of the structure, with zeros in its own place."""
    said: int = struct.unpack_from("<I", raw, 4)[0]
    return _crc32c(raw[:4] + bytes(4) + raw[8:]) == said


def _crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli; RFC 3720, appendix B.4). `zlib` knows another polynomial alone."""
    value = 0xFFFFFFFF
    for byte in data:
        value = _CRC[(value ^ byte) & 0xFF] ^ (value >> 8)
    return value ^ 0xFFFFFFFF


def _crc_table() -> tuple[int, ...]:
    entries = []
    for number in range(256):
        value = number
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        entries.append(value)
    return tuple(entries)


_CRC = _crc_table()
