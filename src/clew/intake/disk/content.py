"""The bytes behind one file record, and the blocks that they lie in."""

from collections.abc import Iterator
from typing import Any

from clew.core.absent import Absent
from clew.core.channel import Reply
from clew.intake.disk import claims
from clew.intake.disk.image import FileSystem, file_system, reason
from clew.intake.reading import CHUNK, examine
from clew.model import Missing, Reason


def read(payload: dict[str, Any], descriptors: list[int]) -> Iterator[Reply]:
    """Worker entry: one Item by "offset", "record", "type" and "id" of its attribute."""
    opened = file_system(descriptors[0], payload["offset"])
    return examine(_chunks(opened, payload), payload)


def blocks(payload: dict[str, Any], descriptors: list[int]) -> Reply:
    """Worker entry: the block runs of each of "items" ([record, type, id]), in order; [] where they cannot be had."""
    opened = file_system(descriptors[0], payload["offset"])
    found: list[list[tuple[int, int]]] = []
    for record, kind, number in payload["items"]:
        try:
            found.append(claims.runs(opened, _attribute(opened, record, kind, number)[1]))
        except (OSError, Absent):
            found.append([])
    return Reply(found)


def _attribute(opened: FileSystem, record: int, kind: int, number: int) -> tuple[Any, Any]:
    file = opened.fs.open_meta(inode=record)
    for attribute in file:
        if (int(attribute.info.type), int(attribute.info.id)) == (kind, number):
            return file, attribute
    raise Absent(Missing(Reason.UNREADABLE, "the file record does not hold that stream any more"))


def _chunks(opened: FileSystem, payload: dict[str, Any]) -> Iterator[bytes]:
    offset = 0
    try:
        file, attribute = _attribute(opened, payload["record"], payload["type"], payload["id"])
        size, named = int(attribute.info.size), opened.family == "NTFS"
        while offset < size:
            length = min(CHUNK, size - offset)
            chunk = (
                file.read_random(offset, length, payload["type"], payload["id"])
                if named
                else file.read_random(offset, length)
            )
            if not chunk:
                return
            offset += len(chunk)
            yield bytes(chunk)
    except OSError as error:
        raise Absent(Missing(Reason.UNREADABLE, f"read error at byte {offset}: {reason(error)}")) from error
