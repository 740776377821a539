"""The bytes behind one file record, and the blocks that they lie in."""

from typing import Any

from clew.core.absent import Absent, CutShort
from clew.core.channel import Reply
from clew.intake.api import Range
from clew.intake.carving.view import overlap
from clew.intake.disk import claims, packed, reparse
from clew.intake.disk.direct import direct, of_plain
from clew.intake.disk.extents import Direct, Resident
from clew.intake.disk.image import FileSystem, file_system, reason
from clew.model import Missing, Reason


class Stream:
    """One attribute of one file record: the content of an Item. Where a plain record says all of it, The Sleuth Kit is
    not asked. It is `freed` where bytes of it are read from clusters that its file record gave back.
    """

    def __init__(self, opened: FileSystem, record: int, kind: int, number: int) -> None:
        self._opened, self._kind, self._number = opened, kind, number
        self._runs: list[tuple[int, int]] | None = None
        self._lacks: reparse.Lacks | None = None
        self.freed = False
        self._direct: Direct | Resident | packed.Packed | None
        plain = opened.records.plain(record) if opened.records is not None and kind == claims.NTFS_DATA else None
        if plain is not None and plain.number == number and plain.written == plain.size:
            self._direct, self._runs, self.size = of_plain(opened, plain), plain.runs, plain.size
            self._written = self.size
            return
        unpacked = packed.content(opened, record) if opened.family == "HFS+" and kind == packed.KIND else None
        if unpacked is not None:
            self._direct, self._runs, self.size = unpacked, [], unpacked.size
            self._written = self.size
            return
        try:
            self._file, self._attribute = attribute_of(opened, record, kind, number)
            self._direct = direct(opened, record, self._attribute)
            self._lacks = reparse.lacks(opened, self._file, self._attribute)
            self.size = int(self._attribute.info.size)
            self._written = claims.own_bytes(opened, record, self.size)
            self.freed = claims.freed(opened, self._file.info.meta, self._attribute, self._written)
        except OSError as error:
            raise Absent(Missing(Reason.UNREADABLE, f"its file record cannot be read: {reason(error)}")) from error

    @property
    def bad(self) -> list[Range]:
        """Ranges of the image that hold part of it and could not be read."""
        known = self._opened.image.source.bad
        if not known:
            return []
        if self._runs is not None:
            ours = claims.places(self._opened, claims.first(self._runs, -(-self.size // self._opened.block)))
        else:
            ours = claims.extents(self._opened, self._attribute, self._written)
        return self._opened.on_image(overlap(ours, known))

    def read(self, offset: int, length: int) -> bytes:
        """Raises Absent at a read error, and where a bad stretch of the image lies in what must be unpacked; CutShort
        at the end of a file of which part lies elsewhere.
        """
        if self._lacks is not None and offset >= self.size:
            raise CutShort(self._lacks.missing)
        if self._direct is not None:
            return self._direct.read(offset, length)
        length = min(length, self.size - offset)
        if length <= 0:
            return b""
        here = min(length, max(self._written - offset, 0))
        named = (self._kind, self._number) if self._opened.family in claims.NAMED_STREAMS else ()
        try:
            data = bytes(self._file.read_random(offset, here, *named)) if here else b""
        except OSError as error:
            raise Absent(Missing(Reason.UNREADABLE, f"read error at byte {offset}: {reason(error)}")) from error
        return data + bytes(length - here) if len(data) == here < length else data


def stream(payload: dict[str, Any], _descriptors: list[int]) -> Stream:
    """Opener: one Item by "container", "offset", "record", "type" and "id" of its attribute."""
    return Stream(file_system(payload), payload["record"], payload["type"], payload["id"])


def blocks(payload: dict[str, Any], _descriptors: list[int]) -> Reply:
    """Worker entry: the byte ranges of the image that hold each of "items" ([record, type, id]), in order, [] where
    they cannot be had, or no other deleted one can claim them, and the bytes of each in them; "freed" and "free", for
    each, whether some were given back, and whether all are nobody's now; "cluster" is the bytes that are given out
    together, "numbered" whether names say no more of a file record than its number.
    """
    opened = file_system(payload)
    found: list[list[Range]] = []
    sizes: list[int] = []
    freed: list[bool] = []
    free: list[bool] = []
    for record, kind, number in payload["items"]:
        try:
            file, attribute = attribute_of(opened, record, kind, number)
            if claims.unlinked(opened, file.info.meta):  # none is free: what else was there is told to be overwritten
                raise Absent(Missing(Reason.NOT_APPLICABLE, "its file record is in use"))
            size = claims.own_bytes(opened, record, int(attribute.info.size))
            size = claims.begun(opened, record, attribute, size)
            lies = claims.extents(opened, attribute, size), size
            given_back = claims.freed(opened, file.info.meta, attribute, size)
            nobodys = given_back and claims.all_free(opened, attribute, size)
        except (OSError, Absent):
            lies, given_back, nobodys = ([], 0), False, False
        found.append(lies[0])
        sizes.append(lies[1])
        freed.append(given_back)
        free.append(nobodys)
    cluster = opened.taken.cluster if opened.taken is not None else 1
    told = {"cluster": cluster * opened.block, "numbered": opened.family not in claims.NAMED_BY_ENTRY}
    return Reply({**told, "runs": found, "sizes": sizes, "freed": freed, "free": free})


def attribute_of(opened: FileSystem, record: int, kind: int, number: int) -> tuple[Any, Any]:
    """The Sleuth Kit's file and attribute. Raises OSError, and Absent where there is none of that type and number."""
    file = opened.fs.open_meta(inode=record)
    for attribute in claims.attributes(opened, file):
        info = attribute.info
        if int(info.id) == number and int(info.type) == kind:
            return file, attribute
    raise Absent(Missing(Reason.UNREADABLE, "the file record does not hold that stream any more"))
