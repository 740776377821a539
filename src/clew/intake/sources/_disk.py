"""A disk image in whatever container: the session that all Sources of disks share.

Partition tables and file systems are read by workers alone. The parent opens the image's files once, read-only, and
every worker is born with them; it parses none of their bytes. What workers say of them is checked here: they may
belong to an attacker once they have parsed his disk.
"""

import os
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from clew.intake.api import Ask, Found, Job, Note, Part, Seen, Unavailable
from clew.intake.refs import quote
from clew.intake.sources import _said
from clew.model import ContentState, ItemState, Missing, NameState, Reason

MOST = 500  # Items of one answer
RANGE = 20_000  # file records of one sweep task
CORNERED = 256  # directories listed in one go after which the search for a deadly one is over
SWEPT = {"NTFS", "ext"}
ACQUIRE = "clew.intake.containers.acquisition:acquire"
ORPHANAGE = {"FAT", "exFAT"}  # where The Sleuth Kit itself searches the whole volume for lost directory entries

# What every worker of a disk needs, whatever the container.
PRELOAD: tuple[str, ...] = (
    "clew.core.resumable:library",
    "clew.intake.containers.acquisition",
    "clew.intake.disk.volumes",
    "clew.intake.disk.entries",
    "clew.intake.disk.sweep",
    "clew.intake.disk.content",
)


class Disk:
    """One opened image in the files `paths`; `container` ("module:function") gives a worker the image's bytes, and
    `acquire` is the entry that reads them all once.
    """

    def __init__(self, paths: Sequence[Path], container: str, acquire: str = ACQUIRE) -> None:
        self.held = tuple(map(open_read_only, paths))
        self._container = container
        self._size: int | None = None
        self.detail: dict[str, Any] = {"opened": "read-only", "files": len(paths)}
        stored = sum(os.lseek(descriptor, 0, os.SEEK_END) for descriptor in self.held)
        self.acquisition: Job | None = Job(acquire, self._payload(size=stored))

    def parts(self, ask: Ask) -> Iterator[Part]:
        """Partitions and the gaps between them; the whole image where there is no partition table."""
        said = ask("clew.intake.disk.volumes:size", self._payload(), (), 0)
        size = _said.size(said)
        if isinstance(size, Missing):
            yield Part("image", {"kind": "image"}, size)
            return
        table = ask("clew.intake.disk.volumes:table", self._payload(), (), 0)
        stretches = [] if isinstance(table, Missing) else _said.stretches(table, size)
        if isinstance(table, Missing) or not any(each["allocated"] for each in stretches):
            whole = {"offset": 0, "length": size, "allocated": True, "table": "no partition table"}
            if isinstance(table, Missing):
                whole["table"] = f"the partition table could not be read ({table})"
            stretches = [whole]
        for each in stretches:
            detail = {key: each[key] for key in ("offset", "length", "table")}
            if each["allocated"] and each.get("cut"):
                missing = Missing(Reason.UNREADABLE, "the partition goes on beyond the image's end: the image is cut")
                yield Part(f"cut@{each['offset']}", {"kind": "partition", **detail}, missing)
            if each["allocated"] and each["length"]:
                yield from self._partition(detail, ask)
            elif not each["allocated"] and each["length"]:
                missing = Missing(Reason.UNKNOWN, "an area outside all partitions; this version does not search it")
                yield Part(f"gap@{each['offset']}", {"kind": "unpartitioned", **detail}, missing)

    def _partition(self, detail: dict[str, Any], ask: Ask) -> Iterator[Part]:
        offset = detail["offset"]
        found = ask("clew.intake.disk.volumes:describe", self._payload(offset=offset), (), 0)
        name = f"fs@{offset}"
        if isinstance(found, Missing):
            yield Part(name, {"kind": "partition", **detail}, found)
            return
        known = {"kind": "file system", **detail, **_said.description(found)}
        yield Part(f"{name}/walk", known)
        if known["file_system"] in SWEPT:
            yield Part(f"{name}/sweep", known | {"kind": "sweep over file records"})
        elif known["file_system"] in ORPHANAGE:
            yield Part(f"{name}/orphans", known | {"kind": "search for lost directory entries"})

    def items(self, part: Part, cursor: str, seen: Seen, ask: Ask) -> Iterator[Found | Note]:
        """One stretch of the walk or sweep after the other; what kills a worker is cornered and named."""
        if part.name.endswith("/sweep"):
            return self._sweep(part.detail, cursor, seen, ask)
        root = None
        if part.name.endswith("/orphans"):
            root = [b"$OrphanFiles".hex(), part.detail["last_inode"]]
        return self._walk(part.detail, root, cursor, ask)

    def _walk(self, detail: Mapping[str, Any], root: Any, cursor: str, ask: Ask) -> Iterator[Found | Note]:
        payload = self._payload(offset=detail["offset"], root=root, most=MOST, cursor=cursor, directories=None)
        culprit: tuple[str, bytes] | None = None
        size = detail["length"] if root else 0
        while True:
            answer = ask("clew.intake.disk.entries:walk", payload, (), size)
            heard = answer if isinstance(answer, Missing) else _said.stretch(answer)
            if isinstance(heard, Missing):
                if payload["directories"] not in {0, 1}:
                    payload["directories"] = 0  # list nothing new: which directory comes next?
                    continue
                past, path = culprit or ("", b"")
                yield _lost(detail["offset"], path, heard, past or payload["cursor"])
                if not past:
                    return
                payload |= {"cursor": past, "directories": None}
                culprit = None
                continue
            yield from heard.events
            if heard.done:
                return
            culprit = heard.next
            payload |= {"cursor": heard.cursor, "directories": _next_step(payload["directories"], heard)}

    def _sweep(self, detail: Mapping[str, Any], cursor: str, seen: Seen, ask: Ask) -> Iterator[Found | Note]:
        offset, end = (
            detail["offset"],
            detail["last_inode"],
        )  # the last address is The Sleuth Kit's own orphan directory
        first, sub = (int(part) for part in cursor.split(".")) if cursor else (detail["first_inode"], -1)
        named = _bitmap(seen(f"fs@{offset}/"), end)
        if sub >= 0:  # the sweep itself listed part of this record; its other streams are still to come
            named[first // 8] &= ~(1 << (first % 8))
        length = RANGE
        while first < end:
            base, stop = first // 8 * 8, min(first + length, end)
            bits = b64encode(bytes(named[base // 8 : stop // 8 + 1])).decode()
            payload = self._payload(offset=offset, first=first, sub=sub, end=stop, seen=bits, seen_from=base, most=MOST)
            answer = ask("clew.intake.disk.sweep:sweep", payload, (), 0)
            heard = answer if isinstance(answer, Missing) else _said.swept(answer, first)
            if not isinstance(heard, Missing):
                founds, first = heard
                yield from founds
                sub, length = -1, min(length * 2, RANGE)
            elif length > 1:
                length = max(1, length // 16)
            else:
                yield _lost(offset, b"$OrphanFiles/record-%d" % first, heard, f"{first + 1}.-1", first)
                first, sub = first + 1, -1

    def job(self, ref: str) -> Job:
        """The file record and stream that `ref` names."""
        place = _place(ref)
        if place is None:
            raise Unavailable(Missing(Reason.UNREADABLE, "there is no content to read"))
        return Job("clew.intake.disk.content:stream", self._payload(**place))

    def doubts(self, refs: Mapping[str, str], ask: Ask) -> set[str]:
        """Deleted Items that share a block with another deleted Item: one of the two was overwritten by the other."""
        by_volume: dict[int, list[tuple[str, list[int]]]] = {}
        for item, ref in refs.items():
            place = _place(ref)
            if place is not None:
                by_volume.setdefault(place["offset"], []).append((item, [place["record"], place["type"], place["id"]]))
        doubted: set[str] = set()
        for offset, members in by_volume.items():
            spans: list[tuple[int, int, str]] = []
            for at in range(0, len(members), MOST):
                some = members[at : at + MOST]
                payload = self._payload(offset=offset, items=[stream for _, stream in some])
                answer = ask("clew.intake.disk.content:blocks", payload, (), 0)
                if isinstance(answer, Missing):
                    doubted.update(item for item, _ in some)
                else:
                    spans += _said.spans(answer, [item for item, _ in some])
            doubted |= _overlapping(spans)
        return doubted

    def close(self) -> None:
        """Closes the image's files."""
        for descriptor in self.held:
            os.close(descriptor)

    def _payload(self, **more: Any) -> dict[str, Any]:
        return {"container": self._container, **more}


def _next_step(step: int | None, heard: _said.Stretch) -> int | None:
    """How many directories to list next while one that kills its reader is cornered: 0, 1, 2, 4 ... any number."""
    if step is None or step >= CORNERED:
        return None
    if step == 0:
        return 1 if heard.next is not None else 0
    return 2 * step


def open_read_only(path: Path) -> int:
    """A descriptor, without touching the access time where we may ask for that. Raises OSError."""
    flags = os.O_RDONLY | os.O_CLOEXEC
    try:
        return os.open(path, flags | os.O_NOATIME)
    except PermissionError:
        return os.open(path, flags)


def _lost(offset: int, path: bytes, missing: Missing, cursor: str, record: int = 0) -> Found:
    name = path or b"(the rest of this file system)"
    return Found(
        ref=f"fs@{offset}/{record}/name/{quote(name)}/",
        path=name,
        size=0,
        cursor=cursor,
        found_by="disk",
        state=ItemState.UNREADABLE,
        missing=Missing(missing.reason, f"its reader failed: {missing.detail or missing.reason}"),
        name_state=NameState.LIVE,
        content_state=ContentState.UNREADABLE,
    )


def _place(ref: str) -> dict[str, int] | None:
    """Where a ref's content lies: offset of the file system, file record, type and id of the stream; None without
    one.
    """
    offset, record, stream, _ = ref.removeprefix("fs@").split("/", 3)
    kind, _, number = stream.partition("-")
    if not number:
        return None
    return {"offset": int(offset), "record": int(record), "type": int(kind), "id": int(number)}


def _bitmap(refs: Iterator[str], end: int) -> bytearray:
    """One bit a file record: listed under some name already."""
    named = bytearray(end // 8 + 2)
    for ref in refs:
        _, record, stream, _ = ref.split("/", 3)
        if stream != "name" and int(record) < end:
            named[int(record) // 8] |= 1 << (int(record) % 8)
    return named


def _overlapping(spans: list[tuple[int, int, str]]) -> set[str]:
    """The owners of spans (from, to, owner) that another owner's span overlaps."""
    found: set[str] = set()
    reach: tuple[int, str] = (-1, "")
    for start, end, owner in sorted(spans):
        if start < reach[0] and owner != reach[1]:
            found |= {owner, reach[1]}
        reach = max(reach, (end, owner))
    return found
