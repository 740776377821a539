"""Boxes of the ISO base media file format (ISO/IEC 14496-12, section 4.2), and the items of HEIF in them (8.11 there;
ISO/IEC 23008-12): what HEIC, AVIF and CR3 files are made of. Sizes that claim more than there is are cut and no box is
entered twice.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from clew.intake.boxes import spans

MOST_BOXES = 10_000  # siblings
MOST_ITEMS = 4_096
MOST_ITEM_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Box:
    """One box: its four-letter kind, and its content without the header; `uuid` is that of a "uuid" box."""

    kind: bytes
    body: memoryview
    uuid: bytes = b""


def boxes(data: memoryview) -> Iterator[Box]:
    """The boxes that lie side by side in `data`. What is no box ends it."""
    for span in islice(spans(data), MOST_BOXES):
        body = data[span.content : span.end]
        if span.kind == b"uuid" and len(body) >= 16:
            yield Box(span.kind, body[16:], bytes(body[:16]))
        else:
            yield Box(span.kind, body)


def first(data: memoryview, *path: bytes) -> memoryview | None:
    """The content of the first box on that path of kinds."""
    for kind in path:
        found = next((box.body for box in boxes(data) if box.kind == kind), None)
        if found is None:
            return None
        data = found
    return data


@dataclass(slots=True)
class Item:
    """One item of a HEIF file: its type, where its bytes lie, what it refers to, and its properties in order.

    `content_type` is that of a "mime" item; `refers` are (reference type, item) pairs.
    """

    kind: bytes = b""
    content_type: bytes = b""
    in_idat: bool = False
    extents: list[tuple[int, int]] = field(default_factory=list)  # (offset, bytes; 0 means to the end)
    refers: list[tuple[bytes, int]] = field(default_factory=list)
    properties: list[Box] = field(default_factory=list)


class Items:
    """The items of a HEIF file by id. Raises ValueError where the bytes have none."""

    def __init__(self, data: memoryview) -> None:
        meta = first(data, b"meta")
        if meta is None or len(meta) < 4:
            raise ValueError("no meta box")
        self._data = data
        inside = {box.kind: box.body for box in boxes(meta[4:])}
        self._idat = inside.get(b"idat", memoryview(b""))
        self.by_id: dict[int, Item] = {}
        self.primary = 0
        try:
            self._read(inside)
        except (struct.error, IndexError) as error:
            raise ValueError("an item table breaks off") from error

    def content(self, number: int) -> bytes:
        """An item's bytes. Raises ValueError where they are not all there."""
        item = self.by_id.get(number)
        if item is None or not item.extents:
            raise ValueError(f"item {number} has no bytes")
        whole = self._idat if item.in_idat else self._data
        parts, total = [], 0
        for offset, length in item.extents:
            size = length or len(whole) - offset
            total += size
            if offset + size > len(whole) or size < 0 or total > MOST_ITEM_BYTES:
                raise ValueError(f"item {number} lies outside the file")
            parts.append(whole[offset : offset + size])
        return b"".join(parts)

    def of_kind(self, kind: bytes) -> Iterator[int]:
        """The ids of all items of a type."""
        return (number for number, item in self.by_id.items() if item.kind == kind)

    def _read(self, inside: dict[bytes, memoryview]) -> None:
        if b"pitm" in inside:
            body = inside[b"pitm"]
            (self.primary,) = struct.unpack_from(">I" if body[0] else ">H", body, 4)
        if b"iinf" in inside:
            self._information(inside[b"iinf"])
        if b"iloc" in inside:
            self._locations(inside[b"iloc"])
        if b"iref" in inside:
            self._references(inside[b"iref"])
        if b"iprp" in inside:
            self._properties(inside[b"iprp"])

    def _information(self, body: memoryview) -> None:
        for box in boxes(body[6 if body[0] == 0 else 8 :]):
            if box.kind != b"infe" or box.body[0] not in (2, 3) or len(self.by_id) >= MOST_ITEMS:
                continue
            wide = box.body[0] == 3
            (number,) = struct.unpack_from(">I" if wide else ">H", box.body, 4)
            rest = bytes(box.body[(10 if wide else 8) :])
            names = rest[4:].split(b"\x00")
            mime = names[1] if rest[:4] == b"mime" and len(names) > 1 else b""
            self.by_id[number] = Item(rest[:4], mime)

    def _locations(self, body: memoryview) -> None:
        version, sizes = body[0], struct.unpack_from(">H", body, 4)[0]
        offset_size, length_size, base_size, index_size = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
        at = 6
        wide = ">I" if version == 2 else ">H"

        def take(size: int) -> int:
            nonlocal at
            if at + size > len(body):
                raise IndexError("iloc breaks off")
            at += size
            return int.from_bytes(body[at - size : at])

        for _ in range(min(take(struct.calcsize(wide)), MOST_ITEMS)):
            item = self.by_id.get(take(struct.calcsize(wide)), Item())
            item.in_idat = version in (1, 2) and take(2) & 15 == 1
            take(2)  # data reference
            base = take(base_size)
            for _ in range(take(2)):
                if version in (1, 2):
                    take(index_size)
                offset = base + take(offset_size)
                item.extents.append((offset, take(length_size)))

    def _references(self, body: memoryview) -> None:
        code = ">I" if body[0] else ">H"
        step = struct.calcsize(code)
        for box in boxes(body[4:]):
            (origin,) = struct.unpack_from(code, box.body)
            (count,) = struct.unpack_from(">H", box.body, step)
            item = self.by_id.get(origin)
            if item is not None:
                targets = struct.unpack_from(f">{count}{code[1]}", box.body, step + 2)
                item.refers += [(box.kind, target) for target in targets]

    def _properties(self, body: memoryview) -> None:
        held = list(boxes(first(body, b"ipco") or memoryview(b"")))
        links = first(body, b"ipma")
        if links is None:
            return
        wide, long_index = links[0] > 0, links[3] & 1
        (count,) = struct.unpack_from(">I", links, 4)
        at = 8
        for _ in range(min(count, MOST_ITEMS)):
            (number,) = struct.unpack_from(">I" if wide else ">H", links, at)
            at += 4 if wide else 2
            item = self.by_id.get(number, Item())
            many = links[at]
            at += 1
            for _ in range(many):
                index = (links[at] & 0x7F) << 8 | links[at + 1] if long_index else links[at] & 0x7F
                at += 2 if long_index else 1
                if 0 < index <= len(held):
                    item.properties.append(held[index - 1])
