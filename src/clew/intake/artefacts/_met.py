"""eMule's and aMule's .met files (aMule wiki, "known.met file" and "part.met file"): records of a hash and tags.

All numbers are little-endian. A record: time of the file's last change (4 bytes), ed2k hash (16), number of part hashes
(2) and those (16 each), number of tags (4) and those. A tag: its type (1), the length of its name (2) and the name, its
value. Where the type's highest bit is set, the name is one byte without a length. Strings of up to 16 bytes have types
of their own (17 to 32).
"""

import base64
import binascii
import struct
from dataclasses import dataclass, field
from typing import Any

from clew.intake.artefacts._entry import Entry
from clew.model import Reason

HASH = 16
FIXED = {0x01: HASH, 0x03: 4, 0x04: 4, 0x05: 1, 0x08: 2, 0x09: 1, 0x0B: 8}  # type -> bytes of its value
COUNTS = {0x03, 0x08, 0x09, 0x0B}  # types that are unsigned integers
STRING, BITS, BLOB, SHORT_BLOB = 0x02, 0x06, 0x07, 0x0A
SHORT = range(0x11, 0x21)  # strings of 1 to 16 bytes
NAME_ONLY = 0x80
LEAST = 4 + HASH + 2 + 4  # bytes of a record
MOST_TAGS = 100_000
NAME_TAG = b"\x02\x01\x00\x01"  # a string whose name is one byte: that of a file
MOST_TRIES, MOST_PARTS = 20_000, 64  # after a break; 64 parts are 600 MB
# What a name of one byte stands for (aMule wiki, "FT_" and "tag names")
NAME, SIZE, SIZE_HIGH, AICH, SHARED = 0x01, 0x02, 0x3A, 0x27, 0x34
UPLOADED, UPLOADED_HIGH, REQUESTS, ACCEPTED = 0x50, 0x54, 0x51, 0x52
DOWNLOADED, LAST_SEEN = 0x08, 0x05
AICH_BYTES = 20
BOM = b"\xef\xbb\xbf"
SIZE_TAGS = b"\x03\x01\x00\x02", b"\x0b\x01\x00\x02"  # numbers whose name is one byte: that of a size
NEAR = 1 << 20  # bytes from a file's beginning on, behind which nothing tells any more what was damaged there
FEW_TAGS, SEVERAL = 200, 2  # a record has some ten tags; several whole ones in a row are no accident


class Broken(ValueError):
    """The bytes are no record; `at` is where. `cut`: for all that is there, it may have been one."""

    def __init__(self, what: str, at: int, *, cut: bool = False) -> None:
        super().__init__(what)
        self.at = at
        self.cut = cut


@dataclass(slots=True)
class Record:
    """One record. `tags` are those with a name of one byte: value and place, the first of each name."""

    place: slice
    modified: tuple[int, slice]
    ed2k: tuple[bytes, slice]
    parts: int
    tags: dict[int, tuple[Any, slice]] = field(default_factory=dict)


def record(data: bytes, at: int, *, enough: int = MOST_TAGS) -> Record:
    """The record that begins at `at`; no more than `enough` of its tags are looked at. Raises Broken."""
    start = at
    if at + LEAST > len(data):
        raise Broken("a record runs past the end", at)
    (modified,) = struct.unpack_from("<I", data, at)
    ed2k = data[at + 4 : at + 4 + HASH], slice(at + 4, at + 4 + HASH)
    (parts,) = struct.unpack_from("<H", data, at + 4 + HASH)
    at += 4 + HASH + 2 + parts * HASH
    if at + 4 > len(data):
        raise Broken(f"{parts} part hashes run past the end", at)
    (count,) = struct.unpack_from("<I", data, at)
    if count > MOST_TAGS:
        raise Broken(f"{count} tags", at)
    at += 4
    found = Record(slice(start, at), (modified, slice(start, start + 4)), ed2k, parts)
    for _ in range(min(count, enough)):
        name, value, begun, end = _tag(data, at)
        if isinstance(name, int):
            found.tags.setdefault(name, (value, slice(begun, end)))
        at = end
    found.place = slice(start, at)
    return found


def after(data: bytes, at: int) -> int | None:
    """Where the next whole record begins after a break: by the tag of its name, which clients write first.

    None where there is none, or where too much looked like one.
    """
    place = at
    for _ in range(MOST_TRIES):
        place = data.find(NAME_TAG, place + 1)
        if place < 0:
            return None
        for parts in range(MOST_PARTS):
            counted = place - 6 - parts * HASH  # where the number of part hashes would stand
            if counted < at + 4 + HASH:
                break
            if int.from_bytes(data[counted : counted + 2], "little") == parts and _holds(data, counted - 4 - HASH):
                return counted - 4 - HASH
    return None


def _holds(data: bytes, at: int) -> bool:
    """Whether a record with a name and a size begins there."""
    try:
        return {NAME, SIZE} <= record(data, at).tags.keys()
    except Broken:
        return False


def named(data: bytes, at: int) -> Record:
    """The record that begins at `at`. Raises Broken also where it has neither name nor size: clients give it both."""
    found = record(data, at)
    if not {NAME, SIZE} & found.tags.keys():
        raise Broken("a record without name and size", at)
    return found


def remains(data: bytes, at: int) -> bool:
    """Whether a record plainly stood at `at`, though it was cut or damaged. Two of these tell it: how many part hashes
    it has (so where its tags begin), how many tags, and tags themselves.
    """
    near = data[: at + NEAR]
    tags = at + LEAST + int.from_bytes(near[at + 4 + HASH : at + 6 + HASH], "little") * HASH
    few = tags <= len(near) and 0 < int.from_bytes(near[tags - 4 : tags], "little") <= FEW_TAGS
    whole, cut = _in_a_row(near, tags) if near.startswith(NAME_TAG, tags) else (0, False)
    if whole >= SEVERAL or (few and cut):
        return True
    marked = [near.find(tag, tags + 1) for tag in (NAME_TAG, *SIZE_TAGS)] if few else []
    if any(_in_a_row(near, place)[0] >= SEVERAL for place in marked if place > 0):
        return True
    place = near.find(NAME_TAG, at + LEAST)
    return place > 0 and _listed(near, place)


def _in_a_row(data: bytes, at: int) -> tuple[int, bool]:
    """How many tags are whole from there on, up to `SEVERAL`, and whether the next one ends with the data."""
    for number in range(SEVERAL):
        try:
            at = _tag(data, at)[3]
        except Broken as broken:
            return number, broken.cut
    return SEVERAL, False


def _listed(data: bytes, at: int) -> bool:
    """Whether as many tags as the bytes before say stand there, a name and a size among them."""
    count, names = int.from_bytes(data[at - 4 : at], "little"), set[int | bytes]()
    try:
        for _ in range(count if count <= FEW_TAGS else 0):
            name, _, _, at = _tag(data, at)
            names.add(name)
    except Broken:
        return False
    return {NAME, SIZE} <= names


def entry(found: Record, kind: str, *, past: int = 0) -> Entry:
    """The fields of a record. `past`: bytes before the record that belong to the entry."""
    place = slice(found.place.start - past, found.place.stop)
    made = Entry("ed2k", "eMule or aMule", kind, place, small=True)
    made.say("ed2k", found.ed2k[0].hex(), found.ed2k[1])
    made.take_time("modified_s", {0: found.modified}, 0)
    tags = dict(found.tags)
    name, where = tags.get(NAME, (b"", slice(0, 0)))
    if isinstance(name, bytes):
        tags[NAME] = name.removeprefix(BOM), where
    made.take_text("name", tags, NAME)
    _wide(made, "size", tags, SIZE, SIZE_HIGH)
    _wide(made, "uploaded", tags, UPLOADED, UPLOADED_HIGH)
    made.take_count("requests", tags, REQUESTS)
    made.take_count("accepted", tags, ACCEPTED)
    made.take_time("shared_s", tags, SHARED)
    _aich(made, tags)
    return made


def _wide(made: Entry, name: str, tags: dict[int, tuple[Any, slice]], low: int, high: int) -> None:
    """A count whose upper 32 bits may stand in a tag of their own."""
    if high in tags and low in tags and type(tags[high][0]) is int and type(tags[low][0]) is int:
        tags = tags | {low: (tags[low][0] | tags[high][0] << 32, tags[low][1])}
    made.take_count(name, tags, low)


def _aich(made: Entry, tags: dict[int, tuple[Any, slice]]) -> None:
    """The root of eMule's SHA-1 tree: base 32, or raw."""
    if AICH not in tags:
        return
    value, place = tags[AICH]
    try:
        raw = base64.b32decode(value) if isinstance(value, bytes) and len(value) != AICH_BYTES else value
    except binascii.Error:
        raw = b""
    made.take_hash("aich", {AICH: (raw, place)}, AICH, AICH_BYTES)
    if "aich" not in made.fields:
        made.lack("aich", Reason.UNPARSABLE, f"not {AICH_BYTES} bytes")


def _tag(data: bytes, at: int) -> tuple[int | bytes, Any, int, int]:
    """Name, value, and where the tag begins and ends."""
    begun, size = at, len(data)
    kind = data[at] if at < size else -1
    if kind < 0:
        raise Broken("a tag runs past the end", begun, cut=True)
    length = 1 if kind & NAME_ONLY else int.from_bytes(data[at + 1 : at + 3], "little")
    at += 1 if kind & NAME_ONLY else 3
    raw, at, kind = data[at : at + length], at + length, kind & ~NAME_ONLY
    at, end = _extent(data, at, kind)
    if end > size or len(raw) != length:
        raise Broken("a tag runs past the end", begun, cut=True)
    value: Any = data[at:end]
    if kind in COUNTS:
        value = int.from_bytes(value, "little")
    return raw[0] if length == 1 else raw, value, begun, end


def _extent(data: bytes, at: int, kind: int) -> tuple[int, int]:
    """Where the value begins and ends."""
    if kind in FIXED:
        return at, at + FIXED[kind]
    if kind in SHORT:
        return at, at + kind - SHORT.start + 1
    widths = {STRING: 2, BITS: 2, BLOB: 4, SHORT_BLOB: 1}
    if kind not in widths:
        raise Broken(f"a tag of the unknown type {kind}", at)
    length = int.from_bytes(data[at : at + widths[kind]], "little")
    at += widths[kind]
    return at, at + (length // 8 + 1 if kind == BITS else length)
